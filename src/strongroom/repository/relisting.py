"""Listing packs in an index segment, whoever wrote them: a collector, or a repair."""

from __future__ import annotations

from collections.abc import Sequence

from strongroom.crypto.primitives import sha256
from strongroom.repository import layout
from strongroom.repository.keyring import fresh_salt
from strongroom.repository.putting import put_own
from strongroom.repository.records import IndexedPack
from strongroom.repository.repository import Repository
from strongroom.repository.segment import seal_segment


def put_segment(
    repository: Repository,
    domain_id: bytes,
    packs: Sequence[IndexedPack],
    supersedes: Sequence[bytes] = (),
) -> bytes:
    """Put a segment that lists ``packs``, and replaces others; return its name."""
    domain = repository.keyring.domain(domain_id)
    content = sha256(b"".join(pack.pack_id for pack in packs))
    salt = fresh_salt(repository.around.randomness, content, domain_id)
    signer = repository.keyring.admin_signer().sign if supersedes else None
    data = seal_segment(packs, domain, salt, b"".join(supersedes), signer)
    name = sha256(data)
    put_own(repository.store, layout.index_segment(name), data)
    return name
