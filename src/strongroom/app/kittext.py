"""The recovery kit as text: one page that a person prints, and that ``key kit --verify`` reads."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from typing import Final, NamedTuple

from strongroom.crypto.keytext import GROUPS, KeyTextError, key_to_text, text_to_key
from strongroom.errors import KeyRefusedError, UsageError

_TITLE: Final = "STRONGROOM RECOVERY KIT"
_LINE: Final = re.compile(r"(Repository|Id|Fingerprint|Made): +(.*\S)")
_GROUP: Final = re.compile(r"[A-Za-z2-7]{8}")
_HEX: Final = re.compile(r"[0-9a-f]{32}|[0-9a-f]{64}")
_KEY_HEAD: Final = "Recovery key"
_KEY_END: Final = "To restore"
_SEPARATOR: Final = "-"


class KitKey(NamedTuple):
    """A key of the repository as the kit lists it."""

    id: str
    kind: str
    role: str


class Kit(NamedTuple):
    """What a kit says. ``fingerprint`` is the digest of the configuration, in hexadecimal."""

    url: str
    repository_id: str
    fingerprint: str
    made: str
    recovery: bytes

    def __repr__(self) -> str:
        """Show no secret."""
        return f"<Kit of {self.repository_id}>"


def kit_text(kit: Kit, keys: Sequence[KitKey], recovery_id: str, version: str) -> str:
    """Return the page, at most 80 columns wide if the address is not too long."""
    if not kit.url.isprintable():
        raise UsageError(
            "the address of the repository holds characters that cannot be printed",
            hint="Give it another name, and make the kit then.",
        )
    groups = key_to_text(kit.recovery).split(_SEPARATOR)
    half = GROUPS // 2
    where = shlex.quote(kit.url)
    opens = f"strongroom -r {where} --key-file recovery-key"
    listed = [
        f"  {key.id[:8]}  {key.kind.replace('_', ' ')}, {key.role}"
        + ("  (the recovery key below)" if key.id == recovery_id else "")
        for key in keys
    ]
    lines = [
        f"{_TITLE}",
        "Whoever holds this page can read the whole repository. Print it, keep it in a",
        "safe place away from the machines that are backed up, and delete the file.",
        "",
        f"Repository:   {kit.url}",
        f"Id:           {kit.repository_id}",
        f"Fingerprint:  {kit.fingerprint}",
        f"Made:         {kit.made}",
        "Keys then:",
        *listed,
        "",
        _KEY_HEAD,
        "  " + _SEPARATOR.join(groups[:half]),
        "  " + _SEPARATOR.join(groups[half:]),
        "",
        f"{_KEY_END} on a fresh machine",
        f"1. Install strongroom {version} or newer, which needs Python 3.11 or newer:",
        "     pip install .                    (in the folder of its source)",
        "2. Type the recovery key into a file; capitals, dashes and line ends do not",
        "   matter, and a mistyped group is named. End with Ctrl-D:",
        "     umask 077; cat > recovery-key",
        "3. See what is there, and restore the newest snapshot into a new folder:",
        f"     {opens} snapshots",
        f"     {opens} restore latest --to ./restored",
        "4. Prove that all of it is sound:",
        f"     {opens} verify --read-data",
        "If the repository lies in another place by then, give that place after -r.",
        "Without strongroom, its one file recover.py does the same: see its --help.",
        "",
    ]
    return "\n".join(lines)


def read_kit(text: str, where: str) -> Kit:
    """Read a kit; ``UsageError`` if it is none, ``KeyRefusedError`` if its key is mistyped."""
    found = filter(None, map(_LINE.fullmatch, text.splitlines()))
    fields = {match[1]: match[2] for match in found}
    names = ("Repository", "Id", "Fingerprint", "Made")
    missing = [name for name in names if name not in fields]
    malformed = [name for name in ("Id", "Fingerprint") if not _HEX.fullmatch(fields.get(name, ""))]
    if _TITLE not in text or missing or malformed:
        lacks = f": no good line '{(missing or malformed)[0]}'" if missing or malformed else ""
        raise UsageError(
            f"{where} is no recovery kit{lacks}",
            hint="Give the file that 'strongroom key kit --to FILE' wrote.",
        )
    shown = text.partition(f"\n{_KEY_HEAD}\n")[2].partition(f"\n{_KEY_END}")[0]
    try:
        recovery = text_to_key("".join(_GROUP.findall(shown)))
    except KeyTextError as error:
        raise KeyRefusedError(
            f"the recovery key in {where} is damaged: {error}",
            hint="Make another kit with 'strongroom key kit --new-recovery-key'.",
        ) from error
    return Kit(fields["Repository"], fields["Id"], fields["Fingerprint"], fields["Made"], recovery)
