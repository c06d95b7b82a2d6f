"""What is said about configuration in AWS: ``[sources.NAME]`` with ``type = "aws-config"``."""

from __future__ import annotations

from dataclasses import dataclass

from strongroom.config.file import ConfigurationFile
from strongroom.config.schema import AwsConfigTable


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsConfigSettings:
    """A source of configuration: which names are meant of each service."""

    name: str
    ssm_parameters: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    cloudformation: tuple[str, ...] = ()


def awsconfig_settings(file: ConfigurationFile | None) -> dict[str, AwsConfigSettings]:
    """Return the sources of configuration."""
    return {
        one.name: AwsConfigSettings(
            name=one.name,
            ssm_parameters=one.table.ssm_parameters,
            secrets=one.table.secrets,
            cloudformation=one.table.cloudformation,
        )
        for one in (file.sources() if file is not None else ())
        if isinstance(one.table, AwsConfigTable)
    }
