"""Epochs of the reader key: what sessions are sealed to from now on (``docs/format.md`` 10).

Whoever lost his slot before an epoch began cannot read what is sealed in it. Its order holds the
secrets of all epochs for each slot, so that a slot that missed one gets it with the next.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from strongroom.crypto.primitives import (
    KEY_SIZE,
    OpenError,
    agreement_public_key,
    label,
    seal_to,
    unseal_with,
)
from strongroom.repository.canonical import FormatError, decode, encode
from strongroom.repository.keyrecords import Epoch, Epochs, SealedEpochs
from strongroom.repository.records import Bundle, EpochSecret

FIRST: Final = 1


def seal_epoch(
    repository_id: bytes, secrets: Sequence[EpochSecret], slots: Mapping[bytes, bytes]
) -> Epoch:
    """Return what begins the last epoch of ``secrets``; ``slots``: public keys by slot id."""
    number, newest = secrets[-1].epoch, secrets[-1].secret
    plain = encode(tuple(secrets))
    sealed = tuple(
        SealedEpochs(slot_id, seal_to(public, plain, _info(repository_id, slot_id, number)))
        for slot_id, public in sorted(slots.items())
    )
    return Epoch(number, agreement_public_key(newest), sealed)


def with_epochs(bundle: Bundle, slot_id: bytes, private: bytes, epochs: Sequence[Epoch]) -> Bundle:
    """Return what a slot gives with the secrets that orders sealed to it since it was made.

    What does not open is left out: whoever needs it says which epoch that is.
    """
    public = {epoch.number: epoch.reader_key for epoch in epochs}
    known = {one.epoch: one.secret for one in bundle.epochs}
    for epoch in epochs:
        for one in _opened(bundle.repository_id, slot_id, private, epoch):
            if public.get(one.epoch) == agreement_public_key(one.secret):
                known.setdefault(one.epoch, one.secret)
    secrets = tuple(EpochSecret(number, secret) for number, secret in sorted(known.items()))
    return msgspec.structs.replace(bundle, epochs=secrets)


def _opened(repository_id: bytes, slot_id: bytes, private: bytes, epoch: Epoch) -> Epochs:
    for one in epoch.sealed:
        if one.slot_id == slot_id:
            try:
                plain = unseal_with(
                    private, one.sealed, _info(repository_id, slot_id, epoch.number)
                )
                secrets = decode(plain, Epochs)
            except (OpenError, FormatError):
                return ()
            return secrets if all(len(each.secret) == KEY_SIZE for each in secrets) else ()
    return ()


def _info(repository_id: bytes, slot_id: bytes, number: int) -> bytes:
    return label("epoch", repository_id, slot_id, number.to_bytes(4))
