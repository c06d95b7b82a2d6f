"""Small faults in a module, made in its syntax tree: each gives a program that is wrong."""

from __future__ import annotations

import ast
import copy
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Final

READINGS: Final = {
    "checked_history",
    "list",
    "load_index",
    "read_history",
    "read_runs",
    "survey",
    "_listed_packs",
    "_put_session",
    "put_own",
    "put_decision",
    "sync",
    "_put",
    "_wait",
    "_decide",
    "_delete",
}
"""What a protocol orders: two such statements beside each other are swapped."""
UNIMPORTANT: Final = {"sink", "_tell"}
"""Calls that only tell somebody something."""
_BOUNDARIES: Final[dict[type[ast.cmpop], type[ast.cmpop]]] = {
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
}
_OTHERS: Final = {"any": "all", "all": "any", "min": "max", "max": "min"}
Edit = Callable[[ast.AST], None]


@dataclass(frozen=True, slots=True)
class Mutant:
    """One fault: in which function of which file, what was there, what is there instead.

    ``lines``: a test that runs none of them cannot notice it. ``place``: the number of the
    function in its module, and of the syntax node in it.
    """

    path: Path
    function: str
    lines: range
    before: str
    after: str
    place: tuple[int, int]
    edit: Edit
    number: int = 1

    @property
    def name(self) -> str:
        """What a list of mutants calls it; the same as long as the code around it is.

        Those of one name in a module have a ``number``.
        """
        more = f" ({self.number})" if self.number > 1 else ""
        return f"{self.path.name}:{self.function}: {self.before} -> {self.after}{more}"

    def source(self) -> str:
        """Return the text of the module with the fault."""
        tree = ast.parse(_source(self.path))
        function, node = self.place
        self.edit(list(ast.walk(_functions(tree)[function]))[node])
        return ast.unparse(ast.fix_missing_locations(tree))


def mutants_of(path: Path, only: Collection[str] = ()) -> Iterator[Mutant]:
    """Yield every fault for a module, or for some of its functions, each with another name."""
    numbers: Counter[str] = Counter()
    for one in _all_of(path, only):
        numbers[one.name] += 1
        yield replace(one, number=numbers[one.name])


def _all_of(path: Path, only: Collection[str]) -> Iterator[Mutant]:
    for function, within in enumerate(_functions(ast.parse(_source(path)))):
        if only and within.name not in only:
            continue
        lines = _lines_of(within)
        unimportant = {id(part) for one in ast.walk(within) for part in _unimportant(one)}
        for number, node in enumerate(ast.walk(within)):
            if id(node) in unimportant:
                continue
            for at, before, after, edit in _edits(node):
                place = function, number
                yield Mutant(path, within.name, lines[id(at)], before, after, place, edit)


@cache
def _source(path: Path) -> str:
    """Return the text of a module as it was when it was first asked for, whoever works on it."""
    return path.read_text()


def _functions(tree: ast.AST) -> list[ast.FunctionDef]:
    """Return the functions that are in no other one."""
    found: list[ast.FunctionDef] = []
    for node in ast.iter_child_nodes(tree):
        found += [node] if isinstance(node, ast.FunctionDef) else _functions(node)
    return found


def _lines_of(function: ast.FunctionDef) -> dict[int, range]:
    """Return the lines of the statement that each node is in; of a block, those of its head."""
    found: dict[int, range] = {}

    def visit(node: ast.AST, lines: range) -> None:
        if isinstance(node, ast.stmt):
            body = getattr(node, "body", None)
            end = body[0].lineno if body else (node.end_lineno or node.lineno) + 1
            lines = range(node.lineno, max(end, node.lineno + 1))
        found[id(node)] = lines
        for child in ast.iter_child_nodes(node):
            visit(child, lines)

    visit(function, range(0))
    return found


def _edits(node: ast.AST) -> Iterator[tuple[ast.AST, str, str, Edit]]:
    """Yield (where, before, after, edit) for a node; an edit changes a copy of it in place."""
    for field in ("body", "orelse", "finalbody"):
        body = getattr(node, field, None)
        if isinstance(body, list) and body and isinstance(body[0], ast.stmt):
            yield from _in_body(body, field)
    for before, after, edit in (*_of_condition(node), *_of_expression(node)):
        yield node, before, after, edit


def _of_expression(node: ast.AST) -> Iterator[tuple[str, str, Edit]]:
    match node:
        case ast.Set() | ast.List():
            yield from _of_display(node)
        case ast.BinOp(op=ast.Sub() | ast.FloorDiv() | ast.Mod()):
            yield _text(node), _text(node.left), _only("left")
        case ast.BinOp(op=ast.BitOr() | ast.BitAnd() | ast.Add() | ast.Mult()):
            yield _text(node), _text(node.left), _only("left")
            yield _text(node), _text(node.right), _only("right")
        case ast.Call(func=ast.Name(id="any" | "all" | "min" | "max" as name)):
            yield _text(node), _OTHERS[name], _with_function(_OTHERS[name])
        case ast.Constant(value=int()):
            assert isinstance(node.value, int)
            number = not node.value if isinstance(node.value, bool) else node.value + 1
            yield _text(node), repr(number), _with_value(number)
        case _:
            pass


def _of_condition(node: ast.AST) -> Iterator[tuple[str, str, Edit]]:
    match node:
        case ast.If() | ast.While() | ast.IfExp():
            yield _text(node.test), f"not ({_text(node.test)})", _negate
        case ast.comprehension():
            for place, test in enumerate(node.ifs):
                yield f"if {_text(test)}", "", _without("ifs", place)
        case ast.Compare() if type(node.ops[0]) in _BOUNDARIES:
            other = _BOUNDARIES[type(node.ops[0])]
            yield _text(node), f"with {other.__name__}", _with_operator(other)
        case ast.BoolOp():
            for place, value in enumerate(node.values):
                yield _text(node), f"without {_text(value)}", _without("values", place)
        case _:
            pass


def _in_body(body: list[ast.stmt], field: str) -> Iterator[tuple[ast.AST, str, str, Edit]]:
    for place, statement in enumerate(body):
        if _is_droppable(statement, alone=len(body) == 1):
            yield statement, _text(statement), "", _dropped(field, place)
    for place, (first, second) in enumerate(pairwise(body)):
        if _reads(first) and _reads(second) and not _needs(second, first):
            texts = f"{_text(first)}; {_text(second)}"
            yield first, texts, "the other way round", _swapped(field, place)


def _is_droppable(statement: ast.stmt, *, alone: bool) -> bool:
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        return _called(statement.value) not in UNIMPORTANT
    if isinstance(statement, ast.AugAssign):
        return not isinstance(statement.op, ast.Add)
    return isinstance(statement, ast.Continue | ast.Raise) and alone


def _of_display(node: ast.Set | ast.List) -> Iterator[tuple[str, str, Edit]]:
    if isinstance(node, ast.Set):
        for place, element in enumerate(node.elts):
            if len(node.elts) > 1:
                yield _text(node), f"without {_text(element)}", _without("elts", place)
    elif isinstance(node.ctx, ast.Load):
        for place, element in enumerate(node.elts):
            if isinstance(element, ast.Starred):
                yield _text(node), f"without {_text(element)}", _without("elts", place)


def _unimportant(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what does nothing, directly at this node: types, checks, and texts for people.

    Defaults and decorators are made when the module is read, which is before the fault.
    """
    parts: list[ast.AST | None] = []
    match node:
        case ast.FunctionDef():
            parts = [node.args, node.returns, *node.decorator_list]
        case ast.AnnAssign():
            parts = [node.annotation]
        case ast.Raise():
            parts = [node.exc]
        case ast.keyword(arg="strict"):  # of a zip: a check, not what is done
            parts = [node.value]
        case ast.Call() if _called(node) in UNIMPORTANT:
            parts = list(node.args)
        case ast.Slice(lower=None, upper=ast.Constant(value=8)):  # digits of an id, as shown
            parts = [node.upper]
        case _:
            pass
    for part in parts:
        if part is not None:
            yield from ast.walk(part)


def _text(node: ast.AST) -> str:
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= 90 else text[:87] + "..."


def _called(call: ast.Call) -> str:
    function = call.func
    return str(getattr(function, "attr", None) or getattr(function, "id", ""))


def _reads(statement: ast.stmt) -> bool:
    simple = isinstance(statement, ast.Assign | ast.AnnAssign | ast.Expr)
    calls = [node for node in ast.walk(statement) if isinstance(node, ast.Call)]
    return simple and any(_called(call) in READINGS for call in calls)


def _needs(second: ast.stmt, first: ast.stmt) -> bool:
    stored = {
        node.id
        for node in ast.walk(first)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
    return any(isinstance(node, ast.Name) and node.id in stored for node in ast.walk(second))


def _negate(node: ast.AST) -> None:
    assert isinstance(node, ast.If | ast.While | ast.IfExp)
    node.test = ast.UnaryOp(ast.Not(), node.test)


def _without(field: str, place: int) -> Edit:
    def edit(node: ast.AST) -> None:
        del getattr(node, field)[place]

    return edit


def _with_operator(other: type[ast.cmpop]) -> Edit:
    def edit(node: ast.AST) -> None:
        assert isinstance(node, ast.Compare)
        node.ops[0] = other()

    return edit


def _only(side: str) -> Edit:
    """Of a set or a number, one with itself is itself."""

    def edit(node: ast.AST) -> None:
        assert isinstance(node, ast.BinOp)
        kept = getattr(node, side)
        node.left, node.op, node.right = kept, ast.BitOr(), copy.deepcopy(kept)

    return edit


def _with_value(value: int) -> Edit:
    def edit(node: ast.AST) -> None:
        assert isinstance(node, ast.Constant)
        node.value = value

    return edit


def _with_function(name: str) -> Edit:
    def edit(node: ast.AST) -> None:
        assert isinstance(node, ast.Call)
        node.func = ast.Name(name, ast.Load())

    return edit


def _dropped(field: str, place: int) -> Edit:
    def edit(node: ast.AST) -> None:
        getattr(node, field)[place] = ast.Pass()

    return edit


def _swapped(field: str, place: int) -> Edit:
    def edit(node: ast.AST) -> None:
        body = getattr(node, field)
        body[place], body[place + 1] = body[place + 1], body[place]

    return edit
