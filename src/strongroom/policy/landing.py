"""Whose data may be restored into an environment, and what confirms that it is meant."""

from __future__ import annotations

from typing import Final, NamedTuple

from strongroom.errors import RefusedError


class Landing(NamedTuple):
    """An environment that something is restored into; no name where none is described.

    ``restore_from``: the environments whose data may come here besides its own; None: any.
    """

    name: str = ""
    protected: bool = False
    restore_from: tuple[str, ...] | None = None


NOWHERE: Final = Landing()
"""Into no environment: nothing is refused, nothing is asked."""


def refuse_origin(into: Landing, origin: str) -> None:
    """``RefusedError`` if data of the environment ``origin`` may not come here; empty is none."""
    if into.restore_from is None or origin in {into.name, *into.restore_from}:
        return
    whose = f"of environment '{origin}'" if origin else "of no environment"
    allowed = ", ".join(dict.fromkeys([into.name, *into.restore_from]))
    raise RefusedError(
        f"this snapshot is {whose}, and environment '{into.name}' takes the data of {allowed} only",
        hint="Restore into another environment, or change restore_from of "
        f"[environments.{into.name}] in strongroom.toml.",
    )


def refuse_unconfirmed(into: Landing, typed: str | None) -> None:
    """``RefusedError`` unless the name of a protected environment was typed; None: nothing was."""
    if not into.protected or typed == into.name:
        return
    said = f", and '{typed}' is not its name" if typed else ""
    raise RefusedError(
        f"environment '{into.name}' is protected{said}: nothing was restored",
        hint=f"Confirm it by its name: --confirm {into.name}.",
    )
