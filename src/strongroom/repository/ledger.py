"""Which packs were read whole, and when: so that every byte is read again within a time.

``docs/format.md`` 10. Nothing but the order of reading is decided by it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from strongroom.errors import DamageError
from strongroom.model.events import Notice
from strongroom.repository import layout
from strongroom.repository.canonical import encode
from strongroom.repository.envelope import Kind, unwrap, wrap
from strongroom.repository.putting import put_own
from strongroom.repository.records import LedgerBody, read_body, split
from strongroom.repository.repository import Repository
from strongroom.repository.signedlog import SignedLog

_GOOD, _BAD = 0, 1


class Read(NamedTuple):
    """One ledger: its key, when it was written, and the packs that were good then."""

    key: str
    time_ns: int
    good: tuple[bytes, ...]


def read_ledgers(repository: Repository) -> list[Read]:
    """Return what checks read, as far as it can be read; what cannot is told of."""

    def tell(_key: str, error: DamageError) -> None:
        repository.around.sink(Notice(f"warning: {error.message}; it does not count"))

    log = SignedLog(
        repository.store,
        layout.LEDGER,
        repository.around.cache,
        lambda key, data: _ledger(repository, key, data),
    )
    return list(log.read_all(tell))


def _ledger(repository: Repository, key: str, data: bytes) -> Read:
    envelope = unwrap(data, Kind.LEDGER, key, repository.id)
    body = read_body(key, envelope.body, LedgerBody)
    writer = repository.writers.writer(body.writer_id)
    envelope.check(writer.public_key)
    packs = split(body.packs, layout.HASH_SIZE, key)
    sound = repository.writers.is_main(body.writer_id) and packs == sorted(set(packs))
    if not sound or len(packs) != len(body.results) or set(body.results) - {_GOOD, _BAD}:
        msg = f"{key} is damaged: it is no list of packs that somebody read"
        raise DamageError(msg)
    good = (pack for pack, result in zip(packs, body.results, strict=True) if result == _GOOD)
    return Read(key, body.time_ns, tuple(good))


def last_read(ledgers: Sequence[Read]) -> dict[bytes, int]:
    """Return when each pack was last read and good, nanoseconds since 1970."""
    found: dict[bytes, int] = {}
    for one in ledgers:
        for pack in one.good:
            found[pack] = max(found.get(pack, one.time_ns), one.time_ns)
    return found


def put_ledger(repository: Repository, read: Mapping[bytes, bool], now_ns: int) -> None:
    """Note which packs were read, and whether they were good; needs a full key."""
    identity = repository.keyring.writer()
    packs = sorted(read)
    body = LedgerBody(
        identity.id,
        now_ns,
        b"".join(packs),
        bytes(_GOOD if read[pack] else _BAD for pack in packs),
    )
    key = layout.ledger(repository.around.randomness.take(layout.ID_SIZE))
    data = wrap(
        Kind.LEDGER,
        repository.id,
        key,
        encode(body),
        identity.sign,
        version=repository.keyring.version,
    )
    put_own(repository.store, key, data)


def superfluous(ledgers: Sequence[Read], packs: Collection[bytes]) -> list[str]:
    """Return the keys of ledgers that say nothing of ``packs`` that a later one does not say."""
    latest = last_read(ledgers)
    told: set[bytes] = set()
    keys = []
    for one in sorted(ledgers, key=lambda ledger: (ledger.time_ns, ledger.key)):
        own = {p for p in one.good if p in packs and latest[p] == one.time_ns and p not in told}
        told |= own
        if not own:
            keys.append(one.key)
    return keys
