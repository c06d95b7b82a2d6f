"""Make a recovery kit, and prove that one opens its repository."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from strongroom import __version__
from strongroom.app.kittext import Kit, KitKey, kit_text, read_kit
from strongroom.app.machine import Run
from strongroom.app.named_files import read_named
from strongroom.app.opening import opened_repository
from strongroom.app.secretfiles import SecretFile
from strongroom.app.secrets import given_secrets
from strongroom.clock import rfc3339
from strongroom.config.places import Place
from strongroom.crypto.keytext import KeyTextError, key_to_text, text_to_key
from strongroom.errors import KeyRefusedError, StrongroomError, UsageError
from strongroom.operations.keys import add_key, list_keys
from strongroom.operations.listing import entries_below
from strongroom.repository.layout import HASH_SIZE
from strongroom.repository.records import SlotKind, SlotRole
from strongroom.repository.repository import Repository
from strongroom.repository.slots import Secret
from strongroom.repository.slotset import with_orders
from strongroom.repository.unlocking import unlock

_LARGEST: Final = 64 << 10


@dataclass(frozen=True, slots=True)
class KitReport:
    """A new kit. ``path`` is empty if it is only to be shown; ``new_key``: id of a key made for it.

    ``text`` holds the recovery key.
    """

    kit: Kit
    recovery_key: str
    recovery_id: str
    text: str
    path: str
    new_key: str

    def __repr__(self) -> str:
        """Show no secret."""
        return f"<KitReport of {self.kit.repository_id}>"


@dataclass(frozen=True, slots=True)
class KitProof:
    """What a kit was seen to open: the newest snapshot's id is empty if there is none."""

    repository_id: str
    url: str
    stated_url: str
    key_id: str
    made: str
    snapshots: int
    newest: str
    newest_ns: int


def make_kit(run: Run, to: str | None, *, new_recovery_key: bool) -> KitReport:
    """Make a kit with the recovery key that was given, asked for, or made anew.

    With ``to`` it is written to that file, which must not exist.
    """
    with opened_repository(run) as opened:
        repository = opened.repository
        repository.keyring.require_reader()
        recovery_id = ""
        if new_recovery_key:
            repository.keyring.admin_signer()
            recovery = run.machine.randomness.take(HASH_SIZE)
        else:
            recovery, recovery_id = _known_recovery_key(run, repository)
        file = SecretFile(run.settings.folder / to, "recovery kit") if to is not None else None
        try:
            if new_recovery_key:
                secret = Secret(SlotKind.RECOVERY, recovery)
                recovery_id = add_key(repository, secret, SlotRole.FULL)
            kit, text = _composed(repository, recovery, recovery_id)
            if file is not None:
                _write(file, text, recovery_id if new_recovery_key else "")
        except BaseException:
            if file is not None:
                file.remove()
            raise
        path = str(file.path) if file is not None else ""
        shown = key_to_text(recovery)
        return KitReport(
            kit, shown, recovery_id, text, path, recovery_id if new_recovery_key else ""
        )


def _write(file: SecretFile, text: str, new_key: str) -> None:
    try:
        file.write(text)
    except StrongroomError as error:
        if new_key:
            error.hint = (
                f"The recovery key made for it is lost: strongroom key remove {new_key[:8]}."
            )
        raise


def _composed(repository: Repository, recovery: bytes, recovery_id: str) -> tuple[Kit, str]:
    kit = Kit(
        url=repository.store.url,
        repository_id=repository.id.hex(),
        fingerprint=repository.config.digest.hex(),
        made=rfc3339(repository.around.clock.now_ns())[:10],
        recovery=recovery,
    )
    keys = [
        KitKey(
            key.id,
            key.kind.name.lower() if key.kind else "damaged",
            key.role.name.lower() if key.role else "unknown",
        )
        for key in list_keys(repository).keys
    ]
    return kit, kit_text(kit, keys, recovery_id, __version__)


def _known_recovery_key(run: Run, repository: Repository) -> tuple[bytes, str]:
    """Return the recovery key that was given, or else the one that a person types, and its id."""
    for secret in given_secrets(run) or []:
        if secret.kind is SlotKind.RECOVERY and (key_id := _opened_by(run, repository, secret)):
            return secret.value, key_id
    if run.person is None:
        raise UsageError(
            "a kit holds the recovery key, which is not stored, and nobody can be asked for it",
            hint="Open the repository with it (--key-file FILE), or make another one "
            "with --new-recovery-key.",
        )
    typed = run.person.passphrase("recovery key of the repository", twice=False)
    hint = "If it is lost, make another one with --new-recovery-key."
    try:
        recovery = text_to_key(typed.decode("ascii", "replace"))
    except KeyTextError as error:
        raise KeyRefusedError(f"that is no recovery key: {error}", hint=hint) from error
    key_id = _opened_by(run, repository, Secret(SlotKind.RECOVERY, recovery))
    if key_id is None:
        raise KeyRefusedError("that recovery key does not open the repository", hint=hint)
    return recovery, key_id


def _opened_by(run: Run, repository: Repository, secret: Secret) -> str | None:
    """Return the id of the key that a secret opens; None if it opens none."""
    config = with_orders(
        repository.store,
        repository.config,
        repository.around.cache,
        lambda _key, error: run.warn(error.message),
    )
    try:
        opened = unlock(repository.store, config, [secret], run.warn).opened_by
    except KeyRefusedError:
        return None
    return opened.hex() if opened is not None else None


def verify_kit(run: Run, path: str) -> KitProof:
    """Open the repository with nothing but the kit, and read the newest snapshot's first entries.

    The place is the one that the kit names, unless the settings name one.
    ``KeyRefusedError`` if the kit does not open it, or it is another repository.
    """
    kit = read_kit(_content(run, path), path)
    place = run.settings.place or Place(kit.url, Path("/"), "the kit")
    with_kit = replace(run, settings=replace(run.settings, place=place))
    secrets: Sequence[Secret] = [Secret(SlotKind.RECOVERY, kit.recovery)]
    with opened_repository(with_kit, secrets) as opened:
        repository = opened.repository
        found = (repository.id.hex(), repository.config.digest.hex())
        if found != (kit.repository_id, kit.fingerprint):
            raise KeyRefusedError(
                f"the kit is for repository {kit.repository_id[:8]}, and "
                f"{repository.store.url} holds repository {found[0][:8]}",
                hint="Check the address; if the repository was made anew, make another kit.",
            )
        snapshots = repository.snapshots()
        newest = snapshots[-1] if snapshots else None
        if newest is not None:
            next(entries_below(repository, newest, b""), None)
        return KitProof(
            repository_id=found[0],
            url=repository.store.url,
            stated_url=kit.url,
            key_id=(repository.keyring.opened_by or b"").hex(),
            made=kit.made,
            snapshots=len(snapshots),
            newest=newest.id if newest is not None else "",
            newest_ns=newest.snapshot.started_ns if newest is not None else 0,
        )


def _content(run: Run, path: str) -> str:
    data = read_named(run.settings.folder / path, f"the recovery kit {path}", _LARGEST)
    with suppress(UnicodeDecodeError):
        return data.decode()
    raise UsageError(f"{path} is no recovery kit: it is no text")
