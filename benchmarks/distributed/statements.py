"""The SQL statements of the storage package, as its source has them."""

from __future__ import annotations

import ast
import importlib
import itertools
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

import stockward_server.storage

logging.getLogger("sqlglot").setLevel(logging.ERROR)  # it warns of what it keeps as a command

STORAGE = Path(stockward_server.storage.__file__).parent

BEGINS = re.compile(r"^\s*(--[^\n]*\n\s*)*(SELECT|INSERT|UPDATE|DELETE|WITH|MERGE|LOCK)\s")

FILLERS = ("x", "$1", "true", "", "SELECT 1 AS x", "NO KEY UPDATE", "x AS (SELECT 1)")
"""What stands in for a part that only a call knows; the first one with which the statement can be parsed is taken."""

NO_BUILTINS: dict[str, object] = {"__builtins__": {}}
"""A parameter of a function may have the name of one, such as `id`."""

MAX_HOLES = 3
"""Parts that are tried with each filler; further ones get the first."""


@dataclass(frozen=True)
class Found:
    """A statement, or a part of one, and where it is."""

    module: str
    """File below the storage package."""
    line: int
    sql: str
    tree: exp.Expr | None
    """None if it is only a part, which cannot be parsed by itself."""
    is_combined: bool
    """Whether it is sent with others as one WITH, see `storage.statement.Statement`."""


def statements() -> Iterator[Found]:
    """Yields all statements, in the order of the source."""
    for file in sorted(STORAGE.rglob("*.py")):
        relative = file.relative_to(STORAGE)
        name = ".".join(("stockward_server.storage", *relative.with_suffix("").parts)).removesuffix(".__init__")
        source = ast.parse(file.read_text())
        combined = _combined(source)
        for node in _texts(source):
            candidates = list(_filled(node, importlib.import_module(name)))
            if BEGINS.match(candidates[0]):
                sql, tree = _parsed(candidates)
                yield Found(str(relative), node.lineno, sql, tree, id(node) in combined)


def _combined(source: ast.Module) -> set[int]:
    """Returns the ids of the texts that are passed to `Statement.add`, by themselves or by a name."""
    calls = [node for node in ast.walk(source) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)]
    added = [
        call.args[0] for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr == "add" and call.args
    ]
    names = {each.id for each in added if isinstance(each, ast.Name)}
    assigned = [
        node.value
        for node in ast.walk(source)
        if isinstance(node, ast.Assign) and names & {each.id for each in node.targets if isinstance(each, ast.Name)}
    ]
    return {id(each) for each in (*added, *assigned)}


def _texts(tree: ast.Module) -> Iterator[ast.Constant | ast.JoinedStr]:
    """Yields the texts of a module that are not part of another one, nor a docstring."""
    inner = {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr | ast.Expr)
        for part in ast.walk(node)
        if part is not node and not (isinstance(node, ast.Expr) and not isinstance(node.value, ast.Constant))
    }
    for node in ast.walk(tree):
        text = isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))
        if text and id(node) not in inner:
            assert isinstance(node, ast.Constant | ast.JoinedStr)
            yield node


def _filled(node: ast.Constant | ast.JoinedStr, module: ModuleType) -> Iterator[str]:
    """Yields the text, once for each way to fill in what only a call knows. Names of the module are looked up."""
    if isinstance(node, ast.Constant):
        yield str(node.value)
        return
    parts: list[str | None] = []
    for part in node.values:
        if isinstance(part, ast.Constant):
            parts.append(str(part.value))
        else:
            assert isinstance(part, ast.FormattedValue)
            chosen = part.value.body if isinstance(part.value, ast.IfExp) else part.value  # such as a lock, if wanted
            try:
                value = eval(compile(ast.Expression(chosen), "<part>", "eval"), vars(module) | NO_BUILTINS)
                parts.append(format(value, "d") if part.format_spec else str(value))
            except Exception:  # a name of a function, such as a parameter
                parts.append(None)
    holes = parts.count(None)
    for fillers in itertools.product(FILLERS, repeat=min(holes, MAX_HOLES)):
        rest = itertools.chain(fillers, itertools.repeat(FILLERS[0]))
        yield "".join(next(rest) if part is None else part for part in parts)


def _parsed(candidates: list[str]) -> tuple[str, exp.Expr | None]:
    """Returns the first candidate that can be parsed, and its tree."""
    for sql in candidates:
        try:
            (tree,) = sqlglot.parse(sql, dialect="postgres")
        except (SqlglotError, ValueError):
            continue
        if isinstance(tree, exp.Expr):
            return sql, tree
    return candidates[0], None
