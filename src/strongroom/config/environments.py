"""Environments: what ``[environments.NAME]`` and ``[defaults]`` decide, each for itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from strongroom.aws.account import ANY_ACCOUNT, Account
from strongroom.config.aws import account_of
from strongroom.config.environment import Environment
from strongroom.config.file import ConfigurationFile
from strongroom.config.places import Flags, Place, SecretSetting, places_of
from strongroom.config.retention import RetentionSettings, retention_settings
from strongroom.config.values import Value

_ZONE: Final = "timezone"


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentSettings:
    """One environment. ``sources``: those that a backup saves, each called ENVIRONMENT.SOURCE.

    ``places``: its repositories with their secrets, one at least. ``restore_from``: the
    environments whose data may come into it besides its own; None: any. ``project``: what the file
    calls it, perhaps empty. ``manifests``: whether people get one of each backup.
    """

    name: str
    sources: tuple[str, ...]
    places: tuple[tuple[Place | None, tuple[SecretSetting, ...]], ...]
    retention: RetentionSettings
    protected: bool = False
    restore_from: tuple[str, ...] | None = None
    account: Account = ANY_ACCOUNT
    project: str = ""
    manifests: bool = True


def environment_settings(
    flags: Flags,
    environment: Environment,
    file: ConfigurationFile | None,
    days: Value[str] | None,
    machine_zone: Value[str] | None,
) -> dict[str, EnvironmentSettings]:
    """Return the environments of a file that has nothing wrong in it.

    ``days`` and ``machine_zone``: what variables say about retention.
    """
    found: dict[str, EnvironmentSettings] = {}
    if file is None:
        return found
    manifests = file.tables.defaults.manifests
    for name, table in file.tables.environments.items():
        only = table.only if table.only is not None else tuple(table.sources)
        found[name] = EnvironmentSettings(
            name=name,
            sources=tuple(f"{name}.{source}" for source in table.sources if source in only),
            places=tuple(
                places_of(
                    flags,
                    environment,
                    file,
                    table.repositories or file.tables.defaults.repositories,
                )
            ),
            retention=retention_settings(retention_of(file, name), days, machine_zone),
            protected=table.protected,
            restore_from=table.restore_from,
            account=account_of(environment, table.aws, file.tables.aws),
            project=file.tables.project,
            manifests=manifests if table.manifests is None else table.manifests,
        )
    return found


def retention_of(file: ConfigurationFile, environment: str) -> Mapping[str, Any]:
    """Return the policy that counts in an environment: its own as a whole, else the general one.

    A zone that it does not name is that of the general one.
    """
    stated = file.named("environments")[environment].get("retention")
    general = file.retention()
    if not isinstance(stated, dict):
        return general
    return {**{key: general[key] for key in (_ZONE,) if key in general}, **stated}


def environment_of(name: str) -> str:
    """Return the environment in the name of a source, such as production.db; empty without one."""
    return name.rpartition(".")[0]


def source_in(environment: str, name: str) -> str:
    """Return what a source of any environment is called in this one."""
    return f"{environment}.{name.rpartition('.')[2]}"
