"""What is left out: patterns in the syntax of ``gitignore``, and how they are anchored.

A pattern given as an option or in an exclude file:

* ``node_modules``, ``*.log`` (no slash): that name at any depth below a root;
* ``src/build`` (a slash in the middle): that path below each root, as in a ``.gitignore`` that
  stands in the root; ``**/src/build`` for any depth;
* ``/var/cache``, ``/home/*/.cache`` (a slash at the beginning): that path from the root of the
  file system, wherever the roots are;
* ``build/`` (a slash at the end) matches directories only; ``!keep.log`` takes back what an
  earlier pattern left out.

In a ``.strongroomignore``, patterns are anchored at the directory it stands in, also those that
begin with a slash. The last pattern that matches decides. Options come before ignore files, and an
ignore file before those in the directories above it. Matching is by characters of UTF-8, and upper
and lower case differ.

What is below a directory that is left out is not looked at, so nothing in it can be taken back. A
root itself is never left out. For entries below several roots the innermost one counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from pathspec.patterns.gitignore.base import GitIgnorePatternError
from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

from strongroom.errors import UsageError

IGNORE_FILE: Final = b".strongroomignore"
_EVERYTHING: Final = "."  # what the library makes of a pattern that matches every path
_ANY_DEPTH: Final = "^(?:.+/)?"
_GROUP: Final = re.compile(r"\(\?P<\w+>")
_NEVER: Final = re.compile(r"(?!)")


class Line(NamedTuple):
    """A pattern as written, and where: ``--exclude``, or a file with the number of the line."""

    text: str
    origin: str


class BadPatternError(UsageError):
    """A pattern that cannot be read."""

    def __init__(self, line: Line, why: str) -> None:
        super().__init__(
            f"{line.origin}: the pattern {line.text!r} cannot be read: {why}",
            hint="Patterns are written as in a .gitignore; a backslash takes a character as it is.",
        )


class _Rule(NamedTuple):
    leaves_out: bool
    directories_only: bool
    by_name: bool
    regex: re.Pattern[str]


class Patterns:
    """Compiled patterns with one anchor."""

    def __init__(self, rules: Sequence[_Rule]) -> None:
        self._rules = tuple(reversed(rules))
        self._files = _Quick([rule for rule in rules if not rule.directories_only])
        self._directories = _Quick(rules)

    def __bool__(self) -> bool:
        """Whether there is any pattern."""
        return bool(self._rules)

    def decide(self, name: str, path: str, *, directory: bool) -> bool | None:
        """Whether the entry is left out (True) or taken back (False); None if nothing matches."""
        quick = self._directories if directory else self._files
        if not quick.may_match(name, path):
            return None
        for rule in self._rules:
            if rule.directories_only and not directory:
                continue
            if rule.regex.fullmatch(name if rule.by_name else path):
                return rule.leaves_out
        return None


class _Quick:
    """Answers in one step for most entries: no pattern of these matches."""

    def __init__(self, rules: Iterable[_Rule]) -> None:
        names = [rule.regex.pattern for rule in rules if rule.by_name]
        paths = [rule.regex.pattern for rule in rules if not rule.by_name]
        self._name = _either(names).fullmatch
        self._path = _either(paths).fullmatch if paths else None

    def may_match(self, name: str, path: str) -> bool:
        if self._name(name):
            return True
        return self._path is not None and self._path(path) is not None


def _either(patterns: list[str]) -> re.Pattern[str]:
    if not patterns:
        return _NEVER
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns), re.DOTALL)


def read_lines(data: bytes, origin: str) -> list[Line]:
    """Split an exclude file into its patterns; blank lines and comments are left out."""
    text = decoded(data.removeprefix(b"\xef\xbb\xbf"))
    lines = (line.removesuffix("\r") for line in text.split("\n"))
    return [
        Line(line, f"{origin}:{number}")
        for number, line in enumerate(lines, 1)
        if line.strip() and not line.startswith("#")
    ]


def from_options(lines: Iterable[Line], root: bytes) -> Patterns:
    """Compile the patterns of the options for one root; ``UsageError`` for a bad one."""
    rules = []
    for line in lines:
        sign, body = _split(line.text)
        if _has_middle_slash(body):
            body = _below(root, body)
        rules.append(_compiled(line, sign, body))
    return Patterns(rules)


def from_ignore_file(lines: Iterable[Line], directory: bytes) -> tuple[Patterns, list[Line]]:
    """Compile the patterns of an ignore file in ``directory``, and return those that are bad."""
    rules = []
    bad = []
    for line in lines:
        sign, body = _split(line.text)
        if body.startswith("/") or _has_middle_slash(body):
            body = _below(directory, body)
        try:
            rules.append(_compiled(line, sign, body))
        except BadPatternError:
            bad.append(line)
    return Patterns(rules), bad


def decoded(name: bytes) -> str:
    """Return the characters of a name; bytes that are none are kept apart from all others."""
    return name.decode("utf-8", "surrogateescape")


def _split(text: str) -> tuple[str, str]:
    return ("!", text[1:]) if text.startswith("!") else ("", text)


def _has_middle_slash(body: str) -> bool:
    return not body.startswith("/") and "/" in body.rstrip().removesuffix("/")


def _below(directory: bytes, body: str) -> str:
    base = GitIgnoreSpecPattern.escape(decoded(directory))
    return f"/{base}/{body.lstrip('/')}" if base else f"/{body.lstrip('/')}"


def _compiled(line: Line, sign: str, body: str) -> _Rule:
    """Translate one pattern into a rule for the entry itself, not for what lies below it."""
    if not body.endswith("\\ "):
        body = body.rstrip()
    directories_only = body.endswith("/")
    body = body.rstrip("/")
    if body.endswith("/**"):
        body += "/*"  # everything below, and not the directory itself
    if not body:
        raise BadPatternError(line, "it is empty")
    if "[[:" in body:
        raise BadPatternError(line, "named classes such as [[:digit:]] are not known, write [0-9]")
    try:
        regex, leaves_out = GitIgnoreSpecPattern.pattern_to_regex(sign + body)
        if regex is None or leaves_out is None:
            raise BadPatternError(line, _why_nothing(body))
        regex = _GROUP.sub("(?:", ".*" if regex == _EVERYTHING else regex)
        by_name = regex.startswith(_ANY_DEPTH) and "/" not in body
        if by_name:
            regex = regex.removeprefix(_ANY_DEPTH)
        compiled = re.compile(regex, re.DOTALL)
    except GitIgnorePatternError as error:
        raise BadPatternError(line, "it ends with a backslash") from error
    except re.error as error:
        raise BadPatternError(line, str(error)) from error
    return _Rule(leaves_out, directories_only, by_name, compiled)


def _why_nothing(body: str) -> str:
    if body.startswith("#"):
        return "a comment is no pattern, write \\# for the character"
    return "a [ without its ]"
