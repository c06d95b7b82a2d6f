"""Which cluster a source is (``docs/format.md`` 17): two clusters never share a name by mistake."""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec

from strongroom.crypto.primitives import Cipher, OpenError, same, sha256
from strongroom.errors import DamageError, ObjectExistsError, RefusedError
from strongroom.postgres.wal.names import is_segment_size
from strongroom.postgres.wal.pages import Cluster
from strongroom.repository import layout
from strongroom.repository.canonical import FormatError, encode, pad, unpad
from strongroom.repository.envelope import Kind, unwrap, wrap
from strongroom.repository.keyring import fresh_salt
from strongroom.repository.records import read_body
from strongroom.repository.wal import archive_of
from strongroom.repository.walparts import WithWal

_NONCE: Final = bytes(12)


class WalSourceBody(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """Body of ``wal/…/sources/<id>.<n>``; ``sealed``: the name of the source."""

    writer_id: bytes
    time_ns: int
    system_id: int
    segment_size: int
    salt: bytes
    commitment: bytes
    sealed: bytes


class WalSource(NamedTuple):
    """What the repository knows of a source: the cluster it is, and when that was said."""

    name: str
    number: int
    domain_id: bytes
    writer_id: bytes
    cluster: Cluster
    time_ns: int


class WalSources:
    """The sources of WAL and base backups in a repository."""

    def __init__(self, repository: WithWal) -> None:
        self._store = repository.store
        self._keys = repository.keyring
        self._writers = repository.writers
        self._clock = repository.around.clock
        self._randomness = repository.around.randomness
        self._archive = archive_of(repository)

    def all(self) -> list[WalSource]:
        """Return everything that was ever said, by name, domain and number; ``DamageError``."""
        return sorted(
            self.read(info.key)
            for domain in self._archive.domains()
            for info in self._store.list(layout.wal_sources(domain))
            if layout.wal_source_ids(info.key) is not None
        )

    def of(self, name: str) -> list[WalSource]:
        """Return which cluster a source is, one for each domain that says so; ``DamageError``."""
        found = []
        for domain in self._archive.domains():
            last = self._last(domain, name)
            if last is not None:
                found.append(last)
        return found

    def register(self, name: str, cluster: Cluster) -> WalSource:
        """Say that a source is this cluster, if nothing was said of it yet.

        ``RefusedError`` if it is another one, here or in a domain that this key can see.
        """
        while True:
            said = self.refuse_other(name, cluster)
            own = self._keys.own_domain.domain_id
            mine = [one for one in said if one.domain_id == own]
            if mine:
                return mine[0]
            if self._put(name, cluster, 1):
                return self._last_of(name)

    def refuse_other(self, name: str, cluster: Cluster) -> list[WalSource]:
        """Return what is said of a source; ``RefusedError`` if it is another cluster."""
        said = self.of(name)
        for one in said:
            self._compare(one, cluster)
        return said

    def replace(self, name: str, cluster: Cluster) -> WalSource:
        """Say that a source is another cluster from now on; of the old one everything stays."""
        while True:
            last = self._last(self._keys.own_domain.domain_id, name)
            if last is not None and last.cluster == cluster:
                return last
            if self._put(name, cluster, last.number + 1 if last is not None else 1):
                return self._last_of(name)

    def _compare(self, known: WalSource, cluster: Cluster) -> None:
        if known.cluster.system_id != cluster.system_id:
            raise RefusedError(
                f"the source '{known.name}' is cluster {known.cluster.system_id}, and this is "
                f"cluster {cluster.system_id}: two clusters cannot share a name",
                hint="Give this cluster a source of its own. If it took the place of the old one "
                f"(pg_upgrade, a new initdb): strongroom wal accept --source {known.name} "
                f"{cluster.system_id}",
            )
        if known.cluster.segment_size != cluster.segment_size:
            raise RefusedError(
                f"the segments of cluster {cluster.system_id} had {known.cluster.segment_size} "
                f"bytes, and now they have {cluster.segment_size}",
                hint="pg_resetwal changed it. Give the cluster a source of its own, and make a new "
                "base backup.",
            )

    def _last_of(self, name: str) -> WalSource:
        found = self._last(self._keys.own_domain.domain_id, name)
        if found is None:
            msg = "what was just said about a source is gone"
            raise DamageError(msg)
        return found

    def _last(self, domain: bytes, name: str) -> WalSource | None:
        keys = self._keys.domain(domain)
        source = keys.wal_source_id(name.encode())
        numbers = [
            ids[2]
            for info in self._store.list(layout.wal_sources(domain))
            if (ids := layout.wal_source_ids(info.key)) is not None and ids[1] == source
        ]
        return self.read(layout.wal_source(domain, source, max(numbers))) if numbers else None

    def _put(self, name: str, cluster: Cluster, number: int) -> bool:
        """Whether this number is ours now, or was free for the very same."""
        domain, writer = self._keys.own_domain, self._keys.writer()
        text = name.encode()
        key = layout.wal_source(domain.domain_id, domain.wal_source_id(text), number)
        salt = fresh_salt(self._randomness, sha256(text), domain.domain_id)
        secret, commitment = domain.wal_source_key(key, salt)
        body = WalSourceBody(
            writer_id=writer.id,
            time_ns=self._clock.now_ns(),
            system_id=cluster.system_id,
            segment_size=cluster.segment_size,
            salt=salt,
            commitment=commitment,
            sealed=Cipher(secret).seal(_NONCE, pad(text)),
        )
        data = wrap(
            Kind.WAL_SOURCE,
            self._keys.repository_id,
            key,
            encode(body),
            writer.sign,
            version=self._keys.version,
        )
        try:
            self._store.put(key, data)
        except ObjectExistsError:
            return False
        return True

    def read(self, key: str) -> WalSource:
        """Return what the object at ``key`` says; ``DamageError``."""
        ids = layout.wal_source_ids(key)
        if ids is None:
            raise ValueError(key)
        domain, source, number = ids
        envelope = unwrap(self._store.get(key), Kind.WAL_SOURCE, key, self._keys.repository_id)
        body = read_body(key, envelope.body, WalSourceBody)
        writer = self._writers.writer(body.writer_id)
        envelope.check(writer.public_key)
        keys = self._keys.domain(domain)
        secret, commitment = keys.wal_source_key(key, body.salt)
        try:
            name = bytes(unpad(Cipher(secret).unseal(_NONCE, body.sealed)))
        except (OpenError, FormatError) as error:
            msg = f"{key} is damaged: the name in it does not open"
            raise DamageError(msg) from error
        opens = same(commitment, body.commitment)
        fits = opens and is_segment_size(body.segment_size) and 0 < body.system_id < 1 << 64
        if not fits or writer.domain_id != domain or keys.wal_source_id(name) != source:
            msg = f"{key} is damaged: it does not say what its name says"
            raise DamageError(msg)
        cluster = Cluster(body.system_id, body.segment_size)
        text = name.decode("utf-8", "replace")
        return WalSource(text, number, domain, body.writer_id, cluster, body.time_ns)
