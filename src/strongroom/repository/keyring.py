"""Which secret derives from which, and what each holder can do (``docs/format.md`` 2).

``Keyring`` is what a slot gives: it reads everything, and signs if the slot is full.
``DomainKeys`` is all that deduplication needs. ``SessionKeys`` seals one session's objects.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection, Sequence
from typing import Final, Protocol

import msgspec

from strongroom.crypto.primitives import (
    HPKE_OVERHEAD,
    KEY_SIZE,
    OpenError,
    chunk_hasher,
    derive,
    extract,
    label,
    seal_to,
    sha256,
    sign,
    signing_public_key,
    unseal_with,
)
from strongroom.errors import DamageError, KeyRefusedError
from strongroom.model.randomness import Randomness
from strongroom.repository.canonical import encode
from strongroom.repository.envelope import VERSION
from strongroom.repository.epochs import ReaderKeys, unreadable_epoch
from strongroom.repository.keyrecords import Epoch
from strongroom.repository.layout import ID_SIZE
from strongroom.repository.records import Bundle, SlotRole

MAIN: Final = b"main"
SEALED_SESSION_KEY_SIZE: Final = KEY_SIZE + HPKE_OVERHEAD

Hasher = Callable[[bytes | bytearray | memoryview], bytes]


def writer_id(public_key: bytes) -> bytes:
    """Id of the writer with this Ed25519 public key."""
    return sha256(b"strongroom writer\0" + public_key)[:ID_SIZE]


def domain_id(repository_id: bytes, name: bytes) -> bytes:
    """Id of the deduplication domain called ``name``."""
    return sha256(b"strongroom domain\0" + repository_id + name)[:ID_SIZE]


def config_digest(repository_id: bytes, core: bytes) -> bytes:
    """What a slot remembers of the configuration."""
    return sha256(label("config", repository_id, core))


class DomainKeys:
    """Everything that derives from a domain secret."""

    def __init__(
        self, repository_id: bytes, domain: bytes, secret: bytes, version: int = VERSION
    ) -> None:
        """Take ``version`` as the format version of what is written in the domain."""
        self.version = version
        self.repository_id = repository_id
        self.domain_id = domain
        self.secret = secret
        self.index_key = derive(secret, "index")
        self.data_hasher: Hasher = chunk_hasher(derive(secret, "chunk ids data"))
        self.tree_hasher: Hasher = chunk_hasher(derive(secret, "chunk ids tree"))

    def wal_hasher(self, system_id: int) -> Hasher:
        """Return what tells the WAL files of a cluster from each other."""
        return chunk_hasher(derive(self.secret, "wal", system_id.to_bytes(8)))

    def wal_source_id(self, name: bytes) -> bytes:
        """Return the id that a source has in keys: who lists a store learns no names."""
        return derive(self.secret, "wal source", name, length=ID_SIZE)

    def wal_source_key(self, key: str, salt: bytes) -> tuple[bytes, bytes]:
        """Key and commitment of the name of a source in the object at ``key``."""
        okm = derive(
            self.secret,
            "wal source name",
            self.repository_id,
            key.encode(),
            salt,
            length=2 * KEY_SIZE,
        )
        return okm[:KEY_SIZE], okm[KEY_SIZE:]

    def __repr__(self) -> str:
        """Show no secret."""
        return f"<DomainKeys {self.domain_id.hex()}>"


class SessionSecret:
    """The secret that the objects of one session are sealed under."""

    def __init__(self, repository_id: bytes, secret: bytes) -> None:
        self._repository_id = repository_id
        self._secret = secret

    def pack_key(self, header: bytes, salt: bytes) -> tuple[bytes, bytes]:
        """Key and commitment of a pack whose header begins with these 44 bytes."""
        okm = derive(self._secret, "pack", header, salt, length=2 * KEY_SIZE)
        return okm[:KEY_SIZE], okm[KEY_SIZE:]

    def wal_key(self, header: bytes, key: str, salt: bytes) -> tuple[bytes, bytes]:
        """Key and commitment of the WAL object at ``key`` whose header begins with these bytes."""
        okm = derive(self._secret, "wal", header, key.encode(), salt, length=2 * KEY_SIZE)
        return okm[:KEY_SIZE], okm[KEY_SIZE:]

    def commit_key(self, key: str, salt: bytes) -> tuple[bytes, bytes]:
        """Key and commitment of the sealed part of the commit at ``key``."""
        okm = derive(
            self._secret, "commit", self._repository_id, key.encode(), salt, length=2 * KEY_SIZE
        )
        return okm[:KEY_SIZE], okm[KEY_SIZE:]

    def __repr__(self) -> str:
        """Show no secret."""
        return "<SessionSecret>"


def _session_info(domain: DomainKeys, epoch: int) -> bytes:
    return label("session", domain.repository_id, domain.domain_id, struct.pack(">I", epoch))


class SessionKeys:
    """A writer's keys for one session: its secret, and that secret sealed to the reader key."""

    def __init__(
        self, domain: DomainKeys, reader_key: bytes, epoch: int, randomness: Randomness
    ) -> None:
        seed = randomness.take(KEY_SIZE)
        self.domain = domain
        self.epoch = epoch
        self.sealed = seal_to(reader_key, seed, _session_info(domain, epoch))
        self.secret = SessionSecret(domain.repository_id, extract(domain.secret, seed))

    def __repr__(self) -> str:
        """Show no secret."""
        return "<SessionKeys>"


class WriterKeys:
    """An identity that signs sessions and commits."""

    def __init__(self, seed: bytes) -> None:
        self._seed = seed
        self.public_key = signing_public_key(seed)
        self.id = writer_id(self.public_key)

    def sign(self, message: bytes) -> bytes:
        """Ed25519 signature."""
        return sign(self._seed, message)

    def __repr__(self) -> str:
        """Show no secret."""
        return f"<WriterKeys {self.id.hex()}>"


def fresh_salt(randomness: Randomness, content: bytes, domain: bytes, counter: int = 0) -> bytes:
    """Return a salt for what has the digest ``content`` (``docs/format.md`` 2).

    A random generator that repeats itself repeats a salt only for the same content.
    """
    return sha256(randomness.take(32) + content + domain + counter.to_bytes(8))


class Keys(Protocol):
    """What somebody who opened a repository can do; what he cannot is ``KeyRefusedError``."""

    repository_id: bytes
    admin_key: bytes
    version: int

    @property
    def is_full(self) -> bool:
        """Whether it can do everything."""
        ...

    @property
    def opened_by(self) -> bytes | None:
        """Id of the slot that was opened; None without one."""
        ...

    def require_reader(self) -> None:
        """``KeyRefusedError`` for a key that cannot read what was backed up."""
        ...

    @property
    def only_domain(self) -> bytes | None:
        """Id of the one domain whose keys it holds; None: of all."""
        ...

    @property
    def own_domain(self) -> DomainKeys:
        """The domain that its sessions seal into."""
        ...

    def domain(self, domain: bytes) -> DomainKeys:
        """Keys of the domain with this id."""
        ...

    def writer(self) -> WriterKeys:
        """The identity that signs its sessions."""
        ...

    def admin_signer(self) -> WriterKeys:
        """The identity that signs config, slots, writers and orders."""
        ...

    def begin_session(self, randomness: Randomness) -> SessionKeys:
        """Fresh keys for one session, in its own domain."""
        ...

    def begin_in(self, domain: bytes, randomness: Randomness) -> SessionKeys:
        """Fresh keys for packs of the domain with this id."""
        ...

    def session_secret(
        self, domain: bytes, epoch: int, sealed_session_key: bytes, where: str
    ) -> SessionSecret:
        """Open a sealed session key found in the object ``where``; ``DamageError``."""
        ...

    def bundle_bytes(self, role: SlotRole) -> bytes:
        """What a new slot seals."""
        ...

    @property
    def reader_keys(self) -> ReaderKeys:
        """What sessions are sealed to, and what opens them."""
        ...


class Keyring:
    """What the holder of an opened slot can do."""

    def __init__(
        self,
        bundle: Bundle,
        opened_by: bytes | None = None,
        version: int = VERSION,
        epochs: Sequence[Epoch] = (),
        slots: Collection[bytes] = (),
    ) -> None:
        """Take ``version`` as that of the repository; ``epochs``: those that orders began.

        ``slots``: ids of the slots that count now.
        """
        self.opened_by = opened_by
        self.version = version
        self.repository_id = bundle.repository_id
        self.admin_key = bundle.admin_key
        self.config_digest = bundle.config_digest
        self._bundle = bundle
        self.reader_keys = ReaderKeys(bundle.epochs, epochs, slots)
        self._domains: dict[bytes, DomainKeys] = {}
        self._sessions: dict[tuple[bytes, int, bytes], SessionSecret] = {}

    def __repr__(self) -> str:
        """Show no secret."""
        return f"<Keyring of {self.repository_id.hex()}>"

    @property
    def is_full(self) -> bool:
        """Whether this key can write and sign, and not only read."""
        return self._bundle.admin_seed is not None

    def require_reader(self) -> None:
        """See ``Keys``: every slot reads."""

    @property
    def only_domain(self) -> bytes | None:
        """See ``Keys``: every slot holds all domains."""
        return None

    @property
    def own_domain(self) -> DomainKeys:
        """See ``Keys``."""
        return self.main_domain

    @property
    def main_domain(self) -> DomainKeys:
        """The domain that all full-key hosts share."""
        return self.domain(domain_id(self.repository_id, MAIN))

    def domain(self, domain: bytes) -> DomainKeys:
        """Keys of the domain with this id."""
        keys = self._domains.get(domain)
        if keys is None:
            secret = derive(self._bundle.domain_root, "domain", self.repository_id, domain)
            keys = self._domains[domain] = DomainKeys(
                self.repository_id, domain, secret, self.version
            )
        return keys

    def begin_session(self, randomness: Randomness) -> SessionKeys:
        """Fresh keys for one session in the main domain."""
        return self.begin_in(self.main_domain.domain_id, randomness)

    def begin_in(self, domain: bytes, randomness: Randomness) -> SessionKeys:
        """Fresh keys for packs of the domain with this id: a collector writes in all of them.

        ``KeyRefusedError`` if this key cannot read the epoch that is now.
        """
        epoch, reader_key = self.reader_keys.current
        return SessionKeys(self.domain(domain), reader_key, epoch, randomness)

    def session_secret(
        self, domain: bytes, epoch: int, sealed_session_key: bytes, where: str
    ) -> SessionSecret:
        """Open a sealed session key found in the object ``where``; ``DamageError``."""
        known = self._sessions.get((domain, epoch, sealed_session_key))
        if known is not None:
            return known
        reader_secret = self.reader_keys.secret(epoch)
        if reader_secret is None:
            keys_of = self.reader_keys
            began = epoch in (*keys_of.missing, *keys_of.left)
            none = "which this key cannot read" if began else "and there is none"
            msg = f"{where} is damaged: it is sealed to key epoch {epoch}, {none}"
            raise DamageError(msg)
        keys = self.domain(domain)
        try:
            seed = unseal_with(reader_secret, sealed_session_key, _session_info(keys, epoch))
        except OpenError as error:
            msg = f"{where} is damaged: its session key does not open"
            raise DamageError(msg) from error
        secret = SessionSecret(self.repository_id, extract(keys.secret, seed))
        self._sessions[domain, epoch, sealed_session_key] = secret
        return secret

    def admin_signer(self) -> WriterKeys:
        """See ``Keys``; refused to a key that cannot read everything: it would decide blindly."""
        if missing := self.reader_keys.missing:
            raise unreadable_epoch(missing[0], left=False)
        return WriterKeys(derive(self._admin_seed(), "admin", self.repository_id))

    def main_writer(self) -> WriterKeys:
        """The identity that all full-key hosts share."""
        return WriterKeys(derive(self._admin_seed(), "writer main", self.repository_id))

    def writer(self) -> WriterKeys:
        """See ``Keys``: the full-key hosts share one writer."""
        return self.main_writer()

    def bundle_bytes(self, role: SlotRole) -> bytes:
        """What a new slot seals; without the admin seed for a reader."""
        bundle = msgspec.structs.replace(self._bundle, epochs=self.reader_keys.secrets)
        if role is SlotRole.FULL:
            self._admin_seed()
            return encode(bundle)
        return encode(
            Bundle(
                repository_id=bundle.repository_id,
                admin_key=bundle.admin_key,
                config_digest=bundle.config_digest,
                epochs=bundle.epochs,
                domain_root=bundle.domain_root,
                admin_seed=None,
            )
        )

    def _admin_seed(self) -> bytes:
        if self._bundle.admin_seed is None:
            raise KeyRefusedError(
                "this key can read the repository and cannot write to it",
                hint="It is a reader key. Open the repository with a full key; "
                "'strongroom key list' says which there are.",
            )
        return self._bundle.admin_seed
