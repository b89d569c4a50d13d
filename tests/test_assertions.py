"""No test can pass without having looked at something: at least one of its assertions is always reached."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
FILES = sorted(path for path in TESTS.rglob("test_*.py"))
CHECKS = ("assert", "check", "refuse")  # begin the names of functions that assert
INDIRECT = {"test_contract"}  # calls a check of the contract, which raises


def asserts(node: ast.AST) -> bool:
    """Whether a statement asserts: an assert, pytest.raises, a numpy or torch assertion, a function that checks."""
    for part in ast.walk(node):
        if isinstance(part, ast.Assert):
            return True
        if isinstance(part, ast.Call):
            function = part.func
            name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
            if name in ("raises", "warns") or name.lstrip("_").startswith(CHECKS):
                return True
    return False


def fixed(iterable: ast.expr) -> bool:
    """Whether what a loop goes over is written out, and not empty."""
    if isinstance(iterable, ast.Tuple | ast.List | ast.Set):
        return bool(iterable.elts)
    if isinstance(iterable, ast.Dict):
        return bool(iterable.keys)
    if not isinstance(iterable, ast.Call):
        return False
    if isinstance(iterable.func, ast.Attribute):  # {...}.items()
        return isinstance(iterable.func.value, ast.Dict) and fixed(iterable.func.value)
    name, arguments = getattr(iterable.func, "id", ""), iterable.args
    if name == "range":
        return all(isinstance(argument, ast.Constant) for argument in arguments)
    return name in ("enumerate", "zip") and all(fixed(argument) for argument in arguments)


def always(statements: list[ast.stmt]) -> bool:
    """Whether one of the statements asserts on every way through them."""
    for statement in statements:
        if isinstance(statement, ast.For):
            reached = fixed(statement.iter) and always(statement.body)
        elif isinstance(statement, ast.If):
            reached = always(statement.body) and always(statement.orelse)
        elif isinstance(statement, ast.With):
            reached = any(asserts(item) for item in statement.items) or always(statement.body)
        elif isinstance(statement, ast.Try):
            reached = always(statement.body) or always(statement.finalbody)
        else:
            simple = not isinstance(statement, ast.While | ast.FunctionDef | ast.ClassDef)
            reached = simple and asserts(statement)
        if reached:
            return True
    return False


def in_vain(source: str) -> list[str]:
    """Names of the tests of a file that may end without an assertion."""
    functions = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)]
    tests = [function for function in functions if function.name.startswith("test_")]
    return [test.name for test in tests if test.name not in INDIRECT and not always(test.body)]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(TESTS)))
def test_every_test_asserts_whatever_comes(path: Path) -> None:
    assert in_vain(path.read_text()) == []


@pytest.mark.parametrize(
    ("body", "vain"),
    [
        ("assert rows", False),
        ("pass", True),
        ("for row in rows: assert row", True),
        ("if rows: assert rows[0]", True),
        ("for row in (1, 2): assert row", False),
        ("for row, value in enumerate({1: 2}.items()): assert row", False),
        ("for row in enumerate(rows): assert row", True),
        ("with raises(ValueError): go()", False),
        ("assert rows\n    for row in rows: assert row", False),
        ("def inner(): assert 1", True),
    ],
)
def test_a_test_in_vain_is_found(body: str, vain: bool) -> None:
    assert in_vain(f"def test_it(rows):\n    {body}\n") == (["test_it"] if vain else [])
