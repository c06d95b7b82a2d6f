"""From a repository's slots, and what somebody has, to its keys."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from strongroom.errors import DamageError, KeyRefusedError, StoreError, StrongroomError
from strongroom.model.store import StoreReading
from strongroom.repository.keyring import Keyring
from strongroom.repository.opening import OpenedConfig, read_slot
from strongroom.repository.records import Slot, SlotKind
from strongroom.repository.slots import MAX_TRIED, Opener, UnreadableSlotError, open_slot

Warn = Callable[[str], None]
_LOST: Final = "Check the passphrase file or key file; the recovery key of init opens it as well."


def unlock(
    store: StoreReading, config: OpenedConfig, secrets: Sequence[Opener], warn: Warn
) -> Keyring:
    """Open the first slot that one of ``secrets`` fits.

    A damaged slot is warned about and skipped, and so is a key of KMS that is refused. If none
    fits: ``StoreError`` if one of them could not be reached, ``KeyRefusedError`` otherwise.
    """
    attempt = _Attempt(store, config, warn)
    for slot_id in list(config.slots)[:MAX_TRIED]:
        slot = attempt.read(slot_id)
        for secret in secrets if slot is not None else ():
            keyring = attempt.opened(slot_id, slot, secret) if slot is not None else None
            if keyring is not None:
                attempt.tell(keyring)
                return keyring
    raise attempt.failed(secrets)


def has_kms_slot(store: StoreReading, config: OpenedConfig) -> bool:
    """Whether a slot that counts is opened by KMS; one that cannot be read is none."""
    for slot_id in list(config.slots)[:MAX_TRIED]:
        try:
            if read_slot(store, config, slot_id).kind == SlotKind.KMS:
                return True
        except (DamageError, StoreError):
            continue
    return False


@dataclass
class _Attempt:
    """What came of the slots so far."""

    store: StoreReading
    config: OpenedConfig
    warn: Warn
    tried: int = 0
    unusable: int = 0
    refused: list[StrongroomError] = field(default_factory=list)
    unreached: StoreError | None = None

    def read(self, slot_id: bytes) -> Slot | None:
        """Return a slot, or say why it is ignored."""
        try:
            return read_slot(self.store, self.config, slot_id)
        except StoreError as error:
            self.warn(f"{error}, ignored")
            self.unreached = error
        except DamageError as error:
            self.warn(f"{error}, ignored")
            self.unusable += 1
        return None

    def opened(self, slot_id: bytes, slot: Slot, secret: Opener) -> Keyring | None:
        """Return what a secret opens; None if it is not the one of this slot."""
        if secret.kind != slot.kind:
            return None
        self.tried += 1
        config = self.config
        try:
            bundle = open_slot(slot_id, slot, secret, config.owner, config.epochs)
            return Keyring(bundle, slot_id, config.version, config.epochs, config.slots)
        except (KeyRefusedError, StoreError) as error:
            if slot.kind == SlotKind.KMS:
                self.refused.append(error)
        except (DamageError, UnreadableSlotError) as error:
            self.warn(f"{error}. Not used")
            self.unusable += 1
        return None

    def tell(self, keyring: Keyring) -> None:
        """Say what did not go well although the repository is open."""
        for error in self.refused:
            self.warn(f"{error.message}; another key opened the repository. {error.hint}".rstrip())
        if missing := keyring.reader_keys.missing:
            self.warn(
                f"this key cannot read what was stored since key epoch {missing[0]} began: run "
                "'strongroom key rotate' with another full key"
            )
        if keyring.reader_keys.newest in keyring.reader_keys.left:
            self.warn(
                f"no key that is left reads what was stored since key epoch "
                f"{keyring.reader_keys.newest} began: run 'strongroom key rotate'"
            )

    def failed(self, secrets: Sequence[Opener]) -> StrongroomError:
        """Return what to raise."""
        if self.unreached is not None:
            return self.unreached
        if self.refused:
            return self._refused_by_kms()
        what = " or ".join(
            dict.fromkeys(secret.kind.name.lower().replace("_", " ") for secret in secrets)
        )
        damaged = f"; {self.unusable} could not be used" if self.unusable else ""
        return KeyRefusedError(
            f"the {what} given opens none of the {len(self.config.slots)} key slots "
            f"of {self.store.url} (tried {self.tried}{damaged})",
            hint=_LOST,
        )

    def _refused_by_kms(self) -> StrongroomError:
        """One that does not answer may do so later: then that is what happened."""
        away = any(isinstance(error, StoreError) for error in self.refused)
        kind = StoreError if away else KeyRefusedError
        said = "; ".join(error.message for error in self.refused)
        hints = list(dict.fromkeys(error.hint for error in self.refused if error.hint))
        hints.append(
            "The recovery key opens the repository without AWS: --key-file FILE, with it in FILE."
        )
        return kind(f"KMS opens no key slot of {self.store.url}: {said}", hint=" ".join(hints))
