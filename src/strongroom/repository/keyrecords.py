"""What orders say of keys and writers: payloads of epoch and revoke (``docs/format.md`` 10)."""

from __future__ import annotations

from strongroom.repository.records import EpochSecret, Head, Record


class SealedEpochs(Record, frozen=True):
    """The secrets of all epochs, sealed to the public key of one slot."""

    slot_id: bytes
    sealed: bytes


class Epoch(Record, frozen=True):
    """Payload of an epoch: from now on sessions are sealed to ``reader_key``.

    ``sealed``: what opens it, for every slot that counted then, by slot id.
    """

    number: int
    reader_key: bytes
    sealed: tuple[SealedEpochs, ...]


class Revocation(Record, frozen=True):
    """Payload of a revoke: this writer may commit no more; ``accepted`` are its commits that count.

    What it commits besides them counts as forgotten by this order.
    """

    writer_id: bytes
    accepted: tuple[Head, ...]


Epochs = tuple[EpochSecret, ...]  # what is sealed: every epoch up to this one
