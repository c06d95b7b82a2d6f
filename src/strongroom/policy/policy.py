"""What to keep: the rules, without what they are applied to."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from strongroom.policy.amounts import ALL, Amount, Duration


class Period(enum.StrEnum):
    """What snapshots are told apart by; of ``LAST`` each one is its own."""

    LAST = "last"
    HOURLY = "hourly"
    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"
    QUARTERLY = "quarterly"
    YEARLY = "yearly"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The rules. A count of 0 is no rule; a policy without any rule keeps everything.

    ``keep_tags`` holds lists of tags, of which a snapshot must have all of one; ``keep_ids`` the
    first digits of ids; ``days`` counts back from the time of the decision, every ``within`` from
    the newest snapshot; ``minimum`` is no rule but a floor. ValueError for what makes no sense.
    """

    keep_last: Amount = 0
    keep_hourly: Amount = 0
    keep_daily: Amount = 0
    keep_weekly: Amount = 0
    keep_monthly: Amount = 0
    keep_quarterly: Amount = 0
    keep_yearly: Amount = 0
    keep_within: Duration | None = None
    keep_within_hourly: Duration | None = None
    keep_within_daily: Duration | None = None
    keep_within_weekly: Duration | None = None
    keep_within_monthly: Duration | None = None
    keep_within_quarterly: Duration | None = None
    keep_within_yearly: Duration | None = None
    keep_tags: tuple[tuple[str, ...], ...] = ()
    keep_ids: tuple[str, ...] = ()
    days: int = 0
    minimum: int = 1

    def __post_init__(self) -> None:
        """Refuse what no text means."""
        counts = [amount for _, amount in self.amounts() if isinstance(amount, int)]
        if any(count < ALL for count in counts) or self.days < 0 or self.minimum < 1:
            raise ValueError(self)
        if not all(self.keep_ids) or not all(tags and all(tags) for tags in self.keep_tags):
            raise ValueError(self)

    def amounts(self) -> list[tuple[Period, Amount]]:
        """Return the rules of periods, the finest first."""
        stated: list[tuple[Period, Amount | None]] = [
            (Period.LAST, self.keep_last),
            (Period.LAST, self.keep_within),
            (Period.HOURLY, self.keep_hourly),
            (Period.HOURLY, self.keep_within_hourly),
            (Period.DAILY, self.keep_daily),
            (Period.DAILY, self.keep_within_daily),
            (Period.WEEKLY, self.keep_weekly),
            (Period.WEEKLY, self.keep_within_weekly),
            (Period.MONTHLY, self.keep_monthly),
            (Period.MONTHLY, self.keep_within_monthly),
            (Period.QUARTERLY, self.keep_quarterly),
            (Period.QUARTERLY, self.keep_within_quarterly),
            (Period.YEARLY, self.keep_yearly),
            (Period.YEARLY, self.keep_within_yearly),
        ]
        return [(period, amount) for period, amount in stated if amount]

    @property
    def is_empty(self) -> bool:
        """Whether it has no rule, and so keeps everything."""
        return not (self.amounts() or self.keep_tags or self.keep_ids or self.days)
