"""From what the configuration says of AWS to sources of configuration."""

from __future__ import annotations

from strongroom.app.machine import Run
from strongroom.aws.clients import Clients
from strongroom.config.awsconfig import AwsConfigSettings
from strongroom.config.environments import environment_of
from strongroom.sources.awsconfig.source import ConfigurationOptions, ConfigurationSource


def source_of(run: Run, settings: AwsConfigSettings) -> ConfigurationSource:
    """Make a source of what was decided about it."""
    return ConfigurationSource(
        settings.name,
        Clients(run.settings.account_in(environment_of(settings.name))),
        ConfigurationOptions(
            parameters=settings.ssm_parameters,
            secrets=settings.secrets,
            stacks=settings.cloudformation,
        ),
        run.machine.clock,
        run.tell,
    )
