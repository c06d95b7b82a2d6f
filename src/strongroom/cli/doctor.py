"""``strongroom doctor``."""

from __future__ import annotations

from typing import Final

from strongroom.app.doctor import Finding, Level, check_databases, exit_code, sources_to_check
from strongroom.cli.job import Job, job
from strongroom.cli.names import harmless
from strongroom.cli.quantities import counted

_LONGEST: Final = len(Level.PROBLEM)


def postgres(*, source: str | None) -> int:
    """Check every source of databases, or one; the code that a backup would end with."""
    with job(stream=True) as one:
        found: list[Finding] = []
        sources = sources_to_check(one.run, source)
        for settings in sources:
            for finding in check_databases(one.run, settings):
                found.append(finding)
                _tell(one, settings.name, finding, several=len(sources) > 1)
        problems = sum(finding.level is Level.PROBLEM for finding in found)
        warnings = sum(finding.level is Level.WARNING for finding in found)
        code = exit_code(found)
        one.output.record("summary", problems=problems, warnings=warnings, code=code)
        one.output.line(f"{counted(problems, 'problem')}, {counted(warnings, 'warning')}")
        return code


def _tell(one: Job, source: str, finding: Finding, *, several: bool) -> None:
    one.output.record(
        "finding",
        source=source,
        database=finding.database or None,
        check=finding.check,
        level=finding.level.value,
        text=finding.text,
        fix=finding.fix or None,
        code=finding.code,
    )
    place = [source] if several else []
    place += [repr(finding.database)] if finding.database else []
    said = f"{' '.join([*place, finding.check])}: {finding.text}"
    if finding.fix:
        said += f". Fix: {finding.fix}"
    if finding.level is Level.OK:
        one.output.line(harmless(f"{finding.level.value:<{_LONGEST}} {said}"))
    else:
        one.output.wanted(harmless(f"{finding.level.value:<{_LONGEST}} {said}"))
