"""Objects of collector runs, made by hand and signed by the admin of a test's repository."""

from __future__ import annotations

from collections.abc import Iterable

from strongroom.repository import layout
from strongroom.repository.canonical import encode
from strongroom.repository.envelope import Kind, wrap
from strongroom.repository.keyring import WriterKeys
from strongroom.repository.records import Done, Removals
from tests.support.kit import Kit


def put_removals(
    kit: Kit,
    run: int,
    kind: Kind,
    *,
    packs: Iterable[bytes] = (),
    index: Iterable[bytes] = (),
    signer: WriterKeys | None = None,
) -> str:
    """Put the tombs or kills of a run, signed by admin if not by another; return its key."""
    body = Removals(b"".join(packs), (), b"".join(index), (), (), ())
    return _put(kit, run, kind, encode(body), signer)


def put_commit_removals(kit: Kit, run: int, kind: Kind, commits: Iterable[str]) -> str:
    """Put tombs or kills that name commits; return their key."""
    return _put(kit, run, kind, encode(Removals(b"", tuple(commits), b"", (), (), ())), None)


def put_done(kit: Kit, run: int, *, signer: WriterKeys | None = None) -> str:
    """Put the end of a run; return its key."""
    return _put(kit, run, Kind.DONE, encode(Done(kit.clock.now_ns())), signer)


def _put(kit: Kit, run: int, kind: Kind, body: bytes, signer: WriterKeys | None) -> str:
    repository = kit.open()
    key = layout.run_object(run, kind.name.lower())
    admin = signer or repository.keyring.admin_signer()
    kit.store.put(key, wrap(kind, repository.id, key, body, admin.sign))
    return key


def pack_ids(kit: Kit) -> list[bytes]:
    """Return the id of every pack in the store."""
    found = (layout.pack_id(info.key) for info in kit.store.list(layout.PACKS))
    return [pack_id for pack_id in found if pack_id is not None]


def segment_ids(kit: Kit) -> list[bytes]:
    """Return the id of every index segment in the store."""
    found = (layout.segment_id(info.key) for info in kit.store.list(layout.INDEX))
    return [segment_id for segment_id in found if segment_id is not None]
