"""What the files of the checkout may not say."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# Written in two pieces each, so that this file does not hold them.
REGISTRY_HOSTS = [
    "pypi" + ".org",
    "pythonhosted" + ".org",
    "npmjs" + ".org",
    "npmjs" + ".com",
    "deb.debian" + ".org",
    "crates" + ".io",
]
BUILD_FOLDERS = ["/" + "work/", "/" + "root/"]
FORBIDDEN = re.compile(
    "|".join(
        [re.escape(host) for host in REGISTRY_HOSTS]
        + [r"(?<![\w.~*/})-])" + re.escape(folder) for folder in BUILD_FOLDERS]
    ).encode()
)

PATCHER = re.compile(r"(^|\.)(patch(\.\w+)?|(set|del)(attr|item))$")


def _files(*patterns: str) -> list[Path]:
    """Return what git tracks, or would with the next ``git add``."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", *patterns]
    listing = subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout
    paths = [ROOT / name.decode() for name in sorted(set(listing.split(b"\0"))) if name]
    return [path for path in paths if path.is_file() and not path.is_symlink()]


@pytest.fixture(autouse=True)
def _checkout() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")


def test_no_file_names_a_registry_or_a_build_machine() -> None:
    """Nothing in the checkout depends on where it was made."""
    found = [
        f"{path.relative_to(ROOT)}:{number}: {match[0].decode()}"
        for path in _files()
        for number, line in enumerate(path.read_bytes().splitlines(), 1)
        if (match := FORBIDDEN.search(line))
    ]
    assert found == []


def test_no_test_patches_our_own_code() -> None:
    """Fakes stand at the ports; the code under test is never patched."""
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in _files("tests/*.py")
        for line in _own_patches(ast.parse(path.read_bytes()))
    ]
    assert found == []


def _own_patches(tree: ast.Module) -> Iterator[int]:
    own = {"strongroom"} | set(_own_names(tree))
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        if not PATCHER.search(ast.unparse(node.func)):
            continue
        target = node.args[0]
        name = target.value if isinstance(target, ast.Constant) else ast.unparse(target)
        if isinstance(name, str) and re.split(r"\W", name, maxsplit=1)[0] in own:
            yield node.lineno


def _own_names(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("strongroom"):
            yield from (alias.asname or alias.name for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (
                alias.asname
                for alias in node.names
                if alias.asname and alias.name.startswith("strongroom")
            )
