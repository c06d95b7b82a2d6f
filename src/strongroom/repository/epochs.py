"""Epochs of the reader key: what sessions are sealed to from now on (``docs/format.md`` 10).

Whoever lost his slot before an epoch began cannot read what is sealed in it. Its order holds the
secrets of all epochs for each slot, so that a slot that missed one gets it with the next.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
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
from strongroom.errors import KeyRefusedError
from strongroom.repository.canonical import FormatError, decode, encode
from strongroom.repository.keyrecords import Epoch, Epochs, SealedEpochs
from strongroom.repository.records import Bundle, EpochSecret

FIRST: Final = 1


class ReaderKeys:
    """The reader keys that somebody holds, beside those of which he knows the public half only."""

    def __init__(
        self,
        secrets: Sequence[EpochSecret],
        epochs: Sequence[Epoch],
        slots: Collection[bytes],
    ) -> None:
        """Take ``epochs`` as those that orders began, ``slots`` as the ids of those that count."""
        self.secrets = tuple(secrets)
        self._left = {epoch.number for epoch in epochs if is_left(epoch, slots)}
        self._public = {epoch.number: epoch.reader_key for epoch in epochs}
        for one in secrets:
            self._public[one.epoch] = agreement_public_key(one.secret)

    def __repr__(self) -> str:
        """Show no secret."""
        return f"<ReaderKeys of {sorted(self._public)}>"

    @property
    def current(self) -> tuple[int, bytes]:
        """The epoch that new sessions are sealed to, and its public key.

        ``KeyRefusedError`` if it does not open here: an older one may open to a removed key.
        """
        number, public = max(self._public.items())
        if self.secret(number) is None:
            raise unreadable_epoch(number, left=number in self._left)
        return number, public

    @property
    def newest(self) -> int:
        """The number of the last epoch that began, whether it opens or not."""
        return max(self._public)

    @property
    def missing(self) -> list[int]:
        """The epochs that other keys read and this one does not: it was added as they began."""
        return [number for number in self._unopened() if number not in self._left]

    @property
    def left(self) -> list[int]:
        """The epochs that do not open here, and to no other slot that counts either."""
        return [number for number in self._unopened() if number in self._left]

    def _unopened(self) -> list[int]:
        return sorted(self._public.keys() - {one.epoch for one in self.secrets})

    def secret(self, number: int) -> bytes | None:
        """Return what opens an epoch; None without it."""
        return next((one.secret for one in self.secrets if one.epoch == number), None)

    def learn(self, secret: EpochSecret) -> None:
        """Seal to this epoch from now on, which has just begun."""
        self.secrets = (*self.secrets, secret)
        self._public[secret.epoch] = agreement_public_key(secret.secret)


def is_left(epoch: Epoch, slots: Collection[bytes]) -> bool:
    """Whether an epoch was sealed to none of the slots that count now.

    Keys that were added since may have its secret from those; no order says so.
    """
    return not any(one.slot_id in slots for one in epoch.sealed)


def unreadable_epoch(number: int, *, left: bool) -> KeyRefusedError:
    """Return why nothing is sealed to an epoch; ``left``: it was sealed to no key that counts."""
    if left:
        return KeyRefusedError(
            f"key epoch {number} was sealed to no key that is left, so what is backed up now "
            "might be read by nobody",
            hint="Run 'strongroom key rotate' with a full key, and then this command again.",
        )
    return KeyRefusedError(
        f"this key cannot read what is stored since key epoch {number} began: it was added at "
        "that moment",
        hint="Run 'strongroom key rotate' with another full key, which mends that.",
    )


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
