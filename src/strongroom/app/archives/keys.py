"""The key of an archive: what the command line gives, never that of a repository."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from strongroom.app.machine import Run
from strongroom.app.named_files import read_named
from strongroom.app.sources import absolute
from strongroom.archive.codecs import Write
from strongroom.archive.keyfile import SealingKey, key_of, warning_of
from strongroom.archive.sealing import sealing, unsealing
from strongroom.archive.tarinput import Readable
from strongroom.config.places import SecretKind, SecretSetting
from strongroom.config.values import Level, Value
from strongroom.errors import UsageError
from strongroom.operations.archives.contents import Seal, Unseal

_LARGEST: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Keys:
    """``seal`` is None where an archive is not to be encrypted, ``unseal`` where none can open."""

    seal: Seal | None = None
    unseal: Unseal | None = None


def archive_keys(run: Run, recipients: Sequence[str]) -> Keys:
    """Return what ``--key-file``, ``--passphrase-file`` and ``--recipient`` give; ``UsageError``.

    What environment or configuration say is the key of a repository, and not meant here.
    """
    return _keys(
        run, [s for s in run.settings.secrets if s.setting.level is Level.FLAG], recipients
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenKeys:
    """The key of an archive, where ``--key-file`` opens a repository: what its own options say."""

    key_file: str | None = None
    passphrase_file: str | None = None
    recipients: Sequence[str] = ()


def given_keys(run: Run, given: GivenKeys) -> Keys:
    """Return what ``--archive-key-file`` and the like give; ``UsageError``."""
    folder = run.settings.folder
    secrets = [
        SecretSetting(kind, Value(str(absolute(folder, path)), option, Level.FLAG))
        for kind, path, option in (
            (SecretKind.KEY_FILE, given.key_file, "--archive-key-file"),
            (SecretKind.PASSPHRASE_FILE, given.passphrase_file, "--archive-passphrase-file"),
        )
        if path is not None
    ]
    return _keys(run, secrets, given.recipients)


def _keys(run: Run, given: Sequence[SecretSetting], recipients: Sequence[str]) -> Keys:
    keys = [_read(run, secret) for secret in given]
    if recipients:
        keys.append(_recipients(recipients))
    if not keys:
        return Keys()
    if len(keys) > 1 and any(key.passphrase for key in keys):
        raise UsageError(
            "an archive opens with a passphrase or with keys of age, not with both",
            hint="Give a key file, a passphrase file or recipients.",
        )
    key = replace(
        keys[0],
        recipients=tuple(one for key in keys for one in key.recipients),
        identities=tuple(one for key in keys for one in key.identities),
    )

    def seal(out: Write) -> AbstractContextManager[Write]:
        return sealing(key, out, run.machine.randomness)

    def unseal(stream: Readable) -> AbstractContextManager[Readable]:
        return unsealing(key, stream)

    opens = bool(key.passphrase or key.identities)
    return Keys(seal, unseal if opens else None)


def _recipients(given: Sequence[str]) -> SealingKey:
    key = key_of("\n".join(given).encode(), "--recipient")
    if not key.recipients or key.identities:
        raise UsageError(
            f"--recipient {given[0]!r} is no recipient of age",
            hint="It begins with age1, or is the public key of ssh; a secret goes into a file, for "
            "--key-file.",
        )
    return key


def _read(run: Run, secret: SecretSetting) -> SealingKey:
    if not secret.is_file:
        raise UsageError(
            "an archive takes no --passphrase-command",
            hint="Give --key-file FILE, or --passphrase-file FILE.",
        )
    path = Path(secret.setting.value)
    data = read_named(path, f"the key file {path}", _LARGEST)
    for warning in _warnings(path):
        run.warn(warning)
    if secret.kind is SecretKind.KEY_FILE:
        return key_of(data, str(path))
    first = data.split(b"\n", 1)[0].removesuffix(b"\r")
    if not first:
        raise UsageError(f"the passphrase file {path} is empty")
    return SealingKey(str(path), passphrase=first)


def _warnings(path: Path) -> Iterator[str]:
    found = warning_of(os.stat(path).st_mode, str(path))  # noqa: PTH116 - a name of any bytes
    if found:
        yield found
