"""What is given faults, in groups, and the tests that have to notice them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from tests.mutants.mutations import Mutant, mutants_of

ROOT: Final = Path(__file__).parents[2]
SOURCE: Final = ROOT / "src"


@dataclass(frozen=True, slots=True)
class Group:
    """Modules of a package, and tests.

    ``modules``: the functions that matter in each; all of them where none is named.
    """

    package: Path
    modules: Mapping[str, Sequence[str]]
    tests: Sequence[str]


_STRONGROOM: Final = SOURCE / "strongroom"
_SCHEDULES: Final = (
    "tests/faults/test_schedules.py::test_whatever_happens_at_once_loses_nothing_and_leaves_nothing"
)
GROUPS: Final[Mapping[str, Group]] = {
    "commit and collection": Group(
        _STRONGROOM / "repository",
        {
            "collection/collect.py": (),
            "collection/survey.py": (),
            "collection/verdict.py": (),
            "collection/liveness.py": (),
            "collection/waiting.py": (),
            "collection/proving.py": (),
            "saving.py": (),
            "collection/census.py": ("enter", "keepers", "spared", "covering", "take", "need"),
            "collection/compacting.py": (),
            "collection/repacking.py": (),
            "session.py": ("begin", "commit", "_may_rely_on", "abort"),
        },
        [
            "tests/repository/test_collect.py",
            "tests/repository/test_collect_races.py",
            "tests/repository/test_collect_repack.py",
            "tests/repository/test_collect_parts.py",
            "tests/repository/test_collect_hostile.py",
            "tests/repository/test_collect_moments.py",
            "tests/repository/test_presence.py",
            "tests/repository/test_collect_waiting.py",
            "tests/repository/test_unopenable.py",
            "tests/repository/test_reliance.py",
            "tests/repository/test_session.py",
            "tests/faults/test_power_loss.py",
            "tests/faults/test_power_loss_of_collections.py",
            "tests/faults/test_crash_at_collections.py::test_stopped_at_some_requests",
            f"{_SCHEDULES}[0]",
        ],
    ),
    "retention": Group(
        _STRONGROOM / "policy",
        {
            "amounts.py": (),
            "brakes.py": (),
            "periods.py": (),
            "policy.py": (),
            "reading.py": (),
            "retention.py": (),
            "rules.py": (),
            "trust.py": (),
        },
        ["tests/policy", "tests/config/test_retention.py"],
    ),
}


@cache
def mutants_by_group() -> Mapping[str, Sequence[Mutant]]:
    """Return the mutants of each group."""
    return {
        name: [
            mutant
            for module, functions in group.modules.items()
            for mutant in mutants_of(group.package / module, functions)
        ]
        for name, group in GROUPS.items()
    }
