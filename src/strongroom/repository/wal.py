"""The WAL files in a repository: put, compared, listed and read (``docs/format.md`` 17).

All domains are one archive of a cluster for who can read them; an agent sees its own domain, and
can put and compare and read nothing.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from strongroom.crypto.primitives import sha256
from strongroom.errors import (
    DamageError,
    ObjectExistsError,
    ObjectMissingError,
    RefusedError,
)
from strongroom.model.randomness import Randomness
from strongroom.model.store import Store
from strongroom.postgres.wal.history import Histories, History, parse_history
from strongroom.postgres.wal.names import (
    DEFAULT_SEGMENT,
    WalKind,
    WalName,
    is_segment_size,
    parse_name,
)
from strongroom.postgres.wal.pages import HEADER_SIZE as PAGE_HEADER_SIZE
from strongroom.postgres.wal.pages import Cluster, PageHeader, WalContentError, check_segment
from strongroom.postgres.wal.ranges import Missing, WalExtent
from strongroom.repository import layout
from strongroom.repository.commits import WriterDirectory
from strongroom.repository.keyring import MAIN, Keys, domain_id, fresh_salt
from strongroom.repository.walobject import (
    HEADER_SIZE,
    MAX_TEXT,
    WalFile,
    WalHeader,
    check_wal,
    open_wal,
    read_header,
    seal_wal,
    wal_digest,
)
from strongroom.repository.walparts import WithWal

_ASKED: Final = 3
_SEGMENTS: Final = frozenset({WalKind.SEGMENT, WalKind.PARTIAL})


class Put(enum.Enum):
    """What became of a file: it was stored, or the same is there already."""

    STORED = "stored"
    SAME = "same"


class StoredWal(NamedTuple):
    """A WAL file as a listing shows it; ``size`` that of the object, in bytes.

    ``generation``: that of a partial segment, else 0. ``stored_ns``: by the store's clock, or None.
    """

    key: str
    domain_id: bytes
    system_id: int
    name: WalName
    generation: int
    size: int
    stored_ns: int | None


class WalArchive:
    """The WAL of every cluster in one repository."""

    def __init__(
        self, store: Store, keys: Keys, writers: WriterDirectory, randomness: Randomness
    ) -> None:
        self._store = store
        self._keys = keys
        self._writers = writers
        self._randomness = randomness

    # -- writing

    def put(self, cluster: Cluster, name: WalName, content: bytes | memoryview) -> Put:
        """Store a file of a cluster in the own domain.

        After it returned the file is durable. ``RefusedError`` if another file has its name, or if
        it is not what its name says; nothing is ever overwritten.
        """
        _refuse_other(cluster, name, content)
        lsn = name.lsn(cluster.segment_size)
        system_id, domain = cluster.system_id, self._keys.own_domain.domain_id
        if name.kind is WalKind.PARTIAL:
            return self._put_partial(system_id, name, content, lsn)
        file = WalFile(layout.wal_file(domain, system_id, name.text), content, lsn)
        if self._stored(file):
            return Put.STORED
        if self._is_same(file):
            return Put.SAME
        raise RefusedError(
            f"{name.text} of cluster {system_id} is in the repository already, with other content",
            hint="Two servers write the same timeline. Nothing was overwritten. Find out which of "
            "them is right before anything else; 'strongroom wal status' shows what is there.",
        )

    def _put_partial(
        self, system_id: int, name: WalName, content: bytes | memoryview, lsn: int
    ) -> Put:
        """Put under the first free number, unless one that is there is the same."""
        domain = self._keys.own_domain.domain_id
        folder = layout.wal_folder(domain, system_id, name.timeline)
        there = [one for one in self._listed(folder) if one.name == name]
        if any(self._is_same(WalFile(one.key, content, lsn)) for one in there):
            return Put.SAME
        number = max((one.generation for one in there), default=0)
        while True:
            number += 1
            file = WalFile(layout.wal_file(domain, system_id, name.text, number), content, lsn)
            if self._stored(file):
                return Put.STORED
            if self._is_same(file):
                return Put.SAME

    def _stored(self, file: WalFile) -> bool:
        """Whether the file was put by this call, or by one of ours of which no answer came."""
        domain = self._keys.own_domain
        salt = fresh_salt(self._randomness, sha256(file.content), domain.domain_id)
        digest = wal_digest(domain, file.key, file.content)
        data = seal_wal(
            file, digest, self._keys.begin_session(self._randomness), self._keys.writer(), salt
        )
        try:
            self._store.put(file.key, data)
        except ObjectExistsError:
            return False
        return True

    def _is_same(self, file: WalFile) -> bool:
        """Whether what is there is a sound object with the same content.

        ``DamageError`` if it is not sound: what cannot be checked is not taken for the same.
        """
        try:
            data = self._store.get(file.key)
            header = check_wal(file.key, data, self._keys.repository_id, self._writers)
        except DamageError as error:
            raise DamageError(
                f"{error.message}; it has the place of a file that is to be archived",
                hint=f"Put it right from a replica, or take {file.key} out of the store by hand: "
                "the archiver then stores the file anew.",
            ) from error
        own = wal_digest(self._keys.own_domain, file.key, file.content)
        if (header.length, header.digest) != (len(file.content), own):
            return False
        self._store.sync([file.key.rpartition("/")[0] + "/"])  # as of ``sync``
        return True

    def sync(self, stored: Iterable[StoredWal]) -> None:
        """Return when the names of files are durable, which other processes may have put."""
        self._store.sync(sorted({one.key.rpartition("/")[0] + "/" for one in stored}))

    # -- listing

    def domains(self) -> list[bytes]:
        """Return the ids of the domains that are looked into, the one of full keys first."""
        own = self._keys.only_domain
        if own is not None:
            return [own]
        main = domain_id(self._keys.repository_id, MAIN)
        others = {
            writer.domain_id
            for writer in self._writers.read_all().values()
            if not isinstance(writer, DamageError)
        }
        return [main, *sorted(others - {main})]

    def files(
        self,
        system_id: int,
        timeline: int | None = None,
        domains: Sequence[bytes] | None = None,
    ) -> list[StoredWal]:
        """Return the files of a cluster, or of one of its timelines, sorted by their names."""
        found: list[StoredWal] = []
        for domain in domains if domains is not None else self.domains():
            found += self._listed(layout.wal_folder(domain, system_id, timeline))
        found.sort(key=lambda one: (one.name.timeline, one.name.text, one.generation))
        return found

    def systems(self) -> list[int]:
        """Return the system ids of the clusters of which something is stored, sorted."""
        found = {one.system_id for one in self._listed(layout.WAL)}
        own = self._keys.only_domain
        if own is not None:
            found = {one.system_id for one in self._listed(f"{layout.WAL}{own.hex()}/")}
        return sorted(found)

    def _listed(self, prefix: str) -> Iterable[StoredWal]:
        for info in self._store.list(prefix):
            one = stored_wal(info.key, info.size, info.stored_ns)
            if one is not None:
                yield one

    # -- reading

    def find(
        self, system_id: int, name: WalName, domains: Sequence[bytes] | None = None
    ) -> list[StoredWal]:
        """Return where a file that is no partial segment lies: empty, or one for each domain."""
        found = []
        for domain in domains if domains is not None else self.domains():
            key = layout.wal_file(domain, system_id, name.text)
            try:
                size = self._store.size(key)
            except ObjectMissingError:
                continue
            found.append(StoredWal(key, domain, system_id, name, 0, size, None))
        return found

    def header(self, stored: StoredWal) -> WalHeader:
        """Return what a stored file says of itself, not verified; ``DamageError``."""
        begin = self._store.get_range(stored.key, 0, min(HEADER_SIZE, stored.size))
        return read_header(stored.key, begin, stored.size, self._keys.repository_id)

    def segment_size(self, listed: Iterable[StoredWal]) -> int:
        """Return the size of the segments among listed files, as their headers have it.

        ``DamageError`` if none of those that were looked at says it soundly. Where there are no
        segments it does not matter, and is what most clusters have.
        """
        segments = [one for one in listed if one.name.kind in _SEGMENTS]
        for one in segments[-_ASKED:]:
            header = self.header(one)
            size = header.length
            if is_segment_size(size) and one.name.fits(size) and one.name.lsn(size) == header.lsn:
                return size
        if segments:
            msg = f"{segments[-1].key} is damaged: its header does not fit its name"
            raise DamageError(msg)
        return DEFAULT_SEGMENT

    def get(self, stored: StoredWal) -> bytearray:
        """Return a file, verified in every way; ``DamageError``, ``ObjectMissingError``."""
        data = self._store.get(stored.key)
        content = open_wal(stored.key, data, self._keys, self._writers)
        try:
            check_content(stored.system_id, stored.name, content)
        except WalContentError as error:
            msg = f"{stored.key} holds no {stored.name.text} of this cluster: {error}"
            raise DamageError(msg) from error
        return content

    def get_agreed(self, stored: Sequence[StoredWal]) -> bytearray:
        """Return a file that lies in several domains; ``DamageError`` if they differ.

        One that is damaged is as good as absent while another one is sound.
        """
        first: bytearray | None = None
        damage: DamageError | None = None
        for one in stored:
            try:
                content = self.get(one)
            except DamageError as error:
                damage = error
                continue
            if first is not None and first != content:
                raise DamageError(
                    f"{one.name.text} of cluster {one.system_id} was archived twice, with "
                    f"different content: {stored[0].key} and {one.key}",
                    hint="Two servers wrote one timeline. Say with --writer whose files count.",
                )
            first = content
        if first is None:
            raise damage or DamageError("there is nothing to read")
        return first

    def extent(
        self,
        cluster: Cluster,
        damaged: dict[str, str] | None = None,
        listed: Sequence[StoredWal] | None = None,
        never: Sequence[Missing] = (),
    ) -> WalExtent:
        """Return all that is there of a cluster, with its gaps; ``damaged`` as of ``histories``.

        ``listed``: what ``files`` gave, if it was asked before. An agent reads no histories, so
        that it knows of no ways between timelines. ``never``: what is on record as a gap.
        """
        if listed is None:
            listed = self.files(cluster.system_id)
        readable = self._keys.only_domain is None
        histories = self.histories(listed, damaged) if readable else {}
        return WalExtent((one.name for one in listed), cluster.segment_size, histories, never)

    def histories(
        self, stored: Iterable[StoredWal], damaged: dict[str, str] | None = None
    ) -> Histories:
        """Read the histories among listed files; those that cannot be read go into ``damaged``.

        Without ``damaged`` the first of them is a ``DamageError``.
        """
        by_name: dict[WalName, list[StoredWal]] = {}
        for one in stored:
            if one.name.kind is WalKind.HISTORY:
                by_name.setdefault(one.name, []).append(one)
        found: dict[int, History] = {}
        for name, places in by_name.items():
            try:
                found[name.timeline] = parse_history(name.timeline, bytes(self.get_agreed(places)))
            except DamageError as error:
                if damaged is None:
                    raise
                damaged[places[0].key] = error.message
        return found


def archive_of(repository: WithWal) -> WalArchive:
    """Return the WAL of an open repository."""
    return WalArchive(
        repository.store, repository.keyring, repository.writers, repository.around.randomness
    )


def stored_wal(key: str, size: int, stored_ns: int | None) -> StoredWal | None:
    """Return the WAL file that a line of a listing is; None if it is none."""
    ids = layout.wal_ids(key)
    name = parse_name(ids[2]) if ids is not None else None
    if ids is None or name is None:
        return None
    return StoredWal(key, ids[0], ids[1], name, ids[3], size, stored_ns)


def check_content(
    system_id: int, name: WalName, content: bytes | bytearray | memoryview
) -> PageHeader | None:
    """``WalContentError`` unless a file is what its name and cluster say."""
    if name.kind in _SEGMENTS:
        header = check_segment(name, memoryview(content)[:PAGE_HEADER_SIZE], len(content))
        if header.system_id != system_id:
            msg = f"it belongs to cluster {header.system_id}, not to {system_id}"
            raise WalContentError(msg)
        return header
    if len(content) > MAX_TEXT:
        msg = f"it is {len(content)} bytes long"
        raise WalContentError(msg)
    if name.kind is WalKind.HISTORY:
        parse_history(name.timeline, bytes(content))
    return None


def _refuse_other(cluster: Cluster, name: WalName, content: bytes | memoryview) -> None:
    """``RefusedError`` unless a file to be stored is what its name and cluster say."""
    why = ""
    try:
        header = check_content(cluster.system_id, name, content)
        size = header.segment_size if header is not None else cluster.segment_size
        if size != cluster.segment_size or not name.fits(size):
            why = f"segments of this cluster have {cluster.segment_size} bytes"
    except WalContentError as error:
        why = str(error)
    if why:
        raise RefusedError(
            f"{name.text} is not the file that its name says: {why}",
            hint="Nothing was stored. Look at the file, and whether archive_command is that of "
            "this cluster.",
        )
