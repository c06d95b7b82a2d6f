"""``strongroom config``."""

from __future__ import annotations

from typing import Final

from strongroom.app.configuration import Effective, Finding, effective
from strongroom.app.configuration import check as everything_wrong
from strongroom.cli.common import common
from strongroom.cli.flags import flags_of
from strongroom.cli.names import harmless
from strongroom.cli.output import Output
from strongroom.cli.quantities import counted
from strongroom.cli.tables import table
from strongroom.config.environment import read_environment

_WRONG: Final = 2
_HEAD: Final = ("setting", "value", "from")


def show() -> int:
    """Print every setting."""
    options = common()
    found = effective(flags_of(options), read_environment())
    output = Output(json_lines=bool(options.json), quiet=bool(options.quiet), stream=True)
    for one in found:
        value = list(one.value) if isinstance(one.value, tuple) else one.value
        output.record("setting", key=one.key, value=value, origin=one.origin)
    output.record("summary", settings=len(found))
    for line in table([_HEAD, *(_row(one) for one in found)]):
        output.wanted(line)
    output.flush()
    return 0


def _row(one: Effective) -> tuple[str, ...]:
    value = one.value
    if value is None:
        text = "-"
    elif isinstance(value, tuple):
        text = ", ".join(value) or "-"
    else:
        text = value if isinstance(value, str) else str(value).lower()
    return one.key, harmless(text), harmless(one.origin)


def check() -> int:
    """Print everything that is wrong; 2 if something is an error."""
    options = common()
    path, findings = everything_wrong(flags_of(options), read_environment())
    output = Output(json_lines=bool(options.json), quiet=bool(options.quiet), stream=True)
    for finding in findings:
        output.record(
            "finding", severity=_severity(finding), where=finding.where, text=finding.text
        )
        output.wanted(harmless(f"{finding.where}: {_severity(finding)}: {finding.text}"))
    errors = sum(finding.is_error for finding in findings)
    output.record(
        "summary",
        file=str(path) if path else None,
        errors=errors,
        warnings=len(findings) - errors,
    )
    checked = harmless(str(path)) if path else "no strongroom.toml, flags and variables"
    if errors:
        output.line(f"{checked}: {counted(errors, 'error')}")
    else:
        output.line(f"{checked}: no error")
    output.flush()
    return _WRONG if errors else 0


def _severity(finding: Finding) -> str:
    return "error" if finding.is_error else "warning"
