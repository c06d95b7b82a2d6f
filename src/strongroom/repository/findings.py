"""What a check finds."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple


class Severity(enum.Enum):
    """Whether something is damaged, or only worth knowing."""

    DAMAGE = "damage"
    NOTE = "note"


class Finding(NamedTuple):
    """One thing found; ``snapshot`` and ``path`` where it touches one.

    ``missing``: the object is not there; else, if it is damage, there is something else.
    """

    severity: Severity
    subject: str
    text: str
    snapshot: str = ""
    path: bytes = b""
    missing: bool = False


Found = Callable[[Finding], None]


@dataclass(slots=True)
class CheckResult:
    """What was looked at and found; sizes in bytes."""

    snapshots: int = 0
    packs: int = 0
    packs_read: int = 0
    bytes_read: int = 0
    chunks: int = 0
    unreferenced_packs: int = 0
    wal_files: int = 0
    wal_read: int = 0
    findings: list[Finding] = field(default_factory=list)

    @property
    def damage(self) -> list[Finding]:
        """The findings that mean that something is lost or changed."""
        return [f for f in self.findings if f.severity is Severity.DAMAGE]

    def add(self, finding: Finding) -> None:
        """Note a finding, once."""
        if finding not in self.findings[-64:]:
            self.findings.append(finding)

    def damaged(self, subject: str, text: str, *, missing: bool = False) -> None:
        """Note damage to an object, or that it is missing."""
        self.add(Finding(Severity.DAMAGE, subject, text, missing=missing))

    def note(self, subject: str, text: str) -> None:
        """Note something harmless."""
        self.add(Finding(Severity.NOTE, subject, text))
