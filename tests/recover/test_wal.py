"""The independent reader lists, verifies and extracts write-ahead log."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from strongroom.postgres.wal.ranges import Missing
from strongroom.repository.wal import archive_of
from strongroom.repository.walgaps import GapReason, WalGaps
from strongroom.repository.walsources import WalSources
from strongroom.storage.memory import MemoryStore
from tests.golden.expiry import FOLDER as EXPIRY
from tests.golden.expiry import STAYING
from tests.golden.wal import FILES as GOLDEN
from tests.golden.wal import FOLDER
from tests.recover.harness import DAMAGED, DONE, Recovery, objects_below, run
from tests.support.agents import agent_host
from tests.support.kit import Kit
from tests.support.wal import CLUSTER, SYSTEM, history, named, numbered, segment

pytestmark = [pytest.mark.spec("B10"), pytest.mark.spec("C6")]

FILES = {
    numbered(1): segment(numbered(1)),
    numbered(2): segment(numbered(2), filled=900_000),
    named("000000010000000000000001.00000028.backup"): b"START WAL LOCATION: 0/100028\n",
    named("0000000A.history"): history((1, "0/200000")),
}


@pytest.fixture(name="saved")
def _saved(kit: Kit, recovery: Recovery, tmp_path: Path) -> Recovery:
    WalSources(kit.open()).register("db", CLUSTER)
    archive, agent = archive_of(kit.open()), archive_of(agent_host(kit, tmp_path).open())
    for name, content in FILES.items():
        archive.put(CLUSTER, name, content)
    agent.put(CLUSTER, numbered(1), FILES[numbered(1)])
    agent.put(CLUSTER, numbered(9, 0xAB), segment(numbered(9, 0xAB)))
    agent.put(CLUSTER, named(f"{numbered(3).text}.partial"), segment(numbered(3)))
    return recovery.copy(kit.store)


def _wal(saved: Recovery, *words: str | Path) -> tuple[int, str, list[str]]:
    done = run("wal", saved.repository, *words, "--key-file", saved.key_file)
    return done.code, done.out, done.damage


def test_every_file_comes_back(saved: Recovery, tmp_path: Path) -> None:
    """By the names that PostgreSQL gave them, byte for byte, of all writers together."""
    code, out, _ = _wal(saved)
    assert code == DONE
    assert len(out.splitlines()) == len(FILES) + 3
    code, out, damage = _wal(saved, tmp_path / "out")
    assert (code, damage) == (DONE, [])
    expected = {f"{SYSTEM}/{name.text}": content for name, content in FILES.items()}
    expected[f"{SYSTEM}/{numbered(9, 0xAB).text}"] = segment(numbered(9, 0xAB))
    expected[f"{SYSTEM}/{numbered(3).text}.partial.1"] = segment(numbered(3))
    assert objects_below(tmp_path / "out") == expected


def test_what_was_stored_once_is_extracted(recovery: Recovery, tmp_path: Path) -> None:
    """The repository that is never written again."""
    done = run("wal", FOLDER, tmp_path / "out", "--key-file", recovery.key_file)
    assert done.code == DONE
    found = objects_below(tmp_path / "out")
    assert sorted(found.values()) == sorted(GOLDEN.values())


def test_verify_reads_it(saved: Recovery) -> None:
    """It is counted among what was looked at."""
    done = run("verify", saved.repository, "--key-file", saved.key_file)
    assert (done.code, "7 WAL files" in done.out) == (DONE, True)


CHANGES: dict[str, Callable[[bytes], bytes]] = {
    "head": lambda data: b"SRMX" + data[4:],
    "length": lambda data: data[:190] + b"\1" + data[191:],
    "position": lambda data: data[:230] + b"\1" + data[231:],
    "content": lambda data: data[:400] + bytes([data[400] ^ 1]) + data[401:],
    "padding": lambda data: data[:-90] + b"\1" + data[-89:],
    "writer": lambda data: data[:-70] + b"\1" + data[-69:],
    "signature": lambda data: data[:-1] + bytes([data[-1] ^ 1]),
    "cut": lambda data: data[:-1],
    "nothing": lambda _data: b"",
}


@pytest.mark.parametrize("change", CHANGES)
def test_damage_is_named(saved: Recovery, tmp_path: Path, change: str) -> None:
    """A changed object is told of by its key, and not written; the others are."""
    (path,) = saved.repository.rglob(numbered(2).text.lower())
    path.write_bytes(CHANGES[change](path.read_bytes()))
    code, _, damage = _wal(saved, tmp_path / "out")
    assert code == DAMAGED
    assert len(damage) == 1
    assert numbered(2).text.lower() in damage[0]
    assert f"{SYSTEM}/{numbered(2).text}" not in objects_below(tmp_path / "out")
    assert len(objects_below(tmp_path / "out")) == len(FILES) + 1


def test_an_object_at_another_place_is_damage(saved: Recovery, tmp_path: Path) -> None:
    """A sound segment under the name of another one is not it."""
    (path,) = saved.repository.rglob(numbered(2).text.lower())
    path.with_name(numbered(5).text.lower()).write_bytes(path.read_bytes())
    code, _, damage = _wal(saved, tmp_path / "out")
    assert (code, len(damage)) == (DAMAGED, 1)


def test_of_two_that_differ_neither_is_written(kit: Kit, saved: Recovery, tmp_path: Path) -> None:
    """Two writers that archived different files under one name are told of."""
    archive_of(agent_host(kit, tmp_path, "web2").open()).put(
        CLUSTER, numbered(2), segment(numbered(2), "other")
    )
    again = saved.copy(kit.store)
    code, _, damage = _wal(again, tmp_path / "out")
    assert (code, len(damage)) == (DAMAGED, 1)
    assert f"{SYSTEM}/{numbered(2).text}" not in objects_below(tmp_path / "out")


def test_gaps_on_record_are_listed_and_verified(
    kit: Kit, recovery: Recovery, tmp_path: Path
) -> None:
    """Each by the names of its segments; one whose bytes changed is damage."""
    archive_of(kit.open()).put(CLUSTER, numbered(1), FILES[numbered(1)])
    WalGaps(kit.open()).record(CLUSTER, Missing(1, 2, 4), GapReason.NOT_ARCHIVED)
    agent = agent_host(kit, tmp_path)
    WalGaps(agent.open()).record(CLUSTER, Missing(1, 6, 6), GapReason.GIVEN_UP)
    saved = recovery.copy(kit.store)
    code, out, _ = _wal(saved)
    assert code == DONE
    ending = "  on record as a gap, unless it is above"
    assert out.splitlines()[1:] == [
        f"{SYSTEM}  {numbered(2).text} to {numbered(4).text}{ending}",
        f"{SYSTEM}  {numbered(6).text}{ending}",
    ]
    (path, _other) = sorted(saved.repository.rglob("gaps/*"))
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    code, _, damage = _wal(saved)
    assert code == DAMAGED
    assert len(damage) == 1
    done = run("verify", saved.repository, "--key-file", saved.key_file)
    assert done.code == DAMAGED


def test_what_a_collector_left_is_read(recovery: Recovery) -> None:
    """A repository in which WAL expired is sound, and its gap is told of."""
    store = MemoryStore()
    for path in sorted(EXPIRY.rglob("*")):
        if path.is_file():
            store.put(path.relative_to(EXPIRY).as_posix(), path.read_bytes())
    saved = recovery.copy(store)
    code, out, damage = _wal(saved)
    assert (code, damage) == (DONE, [])
    assert [line.split()[1] for line in out.splitlines()] == [
        *(numbered(number).text for number in STAYING),
        numbered(6).text,
    ]
    assert run("verify", saved.repository, "--key-file", saved.key_file).code == DONE
