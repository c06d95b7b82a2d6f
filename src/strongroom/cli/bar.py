"""The progress bar of a terminal. rich draws it, and is imported when there is a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Self

from strongroom.cli.names import shortened, shown
from strongroom.cli.quantities import counted, duration, size
from strongroom.cli.tracker import State, Tracker
from strongroom.model.events import Event

if TYPE_CHECKING:
    from rich.console import RenderableType

_PER_SECOND: Final = 8
_WIDTH: Final = 24
_FULL: Final = 1000


class Bar:
    """A ``Progress`` in two lines that are gone at the end."""

    def __init__(self, tracker: Tracker, *, color: bool) -> None:
        from rich.console import Console  # noqa: PLC0415 - only on a terminal
        from rich.live import Live  # noqa: PLC0415 - as above

        self._tracker = tracker
        self._console = Console(
            stderr=True, no_color=not color, highlight=False, markup=False, emoji=False
        )
        self._live = Live(
            console=self._console,
            get_renderable=self._picture,
            refresh_per_second=_PER_SECOND,
            transient=True,
            redirect_stdout=False,
        )

    @property
    def wants_totals(self) -> bool:
        """See ``Progress``."""
        return True

    def take(self, event: Event) -> None:
        """See ``Progress``."""
        self._tracker.take(event)

    @contextmanager
    def pause(self) -> Iterator[None]:
        """See ``Progress``."""
        was_shown = self._live.is_started
        self._live.stop()
        try:
            yield
        finally:
            if was_shown:
                self._live.start()

    def __enter__(self) -> Self:
        """See ``Progress``."""
        self._live.start(refresh=True)
        return self

    def __exit__(self, *exception: object) -> None:
        """See ``Progress``."""
        self._live.stop()

    def _picture(self) -> RenderableType:
        from rich.console import Group  # noqa: PLC0415 - only on a terminal
        from rich.progress_bar import ProgressBar  # noqa: PLC0415 - as above
        from rich.table import Table  # noqa: PLC0415 - as above
        from rich.text import Text  # noqa: PLC0415 - as above

        state = self._tracker.state()
        share = state.share
        bar = ProgressBar(
            total=_FULL if share is not None else None,
            completed=(share or 0) * _FULL,
            width=_WIDTH,
            pulse=share is None,
        )
        row = Table.grid(padding=(0, 1))
        row.add_row(state.phase or "begin", bar, words(state))
        path = shortened(shown(state.path), self._console.width - 2)
        return Group(row, Text(path, no_wrap=True, overflow="ellipsis"))


def words(state: State) -> str:
    """Return what stands beside the bar."""
    parts = [f"{state.share:.0%}"] if state.share is not None else []
    parts.append(f"{size(round(state.bytes_per_second))}/s")
    if state.remaining is not None:
        parts.append(f"{duration(state.remaining)} left")
    of = f"/{state.total_items:,}" if state.total_items else ""
    parts.append(f"{state.items:,}{of} entries")
    of = f"/{size(state.total_bytes)}" if state.total_bytes else ""
    parts.append(f"{size(state.size)}{of}")
    if state.problems:
        parts.append(counted(state.problems, "problem"))
    return "  ".join(parts)
