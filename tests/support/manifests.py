"""Backups of an environment, with their manifests, and what manifests there are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from strongroom.model.store import Store
from strongroom.operations.backup import BackupResult, Circumstances, PlannedSource, back_up
from strongroom.operations.manifests import write_manifest
from strongroom.repository import layout
from tests.support.fakes import MemorySource
from tests.support.kit import Kit

ENVIRONMENT: Final = "production"
TOLD: Final = Circumstances(
    "web7",
    "operator",
    "strongroom 1",
    environment=ENVIRONMENT,
    type="full",
    series="shop-production-full",
)


def saved(kit: Kit, files: Mapping[bytes, bytes], seconds: float = 1) -> BackupResult:
    """Back up files as the environment, so many seconds after whatever was before."""
    kit.clock.sleep(seconds)
    return back_up(kit.open(), [PlannedSource(MemorySource(files), [b"/"])], TOLD, kit.state)


def saved_and_told(kit: Kit, files: Mapping[bytes, bytes], seconds: float = 1) -> BackupResult:
    """As ``saved``, with a manifest."""
    result = saved(kit, files, seconds)
    write_manifest(kit.open(), result)
    return result


def manifests(store: Store) -> dict[str, Any]:
    """Return every manifest by its key, the lists of days not among them."""
    found = {info.key: layout.manifest_day(info.key) for info in store.list("")}
    return {
        key: json.loads(store.get(key)) for key, of in found.items() if of is not None and of[1]
    }


def listed_days(store: Store) -> dict[str, list[str]]:
    """Return the keys of the manifests that the list of each day names, by the key of the list."""
    found = {info.key: layout.manifest_day(info.key) for info in store.list("")}
    lists = {
        key: json.loads(store.get(key)) for key, of in found.items() if of is not None and not of[1]
    }
    return {key: [one["manifest"] for one in said["backups"]] for key, said in lists.items()}
