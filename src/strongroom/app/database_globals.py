"""Roles and tablespaces of a snapshot into a server: plan, decide, make what it lacks."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from strongroom.app.database_swap import settings_of
from strongroom.app.databases import client_of, found_programs, newest, scratch_of
from strongroom.app.dumps import only_source, read_file
from strongroom.app.environments import admitted, target_server
from strongroom.app.machine import Run
from strongroom.app.opening import Opened, opened_repository
from strongroom.config.environments import environment_of
from strongroom.errors import InterruptError, RestoreError, RolledBackError, StrongroomError
from strongroom.model.snapshot import ListedSnapshot
from strongroom.operations import listing
from strongroom.policy.landing import Landing
from strongroom.postgres.client import Client
from strongroom.postgres.globals import (
    GlobalsPlan,
    globals_here,
    make_roles,
    make_tablespaces,
    plan_globals,
    unmake,
)
from strongroom.postgres.names import GLOBALS, source_path
from strongroom.postgres.swapping import somewhere

_SECRETS: Final = re.compile(r"(PASSWORD|SCRAM-SHA-256\$|\bmd5[0-9a-f]).*", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class GlobalsRequest:
    """What the command line says; ``server``: a source, if another server than it came from.

    ``environment``: instead of that, the environment whose server it is.
    """

    snapshot: str
    source: str = ""
    server: str = ""
    environment: str = ""


@dataclass(frozen=True, slots=True)
class ServerPlan:
    """What of ``globals.sql`` a server lacks; ``name`` is its source in the configuration."""

    listed: ListedSnapshot
    name: str
    place: str
    plan: GlobalsPlan
    into: Landing


def restore_globals(
    run: Run, request: GlobalsRequest, decide: Callable[[ServerPlan], bool]
) -> ServerPlan | None:
    """Plan, let ``decide`` see the plan, and make what the server lacks; None if it says no.

    ``RolledBackError`` if anything fails: nothing was made then.
    """
    with opened_repository(run) as opened:
        listed = listing.snapshot_to_restore(opened.repository, request.snapshot).listed
        source = only_source(listed, request.source, "roles")
        text = _text(opened, listed, source)
    server = target_server(run.settings, request.server, request.environment, source)
    settings = settings_of(run, server)
    into = admitted(run.settings, environment_of(server), listed)
    with scratch_of(run, settings) as scratch:
        client = client_of(run, settings, newest(found_programs(run, settings)), scratch)
        with somewhere(client) as (session, at):
            here = globals_here(session)
        found = plan_globals(text, *here)
        plan = ServerPlan(listed, settings.name, client.connection.shown, found, into)
        if not decide(plan):
            return None
        _make(client, at, plan.plan)
    return plan


def _text(opened: Opened, listed: ListedSnapshot, source: str) -> str:
    path = os.fsencode(f"{source_path(source)}/{GLOBALS}")
    return read_file(opened.repository, listed, path).decode("utf-8", "surrogateescape")


def _make(client: Client, at: str, plan: GlobalsPlan) -> None:
    made = False
    try:
        with client.session(at) as session:
            make_roles(session, plan)
        made = True
        with client.session(at) as session:
            make_tablespaces(session, plan)
    except BaseException as error:
        if made:
            _unmake(client, at, plan, error)
        if isinstance(error, InterruptError) or not isinstance(error, StrongroomError):
            raise
        raise RolledBackError(
            f"{_without_secrets(error.message)}; no role and no tablespace was made",
            hint=error.hint,
        ) from None


def _unmake(client: Client, at: str, plan: GlobalsPlan, cause: BaseException) -> None:
    try:
        with client.session(at) as session:
            unmake(session, plan)
    except StrongroomError as error:
        raise RestoreError(
            f"making tablespaces failed ({_without_secrets(str(cause))}), and what was made stays: "
            f"{error.message}",
            hint=f"Made were the roles {', '.join(plan.roles) or 'none'}.",
        ) from None


def _without_secrets(text: str) -> str:
    return _SECRETS.sub("(hidden)", text)
