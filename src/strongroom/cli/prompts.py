"""Questions to a person at a terminal; never asked anywhere else."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import click

from strongroom.cli.output import say

Pause = Callable[[], AbstractContextManager[None]]


class Terminal:
    """Asks at the terminal; ``pause`` takes a progress display away meanwhile."""

    def __init__(self, pause: Pause) -> None:
        self._pause = pause

    def passphrase(self, question: str, *, twice: bool) -> bytes:
        """See ``Person``."""
        with self._pause():
            while True:
                first = _hidden(question)
                if not twice or first == b"" or _hidden("the same again") == first:
                    return first
                say("the two are not the same, try again")


def confirmed(question: str) -> bool:
    """Ask for ``yes``; anything else, and the end of the input, means no."""
    try:
        answer: str = click.prompt(f"{question} Type yes to go on", default="no", err=True)
    except click.Abort:
        return False
    return answer.strip().lower() == "yes"


def typed(question: str) -> str:
    """Ask for a line of text; empty at the end of the input."""
    try:
        answer: str = click.prompt(question, default="", show_default=False, err=True)
    except click.Abort:
        return ""
    return answer


def _hidden(question: str) -> bytes:
    answer: str = click.prompt(
        question, default="", show_default=False, hide_input=True, err=True, prompt_suffix=": "
    )
    return answer.encode("utf-8", "surrogateescape")
