"""From files, commands and people to the secrets that open a repository."""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from strongroom.app.machine import Run
from strongroom.app.named_files import read_named
from strongroom.app.secretfiles import SecretFile
from strongroom.aws.errors import AwsError
from strongroom.config.environment import KEY_FILE, PASSPHRASE_COMMAND, PASSPHRASE_FILE
from strongroom.config.places import SecretKind, SecretSetting
from strongroom.config.references import SecretReference
from strongroom.config.values import Level, Value
from strongroom.crypto.keytext import KeyTextError, key_to_text, text_to_key
from strongroom.errors import KeyRefusedError, SourceError, StoreError, UsageError
from strongroom.repository.agent import AgentKey, is_agent_text, read_agent
from strongroom.repository.kmsslot import KmsSecret
from strongroom.repository.records import SlotKind
from strongroom.repository.slots import Opener, Secret
from strongroom.system.causes import cause_of

_LONGEST: Final = 64 << 10
_KEY_SIZE: Final = 32
_COMMAND_SECONDS: Final = 300.0
_OTHERS: Final = 0o077


class Given(NamedTuple):
    """A secret, and where it came from."""

    secret: Secret
    origin: str

    def __repr__(self) -> str:
        """Show no secret."""
        return f"<Given by {self.origin}>"


def passphrase_secrets(passphrase: bytes) -> list[Secret]:
    """Return what a passphrase may open: a person may have typed the recovery key for it."""
    secrets = [Secret(SlotKind.PASSPHRASE, passphrase)]
    with suppress(KeyTextError, UnicodeDecodeError):
        secrets.append(Secret(SlotKind.RECOVERY, text_to_key(passphrase.decode("ascii"))))
    return secrets


def given_secrets(run: Run) -> list[Secret] | None:
    """Return every secret that the settings name, to open with; None if they name none.

    A key of KMS is none of them: see ``kms_opener``.
    """
    passphrases, keys = _read_all(run, run.settings.secrets)
    if not passphrases and not keys:
        return None
    secrets: list[Secret] = []
    for given in keys[:1]:
        value = given.secret.value
        secrets += [Secret(SlotKind.KEY_FILE, value), Secret(SlotKind.RECOVERY, value)]
    for given in passphrases[:1]:
        secrets += passphrase_secrets(given.secret.value)
    return secrets


def given_agent(run: Run) -> AgentKey | None:
    """Return the agent key that the settings name as key file; None if they name none.

    ``UsageError`` if they name another key file or a passphrase as well.
    """
    secrets = [one for one in run.settings.secrets if one.kind is not SecretKind.KMS_KEY]
    files = [one for one in secrets if one.kind is SecretKind.KEY_FILE]
    contents = {one.setting.value: _content(one, "key file") for one in files}
    agents = {path: data for path, data in contents.items() if is_agent_text(data)}
    if not agents:
        return None
    if len(contents) > 1 or len(files) < len(secrets):
        origins = " and ".join(str(one.setting.origin) for one in secrets)
        raise UsageError(
            f"an agent key and another key or passphrase are given by {origins}", hint="Remove one."
        )
    ((path, data),) = agents.items()
    _warn_of_readers(run, path)
    return read_agent(data, path)


def kms_opener(run: Run, key: str = "") -> KmsSecret:
    """Return what opens slots of KMS, with the account of the repository.

    ``key``: the ARN or alias of what is to wrap a new one.
    """
    return KmsSecret(run.aws.kms(run.settings.require_place().account), key)


def stated_kms_key(run: Run) -> SecretSetting | None:
    """Return the key of KMS that the configuration names; None if it names none."""
    keys = [one for one in run.settings.secrets if one.kind is SecretKind.KMS_KEY]
    return keys[0] if keys else None


def no_secret(run: Run) -> UsageError:
    """Return what to raise where there is no secret and nobody to ask."""
    option = run.other
    if option:
        return UsageError(
            f"no passphrase or key is given for the repository of {option}",
            hint=f"Give {option}-passphrase-file, {option}-passphrase-command or "
            f"{option}-key-file.",
        )
    return UsageError(
        "no passphrase or key is given, and there is no terminal to ask at",
        hint=f"Set {PASSPHRASE_FILE}, {PASSPHRASE_COMMAND} or {KEY_FILE}.",
    )


class NewSecret(NamedTuple):
    """What a new repository will open with; ``key_file`` if it is one, ``made`` if it is new."""

    secret: Opener
    key_file: str = ""
    made: bool = False


def secret_for_init(run: Run, kms: str | None = None) -> NewSecret:
    """Return the one secret for a new repository; a key file that does not exist is made.

    ``kms``: the key of KMS that the command line names.
    """
    settings = run.settings.secrets
    if kms is not None:
        settings = (SecretSetting(SecretKind.KMS_KEY, Value(kms, "--kms", Level.FLAG)), *settings)
    by_kind = {
        SecretKind.KMS_KEY: [s for s in settings if s.kind is SecretKind.KMS_KEY][:1],
        SecretKind.KEY_FILE: [s for s in settings if s.kind is SecretKind.KEY_FILE],
    }
    kms_keys, keys = by_kind.values()
    passphrases = [s for s in settings if s.kind not in by_kind]
    given = [of_kind[0] for of_kind in (kms_keys, keys, passphrases) if of_kind]
    if len(given) > 1:
        raise UsageError(
            f"both {given[0].setting.origin} and {given[1].setting.origin} are given, "
            "and a new repository gets one of them",
            hint="Remove one; 'strongroom key add' adds another.",
        )
    if kms_keys:
        return NewSecret(kms_opener(run, kms_keys[0].setting.value))
    if keys:
        return _key_for_init(run, keys)
    if passphrases:
        read, _ = _read_all(run, passphrases)
        return NewSecret(read[0].secret)
    if run.person is None:
        raise no_secret(run)
    passphrase = run.person.passphrase("passphrase for the new repository", twice=True)
    return NewSecret(Secret(SlotKind.PASSPHRASE, _not_empty(passphrase, "it")))


def secret_to_add(run: Run, kind: SecretKind | None, path: str) -> NewSecret:
    """Return the secret of a new key: from a file, or asked for if there is none.

    A key file that does not exist is made.
    """
    if kind is None:
        if run.person is None:
            raise UsageError(
                "nothing says what the new key is, and there is no terminal to ask at",
                hint="Give --new-passphrase-file, --new-key-file or --recovery.",
            )
        passphrase = run.person.passphrase("passphrase of the new key", twice=True)
        return NewSecret(Secret(SlotKind.PASSPHRASE, _not_empty(passphrase, "it")))
    option = "--new-" + kind.value.replace(" ", "-")
    given = SecretSetting(kind, Value(str(run.settings.folder / path), option, Level.FLAG))
    if kind is SecretKind.KEY_FILE:
        return _key_for_init(run, [given])
    read, _ = _read_all(run, [given])
    return NewSecret(read[0].secret)


def _key_for_init(run: Run, keys: Sequence[SecretSetting]) -> NewSecret:
    path = keys[0].setting.value
    if len({key.setting.value for key in keys}) == 1 and not os.path.lexists(path):
        return NewSecret(_make_key_file(run, Path(path)), path, made=True)
    _, read = _read_all(run, keys)
    return NewSecret(read[0].secret, path)


def _make_key_file(run: Run, path: Path) -> Secret:
    key = run.machine.randomness.take(_KEY_SIZE)
    file = SecretFile(path, "key file")
    file.write(f"{key_to_text(key)}\n")
    return Secret(SlotKind.KEY_FILE, key)


def _read_all(run: Run, settings: Sequence[SecretSetting]) -> tuple[list[Given], list[Given]]:
    """Return the passphrases and the keys; UsageError if two of one kind differ."""
    passphrases: list[Given] = []
    keys: list[Given] = []
    for setting in settings:
        if setting.kind is SecretKind.KMS_KEY:
            continue
        origin = setting.setting.origin
        if setting.kind is SecretKind.KEY_FILE:
            _add(keys, Given(_key_from(run, setting), origin), "key")
            continue
        if setting.reference is not None:
            text = _in_aws(run, setting.reference)
        elif setting.kind is SecretKind.PASSPHRASE_FILE:
            text = _content(setting, "passphrase file")
        else:
            text = _output(run, setting)
        passphrase = _not_empty(text.removesuffix(b"\n"), origin)
        _add(passphrases, Given(Secret(SlotKind.PASSPHRASE, passphrase), origin), "passphrase")
    return passphrases, keys


def _add(known: list[Given], new: Given, what: str) -> None:
    if known and known[0].secret != new.secret:
        raise UsageError(
            f"the {what} is given by both {known[0].origin} and {new.origin}, and they differ",
            hint="Remove one.",
        )
    known.append(new)


def _not_empty(passphrase: bytes, origin: str) -> bytes:
    if not passphrase:
        raise UsageError(
            f"an empty passphrase is not allowed: {origin} gives one",
            hint="Whoever gets hold of the repository could read it.",
        )
    return passphrase


def _content(setting: SecretSetting, what: str) -> bytes:
    path = setting.setting.value
    return read_named(Path(path), f"the {what} {path} ({setting.setting.origin})", _LONGEST)


def _in_aws(run: Run, reference: SecretReference) -> bytes:
    try:
        text = run.aws.value(run.settings.require_place().account, reference)
    except AwsError as error:
        raise KeyRefusedError(error.message, hint=error.hint) from error
    except SourceError as error:
        raise StoreError(error.message, hint=error.hint) from error
    return text.encode("utf-8", "surrogateescape")


def _output(run: Run, setting: SecretSetting) -> bytes:
    origin = setting.setting.origin
    try:
        command = shlex.split(setting.setting.value)
    except ValueError as error:
        why = str(error).lower()
        raise UsageError(f"the command in {origin} cannot be read: {why}") from error
    if not command:
        raise UsageError(f"the command in {origin} is empty")
    try:
        done = run.machine.spawn.run(command, seconds=_COMMAND_SECONDS)
    except OSError as error:
        raise UsageError(f"the command in {origin} failed: {command[0]}: {_why(error)}") from error
    if done.code != 0:
        lines = done.errors.decode("utf-8", "replace").strip().splitlines()
        said = f": {lines[-1].strip()}" if lines else ""
        raise UsageError(f"the command in {origin} ended with {done.code}{said}")
    return done.output


def _why(error: OSError) -> str:
    return str(error) if isinstance(error, TimeoutError) else cause_of(error)


def _key_from(run: Run, setting: SecretSetting) -> Secret:
    path = setting.setting.value
    data = _content(setting, "key file")
    if not data.strip():
        raise UsageError(f"the key file {path} ({setting.setting.origin}) is empty")
    if is_agent_text(data):
        raise KeyRefusedError(
            f"{path} ({setting.setting.origin}) is an agent key: it opens a repository for backups "
            "and nothing else",
            hint="Give a key file, or let init make one where none is.",
        )
    _warn_of_readers(run, path)
    try:
        return Secret(SlotKind.KEY_FILE, text_to_key(data.decode("ascii", "replace")))
    except KeyTextError as error:
        raise KeyRefusedError(
            f"key file {path}: {error}",
            hint="The file is damaged, or no key file: compare it with another copy.",
        ) from error


def _warn_of_readers(run: Run, path: str) -> None:
    found = os.stat(path)  # noqa: PTH116 - it was just read
    if stat.S_ISREG(found.st_mode) and found.st_mode & _OTHERS:
        run.warn(f"other users can read the key file: chmod 600 {shlex.quote(path)}")
