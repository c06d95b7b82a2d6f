"""Collection at scale: ten million chunks, a thousand snapshots, and what a run of prune takes.

The repository is made by the engine's own parts, not by a thousand walks: one large tree, of which
every further snapshot has one leaf that is its own.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from bench.growth import make
from strongroom.app.machine import this_machine, worker_threads
from strongroom.crypto.keytext import key_to_text
from strongroom.crypto.primitives import sha256
from strongroom.model.entry import EXTENT, Entry, EntryKind
from strongroom.model.events import ignore
from strongroom.model.snapshot import Counts, Order, Snapshot, SourceRecord, Stream
from strongroom.operations.init import init
from strongroom.repository import layout
from strongroom.repository.canonical import encode
from strongroom.repository.commits import seal_record
from strongroom.repository.envelope import Kind, wrap
from strongroom.repository.keyring import fresh_salt
from strongroom.repository.localfiles import FileCache, LocalFiles
from strongroom.repository.opening import read_config
from strongroom.repository.records import COMMIT, Commit, Head, Purpose, SlotKind
from strongroom.repository.repository import Repository, Surroundings
from strongroom.repository.session import BackupSession
from strongroom.repository.slots import Secret
from strongroom.repository.tree import Branch, Child, Leaf
from strongroom.repository.unlocking import unlock
from strongroom.storage.local import LocalStore

CHUNKS: Final = 10_000_000
SNAPSHOTS: Final = 1000
_BESIDE: Final = 20_000
_IN_LEAF, _IN_BRANCH = 500, 1000
_KEY: Final = b"a key of thirty-two bytes, fixed"
_SECOND_NS: Final = 1_000_000_000
_FILE: Final = Entry(
    path=b"",
    kind=EntryKind.FILE,
    mode=0o644,
    uid=1000,
    gid=1000,
    user=b"app",
    group=b"app",
    mtime_ns=1_700_000_000_000_000_000,
    size=16,
)


class Step(NamedTuple):
    """One command: seconds, and the most memory that was its own and that was mapped, in MB."""

    name: str
    wall: float
    private: float
    mapped: float
    said: str


def run(work: Path, *, chunks: int | None = None, snapshots: int | None = None) -> str:
    """Measure and return the page."""
    chunks, snapshots = chunks or CHUNKS, snapshots or SNAPSHOTS
    repository = work / "repository"
    (work / "key").write_text(key_to_text(_KEY))
    (work / "key").chmod(0o600)
    began = time.monotonic()
    with _opened(work) as opened:
        _fill(opened, chunks, snapshots)
    print(f"made in {time.monotonic() - began:.0f} s", flush=True)
    for name in ("alone", "beside"):
        make(work / name, _BESIDE)
    steps = [
        _step(work, "prune, nothing to remove", "prune"),
        _step(work, f"backup of {_BESIDE:,} small files, alone", "backup", str(work / "alone")),
        _step(work, "forget nine of ten", "forget", "--keep-last", str(snapshots // 10)),
        *_beside(work),
        _step(work, "prune again", "prune", "--grace", "0"),
        _step(work, "verify", "verify"),
    ]
    size = sum(path.stat().st_size for path in repository.rglob("*") if path.is_file())
    return _page(chunks, snapshots, size, steps)


def _beside(work: Path) -> Sequence[Step]:
    """A collection, and a backup at the same time."""
    with ThreadPoolExecutor(1) as other:
        pruned = other.submit(_step, work, "prune after it", "prune", "--grace", "0")
        saved = _step(
            work,
            f"backup of {_BESIDE:,} others, beside that prune",
            *("backup", str(work / "beside")),
        )
        return [pruned.result(), saved]


@contextmanager
def _opened(work: Path) -> Iterator[Repository]:
    machine = this_machine()
    folder = work / "repository"
    folder.mkdir()
    store = LocalStore(machine.fs, str(folder), machine.randomness)
    state = LocalFiles(machine.fs, os.fsencode(work / "state"), machine.randomness)
    secret = Secret(SlotKind.KEY_FILE, _KEY)
    init(store, secret, machine.randomness, machine.clock.now_ns(), state)
    config = read_config(store)
    with worker_threads() as workers:
        around = Surroundings(
            machine.clock,
            machine.randomness,
            workers,
            FileCache(state.below("cache")),
            state,
            ignore,
        )
        keyring = unlock(store, config, [secret], print)
        yield Repository(store, config, keyring, around)
    store.close()


def _fill(repository: Repository, chunks: int, snapshots: int) -> None:
    session = BackupSession(repository)
    session.begin()
    leaves = [_leaf(session, n, 0) for n in range(0, chunks, _IN_LEAF)]
    branches = [
        _branch(session, 1, leaves[n : n + _IN_BRANCH]) for n in range(0, len(leaves), _IN_BRANCH)
    ]
    top = _branch(session, 2, branches)
    first = session.commit(_snapshot(top, repository.around.clock.now_ns()))
    late = BackupSession(repository)
    late.begin()
    head = Head(first.key, sha256(repository.store.get(first.key)))
    for number in range(1, snapshots):
        place = number * 7919 % len(leaves)
        branch = place // _IN_BRANCH
        changed = leaves[branch * _IN_BRANCH : (branch + 1) * _IN_BRANCH]
        changed[place % _IN_BRANCH] = _leaf(late, place * _IN_LEAF, number)
        whole = list(branches)
        whole[branch] = _branch(late, 1, changed)
        root = _branch(late, 2, whole)
        if number % 100 == 0 or number == snapshots - 1:
            late.writer.finish()
        head = _commit(repository, root, number, head)
    late.abort()


def _leaf(session: BackupSession, first: int, version: int) -> Child:
    """Store 500 files; of a later version one in five contains something new."""
    entries, saved = [], []
    for number in range(first, first + _IN_LEAF):
        own = version if number % 5 == 0 else 0
        chunk = b"%08x%08x" % (number, own)
        chunk_id = session.writer.hash_data(chunk)
        saved.append((chunk_id, chunk))
        path = b"data/%05d/%04d" % divmod(number, 1000)
        entries.append(msgspec.structs.replace(_FILE, path=path, content=EXTENT.pack(chunk_id, 16)))
    session.writer.save_data(saved)
    chunk_id = session.writer.save_tree(encode(Leaf(0, tuple(entries))))
    return Child(entries[0].path, chunk_id, len(entries))


def _branch(session: BackupSession, level: int, children: Sequence[Child]) -> Child:
    chunk_id = session.writer.save_tree(encode(Branch(level, tuple(children))))
    return Child(children[0].path, chunk_id, sum(child.count for child in children))


def _snapshot(root: Child, now_ns: int) -> Snapshot:
    counts = Counts(entries=root.count, files=root.count, bytes=root.count * 16)
    source = SourceRecord(
        b"data", b"files", Order.COMPONENTS, (b"/data",), root.chunk_id, 3, 0, b"", counts, Stream()
    )
    times = now_ns, now_ns
    return Snapshot(b"", b"", b"files", b"host", b"user", (), *times, b"bench", (source,))


def _commit(repository: Repository, root: Child, number: int, head: Head) -> Head:
    around, keyring = repository.around, repository.keyring
    keys = keyring.begin_session(around.randomness)
    writer = keyring.writer()
    key = layout.commit(writer.id, around.randomness.take(layout.ID_SIZE))
    now_ns = around.clock.now_ns() + number  # so that they have an order
    record = _snapshot(root, now_ns)
    salt = fresh_salt(around.randomness, sha256(encode(record)), keys.domain.domain_id)
    commitment, sealed = seal_record(record, keys, key, salt)
    body = Commit(
        COMMIT,
        Purpose.BACKUP,
        now_ns,
        keys.domain.domain_id,
        keys.epoch,
        (head,),
        b"",
        (),
        keys.sealed,
        salt,
        commitment,
        sealed,
    )
    data = wrap(Kind.COMMIT, repository.id, key, encode(body), writer.sign)
    repository.store.put(key, data)
    return Head(key, sha256(data))


def _step(work: Path, name: str, *arguments: str) -> Step:
    """Run the program and look at its memory ten times a second."""
    command = [sys.executable, "-m", "strongroom.cli.main", *arguments]
    environment = {
        **os.environ,
        "STRONGROOM_REPOSITORY": str(work / "repository"),
        "STRONGROOM_KEY_FILE": str(work / "key"),
        "STRONGROOM_STATE_DIR": str(work / "state2"),
        "STRONGROOM_CACHE_DIR": str(work / "cache2"),
    }
    began = time.monotonic()
    private = mapped = 0
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        while process.poll() is None:
            now = _memory(process.pid)
            private, mapped = max(private, now[0]), max(mapped, now[1])
            time.sleep(0.1)
        said = process.stdout.read() if process.stdout else ""
    if process.returncode:
        msg = f"{arguments} ended with {process.returncode}: {said[-500:]}"
        raise RuntimeError(msg)
    step = Step(name, time.monotonic() - began, private / 1024, mapped / 1024, said)
    print(f"{name}: {step.wall:.1f} s, {step.private:.0f} MB private\n{said[-600:]}", flush=True)
    return step


def _memory(pid: int) -> tuple[int, int]:
    """Return the private and the mapped memory of a process in KiB; nothing once it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0, 0
    found = dict(line.split(":", 1) for line in lines if ":" in line)
    values = [found.get(name, "0 kB").split()[0] for name in ("RssAnon", "RssFile")]
    return int(values[0]), int(values[1])


def _page(chunks: int, snapshots: int, size: int, steps: Sequence[Step]) -> str:
    rows = [
        f"| {step.name} | {step.wall:.1f} | {step.private:.0f} | {step.mapped:.0f} |"
        for step in steps
    ]
    made = (
        f"Made by `./run bench collection`: a repository of {chunks:,} chunks of files in "
        f"{snapshots:,} snapshots, each of which has 100 files of its own; {size / 1e9:.1f} GB at "
        "the end, on a local disk. One run. Private memory is what the program holds itself; "
        "mapped pages the system takes back when it needs them."
    )
    machine = (
        f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} processors, Linux "
        f"{platform.release()}, Python {platform.python_version()}."
    )
    lines = ["# Collection at scale", "", made, "", machine, ""]
    lines += ["| step | seconds | private MB at most | mapped MB at most |", "|---|---|---|---|"]
    return "\n".join([*lines, *rows, ""])
