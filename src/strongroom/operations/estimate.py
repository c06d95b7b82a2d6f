"""What a backup would have to read: a walk compared with the last one, without a session."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from strongroom.model.entry import sort_key
from strongroom.model.snapshot import Order
from strongroom.model.source import Item, Problem, Source
from strongroom.repository.lastwalk import LastWalk
from strongroom.repository.localfiles import LocalFiles


@dataclass(slots=True)
class Estimate:
    """Entries found, and bytes of those that would be read; sizes as the walk saw them."""

    entries: int = 0
    bytes: int = 0
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    bytes_to_read: int = 0
    problems: list[Problem] = field(default_factory=list)


def estimate(
    source: Source,
    walks: LocalFiles,
    tell: Callable[[Item], None] | None = None,
    order: Order = Order.COMPONENTS,
) -> Estimate:
    """Walk a source; an entry that the last walk knows with the same token counts as unchanged.

    ``tell`` gets every entry that would be captured anew.
    """
    result = Estimate()
    last = LastWalk(walks, f"walks/{source.kind}-{source.name}", order)
    for item in _items(source.walk(result.problems.append)):
        result.entries += 1
        result.bytes += item.size
        if last.match(item.path, item.token) is not None:
            result.unchanged += 1
            continue
        result.new += 1
        result.bytes_to_read += item.size
        if tell is not None:
            tell(item)
    result.changed = last.changed
    result.new -= last.changed
    result.problems.sort(key=lambda problem: sort_key(problem.path))
    return result


def _items(batches: Iterator[Sequence[Item]]) -> Iterator[Item]:
    for batch in batches:
        yield from batch
