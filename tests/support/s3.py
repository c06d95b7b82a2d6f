"""Buckets on real servers: moto, and LocalStack's S3, which judges more strictly.

LocalStack needs another Python and other libraries, so it lives in ``.venv-s3``, which
``./run test`` makes. Its listener takes every address but for IPv6's own.
"""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Final

import pytest

from strongroom.aws.account import Account
from strongroom.aws.bucket import Bucket
from strongroom.aws.clients import Clients
from strongroom.clock import SystemClock
from strongroom.storage.s3 import S3Store
from strongroom.storage.s3_client import PATIENT, Limits
from strongroom.system.randomness import SystemRandomness
from tests.support.aws import AwsServer

LOCALSTACK: Final = Path(__file__).parents[2] / ".venv-s3" / "bin" / "python"
_STARTS_WITHIN: Final = 240  # seconds, on a machine that has much else to do
_numbers = itertools.count()


def new_bucket(server: AwsServer, *, locked: bool = False) -> str:
    """Make a bucket of a new name; ``locked``: what comes in may not be deleted for a day."""
    name = f"bucket-{os.getpid()}-{next(_numbers)}"
    client = clients_of(server.account).client("s3")
    client.create_bucket(
        Bucket=name,
        CreateBucketConfiguration={"LocationConstraint": server.account.region},
        ObjectLockEnabledForBucket=locked,
    )
    if locked:
        rule = {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}}
        client.put_object_lock_configuration(
            Bucket=name,
            ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": rule},
        )
    return name


@cache
def clients_of(account: Account) -> Clients:
    """Return what makes clients, once for each server: a new one takes a third of a second."""
    return Clients(account)


def store_in(account: Account, bucket: str, prefix: str = "", limits: Limits = PATIENT) -> S3Store:
    """Return a store as the program makes it."""
    access = Bucket(clients_of(account), bucket)
    return S3Store(bucket, prefix, access, SystemClock(), SystemRandomness(), limits=limits)


def moment_now() -> str:
    """Return this moment, and wait until the bucket's clock, in whole seconds, is past it."""
    now = time.time()
    time.sleep(1 - now % 1 + 0.02)
    return datetime.fromtimestamp(int(now), UTC).isoformat()


@contextmanager
def running_localstack() -> Iterator[AwsServer]:
    """Run it for as long as the block lasts; skips where ``.venv-s3`` is missing."""
    if not LOCALSTACK.exists():
        pytest.skip("no .venv-s3: './run test' makes it where Python 3.13 is installed")
    folder = tempfile.mkdtemp(prefix="strongroom-s3-")
    with socket.socket(socket.AF_INET6) as free:
        free.bind(("::1", 0))
        port = free.getsockname()[1]
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": folder,
        "TMPDIR": folder,
        "SERVICES": "s3",
        "GATEWAY_LISTEN": f"[::1]:{port}",
        "DISABLE_EVENTS": "1",
        "SKIP_SSL_CERT_DOWNLOAD": "1",
        "DNS_ADDRESS": "0",
        "LS_LOG": "error",
    }
    with (
        tempfile.TemporaryFile() as log,
        subprocess.Popen(
            [LOCALSTACK, "-m", "localstack.runtime.main"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        ) as process,
    ):
        try:
            server = AwsServer(f"http://[::1]:{port}")
            _wait_for(server, process)
            yield server
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            shutil.rmtree(folder, ignore_errors=True)


def _wait_for(server: AwsServer, process: subprocess.Popen[bytes]) -> None:
    ends = time.monotonic() + _STARTS_WITHIN
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while process.poll() is None and time.monotonic() < ends:
        try:
            with opener.open(f"{server.endpoint}/", timeout=10):
                return
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.1)
    raise AssertionError("the S3 server of the tests did not start")
