"""From what a person says of snapshots to a choice among them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from strongroom.app.machine import Run
from strongroom.operations.choosing import Choice


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """What the command line says; a relative path starts in the working folder."""

    names: Sequence[str] = ()
    tags: Sequence[str] = ()
    hosts: Sequence[str] = ()
    paths: Sequence[str] = ()
    environments: Sequence[str] = ()
    types: Sequence[str] = ()


def choice_of(run: Run, chosen: Chosen) -> Choice:
    """Return the choice among snapshots."""
    return Choice(
        names=chosen.names,
        tags=[os.fsencode(tag) for tag in chosen.tags],
        hosts=[os.fsencode(host) for host in chosen.hosts],
        paths=[os.fsencode(run.settings.folder / path) for path in chosen.paths],
        environments=[os.fsencode(name) for name in chosen.environments],
        types=[os.fsencode(name) for name in chosen.types],
    )
