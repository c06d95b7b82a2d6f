"""Hosts that hold nothing but an agent file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from strongroom.operations.keys import export_agent
from strongroom.repository.agent import AgentKey, AgentNames, read_agent
from tests.support.kit import Kit


def exported(kit: Kit, name: str, domain: str | None = None) -> str:
    """Make an agent with a full key; return the text of its file."""
    texts: list[str] = []

    def keep(text: str) -> Callable[[], None]:
        texts.append(text)
        return texts.clear

    export_agent(kit.open(), AgentNames(name, domain), keep)
    return texts[0]


def agent_host(kit: Kit, state: Path, name: str = "web1", domain: str | None = None) -> Kit:
    """Make an agent and return its host, which knows nothing else."""
    host = Kit(kit.store, state / name)
    host.secrets = []
    host.agent = key_of(exported(kit, name, domain))
    return host


def key_of(text: str) -> AgentKey:
    """Read the text of an agent file."""
    return read_agent(text.encode(), "an agent file")
