"""The stricter RDS as a server: AWS's Query protocol over HTTP; other services go on to moto."""

from __future__ import annotations

import re
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import cache, cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from xml.sax.saxutils import escape

import botocore.session
from botocore.model import Shape

from strongroom.aws.account import Account
from strongroom.aws.clients import Clients
from strongroom.clock import rfc3339
from tests.support.aws import CREDENTIALS, REGION
from tests.support.rds_model import Fault, Region, Said

_SCOPE: Final = re.compile(r"Credential=[^/]+/\d+/([^/]+)/([^/]+)/aws4_request")
_SPACE: Final = "http://rds.amazonaws.com/doc/2014-10-31/"


@cache
def _model() -> Any:  # noqa: ANN401 - botocore is not typed
    return botocore.session.get_session().get_service_model("rds")


class RdsServer:
    """RDS in several regions; ``log`` has what was asked, without what only looks.

    ``faults``: what to say instead, once each, of an operation.
    """

    def __init__(self, others: str) -> None:
        self.others = others
        self.regions: dict[str, Region] = {}
        self.log: list[tuple[str, Said]] = []
        self.faults: dict[str, list[Fault]] = {}
        self._lock = threading.Lock()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                server.answer(self)

            do_GET = do_PUT = do_DELETE = do_POST  # noqa: N815 - as the base class has it

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                del format, args

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    @cached_property
    def clients(self) -> Clients:
        """Clients of it, made once: that takes longer than many requests."""
        return Clients(self.account)

    def reset(self) -> None:
        """Forget everything in it."""
        self.regions.clear()
        self.log.clear()
        self.faults.clear()

    def close(self) -> None:
        """End it."""
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    @property
    def account(self) -> Account:
        """How the program is told of it."""
        return Account(region=REGION, endpoint=self.endpoint)

    @property
    def variables(self) -> dict[str, str]:
        """What the environment of a program says, so that it finds the server."""
        return {**CREDENTIALS, "AWS_REGION": REGION, "AWS_ENDPOINT_URL": self.endpoint}

    @property
    def home(self) -> Region:
        """The region of the account."""
        return self.region(REGION)

    def region(self, name: str) -> Region:
        """Return a region, empty at first."""
        return self.regions.setdefault(name, Region(name))

    def asked(self, operation: str) -> list[Said]:
        """Return what was said in each request of an operation."""
        return [said for name, said in self.log if name == operation]

    # -- HTTP

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Answer a request, or have it answered."""
        size = int(request.headers.get("Content-Length") or 0)
        body = request.rfile.read(size)
        scope = _SCOPE.search(request.headers.get("Authorization", ""))
        if scope is None or scope[2] != "rds":
            self._pass_on(request, body)
            return
        try:
            with self._lock:
                status, text = 200, self._done(scope[1], body.decode())
        except Fault as fault:
            status, text = fault.status, _fault(fault)
        self._send(request, status, text.encode(), "text/xml")

    def _done(self, region: str, body: str) -> str:
        form = dict(urllib.parse.parse_qsl(body, keep_blank_values=True))
        operation = form["Action"]
        shape = _model().operation_model(operation)
        said: Said = _read(shape.input_shape, "", form) or {}
        if faults := self.faults.get(operation):
            raise faults.pop(0)
        if not operation.startswith("Describe"):
            self.log.append((operation, said))
        result = self._act(self.region(region), operation, said)
        inside = _written(shape.output_shape, result) if shape.output_shape is not None else ""
        return (
            f'<{operation}Response xmlns="{_SPACE}"><{operation}Result>{inside}'
            f"</{operation}Result><ResponseMetadata><RequestId>r-1</RequestId></ResponseMetadata>"
            f"</{operation}Response>"
        )

    def _act(self, at: Region, operation: str, said: Said) -> Said:
        simple = {
            "DescribeDBInstances": at.describe_instances,
            "DescribeDBClusters": at.describe_clusters,
            "RestoreDBInstanceToPointInTime": at.restore_instance,
            "RestoreDBClusterToPointInTime": at.restore_cluster,
            "CreateDBInstance": at.create_instance,
            "ModifyDBInstance": at.modify_instance,
            "ModifyDBCluster": at.modify_cluster,
            "RebootDBInstance": at.reboot,
            "DeleteDBInstance": at.delete_instance,
            "DeleteDBCluster": at.delete_cluster,
            "AddRoleToDBInstance": at.add_role_to_instance,
            "AddTagsToResource": at.add_tags,
            "CreateDBSnapshot": at.create_snapshot,
            "CreateDBClusterSnapshot": at.create_snapshot,
        }
        if operation in simple:
            return simple[operation](said)
        if operation in {"DescribeDBSnapshots", "DescribeDBClusterSnapshots"}:
            return at.describe_snapshots(said, of_clusters="Cluster" in operation)
        if operation in {"CopyDBSnapshot", "CopyDBClusterSnapshot"}:
            return self._copy(at, said, of_clusters="Cluster" in operation)
        return _told(at, operation, said)

    def _copy(self, at: Region, said: Said, *, of_clusters: bool) -> Said:
        what = "DBClusterSnapshot" if of_clusters else "DBSnapshot"
        arn = said[f"Source{what}Identifier"]
        assert said.get("PreSignedUrl"), "another region is asked by a signed request"
        there = self.region(arn.split(":")[3])
        shelf = there.cluster_snapshots if of_clusters else there.snapshots
        source = next(one for one in shelf.values() if one[f"{what}Arn"] == arn)
        sealed = "StorageEncrypted" if of_clusters else "Encrypted"
        if source[sealed] and "KmsKeyId" not in said:
            raise Fault("KMSKeyNotAccessibleFault", "a key of this region is needed")
        name = said[f"Target{what}Identifier"]
        kind = "cluster-snapshot" if of_clusters else "snapshot"
        copied = {
            **source,
            f"{what}Identifier": name,
            f"{what}Arn": at.arn(kind, name),
            "Status": "creating",
            "TagList": said["Tags"],
        }
        (at.cluster_snapshots if of_clusters else at.snapshots)[name] = copied
        at.later(f"snapshot:{name}", {"Status": "available"})
        return {what: copied}

    def _pass_on(self, request: BaseHTTPRequestHandler, body: bytes) -> None:
        headers = {
            key: value
            for key, value in request.headers.items()
            if key.lower() not in {"host", "content-length", "connection"}
        }
        headers.setdefault("Content-Type", "application/xml")  # urllib would say it is a form
        forward = urllib.request.Request(
            self.others + request.path, body or None, headers, method=request.command
        )
        try:
            with urllib.request.urlopen(forward, timeout=30) as got:
                status, data, kind = got.status, got.read(), got.headers.get("Content-Type")
        except urllib.error.HTTPError as error:
            status, data, kind = error.code, error.read(), error.headers.get("Content-Type")
        self._send(request, status, data, kind or "")

    def _send(self, request: BaseHTTPRequestHandler, status: int, data: bytes, kind: str) -> None:
        request.send_response(status)
        request.send_header("Content-Type", kind)
        request.send_header("Content-Length", str(len(data)))
        request.end_headers()
        request.wfile.write(data)


def _told(at: Region, operation: str, said: Said) -> Said:
    """Return what only looks, and needs nothing of its own."""
    if operation == "DescribeDBInstanceAutomatedBackups":
        name = said["DBInstanceIdentifier"]
        found = [one for one in at.instance_backups if one["DBInstanceIdentifier"] == name]
        return {"DBInstanceAutomatedBackups": found}
    if operation == "DescribeDBClusterAutomatedBackups":
        name = said["DBClusterIdentifier"]
        found = [one for one in at.cluster_backups if one["DBClusterIdentifier"] == name]
        return {"DBClusterAutomatedBackups": found}
    if operation in {"DescribeDBParameters", "DescribeDBClusterParameters"}:
        name = said.get("DBParameterGroupName") or said["DBClusterParameterGroupName"]
        rows = at.parameters.get(name, {}).items()
        return {"Parameters": [{"ParameterName": k, "ParameterValue": v} for k, v in rows]}
    if operation == "DescribePendingMaintenanceActions":
        details = at.maintenance.get(said["ResourceIdentifier"], [])
        return {"PendingMaintenanceActions": [{"PendingMaintenanceActionDetails": details}]}
    raise Fault("InvalidAction", f"{operation} is not known here")


def _read(shape: Shape, prefix: str, form: dict[str, str]) -> Any:  # noqa: ANN401 - of the shape
    """Read a value of a request, by the rules of the Query protocol."""
    if shape.type_name == "structure":
        found = {
            name: _read(member, f"{prefix}.{name}" if prefix else name, form)
            for name, member in shape.members.items()
        }
        return {name: value for name, value in found.items() if value is not None} or None
    if shape.type_name == "list":
        one = shape.member.serialization.get("name", "member")
        values: list[Any] = []
        while True:
            value = _read(shape.member, f"{prefix}.{one}.{len(values) + 1}", form)
            if value is None:
                return values or None
            values.append(value)
    text = form.get(prefix)
    if text is None:
        return None
    return _SCALARS.get(shape.type_name, str)(text)


_SCALARS: Final[dict[str, Any]] = {
    "boolean": lambda text: text == "true",
    "integer": int,
    "long": int,
    "double": float,
    "timestamp": datetime.fromisoformat,
}


def _written(shape: Shape, value: Any) -> str:  # noqa: ANN401 - of the shape
    """Write a value of an answer; what the shape does not know stays inside."""
    if shape.type_name == "structure":
        return "".join(
            f"<{name}>{_written(member, value[name])}</{name}>"
            for name, member in shape.members.items()
            if value.get(name) is not None
        )
    if shape.type_name == "list":
        one = shape.member.serialization.get("name", "member")
        return "".join(f"<{one}>{_written(shape.member, item)}</{one}>" for item in value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return rfc3339(int(value.timestamp()) * 1_000_000_000)
    return escape(str(value))


def _fault(fault: Fault) -> str:
    return (
        f'<ErrorResponse xmlns="{_SPACE}"><Error><Type>Sender</Type><Code>{fault.code}</Code>'
        f"<Message>{escape(str(fault))}</Message></Error><RequestId>r-1</RequestId></ErrorResponse>"
    )


@contextmanager
def running_rds(others: str) -> Iterator[RdsServer]:
    """Run a server for as long as the block lasts; ``others``: where other services are."""
    server = RdsServer(others)
    try:
        yield server
    finally:
        server.close()
