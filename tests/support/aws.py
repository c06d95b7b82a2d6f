"""AWS as a server: moto in a process of its own, on a free port of this machine.

What it gets wrong is in its tests' way: see the stubs beside it for what it cannot judge.
"""

from __future__ import annotations

import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from strongroom.aws.account import Account
from strongroom.aws.clients import Clients

REGION: Final = "eu-west-2"
KEY: Final = "AKIAIOSFODNN7EXAMPLE"
SECRET: Final = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
CREDENTIALS: Final = {
    "AWS_ACCESS_KEY_ID": KEY,
    "AWS_SECRET_ACCESS_KEY": SECRET,
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": "/nonexistent/config",
    "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent/credentials",
}
# moto looks whether a key is taken, and stores, in two steps; S3 does it in one. And a client would
# wait 40 ms for what its server sends after the headers. It does not know GetObjectRetention,
# and sends the object itself.
_SERVE: Final = """
import logging, sys, threading
logging.getLogger("werkzeug").setLevel(logging.ERROR)
from moto.s3.responses import S3Response
from moto.server import ThreadedMotoServer
from werkzeug.serving import WSGIRequestHandler
WSGIRequestHandler.disable_nagle_algorithm = True
one_at_a_time, put_object = threading.Lock(), S3Response.put_object
def put_alone(self):
    with one_at_a_time:
        return put_object(self)
S3Response.put_object = put_alone
get_object = S3Response.get_object
def get_object_or_retention(self):
    if "retention" not in self.querystring:
        return get_object(self)
    key, _ = self._get_key()
    if not key.lock_mode:
        return 404, {}, "<Error><Code>NoSuchObjectLockConfiguration</Code></Error>"
    mode, until = key.lock_mode, key.lock_until
    return 200, {}, (
        f"<Retention><Mode>{mode}</Mode><RetainUntilDate>{until}</RetainUntilDate></Retention>"
    )
S3Response.get_object = get_object_or_retention
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
server.stop()
"""


@dataclass(frozen=True)
class AwsServer:
    """A running server; everything in it is of one account."""

    endpoint: str

    @property
    def account(self) -> Account:
        """How the program is told of it."""
        return Account(region=REGION, endpoint=self.endpoint)

    @property
    def variables(self) -> dict[str, str]:
        """What the environment of a program says, so that it finds the server."""
        return {**CREDENTIALS, "AWS_REGION": REGION, "AWS_ENDPOINT_URL": self.endpoint}

    def client(self, service: str) -> Any:  # noqa: ANN401 - boto3 makes its types when it runs
        """Return a client of the program's own making; CREDENTIALS must be in the environment."""
        return Clients(self.account).client(service)

    def reset(self) -> None:
        """Forget everything in it."""
        request = urllib.request.Request(f"{self.endpoint}/moto-api/reset", method="POST")
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert answer.status == 200


@contextmanager
def running_aws() -> Iterator[AwsServer]:
    """Run a server for as long as the block lasts; it ends with this process in any case."""
    with subprocess.Popen(
        [sys.executable, "-c", _SERVE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        port = process.stdout.readline().strip()
        try:
            yield AwsServer(f"http://127.0.0.1:{port}")
        finally:
            process.stdin.close()  # which ends it
            process.wait(timeout=30)
