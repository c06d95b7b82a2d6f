"""Judgments on what no test server can be brought to: pure functions of facts."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from strongroom.postgres.checkup import KnownDatabase, Prepared, ServerFacts
from strongroom.postgres.findings import (
    Finding,
    Level,
    exit_code,
    of_connections,
    of_prepared,
    of_programs,
    of_room,
)
from strongroom.postgres.programs import Programs

pytestmark = pytest.mark.spec("F4")
SERVER = ServerFacts(
    name="backup",
    superuser=False,
    creates_databases=True,
    bypasses_rls=True,
    limit=-1,
    reads_roles=True,
    connected=1,
    connections=91,
    most=100,
    reserved=3,
    databases=(),
    prepared=(),
)


@pytest.mark.parametrize(
    ("changes", "level"),
    [
        ({}, Level.OK),  # 100 - 3 - 91 + 1 = 7 are free, and 3 jobs need 5
        ({"connections": 93}, Level.OK),
        ({"connections": 94}, Level.PROBLEM),
        ({"connections": 94, "superuser": True}, Level.OK),
        ({"connections": 97, "superuser": True}, Level.PROBLEM),
        ({"connections": 120}, Level.PROBLEM),
        ({"limit": 5, "connected": 1}, Level.OK),
        ({"limit": 5, "connected": 2}, Level.PROBLEM),
        ({"limit": 0}, Level.PROBLEM),
    ],
)
def test_connections_of_a_server(changes: dict[str, object], level: Level) -> None:
    """Those for superusers do not count, and the one that asks is free again."""
    found = of_connections(msgspec.structs.replace(SERVER, **changes), jobs=3)
    assert found.level is level
    assert (found.code == 14) == (level is Level.PROBLEM) == bool(found.fix)


def test_a_transaction_that_nobody_ended() -> None:
    """Its id is quoted as SQL has it."""
    (found,) = of_prepared([Prepared("a'b", "app", 7200)])
    assert found.level is Level.WARNING
    assert found.fix.startswith("ROLLBACK PREPARED 'a''b';")
    assert list(of_prepared([])) == []


@pytest.mark.parametrize(
    ("major", "version", "hole"),
    [
        (18, "18.3", "CVE-2026-6477"),
        (18, "18.4", ""),
        (17, "17.5", "CVE-2026-6477"),
        (15, "15.18 (Debian 15.18-0+deb12u1)", ""),
        (15, "15.17", "CVE-2026-6477"),
        (15, "15.17 (Debian 15.17-0+deb12u1)", "CVE-2026-6477"),
        (13, "13.21", "CVE-2025-8714"),
        (13, "13.22", ""),
        (19, "19beta1", ""),
        (99, "99.0", ""),
    ],
)
def test_known_holes(major: int, version: str, hole: str) -> None:
    """A version before the one that has it no more."""
    found = of_programs(Programs(Path("/usr/lib"), major, version), major)
    assert (found.level is Level.WARNING) == bool(hole)
    assert hole in found.text
    unsound = not Programs(Path("/usr/lib"), major, version).sound
    assert ("restores refuse it" in found.text) == unsound
    assert ("CVE-2025-8714" in found.text) == unsound


@pytest.mark.parametrize(
    ("programs", "server", "too_new"),
    [(18, 18, False), (18, 17, False), (17, 16, True), (18, 14, True), (16, 14, False)],
)
def test_programs_whose_dumps_do_not_go_back(programs: int, server: int, too_new: bool) -> None:  # noqa: FBT001
    """From 17 on they set what older servers do not know."""
    found = of_programs(Programs(Path("/p"), programs, f"{programs}.99"), server)
    assert (found.level is Level.WARNING) == too_new
    assert (f"postgresql-client-{server}" in found.fix) == too_new


def test_room_for_the_largest() -> None:
    """What is larger than what is free is warned of; with nearly none no dump begins."""
    known = [
        KnownDatabase(
            name=str(size),
            template=False,
            allowed=True,
            limit=-1,
            may_connect=True,
            owner="o",
            size=size,
        )
        for size in (5, 9, 7)
    ]
    assert of_room(9, 4, known, "/s").level is Level.OK
    found = of_room(8, 4, [*known, msgspec.structs.replace(known[0], size=None)], "/s")
    assert found.level is Level.WARNING
    assert "has 9 in the server" in found.text
    assert of_room(4, 4, [], "/s").level is Level.OK
    assert of_room(3, 4, [], "/s").code == 6


@pytest.mark.parametrize(
    ("codes", "code"),
    [([], 0), ([0, 0], 0), ([3, 0], 3), ([3, 1], 1), ([1, 15], 15), ([15, 14, 3], 14), ([6, 1], 6)],
)
def test_the_exit_code(codes: list[int], code: int) -> None:
    """That of what a backup would stumble over first."""
    found = [Finding("x", Level.PROBLEM if one else Level.OK, "", code=one) for one in codes]
    assert exit_code(found) == code
