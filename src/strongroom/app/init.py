"""Make a repository."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Final

from strongroom.app.folders import state_of
from strongroom.app.machine import Run
from strongroom.app.probing import probe_for_init
from strongroom.app.secrets import secret_for_init
from strongroom.app.stores import OpenStore, opened_store
from strongroom.errors import RefusedError
from strongroom.operations.init import init as make
from strongroom.repository import layout
from strongroom.repository.opening import refuse_existing
from strongroom.repository.records import Mode, SlotKind
from strongroom.system.causes import cause_of

_OURS: Final = frozenset(
    {
        layout.CONFIG,
        *(
            prefix.rstrip("/")
            for prefix in (
                layout.SLOTS,
                layout.WRITERS,
                layout.SESSIONS,
                layout.PACKS,
                layout.INDEX,
                layout.COMMITS,
                layout.ORDERS,
                layout.GC,
                layout.PROBES,
            )
        ),
        "lost+found",
    }
)


@dataclass(frozen=True, slots=True)
class InitReport:
    """A new repository. ``replaced`` is the id of another one that this host knew at its URL.

    ``recovery_key`` is kept nowhere: whoever gets it shows it once.
    """

    repository_id: str
    url: str
    recovery_key: str
    key_file: str
    key_file_made: bool
    replaced: str | None
    kms: bool = False
    weaker: bool = False

    def __repr__(self) -> str:
        """Show no secret."""
        return f"<InitReport {self.repository_id}>"


def init(run: Run, kms: str | None = None, *, weaker: bool = False) -> InitReport:
    """Make the repository that the settings name; ``RefusedError`` if the place is taken.

    Nothing is asked and nothing written before that is known. A store that is no folder of this
    machine is tried then, and refused in the same way; ``weaker``: one that does not decide between
    two puts will do. ``kms``: the key of KMS that the command line names.
    """
    with opened_store(run) as store:
        _refuse_taken(store)
        mode = Mode.FULL if store.folder is not None else probe_for_init(run, store, weaker=weaker)
        secret = secret_for_init(run, kms)
        if store.folder is not None:
            store.folder.create_root()
        machine = run.machine
        made = make(
            store.store,
            secret.secret,
            machine.randomness,
            machine.clock.now_ns(),
            state_of(run),
            mode,
        )
        repository_id = made.created.config.repository_id.hex()
        return InitReport(
            repository_id=repository_id,
            url=store.store.url,
            recovery_key=made.created.recovery_key,
            key_file=secret.key_file,
            key_file_made=secret.made,
            replaced=made.replaced if made.replaced != repository_id else None,
            kms=secret.secret.kind is SlotKind.KMS,
            weaker=mode is Mode.WEAKER,
        )


def _refuse_taken(store: OpenStore) -> None:
    folder = store.folder
    if folder is not None and not folder.exists():
        return
    refuse_existing(store.store)
    if folder is None:
        return
    try:
        names = sorted(os.listdir(folder.url))  # noqa: PTH208 - only names
    except OSError as error:
        raise RefusedError(f"cannot look into {folder.url}: {cause_of(error)}") from error
    foreign = [name for name in names if name not in _OURS and not name.startswith(".tmp-")]
    if foreign:
        raise RefusedError(
            f"{folder.url} is not empty: it holds {foreign[0]!r}",
            hint="Give a folder that is empty or does not exist; init makes it.",
        )
