"""Buckets are looked for while something else is done, where that asks nobody anything."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from strongroom.app.documents import Ahead
from strongroom.app.machine import Person, Run, this_machine
from strongroom.config.documents import DocumentsSettings
from strongroom.config.environment import Environment
from strongroom.config.places import Flags
from strongroom.config.settings import load_settings
from strongroom.model.events import ignore
from tests.support.aws import REGION
from tests.support.object_stub import ObjectStub, Seen, good, running_objects

DOCUMENTS = DocumentsSettings(name="documents", environment="", bucket="docs")


class Somebody:
    """A person who is asked nothing in these tests."""

    def passphrase(self, question: str, *, twice: bool) -> bytes:
        """Fail."""
        raise AssertionError(question, twice)


@pytest.fixture
def stub() -> Iterator[ObjectStub]:
    """Give a server that has every bucket."""
    with running_objects() as found:
        yield found


@pytest.mark.parametrize("person", [None, Somebody()])
@pytest.mark.usefixtures("aws_credentials")
def test_nothing_is_asked_beside_another_question(
    stub: ObjectStub, tmp_path: Path, person: Person | None
) -> None:
    """AWS may want a code of a device: with a person nobody looks before a bucket is asked for."""
    let_go = threading.Event()

    def answer(seen: Seen) -> bytes:
        let_go.wait(60)
        return good(b"" if seen.method == "HEAD" else b"<VersioningConfiguration/>")

    stub.answer = answer
    environment = Environment(
        {"HOME": str(tmp_path), "AWS_ENDPOINT_URL": stub.endpoint, "AWS_REGION": REGION}, tmp_path
    )
    run = Run(load_settings(Flags(), environment), this_machine(), ignore, person)
    ahead = Ahead(run, [DOCUMENTS])
    looking = [one for one in threading.enumerate() if one.name == "buckets"]
    let_go.set()
    assert len(looking) == (person is None)
    assert ahead.bucket(DOCUMENTS).name == "docs"
    for one in looking:
        one.join()
