"""Agents: hosts that back up into their own domain and read nothing (``docs/format.md`` 4).

An agent file holds the seed of a writer, the secret of one domain, and what the repository is known
by, signed by admin. What it backs up is sealed to the reader key, which it does not hold.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Final, NamedTuple, NoReturn

from strongroom.crypto.primitives import KEY_SIZE
from strongroom.errors import DamageError, KeyRefusedError, RefusedError
from strongroom.model.randomness import Randomness
from strongroom.model.store import Store, StoreReading
from strongroom.repository import layout
from strongroom.repository.canonical import encode
from strongroom.repository.commits import WriterDirectory
from strongroom.repository.envelope import Kind, unwrap, wrap
from strongroom.repository.epochs import unreadable_epoch
from strongroom.repository.keyring import (
    MAIN,
    DomainKeys,
    Keys,
    SessionKeys,
    SessionSecret,
    WriterKeys,
    domain_id,
)
from strongroom.repository.opening import OpenedConfig, ReaderKey
from strongroom.repository.putting import put_own
from strongroom.repository.records import AgentFile, SlotRole, Writer, read_body

_BEGIN: Final = "-----BEGIN STRONGROOM AGENT KEY-----"
_END: Final = "-----END STRONGROOM AGENT KEY-----"
_WIDTH: Final = 64
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class AgentKey(NamedTuple):
    """An agent file as read: the repository it says it is for, and its content."""

    repository_id: bytes
    file: AgentFile

    def __repr__(self) -> str:
        """Show no secret."""
        return f"<AgentKey {self.file.name!r}>"


class AgentNames(NamedTuple):
    """What a new agent is called, and its domain if that is not one of its own."""

    name: str
    domain: str | None = None


class MadeAgent(NamedTuple):
    """A new agent: its name, its writer and domain, and the text of its file, which is secret."""

    name: str
    writer_id: bytes
    public_key: bytes
    domain_id: bytes
    text: str

    def __repr__(self) -> str:
        """Show no secret."""
        return f"<MadeAgent {self.name}>"


class AgentKeyring:
    """What the holder of an agent file can do: sign its own sessions, and seal into its domain."""

    def __init__(self, key: AgentKey, reader_key: ReaderKey, version: int) -> None:
        """Take ``reader_key`` as what its sessions are sealed to."""
        self.version = version
        self.repository_id = key.repository_id
        self.admin_key = key.file.admin_key
        self.opened_by: bytes | None = None
        self.is_full = False
        self.name = key.file.name.decode("utf-8", "replace")
        self._writer = WriterKeys(key.file.writer_seed)
        self._domain = DomainKeys(
            key.repository_id, key.file.domain_id, key.file.domain_secret, version
        )
        self._reader_key = reader_key

    def __repr__(self) -> str:
        """Show no secret."""
        return f"<AgentKeyring {self.name}>"

    @property
    def only_domain(self) -> bytes | None:
        """See ``Keys``."""
        return self._domain.domain_id

    @property
    def own_domain(self) -> DomainKeys:
        """See ``Keys``."""
        return self._domain

    def domain(self, domain: bytes) -> DomainKeys:
        """See ``Keys``: its own domain, no other."""
        if domain != self._domain.domain_id:
            self.require_reader()
        return self._domain

    def writer(self) -> WriterKeys:
        """See ``Keys``."""
        return self._writer

    def begin_session(self, randomness: Randomness) -> SessionKeys:
        """See ``Keys``; refused where it might be that nobody can read what is sealed."""
        now = self._reader_key
        if now.left:
            raise unreadable_epoch(now.epoch, left=True)
        return SessionKeys(self._domain, now.public, now.epoch, randomness)

    def begin_in(self, domain: bytes, randomness: Randomness) -> NoReturn:
        """See ``Keys``: refused."""
        del domain, randomness
        raise self._not_full()

    def require_reader(self) -> NoReturn:
        """See ``Keys``: an agent never reads."""
        raise KeyRefusedError(
            f"the agent key '{self.name}' backs up and cannot read what is in the repository",
            hint="Use a full or reader key for that: a passphrase, a key file or the recovery key, "
            "on a host that may read everything.",
        )

    def session_secret(
        self, domain: bytes, epoch: int, sealed_session_key: bytes, where: str
    ) -> SessionSecret:
        """See ``Keys``: refused."""
        del domain, epoch, sealed_session_key, where
        self.require_reader()

    def admin_signer(self) -> WriterKeys:
        """See ``Keys``: refused."""
        raise self._not_full()

    def bundle_bytes(self, role: SlotRole) -> bytes:
        """See ``Keys``: refused."""
        del role
        raise self._not_full()

    @property
    def reader_keys(self) -> NoReturn:
        """See ``Keys``: refused."""
        self.require_reader()

    def _not_full(self) -> KeyRefusedError:
        return KeyRefusedError(
            f"the agent key '{self.name}' backs up and can change nothing else",
            hint="Use a full key: a passphrase, a key file or the recovery key.",
        )


def is_agent_text(data: bytes) -> bool:
    """Whether the content of a key file is that of an agent file."""
    return _BEGIN.encode() in data


def read_agent(data: bytes, where: str) -> AgentKey:
    """Read the content of an agent file; ``KeyRefusedError`` if it is damaged."""
    text = data.decode("ascii", "replace")
    inner = text.partition(_BEGIN)[2].partition(_END)[0]
    try:
        raw = base64.b64decode("".join(inner.split()), validate=True)
        envelope = unwrap(raw, Kind.AGENT, where)
        record = read_body(where, envelope.body, AgentFile)
        writer = WriterKeys(record.writer_seed)
        envelope._replace(key=_name_of(writer)).check(record.admin_key)
        sizes = (len(record.domain_id), len(record.domain_secret))
    except (binascii.Error, ValueError, DamageError) as error:
        why = error.message if isinstance(error, DamageError) else "a key or its text is cut off"
        raise KeyRefusedError(
            f"the agent file {where} is damaged: {why}",
            hint="Copy it again, or export another one with 'strongroom key export-agent'.",
        ) from error
    if sizes != (layout.ID_SIZE, KEY_SIZE):
        raise KeyRefusedError(f"the agent file {where} is damaged: a key has another length")
    return AgentKey(envelope.repository_id, record)


def open_agent(store: StoreReading, config: OpenedConfig, key: AgentKey) -> AgentKeyring:
    """Return the keys of an agent of this repository; ``KeyRefusedError`` if it is none.

    ``config`` as orders make it: they may have begun an epoch, or revoked the agent.
    """
    record = key.file
    given = (key.repository_id, record.admin_key, record.config_digest)
    if given != (config.repository_id, config.core.admin_key, config.digest):
        raise KeyRefusedError(
            f"the agent key is for repository {key.repository_id.hex()[:8]}, and {store.url} holds "
            f"repository {config.repository_id.hex()[:8]}",
            hint="Check the address, or export an agent key of that repository.",
        )
    keyring = AgentKeyring(key, config.reader_key, config.version)
    writer = keyring.writer()
    if writer.id in config.revoked:
        raise KeyRefusedError(
            f"the agent '{keyring.name}' was revoked: what it backs up counts no more",
            hint="Export another agent, under another name, with a full key: "
            "strongroom key export-agent.",
        )
    try:
        known = WriterDirectory(store, keyring).read(layout.writer(writer.id))
    except DamageError as error:
        raise KeyRefusedError(
            f"the repository does not know the agent '{keyring.name}': {error.message}",
            hint="Its export did not end, or its entry was removed: export it again.",
        ) from error
    if known.domain_id != keyring.only_domain:
        raise KeyRefusedError(
            f"the agent file '{keyring.name}' is for another domain than its writer",
            hint="Export the agent again.",
        )
    return keyring


def make_agent(
    keyring: Keys,
    config: OpenedConfig,
    names: AgentNames,
    randomness: Randomness,
    now_ns: int,
) -> MadeAgent:
    """Return a new agent. Nothing is stored: ``announce_agent`` does that, once its file is safe.

    ``KeyRefusedError`` unless the key is full.
    """
    name = names.name
    signer = keyring.admin_signer()
    writer = WriterKeys(seed := randomness.take(KEY_SIZE))
    domain = keyring.domain(domain_id(keyring.repository_id, (names.domain or name).encode()))
    record = AgentFile(
        config_digest=config.digest,
        admin_key=keyring.admin_key,
        name=name.encode(),
        writer_seed=seed,
        domain_id=domain.domain_id,
        domain_secret=domain.secret,
        created_ns=now_ns,
    )
    key = _name_of(writer)
    raw = wrap(
        Kind.AGENT, keyring.repository_id, key, encode(record), signer.sign, version=keyring.version
    )
    text = _text_of(name, keyring.repository_id, raw)
    return MadeAgent(name, writer.id, writer.public_key, domain.domain_id, text)


def announce_agent(store: Store, keyring: Keys, made: MadeAgent, now_ns: int) -> None:
    """Put ``writers/<id>``, which makes an agent one."""
    body = Writer(made.name.encode(), made.public_key, made.domain_id, now_ns)
    key = layout.writer(made.writer_id)
    signer = keyring.admin_signer()
    put_own(
        store,
        key,
        wrap(
            Kind.WRITER,
            keyring.repository_id,
            key,
            encode(body),
            signer.sign,
            version=keyring.version,
        ),
    )


def check_agent_names(directory: WriterDirectory, repository_id: bytes, names: AgentNames) -> None:
    """``RefusedError`` unless the names are ones that a new agent can have."""
    name, domain = names
    for what in (name, domain):
        if what is not None and not _NAME.fullmatch(what):
            raise RefusedError(
                f"'{what}' is no name for an agent or a domain",
                hint="Use up to 64 letters, digits, '.', '_' and '-', such as web1.",
            )
    if MAIN.decode() in {name, domain}:
        raise RefusedError(
            "'main' is the writer and the domain of the full-key hosts",
            hint="Choose another name; an agent that shared it could spoil what they rely on.",
        )
    own_domain = domain_id(repository_id, name.encode())
    for writer in directory.read_all().values():
        if isinstance(writer, DamageError):
            raise writer
        if writer.name == name.encode():
            raise RefusedError(
                f"there is an agent called '{name}' already",
                hint="Choose another name; 'strongroom key list' shows the agents.",
            )
        if domain is None and writer.domain_id == own_domain:
            raise RefusedError(
                f"another agent works in a domain called '{name}'",
                hint=f"Choose another name, or share it on purpose with --domain {name}.",
            )


def _name_of(writer: WriterKeys) -> str:
    return f"agent/{writer.id.hex()}"


def _text_of(name: str, repository_id: bytes, raw: bytes) -> str:
    letters = base64.b64encode(raw).decode()
    lines = [letters[at : at + _WIDTH] for at in range(0, len(letters), _WIDTH)]
    return "\n".join(
        [
            f"strongroom agent key '{name}' of repository {repository_id.hex()}",
            "It backs up and reads nothing. Keep it secret: mode 0600, on that host only.",
            _BEGIN,
            *lines,
            _END,
            "",
        ]
    )
