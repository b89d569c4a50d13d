"""Atomic writes, locks and sha256 are each written once; who does them by hand has a reason here."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("stylegan", "pipeline", "tasks", "latentbench")
APART = "stylegan imports nothing of pipeline"
MOVES = {
    "pipeline/storage/files.py": "the home: `replacing`, on which `write_whole` and `write_alone` stand",
    "pipeline/storage/damage.py": "sets a damaged file aside; nothing is written",
    "pipeline/report/workshop.py": "publishes a whole folder, and a link",
    "pipeline/storage/runs.py": "moves whole folders of stages aside, on one file system",
    "pipeline/upkeep/removal.py": "takes what nobody needs out of its place; nothing is written",
    "pipeline/report/packed.py": "lays down a whole folder that was packed",
    "pipeline/report/ablation/publish.py": "sets a damaged folder aside",
    "pipeline/weights/store.py": "moves a file that arrived and was checked into its place; nothing is written",
    "pipeline/weights/packages.py": "moves an archive that arrived and was checked into its place; nothing is written",
    "pipeline/chain/training.py": "moves what a method saved onto the temporary name of `write_shard`",
    "stylegan/weights.py": APART,
    "stylegan/checkpoints/importing.py": APART,
}
LOCKS = {"pipeline/storage/locks.py": "the home"}
HASHES = {
    "pipeline/storage/fingerprint.py": "the home of values and bytes",
    "pipeline/storage/files.py": "the home of files",
    "pipeline/settings/experiment.py": "settings come before storage in the order of packages",
    "pipeline/settings/direction_files.py": "settings come before storage in the order of packages",
    "pipeline/optimisation/checkpoint.py": "hashes a stream as it is written, and tensors one by one",
    "stylegan/weights.py": APART,
    "stylegan/checkpoints/importing.py": APART,
    "stylegan/checkpoints/opening.py": APART,
}


def is_move(node: ast.AST) -> bool:
    """os.replace, os.rename, shutil.move, PATH.rename(TARGET), PATH.replace(TARGET); not text.replace(OLD, NEW)."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return False
    owner = node.func.value.id if isinstance(node.func.value, ast.Name) else ""
    if owner in ("os", "shutil"):
        return node.func.attr in ("replace", "rename", "renames", "move")
    return node.func.attr in ("rename", "replace") and len(node.args) == 1 and not node.keywords


def imports(name: str, node: ast.AST) -> bool:
    """Whether a statement imports a module."""
    if isinstance(node, ast.Import):
        return any(alias.name == name for alias in node.names)
    return isinstance(node, ast.ImportFrom) and node.module == name


CASES = {
    "moves": (is_move, MOVES),
    "locks": (lambda node: imports("fcntl", node), LOCKS),
    "hashes": (lambda node: imports("hashlib", node), HASHES),
}


def modules() -> Iterator[Path]:
    for package in PACKAGES:
        yield from sorted((ROOT / package).rglob("*.py"))


@pytest.fixture(scope="module")
def trees() -> dict[str, ast.Module]:
    found = {path.relative_to(ROOT).as_posix(): ast.parse(path.read_text()) for path in modules()}
    assert len(found) > 200
    return found


@pytest.mark.parametrize("case", CASES)
def test_it_is_done_where_a_reason_is_given_and_nowhere_else(case: str, trees: dict[str, ast.Module]) -> None:
    does, allowed = CASES[case]
    assert {name for name, tree in trees.items() if any(does(node) for node in ast.walk(tree))} == set(allowed)


@pytest.mark.parametrize(
    ("code", "moves"),
    [
        ("os.replace(a, b)", True),
        ("path.rename(other)", True),
        ("path.replace(other)", True),
        ("shutil.move(a, b)", True),
        ("'text'.replace('a', 'b')", False),
        ("dataclasses.replace(a, b=1)", False),
        ("replace(a, b=1)", False),
        ("now.replace(microsecond=0)", False),
    ],
)
def test_a_move_is_told_from_a_replacement_in_a_text(code: str, moves: bool) -> None:
    assert any(is_move(node) for node in ast.walk(ast.parse(code))) == moves
