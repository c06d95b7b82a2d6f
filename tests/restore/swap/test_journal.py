"""The journal of a swap: what it holds, and what a damaged one leads to."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote_to_bytes

import pytest

from strongroom.errors import DamageError, RefusedError
from strongroom.model.fs import Fs
from strongroom.restore.swap.swapping import (
    Phase,
    carry_out,
    discard,
    resume,
    rollback,
    state,
)
from tests.restore.swap.plots import FULL, SMALL, STRANGE
from tests.restore.swap.scenes import WORK, QuickFs, Scene, set_scene, settle
from tests.support.compare_trees import describe
from tests.support.crash import SimulatedCrash
from tests.support.faulty_fs import FsFault, faulty_fs

FS = QuickFs()
VERBS = pytest.mark.parametrize("act", [rollback, resume, state, discard])


def _half_done(top: Path) -> Scene:
    scene = set_scene(FULL, top)
    swap_plan = scene.plan()
    fs, _ = faulty_fs(FS, FsFault("crash", 30, frozenset({"rename_new"}), "after"))
    with pytest.raises(SimulatedCrash):
        carry_out(fs, swap_plan)
    return scene


@pytest.mark.spec("A5")
def test_it_is_as_described(top: Path) -> None:
    """Lines of JSON, percent-encoded paths, and a checksum of all before it."""
    scene = _half_done(top)
    data = (scene.project / WORK / "journal").read_bytes()
    *lines, seal = data.splitlines()
    body = b"".join(line + b"\n" for line in lines)
    assert json.loads(seal) == {"sha256": hashlib.sha256(body).hexdigest()}
    header, *rest = (json.loads(line) for line in lines)
    assert header == {
        "format": "strongroom swap",
        "version": 1,
        "lines": len(rest),
        "inside": WORK,
        "target": str(scene.project),
    }
    swap_plan = [line for line in rest if line[0] in {"put", "take"}]
    assert ["take", "gone too"] in swap_plan
    named = {unquote_to_bytes(line[1]) for line in swap_plan}
    assert os.fsencode(STRANGE) in named
    folders = {line[1]: line[2:] for line in rest if line[0] == "folder"}
    assert folders["gone folder"][0] == "out"
    assert folders["file to folder"][0] == "in"
    home, before, after = folders["attributes"]
    assert home == "kept"
    assert before[:4] == [0o755, os.geteuid(), os.getegid(), 6_000_000_000_003]
    assert after[4] == [["dXNlci5ib3Ro", "Mg=="], ["dXNlci5uZXc=", "Mg=="]]


@pytest.mark.spec("A5")
@pytest.mark.parametrize("act", [rollback, resume, state, discard])
def test_a_torn_or_damaged_journal(top: Path, act: Callable[[Fs, bytes], object]) -> None:
    """At no byte is it taken for a whole one; nothing is touched, and the error says what to do."""
    scene = _half_done(top)
    journal = scene.project / WORK / "journal"
    data = journal.read_bytes()
    before = describe(scene.project)
    step = max(1, len(data) // 60)
    torn = [data[:length] for length in (*range(0, len(data) - 1, step), len(data) - 2)]
    flipped = [
        data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :] for at in range(5, len(data) - 1, step)
    ]
    for damaged in torn + flipped:
        journal.write_bytes(damaged)
        with pytest.raises(DamageError) as caught:
            act(FS, scene.work)
        assert f"{scene.project}/{WORK}/undo" in caught.value.hint
        assert "Nothing was deleted" in caught.value.hint
    journal.write_bytes(data)
    after = describe(scene.project)
    for changed in (f"{WORK}/journal", WORK):
        before.pop(changed.encode())
        after.pop(changed.encode())
    assert after == before


def _sealed(*lines: object) -> bytes:
    body = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    return body + json.dumps({"sha256": hashlib.sha256(body).hexdigest()}).encode() + b"\n"


@pytest.mark.spec("A5")
@pytest.mark.parametrize(
    "lines",
    [
        [{"format": "strongroom swap", "version": 2, "target": "/x", "inside": "", "lines": 0}],
        [{"format": "another", "version": 1, "target": "/x", "inside": "", "lines": 0}],
        [{"format": "strongroom swap", "version": 1, "target": "/x", "inside": "..", "lines": 0}],
        [{"format": "strongroom swap", "version": 1, "target": "/x", "inside": "", "lines": 1}],
        *(
            [
                {
                    "format": "strongroom swap",
                    "version": 1,
                    "target": "/",
                    "inside": "",
                    "lines": 1,
                },
                line,
            ]
            for line in (
                ["put", "../x"],
                ["put", "/x"],
                ["take", "a/../../x"],
                ["take", ""],
                ["take", "a%00b"],
                ["drop", "a"],
                ["put"],
                ["folder", "a", "kept", [1, 2, 3, 4, []], None],
                ["folder", "a", "in", [1, 2, 3, 4, []], None],
                ["folder", "..", "out", [1, 2, 3, 4, []], None],
                {"put": "a"},
            )
        ),
    ],
)
def test_a_journal_that_cannot_be_meant(top: Path, lines: list[object]) -> None:
    """Even under a right checksum no path leads out of the project."""
    scene = set_scene(SMALL, top)
    (scene.project / WORK / "undo").mkdir()
    (scene.project / WORK / "journal").write_bytes(_sealed(*lines))
    with pytest.raises(DamageError):
        rollback(FS, scene.work)
    scene.is_before()


@pytest.mark.spec("A5")
@VERBS
def test_a_journal_that_is_gone(top: Path, act: Callable[[Fs, bytes], object]) -> None:
    """What was moved away shows that there was one."""
    scene = _half_done(top)
    (scene.project / WORK / "journal").unlink()
    with pytest.raises(DamageError, match="the journal is missing"):
        act(FS, scene.work)


@pytest.mark.spec("A5")
def test_no_journal_at_all(top: Path) -> None:
    """Nothing was changed: there is nothing to roll back, and nothing to resume."""
    scene = set_scene(SMALL, top)
    (scene.project / WORK / "journal.new").write_bytes(b'{"format":')
    assert state(FS, scene.work).phase is Phase.NOTHING
    assert rollback(FS, scene.work).phase is Phase.NOTHING
    with pytest.raises(RefusedError, match="no restore has begun"):
        resume(FS, scene.work)
    scene.is_before()
    carry_out(FS, scene.plan())
    scene.is_after()


@pytest.mark.spec("A5")
def test_one_work_folder_serves_one_swap(top: Path) -> None:
    """Another plan is refused, and so is a resume of what was rolled back."""
    scene = set_scene(SMALL, top)
    carry_out(FS, scene.plan())
    with pytest.raises(RefusedError, match="belongs to another restore"):
        scene.plan()
    rollback(FS, scene.work)
    with pytest.raises(RefusedError, match="was rolled back"):
        resume(FS, scene.work)
    scene.is_before()


@pytest.mark.spec("A5")
def test_discard_deletes_the_work_folder(top: Path) -> None:
    """With everything in it, but nothing that a link in it leads to."""
    scene = set_scene(FULL, top)
    carry_out(FS, scene.plan())
    discard(FS, scene.work)
    assert not (scene.project / WORK).exists()
    settle(scene.project, "backup")
    scene.is_after()


@pytest.mark.spec("A5")
def test_discard_keeps_what_others_made(top: Path) -> None:
    """And it refuses while the swap is in the middle; afterwards nothing can be rolled back."""
    scene = _half_done(top)
    with pytest.raises(RefusedError, match="has not come to its end"):
        discard(FS, scene.work)
    resume(FS, scene.work)
    (scene.project / WORK / "meanwhile").mkdir()
    discard(FS, scene.work)
    assert [path.name for path in (scene.project / WORK).iterdir()] == ["meanwhile"]


@pytest.mark.spec("A5")
def test_a_discard_that_is_killed(top: Path) -> None:
    """Once something was deleted a rollback is refused, and another discard ends it."""
    refused = 0
    for nth in range(1, 1000):
        scene = set_scene(SMALL, top)
        carry_out(FS, scene.plan())
        fs, _ = faulty_fs(FS, FsFault("crash", nth, when="after"))
        try:
            discard(fs, scene.work)
        except SimulatedCrash:
            try:
                rollback(FS, scene.work)
            except RefusedError:
                refused += 1
                scene.is_after()
                discard(FS, scene.work)
                assert not (scene.project / WORK).exists()
        else:
            break
    assert refused > 9
