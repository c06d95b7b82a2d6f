"""Holds and un-forgets: sessions whose COMMIT keeps snapshots (``docs/format.md`` 13).

What can add a root is a COMMIT, so that a collector that waits for sessions waits for these too.
The snapshots are looked at after ``gc/`` was listed: what no run tombed by then stays.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from strongroom.crypto.primitives import sha256
from strongroom.errors import (
    DamageError,
    NotFoundError,
    ObjectExistsError,
    RefusedError,
    StrongroomError,
)
from strongroom.model.events import Notice
from strongroom.repository import layout
from strongroom.repository.canonical import encode
from strongroom.repository.commits import Decision, open_saving, seal_record
from strongroom.repository.deciding import put_decision
from strongroom.repository.envelope import Kind, wrap
from strongroom.repository.heads import heads_of
from strongroom.repository.keyring import WriterKeys, fresh_salt
from strongroom.repository.lease import lease_of
from strongroom.repository.putting import put_own
from strongroom.repository.records import (
    ABORT,
    COMMIT,
    Abort,
    AbortReason,
    Commit,
    Purpose,
    Saving,
    SessionBody,
)
from strongroom.repository.repository import History, Repository
from strongroom.repository.runs import Absent


class Saved(NamedTuple):
    """A hold or an un-forget that was committed: its key, and the snapshots it is about."""

    key: str
    snapshots: tuple[str, ...]


def hold(repository: Repository, snapshots: Sequence[str], saying: Saving) -> Saved:
    """Keep snapshots, given by the keys of their COMMITs, until the hold is released.

    ``NotFoundError`` if one is gone, ``RefusedError`` if a collector has already named it,
    ``FencedError``.
    """
    return _save(repository, Purpose.HOLD, snapshots, saying, lambda _history: [])


def unforget(repository: Repository, snapshots: Sequence[str], saying: Saving) -> Saved:
    """Cancel, for these snapshots, every order that forgot them; errors as of ``hold``.

    ``RefusedError`` as well if one of them is not forgotten.
    """

    def orders(history: History) -> list[str]:
        for key in snapshots:
            if key not in history.standing.forgets:
                raise RefusedError(f"snapshot {_short(key)} is not forgotten")
        return [order.key for key in snapshots for order in history.standing.forgets[key]]

    return _save(repository, Purpose.UNFORGET, snapshots, saying, orders)


def _save(
    repository: Repository,
    purpose: Purpose,
    snapshots: Sequence[str],
    saying: Saving,
    orders: Callable[[History], list[str]],
) -> Saved:
    identity = repository.keyring.writer()
    repository.keyring.admin_signer()  # an agent commits backups, and nothing else
    session = repository.around.randomness.take(layout.ID_SIZE)
    key = layout.commit(identity.id, session)
    clock = repository.around.clock
    domain = repository.keyring.own_domain.domain_id
    body = encode(SessionBody(purpose, clock.now_ns(), domain, None))
    session_key = layout.session(identity.id, session)
    opened = wrap(
        Kind.SESSION,
        repository.id,
        session_key,
        body,
        identity.sign,
        version=repository.keyring.version,
    )
    held = repository.around.presence.hold(session)
    put_own(repository.store, session_key, opened)
    try:
        voids = repository.checked_history().standing.voids
        absent = repository.read_runs(voids).absent()
        history = repository.checked_history()
        _refuse_missing(snapshots, history, absent)
        targets = tuple(sorted({*snapshots, *orders(history)}))
        commit, data = _commit(repository, purpose, key, targets, saying, history)
        repository.store.sync(repository.relied_prefixes())
        lease = lease_of(repository.store, repository.config, session_key)
        put_decision(repository.store, repository.log, key, data, lease)
    except BaseException:
        if _give_up(repository, identity, key):
            held.let_go()
        raise
    held.let_go()
    repository.remember(history, commit)
    return Saved(key, tuple(snapshots))


def _give_up(repository: Repository, identity: WriterKeys, key: str) -> bool:
    """Put our own ABORT, and say whether the session is decided now.

    The error that brought us here matters more than one on the way out.
    """
    end = encode(Abort(ABORT, AbortReason.FAILED, repository.around.clock.now_ns()))
    data = wrap(
        Kind.COMMIT, repository.id, key, end, identity.sign, version=repository.keyring.version
    )
    try:
        put_own(repository.store, key, data)
    except ObjectExistsError:
        return True
    except StrongroomError as error:
        repository.around.sink(Notice(f"the session could not be closed: {error}"))
        return False
    return True


def _commit(
    repository: Repository,
    purpose: Purpose,
    key: str,
    targets: tuple[str, ...],
    saying: Saving,
    history: History,
) -> tuple[Decision, bytes]:
    around = repository.around
    keys = repository.keyring.begin_session(around.randomness)
    salt = fresh_salt(around.randomness, sha256(encode(saying)), keys.domain.domain_id)
    commitment, sealed = seal_record(saying, keys, key, salt)
    body = Commit(
        decision=COMMIT,
        purpose=purpose,
        committed_ns=around.clock.now_ns(),
        domain_id=keys.domain.domain_id,
        epoch=keys.epoch,
        heads=heads_of(history.seen),
        packs=b"",
        targets=targets,
        sealed_session_key=keys.sealed,
        salt=salt,
        commitment=commitment,
        sealed=sealed,
    )
    identity = repository.keyring.writer()
    data = wrap(
        Kind.COMMIT,
        repository.id,
        key,
        encode(body),
        identity.sign,
        version=repository.keyring.version,
    )
    decision = Decision(key, sha256(data), body)
    if open_saving(decision, repository.keyring) != saying:
        msg = "the new commit did not read back as it was written; nothing was stored"
        raise DamageError(msg, hint="Check the memory of this machine.")
    return decision, data


def _refuse_missing(snapshots: Sequence[str], history: History, absent: Absent) -> None:
    if absent.unreadable:
        raise DamageError(
            f"{absent.unreadable[0]} cannot be read, so nobody knows what a collector took away",
            hint="Run 'strongroom verify', and 'strongroom repair'.",
        )
    for key, error in history.damaged.items():
        if key.startswith(layout.ORDERS):
            raise DamageError(
                f"{error.message}, and it may have forgotten the same snapshots",
                hint="Run 'strongroom verify', and 'strongroom repair'.",
            )
    there = {one.key for one in history.decisions if _is_snapshot(one)}
    for key in snapshots:
        if key in absent.commits:
            raise RefusedError(
                f"snapshot {_short(key)} is being removed by a collector, and cannot be kept",
                hint="Restore what you need of it at once, or from a copy of the repository.",
            )
        if key not in there:
            raise NotFoundError(f"snapshot {_short(key)} is gone")


def _is_snapshot(decision: Decision) -> bool:
    return decision.commit is not None and decision.commit.purpose == Purpose.BACKUP


def _short(key: str) -> str:
    return key.rpartition("/")[2][:8]
