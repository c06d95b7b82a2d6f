"""What goes wrong when a rule is taken away: the shortest way to it, as golden values."""

from typing import NamedTuple

from tests.model.configurations import CONFIGURATIONS
from tests.model.explore import Found
from tests.model.properties import DATA_LOSS, Breach
from tests.model.rules import ALL_RULES


class Removal(NamedTuple):
    """Rules that are taken away, and the breach that follows after so many steps."""

    rules: tuple[str, ...]
    configuration: str
    breach: Breach
    steps: int

    def __str__(self) -> str:
        """Return one line."""
        return f"without {' and '.join(self.rules)}: {self.configuration}"

    def search(self) -> Found:
        """Search for a loss of data; where the breach is none, for that one too."""
        rules = ALL_RULES.without(*self.rules)
        return CONFIGURATIONS[self.configuration].search(rules, watch=DATA_LOSS | {self.breach})
