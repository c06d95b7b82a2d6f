"""Which names are meant: one, all below a path, or those that a pattern fits."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Final

_SPECIAL: Final = re.compile(r"[*?\[]")


class Patterns:
    """Texts of the configuration: ``/app/db`` is one name, ``/app/`` all below, ``/a*`` a pattern.

    In a pattern ``*`` stands for anything, slashes too, and ``?`` for one character.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts = tuple(dict.fromkeys(texts))

    def fit(self, name: str) -> bool:
        """Whether one of them means a name."""
        return any(fits(text, name) for text in self.texts)

    def unmet(self, names: Iterable[str]) -> list[str]:
        """Return those that mean none of the names."""
        known = list(names)
        return [text for text in self.texts if not any(fits(text, name) for name in known)]


def fits(text: str, name: str) -> bool:
    """Whether a text of the configuration means a name."""
    if text.endswith("/") and not _SPECIAL.search(text):
        return name.startswith(text) or text == "/"
    return fnmatchcase(name, text) if _SPECIAL.search(text) else name == text


def is_exact(text: str) -> bool:
    """Whether a text names one thing, which must be there."""
    return not text.endswith("/") and not _SPECIAL.search(text)
