"""Say to people what a backup came to, in JSON beside the repository."""

from __future__ import annotations

from strongroom.operations.backup import BackupResult
from strongroom.repository.manifests import StoredObject, manifest_of, put_manifest
from strongroom.repository.repository import Repository


def write_manifest(repository: Repository, result: BackupResult) -> str:
    """Put the manifest of a backup that is done, and list it; return its key. ``StoreError``.

    ``RefusedError`` where something else lies there.
    """
    objects = tuple(StoredObject(one.key, one.size, one.sha256.hex()) for one in result.stored)
    added = (result.written.plain_bytes, result.written.stored_bytes)
    manifest = manifest_of(repository, result.snapshot, added, objects)
    return put_manifest(repository, result.snapshot, manifest)
