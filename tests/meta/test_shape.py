"""The shape of the code: sizes, docstrings, no hidden imports."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SRC = ROOT / "src" / "strongroom"
RECOVER = ROOT / "recover.py"  # stands alone, so all of it is one file
MODULES = [*sorted(SRC.rglob("*.py")), RECOVER]
VERB_TABLE = SRC / "cli" / "loading.py"  # loads a verb's module by name, so that --help stays fast
MAX_MODULE_LINES = 400
MAX_RECOVER_LINES = 2700
MAX_FUNCTION_LINES = 60
MAX_PUBLIC_METHODS = 15

Function = ast.FunctionDef | ast.AsyncFunctionDef


def _problems(path: Path) -> Iterator[str]:
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    most = MAX_RECOVER_LINES if path == RECOVER else MAX_MODULE_LINES
    if (lines := text.count("\n")) > most:
        yield f"{lines} lines, at most {most}"
    if not ast.get_docstring(tree):
        yield "no module docstring"
    for node in ast.walk(tree):
        if isinstance(node, Function):
            yield from _function_problems(node)
        elif isinstance(node, ast.ClassDef):
            yield from _class_problems(node)
        elif isinstance(node, ast.Call) and path != VERB_TABLE and _imports_by_name(node):
            yield f"line {node.lineno} imports a module by name"


def _function_problems(function: Function) -> Iterator[str]:
    length = (function.end_lineno or 0) - function.lineno + 1
    if length > MAX_FUNCTION_LINES:
        yield f"{function.name} has {length} lines, at most {MAX_FUNCTION_LINES}"
    for node in ast.walk(function):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or "strongroom"]
        for name in names:
            if name.partition(".")[0] == "strongroom":
                yield f"{function.name} imports {name} inside the function"


def _class_problems(cls: ast.ClassDef) -> Iterator[str]:
    names = {node.name for node in cls.body if isinstance(node, Function)}
    public = [name for name in names if not name.startswith("_")]
    if len(public) > MAX_PUBLIC_METHODS:
        yield f"{cls.name} has {len(public)} public methods, at most {MAX_PUBLIC_METHODS}"


def _imports_by_name(call: ast.Call) -> bool:
    name = ast.unparse(call.func).rpartition(".")[2]
    return name in {"import_module", "__import__"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_shape(path: Path) -> None:
    """A module is short, says in its first line what it is for, and imports at the top."""
    assert list(_problems(path)) == []
