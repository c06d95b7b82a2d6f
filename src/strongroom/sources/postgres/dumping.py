"""One database, dumped from a snapshot that is held, and read while it is dumped.

A dump is good only if all of this holds (``pg_restore --list`` alone proves little: it reads the
list of contents and no rows):

- every program ended with 0;
- each file was read to its end, which is where ``pg_dump`` had closed it, or had ended;
- each file of rows ends with the end of rows, as COPY writes it, and they are counted on the way;
- ``pg_restore`` reads all of the list of contents and of the lists of large objects, and opens each
  file that they name. It gets them in a folder where each file of rows or bytes that was read is
  left as a name: it looks at neither (it copies them), so this finds what reading them would find;
- no file came that nothing names, so no list lacks its end, and there are as many large objects as
  the server says that there are in the snapshot;
- if asked for, the server counts as many rows of each table in the snapshot as were read.

That what was read is what is in the repository, is the repository's own proof: each pack is opened
again and compared before it leaves.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from strongroom.errors import SourceError, StrongroomError
from strongroom.model.fs import Fs
from strongroom.model.spawn import Attended
from strongroom.postgres.catalog import Moment, Server, begin_counting, begin_moment, counted
from strongroom.postgres.client import Client, Session
from strongroom.postgres.leftout import said_of
from strongroom.postgres.record import VERSION, Record, Table
from strongroom.sources.postgres.following import Follower, Piece
from strongroom.sources.postgres.room import Room, watched
from strongroom.system.causes import cause_of
from strongroom.system.lines import count_lines

_TABLE_DATA: Final = re.compile(rb"^([0-9]+); [0-9]+ ([0-9]+) TABLE DATA ", re.MULTILINE)
_ROWS_FILE: Final = re.compile(rb"[0-9]+\.dat")
_LISTS: Final = ("toc.dat", ".toc")  # how names end of files that list others
_LARGE_OBJECTS: Final = "*.toc"
_MARK: Final = b"pg_attver="  # of a column, by servers from 15.20 on; their own pg_dump knows it
_END: Final = b"\\.\n\n\n"  # of the rows of a table, as COPY has it
_SOON: Final = 0.01  # seconds until the next look at a dump that writes
_LATE: Final = 0.2  # as above, at one that waits
_A_WHILE: Final = 100  # looks without anything, until somebody else may do something


@dataclass(slots=True)
class _Rows:
    """The rows of a file: a line each, since line ends in values are escaped."""

    lines: int = 0
    tail: bytes = b""

    def add(self, data: memoryview) -> None:
        """Take the next bytes."""
        self.lines += count_lines(data)
        self.tail = (self.tail + bytes(data[-len(_END) :]))[-len(_END) :]

    @property
    def count(self) -> int | None:
        """How many there are; None where their end is missing."""
        return self.lines - _END.count(b"\n") if self.tail == _END else None


class Dump(NamedTuple):
    """How a database is dumped: into a new folder of ``scratch``, by so many programs at once.

    ``most``: the bytes that may stand there.
    """

    client: Client
    server: Server
    fs: Fs
    scratch: Path
    most: int
    jobs: int
    row_counts: bool
    subscriptions: bool
    tell: Callable[[str], None]


class Dumped(NamedTuple):
    """A dump that is whole; ``left_out`` says what ``pg_dump`` may not dump for us."""

    record: Record
    left_out: Sequence[str]


def dump_database(dump: Dump, name: str) -> Generator[Piece | None, None, Dumped]:
    """Dump a database: yield the bytes of its files as they come, and return what it came to.

    None now and then while nothing comes. An error unless all of it came and is whole.
    ``RefusedError`` where there is no room for it.
    """
    what = f"dumping {name!r}"
    folder, aside = dump.scratch / "dump", dump.scratch / "read"
    folder.mkdir()
    aside.mkdir()
    follower = Follower(dump.fs, os.fsencode(folder), os.fsencode(aside), _kept())
    with closing(follower), dump.client.session(name) as session:
        moment = begin_moment(session)
        dump.tell(f"{what}: {moment.size:,} bytes in the server")
        if dump.row_counts:
            begin_counting(session, moment)
        rows = yield from _followed(dump, name, moment, follower, what)
        if _is_marked(aside / "toc.dat"):
            programs = dump.client.programs
            dump.tell(
                f"warning: {what}: pg_dump {programs.version} is older than the last release of "
                f"the server and writes a mark of it down ({_MARK.decode()[:-1]}): the dump goes "
                "only into servers of that release; bring postgresql-client-"
                f"{programs.major} up to date"
            )
        tables = yield from _proven(dump.client, aside, moment, rows, what)
        if dump.row_counts:
            tables = _compared(session, tables, what)
        session.finish()
    folder.rmdir()
    aside.rmdir()
    left_out = said_of(moment.subscriptions, moment.mappings, wanted=dump.subscriptions)
    return Dumped(_record(dump, name, moment, tables), left_out)


def _is_marked(contents: Path) -> bool:
    """Whether a list of contents has a mark of the server; that there is one is proven later."""
    try:
        return _MARK in contents.read_bytes()
    except FileNotFoundError:
        return False


def _kept() -> tuple[bytes, ...]:
    return tuple(map(str.encode, _LISTS))


def _record(dump: Dump, name: str, moment: Moment, tables: tuple[Table, ...]) -> Record:
    return Record(
        version=VERSION,
        database=name,
        server=dump.server.version,
        client=dump.client.programs.version,
        major=dump.client.programs.major,
        time=moment.time,
        lsn=moment.lsn,
        owner=moment.owner,
        locale=moment.locale,
        extensions=moment.extensions,
        tables=tables,
    )


def _followed(
    dump: Dump, name: str, moment: Moment, follower: Follower, what: str
) -> Generator[Piece | None, None, dict[bytes, int | None]]:
    """Yield what ``pg_dump`` writes; return the rows of each file, None for one cut short."""
    client = dump.client
    arguments = ["--format=directory", "--compress=0", f"--jobs={dump.jobs}", "--no-sync"]
    arguments += ["--lock-wait-timeout=60s", f"--snapshot={moment.snapshot}"]
    arguments += [] if dump.subscriptions else ["--no-subscriptions"]
    arguments += [f"--file={dump.scratch / 'dump'}", *client.connected(name)]
    rows: dict[bytes, int | None] = {}
    open_rows: dict[bytes, _Rows] = {}
    with client.attended("pg_dump", arguments) as child:
        child.end_input()
        for piece in _pieces(dump, follower, child, what):
            if piece is not None and _ROWS_FILE.fullmatch(piece.name):
                counting = open_rows.setdefault(piece.name, _Rows())
                counting.add(piece.data)
                if piece.size is not None:
                    rows[piece.name] = open_rows.pop(piece.name).count
            yield piece
    return rows


def _pieces(dump: Dump, follower: Follower, child: Attended, what: str) -> Iterator[Piece | None]:
    """Yield what is written, as it is, and the rest when the program has ended with 0."""
    fs = dump.fs
    scratch = fs.open(os.fsencode(dump.scratch), os.O_RDONLY | os.O_DIRECTORY)
    try:
        with watched(fs, scratch, dump.scratch, child, dump.most) as room:
            yield from _while_at_work(follower, child, room)
        dump.client.check("pg_dump", child, what)
        yield from follower.finish()
    except OSError as error:
        raise SourceError(f"{what}: what was dumped cannot be read: {cause_of(error)}") from error
    finally:
        fs.close(scratch)


def _while_at_work(follower: Follower, child: Attended, room: Room) -> Iterator[Piece | None]:
    idle = 0
    while child.ended(_SOON if idle < _A_WHILE else _LATE) is None:
        came, all_of_it = False, room.held
        for piece in follower.look(all_of_it=all_of_it):
            came = True
            yield piece
        room.make(follower, all_of_it=all_of_it)
        idle = 0 if came else idle + 1
        if idle and not idle % _A_WHILE:
            yield None


def _proven(
    client: Client, aside: Path, moment: Moment, rows: dict[bytes, int | None], what: str
) -> Generator[None, None, tuple[Table, ...]]:
    """Prove that all came, and return the tables of the dump; ``aside`` is empty then."""
    reading = ["--file=/dev/null", str(aside)]
    yield from client.working("pg_restore", reading, f"{what}: reading it back")
    with client.attended("pg_restore", ["--list", str(aside)]) as child:
        child.end_input()
        contents = b"".join(iter(child.line, b""))
        client.check("pg_restore", child, f"{what}: listing it")
    tables = []
    for match in _TABLE_DATA.finditer(contents):
        file, oid = match[1] + b".dat", int(match[2])
        count = rows.get(file)
        _take(aside / os.fsdecode(file), what)
        if count is None:
            raise StrongroomError(f"{what}: {file.decode()} is cut short")
        schema, name = moment.tables.get(oid, ("", ""))
        if name:
            tables.append(Table(schema, name, file.decode(), count))
    _take_large_objects(aside, moment, what)
    _take(aside / "toc.dat", what)
    for left in aside.iterdir():
        raise StrongroomError(f"{what}: {left.name} came, and nothing names it")
    return tuple(sorted(tables, key=lambda table: (table.schema, table.name)))


def _take_large_objects(aside: Path, moment: Moment, what: str) -> None:
    found = 0
    for listed in aside.glob(_LARGE_OBJECTS):
        with listed.open("rb") as file:
            for line in file:
                name = line.rstrip(b"\n").partition(b" ")[2]
                _take(aside / Path(os.fsdecode(name)).name, what)
                found += 1
        _take(listed, what)
    if found != moment.large_objects:
        raise StrongroomError(
            f"{what}: {found:,} large objects came, and the database has {moment.large_objects:,}"
        )


def _take(path: Path, what: str) -> None:
    """Remove the name of a file that came; an error if it did not."""
    try:
        path.unlink()
    except FileNotFoundError:
        raise StrongroomError(f"{what}: {path.name} is missing in the dump") from None


def _compared(session: Session, tables: tuple[Table, ...], what: str) -> tuple[Table, ...]:
    """Return the tables with the rows that the server counts; an error if one has others."""
    counts = counted(session)
    found = []
    for table in tables:
        count = counts.get((table.schema, table.name))
        if count is not None and count != table.rows:
            raise StrongroomError(
                f"{what}: {table.schema}.{table.name} has {count:,} rows in the server, and its "
                f"dump {table.rows:,}"
            )
        found.append(Table(table.schema, table.name, table.file, table.rows, count))
    return tuple(found)


def dump_globals(client: Client, file: Path, *, with_passwords: bool) -> None:
    """Write roles and tablespaces as SQL; an error unless all of it came."""
    arguments = ["--globals-only", f"--file={file}", *client.connected()]
    if not with_passwords:
        arguments.append("--no-role-passwords")
    client.work("pg_dumpall", arguments, "dumping roles and tablespaces")
    if not file.stat().st_size:
        raise StrongroomError("dumping roles and tablespaces: pg_dumpall wrote nothing")
