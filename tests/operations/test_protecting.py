"""Extending retention: never shorter, never weaker, honest about what could not be done."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from strongroom.aws.retention import COMPLIANCE, GOVERNANCE, Retention
from strongroom.aws.versions import Version
from strongroom.errors import ObjectMissingError, StoreError
from strongroom.operations.protecting import Goal, Locked, Protected, Protector, wanted

pytestmark = pytest.mark.spec("D3")

NOW = 1000
GOAL = Goal(GOVERNANCE, needed_ns=NOW + 20, until_ns=NOW + 30, now_ns=NOW)
FOR_EVER = GOAL._replace(mode=COMPLIANCE)


def governed(until: int) -> Retention:
    """Return what somebody may end."""
    return Retention(GOVERNANCE, until)


def sealed(until: int) -> Retention:
    """Return what nobody may end."""
    return Retention(COMPLIANCE, until)


@pytest.mark.parametrize(
    ("held", "goal", "better"),
    [
        (None, GOAL, governed(NOW + 30)),
        (governed(NOW), GOAL, governed(NOW + 30)),
        (sealed(NOW - 1), GOAL, governed(NOW + 30)),
        (governed(NOW + 19), GOAL, governed(NOW + 30)),
        (governed(NOW + 20), GOAL, None),
        (governed(NOW + 99), GOAL, None),
        (sealed(NOW + 20), GOAL, None),
        (None, FOR_EVER, sealed(NOW + 30)),
        (governed(NOW + 5), FOR_EVER, sealed(NOW + 30)),
        (governed(NOW + 99), FOR_EVER, sealed(NOW + 99)),
        (sealed(NOW + 19), FOR_EVER, sealed(NOW + 30)),
        (sealed(NOW + 99), FOR_EVER, None),
    ],
)
def test_what_is_put(held: Retention | None, goal: Goal, better: Retention | None) -> None:
    """Only what ends too soon, or is weaker than asked for, is extended."""
    assert wanted(held, goal) == better


def test_compliance_is_not_extended_unasked() -> None:
    """What nobody could take back is done only in the mode that says so."""
    with pytest.raises(Locked):
        wanted(sealed(NOW + 5), GOAL)


def test_nothing_is_ever_shortened_or_weakened() -> None:
    """Whatever is there and whatever is asked for."""
    for goal in (GOAL, FOR_EVER):
        for make in (governed, sealed):
            for until in range(NOW + 1, NOW + 60):
                held = make(until)
                try:
                    better = wanted(held, goal)
                except Locked:
                    continue
                assert better is None or better.until_ns >= until
                assert better is None or held.mode == GOVERNANCE or better.mode == COMPLIANCE


def version(name: str) -> Version:
    """Return a version of 10 bytes."""
    return Version(f"packs/{name}", name, 10, 0, deleted=False, latest=True)


class Bucket:
    """Retentions by id of version; what is in ``denied`` cannot be put, in ``gone`` is not there.

    ``meanwhile``: what somebody else puts just before us, so that ours is refused.
    """

    def __init__(self, **held: Retention | None) -> None:
        self.held = held
        self.denied: set[str] = set()
        self.gone: set[str] = set()
        self.meanwhile: dict[str, Retention] = {}
        self.asked: list[str] = []
        self.put: list[str] = []

    def of(self, version: Version) -> Retention | None:
        """See ``Retentions``."""
        self.asked.append(version.id)
        if version.id in self.gone:
            raise ObjectMissingError(version.id)
        return self.held[version.id]

    def extend(self, version: Version, retention: Retention) -> None:
        """See ``Retentions``; as S3 does, it shortens nothing."""
        self.put.append(version.id)
        if version.id in self.meanwhile:
            self.held[version.id] = self.meanwhile.pop(version.id)
        held = self.held[version.id]
        if version.id in self.denied or (held is not None and held.until_ns > retention.until_ns):
            raise StoreError(f"AccessDenied: {version.id}")
        self.held[version.id] = retention


@pytest.fixture(name="threads")
def _threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as threads:
        yield threads


def protected(
    bucket: Bucket,
    threads: ThreadPoolExecutor,
    *,
    known: dict[str, Retention] | None = None,
    dry_run: bool = False,
    names: Sequence[str] = (),
) -> Protected:
    """Protect everything in a bucket."""
    result = Protected()
    told: list[int] = []
    protector = Protector(
        bucket, GOAL, known or {}, threads, lambda items, _size: told.append(items), dry_run
    )
    versions = [version(name) for name in names or bucket.held]
    protector.protect(iter(versions), result)
    assert sum(told) == len(versions)
    return result


def test_only_what_ends_too_soon_costs_a_second_request(threads: ThreadPoolExecutor) -> None:
    """Each is asked about once, put once at most; what comes of it is counted and known."""
    bucket = Bucket(none=None, short=governed(NOW + 5), enough=governed(NOW + 25))
    result = protected(bucket, threads)
    assert (result.objects, result.bytes, result.extended, result.extended_bytes) == (3, 30, 2, 20)
    assert (result.asked, result.put, result.known, result.failed) == (3, 2, 0, [])
    assert (
        result.held
        == bucket.held
        == {
            "none": governed(NOW + 30),
            "short": governed(NOW + 30),
            "enough": governed(NOW + 25),
        }
    )


def test_what_is_known_to_be_enough_is_not_asked_for(threads: ThreadPoolExecutor) -> None:
    """What is known to end too soon is asked for again: somebody else may have extended it."""
    bucket = Bucket(one=governed(NOW + 25), two=governed(NOW + 25))
    known = {"one": governed(NOW + 25), "two": governed(NOW + 5), "three": governed(NOW + 90)}
    result = protected(bucket, threads, known=known)
    assert bucket.asked == ["two"]
    assert (result.known, result.asked, result.put, result.objects) == (1, 1, 0, 2)
    assert result.held == bucket.held


def test_a_dry_run_only_asks(threads: ThreadPoolExecutor) -> None:
    """It says how many would be extended."""
    bucket = Bucket(one=None, two=governed(NOW + 25))
    result = protected(bucket, threads, dry_run=True)
    assert (bucket.put, result.extended, result.put, result.asked) == ([], 1, 0, 2)


def test_what_somebody_else_extended_meanwhile_is_enough(threads: ThreadPoolExecutor) -> None:
    """Ours is refused, since it would shorten that; a second look says that all is well."""
    bucket = Bucket(one=None)
    bucket.meanwhile["one"] = governed(NOW + 99)
    result = protected(bucket, threads)
    assert (result.failed, result.asked, result.put) == ([], 2, 1)
    assert bucket.held == result.held == {"one": governed(NOW + 99)}


def test_what_cannot_be_extended_is_told_and_the_rest_is_done(threads: ThreadPoolExecutor) -> None:
    """Refused, held in compliance mode, or gone meanwhile: each is its own outcome."""
    bucket = Bucket(no=None, sealed=sealed(NOW + 5), gone=None, one=None)
    bucket.denied, bucket.gone = {"no"}, {"gone"}
    result = protected(bucket, threads)
    assert (result.objects, result.extended, result.gone) == (3, 1, 1)
    why = {one.version.id: one.why for one in result.failed}
    assert why.keys() == {"no", "sealed"}
    assert why["no"] == "AccessDenied: no"
    assert "--mode compliance" in why["sealed"]
    assert bucket.held["sealed"] == sealed(NOW + 5)


def test_one_that_is_denied_ends_nothing(threads: ThreadPoolExecutor) -> None:
    """Though it is the only one that is asked about, since all others are known to be held; nor
    where it comes first, or alone.
    """
    for others in (300, 3, 0):
        names = [f"n{number}" for number in range(others)]
        bucket = Bucket(no=None, **dict.fromkeys(names, governed(NOW + 25)))
        bucket.denied = {"no"}
        result = protected(bucket, threads, known=dict.fromkeys(names, governed(NOW + 25)))
        assert [one.version.id for one in result.failed] == ["no"]
        assert (result.known, result.objects, result.put) == (others, others + 1, 2)


def test_where_nothing_can_be_extended_it_ends_at_once(threads: ThreadPoolExecutor) -> None:
    """Without the permission a hundred thousand objects are not tried one by one."""
    names = [f"n{number}" for number in range(1000)]
    bucket = Bucket(**dict.fromkeys(names))
    bucket.denied = set(names)
    with pytest.raises(StoreError, match="AccessDenied"):
        protected(bucket, threads, names=names)
    assert len(bucket.put) < 600
