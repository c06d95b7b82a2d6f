"""Where a repository is and how its key is to be had: from flags, the environment and the file."""

from __future__ import annotations

import enum
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from strongroom.aws.account import ANY_ACCOUNT, Account
from strongroom.config.aws import (
    AWS_ENDPOINT_URL,
    AWS_PROFILE,
    AWS_REGION,
    account_of,
    region_of,
)
from strongroom.config.environment import (
    BACKUP_BUCKET,
    CACHE_DIR,
    KEY_FILE,
    PASSPHRASE_COMMAND,
    PASSPHRASE_FILE,
    REPOSITORY,
    STATE_DIR,
    Environment,
)
from strongroom.config.file import ConfigurationFile
from strongroom.config.references import SecretReference, reference_of
from strongroom.config.schema import RepositoryTable
from strongroom.config.values import Level, Value, first
from strongroom.errors import UsageError

DEFAULT_REPOSITORY: Final = "main"
_S3: Final = "s3://"
_BUCKET: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]+")


class SecretKind(enum.Enum):
    """The ways to give a secret."""

    PASSPHRASE_FILE = "passphrase file"  # noqa: S105 - a kind of secret
    PASSPHRASE_COMMAND = "passphrase command"  # noqa: S105 - as above
    PASSPHRASE_IN_AWS = "passphrase in AWS"  # noqa: S105 - as above
    KEY_FILE = "key file"
    KMS_KEY = "KMS key"


@dataclass(frozen=True, slots=True)
class SecretSetting:
    """Where a secret is to be had: the path of a file, a command, or what AWS keeps or unwraps."""

    kind: SecretKind
    setting: Value[str]
    reference: SecretReference | None = None

    @property
    def is_file(self) -> bool:
        """Whether the setting is the path of a file."""
        return self.kind in {SecretKind.PASSPHRASE_FILE, SecretKind.KEY_FILE}


@dataclass(frozen=True, slots=True)
class Place:
    """The repository as a person gave it, and the folder that a relative path starts from.

    ``account``: who we are to the store, where that is AWS or speaks like it. ``name``: of its
    table in the configuration. ``as_of``: the moment at which it is meant, as a person wrote it;
    empty is now.
    """

    url: str
    folder: Path
    origin: str
    account: Account = ANY_ACCOUNT
    name: str = ""
    as_of: str = ""

    @property
    def other_bucket(self) -> str:
        """The bucket that a variable puts in the place of what the file says; empty without it."""
        if self.origin != BACKUP_BUCKET:
            return ""
        return self.url.removeprefix(_S3).partition("/")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Flags:
    """What the command line says; None where it says nothing."""

    repository: str | None = None
    passphrase_file: str | None = None
    passphrase_command: str | None = None
    key_file: str | None = None
    cache_dir: str | None = None
    config: str | None = None
    as_of: str | None = None
    limit_upload: str | None = None
    limit_download: str | None = None


def place_of(
    flags: Flags, environment: Environment, file: ConfigurationFile | None
) -> tuple[Place | None, str | None]:
    """Return the place, and the name of its table if the configuration has it.

    Of several repositories the first of ``[defaults]``, else that called main. None where only
    environments say which, which are asked with ``places_of``.
    """
    given = _given(flags, environment)
    bucket = environment.value(BACKUP_BUCKET) if given is None else None
    tables = file.tables.repositories if file is not None else {}
    stated = file.tables.defaults.repositories if file is not None else ()
    if given is None and (stated or tables):
        name = stated[0] if stated else DEFAULT_REPOSITORY
        name = name if name in tables else min(tables)
        if not stated and name != DEFAULT_REPOSITORY and len(tables) > 1:
            if bucket is not None:
                return _in_bucket(bucket, None, flags, environment, file)
            if file is not None and file.tables.environments:
                return None, None
            raise UsageError(
                f"the configuration has several repositories and none called {DEFAULT_REPOSITORY}",
                hint=f"Name one with -r: {', '.join(tables)}.",
            )
        given = Value(name, name, Level.FILE)
    if bucket is not None:
        own = given.value if given is not None else None
        return _in_bucket(bucket, own, flags, environment, file)
    return (None, None) if given is None else _found(given, flags, environment, file)


def places_of(
    flags: Flags, environment: Environment, file: ConfigurationFile, names: Sequence[str]
) -> list[tuple[Place | None, tuple[SecretSetting, ...]]]:
    """Return the repositories of an environment, with their secrets: ``names``, if any are given.

    A flag or a variable that names a repository counts more than those of the configuration; one
    that names a bucket is about the first of these.
    """
    given = _given(flags, environment)
    bucket = environment.value(BACKUP_BUCKET) if given is None else None
    found: list[tuple[Place | None, str | None]]
    if bucket is not None and names:
        found = [_in_bucket(bucket, names[0], flags, environment, file)]
    elif given is None and names:
        found = [_found(Value(name, name, Level.FILE), flags, environment, file) for name in names]
    else:
        found = [place_of(flags, environment, file)]
    return [(place, secrets_of(flags, environment, file, table)) for place, table in found]


def _given(flags: Flags, environment: Environment) -> Value[str] | None:
    flag = None if flags.repository is None else flag_value(flags.repository, "--repository")
    return first(flag, environment.value(REPOSITORY))


def _found(
    given: Value[str], flags: Flags, environment: Environment, file: ConfigurationFile | None
) -> tuple[Place, str | None]:
    tables = file.tables.repositories if file is not None else {}
    as_of = flags.as_of or ""
    if given.value in tables and file is not None:
        origin = file.origin("repositories", given.value, "url")
        url = _expanded_url(tables[given.value].url, environment)
        account = account_of(environment, file.tables.aws, own=tables[given.value].aws)
        return Place(url, file.folder, origin, account, given.value, as_of), given.value
    url = _expanded_url(given.value, environment)
    account = account_of(environment, file.tables.aws if file is not None else None)
    return Place(url, environment.folder, given.origin, account, as_of=as_of), None


def _in_bucket(
    bucket: Value[str],
    name: str | None,
    flags: Flags,
    environment: Environment,
    file: ConfigurationFile | None,
) -> tuple[Place, str | None]:
    """Return the repository of this name in another bucket: its prefix and keys are kept.

    Its region is not, which is that of its own bucket. Without a name, or where the repository is
    in no bucket, it is that at the top of the bucket.
    """
    if not _BUCKET.fullmatch(bucket.value):
        raise UsageError(
            f"{bucket.origin} is the name of a bucket, not {bucket.value!r}",
            hint=f"A repository elsewhere, or below a prefix, is named with -r or {REPOSITORY}.",
        )
    own, prefix = None, ""
    if name is not None and file is not None:
        row = file.tables.repositories[name]
        if row.url.startswith(_S3):
            own, prefix = row.aws, row.url.removeprefix(_S3).partition("/")[2]
        else:
            name = None
    general = file.tables.aws if file is not None else None
    region = region_of(environment)
    account = account_of(environment, own, general)
    account = replace(account, region=region.value if region is not None else "")
    url = f"{_S3}{bucket.value}{'/' if prefix else ''}{prefix}"
    as_of = flags.as_of or ""
    return Place(url, environment.folder, bucket.origin, account, name or "", as_of), name


def variables_of(place: Place) -> dict[str, str]:
    """Return what names a place to a process with the same file, but not the same variables.

    Empty where the name or the address of the repository says it: only where another bucket is in
    the place of the repository's own, neither finds its keys and its bucket.
    """
    if not place.other_bucket:
        return {}
    account = place.account
    told = {
        AWS_REGION: account.region,
        AWS_PROFILE: account.profile,
        AWS_ENDPOINT_URL: account.endpoint,
    }
    return {
        REPOSITORY: "",  # which counts before the bucket
        BACKUP_BUCKET: place.other_bucket,
        **{name: text for name, text in told.items() if text},
    }


def _expanded_url(url: str, environment: Environment) -> str:
    return str(environment.expanded(url, Path("/"))) if url.startswith("~") else url


def flag_value(text: str, name: str) -> Value[str]:
    """Return what an option says as a setting."""
    return Value(text, name, Level.FLAG)


def secrets_of(
    flags: Flags,
    environment: Environment,
    file: ConfigurationFile | None,
    table: str | None,
    option: str = "-",
) -> tuple[SecretSetting, ...]:
    """Return what was given; of flags, environment and file, the first that gives anything.

    What a flag gives, the environment may give as well: it must then be the same secret.
    ``option``: what the names of the flags begin with.
    """
    found = []
    for kind, flag, flag_name, variable in (
        (
            SecretKind.PASSPHRASE_FILE,
            flags.passphrase_file,
            f"{option}-passphrase-file",
            PASSPHRASE_FILE,
        ),
        (
            SecretKind.PASSPHRASE_COMMAND,
            flags.passphrase_command,
            f"{option}-passphrase-command",
            PASSPHRASE_COMMAND,
        ),
        (SecretKind.KEY_FILE, flags.key_file, f"{option}-key-file", KEY_FILE),
    ):
        values = [
            None if flag is None else flag_value(flag, flag_name),
            environment.value(variable),
        ]
        found += [_secret(kind, v, environment, environment.folder) for v in values if v]
    flags_give = {_is_key(one) for one in found if one.setting.level is Level.FLAG}
    if flags_give:
        found = [one for one in found if _is_key(one) in flags_give]
    if found or file is None or table is None:
        return tuple(found)
    return tuple(_secrets_of_file(file, table, environment))


def _is_key(secret: SecretSetting) -> bool:
    return secret.kind is SecretKind.KEY_FILE


def _secrets_of_file(
    file: ConfigurationFile, table: str, environment: Environment
) -> list[SecretSetting]:
    row: RepositoryTable = file.tables.repositories[table]
    found = []
    for kind, key, text in (
        (SecretKind.PASSPHRASE_FILE, "passphrase_file", row.passphrase_file),
        (SecretKind.PASSPHRASE_COMMAND, "passphrase_command", row.passphrase_command),
        (SecretKind.KEY_FILE, "key_file", row.key_file),
    ):
        if text is not None:
            value = Value(text, file.origin("repositories", table, key), Level.FILE)
            found.append(_secret(kind, value, environment, file.folder))
    reference = reference_of(row.passphrase)
    if reference is not None:
        origin = file.origin("repositories", table, "passphrase")
        value = Value(str(reference), origin, Level.FILE)
        found.append(SecretSetting(SecretKind.PASSPHRASE_IN_AWS, value, reference))
    if row.kms_key is not None:
        value = Value(row.kms_key, file.origin("repositories", table, "kms_key"), Level.FILE)
        found.append(SecretSetting(SecretKind.KMS_KEY, value))
    return found


def _secret(
    kind: SecretKind, value: Value[str], environment: Environment, folder: Path
) -> SecretSetting:
    if kind is SecretKind.PASSPHRASE_COMMAND:
        return SecretSetting(kind, value)
    path = str(environment.expanded(value.value, folder))
    return SecretSetting(kind, Value(path, value.origin, value.level))


def folders(flags: Flags, environment: Environment) -> tuple[Path, Path]:
    """Return the folders of caches and of state."""
    cache, state = folder_values(flags, environment)
    return cache.value, state.value


def folder_values(flags: Flags, environment: Environment) -> tuple[Value[Path], Value[Path]]:
    """Return the folders of caches and of state, and where they come from."""
    flag = None if flags.cache_dir is None else flag_value(flags.cache_dir, "--cache-dir")
    given = first(flag, environment.value(CACHE_DIR))
    state = environment.value(STATE_DIR)
    if given is not None:
        path = environment.expanded(given.value, environment.folder)
        cache = Value(path, given.origin, given.level)
    else:
        path = environment.base_folder("XDG_CACHE_HOME", ".cache") / "strongroom"
        cache = Value(path, "default", Level.DEFAULT)
    if state is not None:
        path = environment.expanded(state.value, environment.folder)
        return cache, Value(path, state.origin, state.level)
    if given is not None:
        return cache, Value(cache.value / "state", given.origin, given.level)
    path = environment.base_folder("XDG_STATE_HOME", ".local/state") / "strongroom"
    return cache, Value(path, "default", Level.DEFAULT)
