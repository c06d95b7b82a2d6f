"""What is said about an instance of RDS or a cluster of Aurora: ``rds`` of a source."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from strongroom.config.schema import RdsTable

SSM: Final = "ssm"
CNAME: Final = "cname"
_IDENTIFIER: Final = re.compile(r"[A-Za-z](?:-?[A-Za-z0-9])*")
_LONGEST: Final = 63
_WITHOUT_TLS: Final = ("disable", "allow", "prefer")
_WORDS: Final = "{"  # a name that is filled in later

Wrong = tuple[tuple[str, ...], str]


@dataclass(frozen=True, slots=True)
class SwapSettings:
    """What clients find a database by: a parameter (``ssm``), or a record of ``zone``."""

    kind: str
    name: str
    zone: str = ""


@dataclass(frozen=True, slots=True)
class RdsSettings:
    """An ``instance`` or a ``cluster``, and what names it to clients."""

    kind: str
    identifier: str
    swaps: tuple[SwapSettings, ...] = ()


def rds_settings(table: RdsTable) -> RdsSettings:
    """Return the settings of a table that was checked."""
    kind = "instance" if table.instance else "cluster"
    swaps = []
    if table.swap is not None:
        swaps += [SwapSettings(SSM, name) for name in (table.swap.ssm, table.swap.ssm_reader)]
        cname = table.swap.cname
        if cname is not None:
            swaps += [SwapSettings(CNAME, name, cname.zone) for name in (cname.name, cname.reader)]
    named = tuple(one for one in swaps if one.name)
    return RdsSettings(kind, (table.instance or table.cluster).lower(), named)


def wrong_in(top: tuple[str, ...], table: Mapping[str, Any]) -> Iterator[Wrong]:
    """Yield the keys of ``rds`` of a source, which stands at ``top``, that mean nothing."""
    yield from _wrong_token(top, table.get("connection"))
    rds = table.get("rds")
    if not isinstance(rds, dict):
        return
    place = (*top, "rds")
    named = [key for key in ("instance", "cluster") if rds.get(key)]
    if len(named) != 1:
        yield place, "give one of instance and cluster"
    for key in named:
        if not _is_identifier(rds[key]):
            yield (*place, key), f"{rds[key]!r} is no identifier of RDS: letters, digits, hyphens"
    if table.get("physical") not in (None, False):
        yield (*top, "physical"), "RDS hands out no base backups: it has its own, see rds"
    swap = rds.get("swap")
    if isinstance(swap, dict):
        yield from _wrong_in_swap((*place, "swap"), swap, has_reader="cluster" in rds)


def _wrong_token(top: tuple[str, ...], connection: object) -> Iterator[Wrong]:
    """Yield what does not go with a token, which AWS takes over TLS only."""
    password = connection.get("password") if isinstance(connection, dict) else None
    if not isinstance(connection, dict) or not isinstance(password, dict):
        return
    if password.get("rds_iam") is False:
        yield (*top, "connection", "password", "rds_iam"), "true, or leave it out"
    mode = connection.get("sslmode")
    if password.get("rds_iam") and mode in _WITHOUT_TLS:
        yield (*top, "connection", "sslmode"), f"a token of RDS goes over TLS only, not {mode!r}"


def _wrong_in_swap(
    place: tuple[str, ...], swap: Mapping[str, Any], *, has_reader: bool
) -> Iterator[Wrong]:
    cname = swap.get("cname")
    if not swap.get("ssm") and cname is None:
        yield place, "give ssm, cname, or both"
    if has_reader:
        return
    if swap.get("ssm_reader"):
        yield (*place, "ssm_reader"), "only a cluster has a reader endpoint"
    if isinstance(cname, dict) and cname.get("reader"):
        yield (*place, "cname", "reader"), "only a cluster has a reader endpoint"


def _is_identifier(text: object) -> bool:
    if not isinstance(text, str) or _WORDS in text:  # what is no text is said by the schema
        return True
    return len(text) <= _LONGEST and _IDENTIFIER.fullmatch(text) is not None
