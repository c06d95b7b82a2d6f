"""One command at work: its settings, its output, its progress, and whoever can be asked."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from strongroom.app.machine import Person, Run, this_machine
from strongroom.cli.common import Common, common
from strongroom.cli.flags import flags_of
from strongroom.cli.output import Output
from strongroom.cli.progress import Progress, progress_for
from strongroom.cli.prompts import Terminal
from strongroom.clock import Clock
from strongroom.config.environment import read_environment
from strongroom.config.settings import Settings, load_settings
from strongroom.model.events import Event, Notice


@dataclass(frozen=True, slots=True)
class Job:
    """A command at work; ``on_terminal`` whether a person can be asked."""

    run: Run
    output: Output
    progress: Progress
    on_terminal: bool

    @property
    def clock(self) -> Clock:
        """The clocks of this machine."""
        return self.run.machine.clock


@contextmanager
def job(*, stream: bool = False, progress: bool = False) -> Iterator[Job]:
    """Begin a command with the common options.

    ``stream``: what it prints is what it is for. ``progress``: it may take long.
    """
    options = common()
    settings = load_settings(flags_of(options), read_environment())
    with begun(settings, options, stream=stream, progress=progress) as one:
        yield one


@contextmanager
def begun(
    settings: Settings, options: Common, *, stream: bool = False, progress: bool = False
) -> Iterator[Job]:
    """Begin a command with these settings."""
    json_lines, quiet = bool(options.json), bool(options.quiet)
    output = Output(json_lines=json_lines, quiet=quiet, stream=stream)
    machine = this_machine(polite=bool(options.nice))
    on_terminal = sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()
    shows = progress and not quiet
    bar = progress_for(output, machine.clock, color=not settings.no_color, wanted=shows)

    def sink(event: Event) -> None:
        if isinstance(event, Notice):
            output.notice(event.text)
        else:
            bar.take(event)

    person: Person | None = Terminal(bar.pause) if on_terminal else None
    yield Job(Run(settings, machine, sink, person), output, bar, on_terminal)
    output.flush()
