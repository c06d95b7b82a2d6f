"""What IAM is asked for a request to AWS, and a guard that refuses what a policy does not allow.

Actions and resources are those of the Service Authorization Reference. Of a service that opens what
it keeps with a key of KMS, IAM is asked for that key as well, with the context that the service
documents: S3 with ``sealed`` buckets, SSM and Secrets Manager always.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

from tests.support.iam import Call, allows
from tests.support.s3_proxy import Proxy, Reply, Request

OWNER: Final = "123456789012"
_SCOPE: Final = re.compile(r"Credential=[^/]+/[0-9]{8}/([a-z0-9-]+)/([a-z0-9-]+)/aws4_request")
_OF_BUCKETS: Final = {
    "versioning": "GetBucketVersioning",
    "encryption": "GetEncryptionConfiguration",
    "lifecycle": "GetLifecycleConfiguration",
    "policy": "GetBucketPolicy",
    "publicAccessBlock": "GetBucketPublicAccessBlock",
    "ownershipControls": "GetBucketOwnershipControls",
    "cors": "GetBucketCORS",
    "tagging": "GetBucketTagging",
    "website": "GetBucketWebsite",
    "notification": "GetBucketNotification",
    "replication": "GetReplicationConfiguration",
    "object-lock": "GetBucketObjectLockConfiguration",
    "logging": "GetBucketLogging",
}
_VALUES: Final = {"GetParameter", "GetParameterHistory", "GetParametersByPath"}
_MISSING: Final = 404
_XML: Final = b"<Error><Code>AccessDenied</Code><Message>no</Message></Error>"
_JSON: Final = b'{"__type": "AccessDeniedException", "message": "no"}'


def calls_of(request: Request, sealed: frozenset[str] = frozenset()) -> list[Call]:
    """Return everything that must be allowed for a request."""
    scope = _SCOPE.search(request.headers["authorization"])
    assert scope is not None
    region, service = scope[1], scope[2]
    if service == "s3":
        return list(_of_s3(request, region, sealed))
    here = {"aws:RequestedRegion": region}
    if service in {"rds", "cloudformation"}:
        form = {name: one[0] for name, one in parse_qs(request.body.decode()).items()}
        stack = f"arn:aws:cloudformation:{region}:{OWNER}:stack/{form.get('StackName')}/1a2b"
        anything = service == "rds" or form["Action"] == "DescribeStacks"
        return [Call(f"{service}:{form['Action']}", "*" if anything else stack, here)]
    name = request.headers["x-amz-target"].rpartition(".")[2]
    asked = json.loads(request.body)
    if service == "kms":
        bound = {f"kms:EncryptionContext:{k}": v for k, v in asked["EncryptionContext"].items()}
        return [Call(f"kms:{name}", asked["KeyId"], bound)]
    assert service in {"ssm", "secretsmanager"}, service
    of = _of_ssm if service == "ssm" else _of_secrets
    return list(of(name, asked, region, here))


def _of_s3(request: Request, region: str, sealed: frozenset[str]) -> Iterator[Call]:
    url = urlsplit(request.path)
    query = {key: one[0] for key, one in parse_qs(url.query, keep_blank_values=True).items()}
    name, _, key = unquote(url.path).removeprefix("/").partition("/")
    bucket = f"arn:aws:s3:::{name}"
    if "delete" in query:
        yield from _of_deletes(request.body.decode(), bucket)
        return
    if not key:
        yield _of_bucket(request.method, bucket, query)
        return
    action = {"HEAD": "GetObject", "GET": "GetObject", "PUT": "PutObject", "DELETE": "DeleteObject"}
    assert not query.keys() & {"uploads", "uploadId", "acl", "legal-hold"}, request
    if "retention" in query:
        bypass = "x-amz-bypass-governance-retention" in request.headers
        of = {"GET": "GetObjectRetention", "PUT": "PutObjectRetention"}[request.method]
        yield Call(f"s3:{'BypassGovernanceRetention' if bypass else of}", f"{bucket}/{key}")
        return
    version = "Version" if "versionId" in query else ""
    tagging = "Tagging" if "tagging" in query else ""
    context = {"s3:if-none-match": "*"} if request.headers.get("if-none-match") == "*" else {}
    yield Call(f"s3:{action[request.method]}{version}{tagging}", f"{bucket}/{key}", context)
    if "x-amz-tagging" in request.headers:
        yield Call("s3:PutObjectTagging", f"{bucket}/{key}")
    if name in sealed and not tagging and request.method != "DELETE":
        verb = "GenerateDataKey" if request.method == "PUT" else "Decrypt"
        yield _key("s3", region, "aws:s3:arn", f"{bucket}/{key}", verb)
        yield _key("s3", region, "aws:s3:arn", bucket, verb)  # where it has a bucket key


def _of_deletes(body: str, bucket: str) -> Iterator[Call]:
    for one in re.findall("<Object>.*?</Object>", body, re.DOTALL):
        (key,) = re.findall("<Key>(.*)</Key>", one)
        version = "Version" if "<VersionId>" in one else ""
        yield Call(f"s3:DeleteObject{version}", f"{bucket}/{key}")


def _of_bucket(method: str, bucket: str, query: Mapping[str, str]) -> Call:
    if method == "HEAD":
        return Call("s3:ListBucket", bucket)
    assert method == "GET", method
    for part, action in _OF_BUCKETS.items():
        if part in query:
            return Call(f"s3:{action}", bucket)
    prefix = {"s3:prefix": query["prefix"]} if "prefix" in query else {}
    return Call("s3:ListBucketVersions" if "versions" in query else "s3:ListBucket", bucket, prefix)


def _of_ssm(
    name: str, asked: Mapping[str, Any], region: str, here: Mapping[str, str]
) -> Iterator[Call]:
    if name == "DescribeParameters":
        yield Call("ssm:DescribeParameters", "*", here)
        return
    about = asked.get("Name") or asked.get("ResourceId") or asked.get("Path") or ""
    arn = f"arn:aws:ssm:{region}:{OWNER}:parameter/{about.removeprefix('/')}"
    yield Call(f"ssm:{name}", arn, here)
    if asked.get("Tags"):
        yield Call("ssm:AddTagsToResource", arn, here)
    if name == "PutParameter" and asked["Type"] == "SecureString":
        yield _key("ssm", region, "PARAMETER_ARN", arn, "Encrypt")
    if name in _VALUES:
        one = f"{arn}/one" if "Path" in asked else arn
        yield _key("ssm", region, "PARAMETER_ARN", one)


def _of_secrets(
    name: str, asked: Mapping[str, Any], region: str, here: Mapping[str, str]
) -> Iterator[Call]:
    if name == "ListSecrets":
        yield Call("secretsmanager:ListSecrets", "*", here)
        return
    of = asked.get("SecretId") or asked["Name"]
    arn = f"arn:aws:secretsmanager:{region}:{OWNER}:secret:{of}-aB3xY9"
    yield Call(f"secretsmanager:{name}", arn, here)
    if asked.get("Tags"):
        yield Call("secretsmanager:TagResource", arn, here)
    if asked.get("SecretString"):
        yield _key("secretsmanager", region, "SecretARN", arn, "GenerateDataKey")
    if name == "GetSecretValue":
        yield _key("secretsmanager", region, "SecretARN", arn)


def _key(service: str, region: str, bound: str, arn: str, verb: str = "Decrypt") -> Call:
    through = {
        "kms:ViaService": f"{service}.{region}.amazonaws.com",
        f"kms:EncryptionContext:{bound}": arn,
    }
    return Call(f"kms:{verb}", f"arn:aws:kms:{region}:{OWNER}:key/any", through)


class Guard:
    """Stands before AWS and refuses what the policy does not allow; writes down what was asked."""

    def __init__(self, proxy: Proxy) -> None:
        self.sealed: frozenset[str] = frozenset()
        self.asked: list[Call] = []
        self.refused: list[Call] = []
        self._policy: Mapping[str, Any] | None = None
        self._lock = threading.Lock()
        proxy.judge = self._judge

    @contextmanager
    def role(self, policy: Mapping[str, Any]) -> Iterator[None]:
        """Let nothing through but what a policy allows, for as long as the block lasts."""
        self.asked.clear()
        self.refused.clear()
        self._policy = policy
        try:
            yield
        finally:
            self._policy = None

    def actions(self) -> set[str]:
        """Return the actions that were asked for."""
        return {call.action for call in self.asked}

    def _judge(self, request: Request, status: int) -> Reply | None:
        if self._policy is None:
            return None
        calls = calls_of(request, self.sealed) if not status else _if_missing(request, status)
        refused = [call for call in calls if not allows(self._policy, call)]
        with self._lock:
            self.asked += calls
            self.refused += refused
        if not refused:
            return None
        return (403, _XML) if "x-amz-target" not in request.headers else (400, _JSON)


def _if_missing(request: Request, status: int) -> list[Call]:
    """Return what S3 asks before it says 404 of an object, and not 403."""
    name, _, key = urlsplit(request.path).path.removeprefix("/").partition("/")
    of_object = "x-amz-target" not in request.headers and key and request.method in {"GET", "HEAD"}
    if not of_object or status != _MISSING:
        return []
    return [Call("s3:ListBucket", f"arn:aws:s3:::{name}")]
