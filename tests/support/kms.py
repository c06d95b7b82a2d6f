"""KMS as a server of our own, for boto3: what moto gets wrong of it is what matters here.

It speaks the JSON 1.1 protocol (the operation in ``X-Amz-Target``). The region is the one in the
signature's scope, so one server has all regions. Keys have states, aliases, and the same material
in several regions if they are multi-Region keys; a context must be exactly the same; a deny list
says which operations are refused. Ciphertext is AES-GCM under the key's own material, bound to the
context, and says which key made it. Error names are those of the API reference.
"""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from strongroom.aws.account import Account
from tests.support.aws import CREDENTIALS
from tests.support.noise import noise

HERE: Final = "eu-west-2"
ELSEWHERE: Final = "us-east-1"
OWNER: Final = "111122223333"
_SCOPE: Final = re.compile(r"Credential=[^/]+/[0-9]{8}/([a-z0-9-]+)/kms/aws4_request")
_ID_SIZE: Final = 64


class _Refused(Exception):  # noqa: N818 - it ends a request
    """The answer is no."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


@dataclass
class FakeKey:
    """A key in one region."""

    arn: str
    material: bytes
    state: str = "Enabled"
    usage: str = "ENCRYPT_DECRYPT"

    @property
    def id(self) -> str:
        """What it is called in its region."""
        return self.arn.rpartition("/")[2]


@dataclass
class FakeKms:
    """All regions. ``calls``: operation, region and context of every request, in order."""

    endpoint: str = ""
    keys: dict[str, FakeKey] = field(default_factory=dict)
    aliases: dict[tuple[str, str], str] = field(default_factory=dict)
    denied: set[tuple[str, str]] = field(default_factory=set)
    failing: dict[str, str] = field(default_factory=dict)
    calls: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)

    @property
    def account(self) -> Account:
        """How the program is told of it."""
        return Account(region=HERE, endpoint=self.endpoint)

    @property
    def variables(self) -> dict[str, str]:
        """What the environment of a program says, so that it finds the server."""
        return {**CREDENTIALS, "AWS_REGION": HERE, "AWS_ENDPOINT_URL": self.endpoint}

    def add(self, name: str, region: str = HERE) -> FakeKey:
        """Make a key of one region; the same name makes the same key."""
        arn = f"arn:aws:kms:{region}:{OWNER}:key/{name}"
        self.keys[arn] = FakeKey(arn, noise(32, name if name.startswith("mrk-") else arn))
        return self.keys[arn]

    def point(self, alias: str, key: FakeKey) -> None:
        """Let an alias stand for a key, in the key's region."""
        self.aliases[_region_of(key.arn), f"alias/{alias}"] = key.arn

    def deny(self, operation: str, key: FakeKey) -> None:
        """Refuse an operation with a key."""
        self.denied.add((operation, key.arn))

    def answer(self, operation: str, region: str, asked: dict[str, Any]) -> dict[str, Any]:
        """Do what a request asks for."""
        context = asked.get("EncryptionContext", {})
        self.calls.append((operation, region, context))
        if region in self.failing:
            raise _Refused(self.failing[region], "not now")
        key = self._named(region, asked["KeyId"])
        if (operation, key.arn) in self.denied:
            raise _Refused("AccessDeniedException", f"not authorized to perform: kms:{operation}")
        if key.state == "Disabled":
            raise _Refused("DisabledException", f"{key.arn} is disabled.")
        if key.state != "Enabled":
            raise _Refused("KMSInvalidStateException", f"{key.arn} is {key.state}.")
        if key.usage != "ENCRYPT_DECRYPT":
            raise _Refused("InvalidKeyUsageException", f"{key.arn} key usage is {key.usage}.")
        bound = json.dumps(context, sort_keys=True).encode()
        if operation == "GenerateDataKey":
            assert asked["KeySpec"] == "AES_256"
            plain = noise(32, f"data key {len(self.calls)}")
            return {
                "KeyId": key.arn,
                "Plaintext": base64.b64encode(plain).decode(),
                "CiphertextBlob": base64.b64encode(_sealed(key, plain, bound)).decode(),
            }
        assert operation == "Decrypt", operation
        plain = _opened(key, base64.b64decode(asked["CiphertextBlob"]), bound)
        return {"KeyId": key.arn, "Plaintext": base64.b64encode(plain).decode()}

    def _named(self, region: str, name: str) -> FakeKey:
        if name.startswith("arn:") and _region_of(name) != region:
            raise _Refused("NotFoundException", f"Invalid arn {_region_of(name)}")
        arn = name if name.startswith("arn:") else f"arn:aws:kms:{region}:{OWNER}:key/{name}"
        if (alias := name.rpartition(":")[2]).startswith("alias/"):
            arn = self.aliases.get((region, alias), "")
        if arn not in self.keys:
            raise _Refused("NotFoundException", f"Key '{name}' does not exist")
        return self.keys[arn]


def _region_of(arn: str) -> str:
    return arn.split(":")[3]


def _sealed(key: FakeKey, plain: bytes, bound: bytes) -> bytes:
    nonce = noise(12, f"nonce {plain.hex()}")
    return (
        key.id.encode().ljust(_ID_SIZE) + nonce + AESGCM(key.material).encrypt(nonce, plain, bound)
    )


def _opened(key: FakeKey, blob: bytes, bound: bytes) -> bytes:
    made_by, nonce, sealed = blob[:_ID_SIZE], blob[_ID_SIZE : _ID_SIZE + 12], blob[_ID_SIZE + 12 :]
    if made_by.strip() != key.id.encode():
        raise _Refused("IncorrectKeyException", "The key ID in the request does not identify it.")
    try:
        return AESGCM(key.material).decrypt(nonce, sealed, bound)
    except InvalidTag:
        raise _Refused("InvalidCiphertextException", "") from None


class _Handler(BaseHTTPRequestHandler):
    kms: FakeKms

    def do_POST(self) -> None:
        """Answer one request."""
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        scope = _SCOPE.search(self.headers["Authorization"])
        assert scope is not None
        operation = self.headers["X-Amz-Target"].removeprefix("TrentService.")
        try:
            code, answer = 200, self.kms.answer(operation, scope[1], asked)
        except _Refused as refused:
            code, answer = 400, {"__type": refused.name, "message": str(refused)}
        body = json.dumps(answer).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/x-amz-json-1.1")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: object) -> None:
        """Say nothing."""


@contextmanager
def running_kms() -> Iterator[FakeKms]:
    """Run a server for as long as the block lasts."""
    kms = FakeKms()
    handler = type("Handler", (_Handler,), {"kms": kms})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        kms.endpoint = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield kms
        finally:
            server.shutdown()
            thread.join()
