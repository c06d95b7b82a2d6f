"""The shell blocks of the guide, and the stand-ins for what no test machine has."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

GUIDE: Final = Path(__file__).with_name("guide.md")
_BLOCK: Final = re.compile(r"^```bash\n(.*?)^```", re.DOTALL | re.MULTILINE)
_CRON: Final = re.compile(r"^(?:[0-9*]+ ){5}/path/to/project/", re.MULTILINE)


class Block(NamedTuple):
    """A shell block: the heading that it stands under, and its text."""

    heading: str
    text: str


def blocks() -> Iterator[Block]:
    """Yield every block in the order of the guide."""
    text = GUIDE.read_text()
    for found in _BLOCK.finditer(text):
        headings = re.findall(r"^#{2,4} (.+)$", text[: found.start()], re.MULTILINE)
        yield Block(headings[-1], found[1])


def typed(text: str, ids: Mapping[str, str], elsewhere: Path) -> str:
    """Put in what the guide leaves to its reader, and take out what needs another machine.

    * the ids that the guide made up become ids of archives that are there (``ids``);
    * cron's five fields go: what cron would run is run at once, in the project;
    * ``deploy-user:deploy-group`` becomes whoever runs the test;
    * ``s3://backup-bucket/`` becomes a folder (``elsewhere``);
    * ``test-restore`` gets the scripts as a link, since the guide calls them there.
    """
    text = _CRON.sub("./", text)
    for made_up, real in ids.items():
        text = text.replace(made_up, real)
    text = text.replace("deploy-user:deploy-group", '"$(id -un):$(id -gn)"')
    text = text.replace("s3://backup-bucket/", f"{elsewhere}/")
    return text.replace("cd test-restore\n", "cd test-restore\nln -s ../scripts scripts\n")
