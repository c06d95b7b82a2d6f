r"""The SQL that ``pg_restore`` and ``pg_dumpall`` write, as statements and their words.

Written for what these programs write with ``standard_conforming_strings`` on (PostgreSQL manual,
4.1): names, quoted names, strings, dollar quotes, comments. psql's own lines begin with a backslash
and are left out (``\connect``, ``\restrict``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from strongroom.errors import DamageError

_TOKEN: Final = re.compile(
    r"""
    (?P<space>\s+ | --[^\n]* | /\*.*?\*/)
  | (?P<word>
        [Ee]'(?:[^'\\]|\\.|'')*'
      | '(?:[^']|'')*'
      | "(?:[^"]|"")*"
      | \$(?P<tag>[A-Za-z_\u0080-\U0010ffff][\w\u0080-\U0010ffff]*)?\$.*?\$(?(tag)(?P=tag))\$
      | [A-Za-z_\u0080-\U0010ffff][\w$\u0080-\U0010ffff]*
      | [0-9][\w.]*
      | [^\s;'"\\]
    )
  | (?P<end>;)
  | (?P<order>\\[^\n]*)
    """,
    re.VERBOSE | re.DOTALL,
)
_BARE: Final = re.compile(r"[A-Za-z_\u0080-\U0010ffff][\w$\u0080-\U0010ffff]*")


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement: its words, and what stands before each of them."""

    spaces: Sequence[str]
    words: Sequence[str]

    @property
    def text(self) -> str:
        """The statement as it was, without comments, without its end."""
        return "".join(space + word for space, word in zip(self.spaces, self.words, strict=True))

    def begins(self, *words: str) -> bool:
        """Whether these are its first words; their case does not matter."""
        first = [word.upper() for word in self.words[: len(words)]]
        return first == [word.upper() for word in words]

    def at(self, *words: str) -> int:
        """Return the place behind the first such words; 0 if they are not in it."""
        own = [word.upper() for word in self.words]
        for place in range(len(own) - len(words) + 1):
            if own[place : place + len(words)] == list(words):
                return place + len(words)
        return 0

    def with_word(self, place: int, word: str) -> Statement:
        """Return the statement with another word at a place."""
        return Statement(self.spaces, [*self.words[:place], word, *self.words[place + 1 :]])


def statements(text: str) -> Iterator[Statement]:
    """Yield the statements of a text; ``DamageError`` where it is not what these programs write."""
    spaces: list[str] = []
    words: list[str] = []
    space, place = "", 0
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None or (match["order"] and words):
            raise DamageError(f"SQL of the dump cannot be read: {text[place : place + 40]!r}")
        place = match.end()
        if match["space"]:
            space = " " if words else ""
            if match["space"].isspace() and words:
                space = match["space"]
        elif match["word"]:
            spaces.append(space)
            words.append(match["word"])
            space = ""
        else:
            if words:
                yield Statement(spaces, words)
            spaces, words, space = [], [], ""
    if words:
        raise DamageError("SQL of the dump ends in the middle of a statement")


def unquoted(word: str) -> str:
    """Return the name that a word is; empty if it is none."""
    if word.startswith('"'):
        return word[1:-1].replace('""', '"')
    return word.lower() if _BARE.fullmatch(word) else ""
