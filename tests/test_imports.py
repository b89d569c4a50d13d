"""Imports go one way, and torch stays out of the processes that schedule."""

from __future__ import annotations

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# Packages in one order: each may import from itself and from those before it, never from those after it. Packages of
# one group do not know each other.
ORDER: tuple[tuple[str, ...], ...] = (
    ("stylegan",),
    ("pipeline.errors",),
    ("pipeline.attributes",),
    ("pipeline.images", "pipeline.progress"),
    ("pipeline.settings",),
    ("pipeline.pictures",),
    ("pipeline.storage",),
    ("pipeline.tables", "pipeline.execution", "pipeline.weights"),
    ("pipeline.statistics",),
    ("pipeline.metrics",),
    ("pipeline.networks", "pipeline.optimisation"),
    ("pipeline.domains",),
    ("pipeline.inversion", "pipeline.scorer_training", "pipeline.methods"),
    ("pipeline.chain",),
    ("pipeline.planning", "pipeline.report"),
    ("pipeline.showing", "pipeline.nights"),
    ("pipeline.upkeep",),
    ("tasks",),
    ("latentbench",),  # the public face: it may import all of ours, and none of ours imports it
)
LEVEL = {package: level for level, packages in enumerate(ORDER) for package in packages}
LONGEST = 18  # modules of a chain of imports, each of which imports the next
LOOSE = {"attributes", "errors", "images", "pictures", "progress"}  # modules of `pipeline` beside its packages

# Where torch may be imported at module level.
TORCH_AT_HOME = (
    "stylegan",
    "pipeline.networks",
    "pipeline.images",
    "pipeline.domains.synthface",
    "pipeline.inversion",
    "pipeline.methods.contrastive.directions",
    "pipeline.methods.l2l.mapper",
    "pipeline.methods.styleflow.flow",
    "pipeline.scorer_training.training",
)
TORCH_OWNERS = {
    "torch",
    "torchvision",
    "lpips",
    "cleanfid",
    "facenet_pytorch",
    "pytorch_msssim",
    "torch_fidelity",
    "torchdiffeq",
}

MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for package in ("stylegan", "pipeline", "tasks", "latentbench")
    for path in sorted((ROOT / package).rglob("*.py"))
}


def package(module: str) -> str | None:
    """The package, or loose module, of ORDER that a module is in."""
    parts = module.split(".")
    prefixes = (".".join(parts[:count]) for count in range(len(parts), 0, -1))
    return next((prefix for prefix in prefixes if prefix in LEVEL), None)


def imports(tree: ast.AST, module: str) -> set[str]:
    """Every module that is imported anywhere in a file, `from package import module` resolved."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{module}: relative import"
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in MODULES else str(node.module) for name in names}
    return found


@pytest.mark.parametrize("module", [name for name in MODULES if name != "pipeline"])
def test_imports_go_one_way(module: str) -> None:
    own = package(module)
    assert own is not None, f"{module} is in no package of ORDER"
    for name in imports(ast.parse(MODULES[module].read_text()), module):
        other = package(name)
        if other is not None and other != own:
            assert LEVEL[other] < LEVEL[own], f"{module} imports {name}, which does not come before it"


def test_a_domain_keeps_its_insides_to_itself() -> None:
    """All but the command line reach a domain through `pipeline.domains.base`."""
    assert "pipeline.domains.synthface" in MODULES
    for module, path in MODULES.items():
        if not module.startswith(("pipeline.domains", "tasks.cli")):
            known = {
                name for name in imports(ast.parse(path.read_text()), module) if name.startswith("pipeline.domains.")
            }
            assert known <= {"pipeline.domains.base", "pipeline.domains.microbatches"}, module


def test_loose_modules_are_few() -> None:
    assert {path.stem for path in (ROOT / "pipeline").glob("*.py")} - {"__init__"} == LOOSE


def test_no_module_imports_itself_through_others() -> None:
    """Imports for type checking alone count too."""
    graph = {
        module: imports(ast.parse(path.read_text()), module) & (MODULES.keys() - {module})
        for module, path in MODULES.items()
    }
    order = tuple(TopologicalSorter(graph).static_order())  # raises CycleError, which names the circle
    assert set(order) == set(MODULES)


def test_no_chain_of_imports_is_long() -> None:
    """To read the first module of a chain, one may have to read them all. Imports for type checking alone count."""
    graph = {
        module: imports(ast.parse(path.read_text()), module) & (MODULES.keys() - {module})
        for module, path in MODULES.items()
    }
    chains: dict[str, list[str]] = {}
    for module in TopologicalSorter(graph).static_order():
        chains[module] = [module, *max((chains[name] for name in graph[module]), key=len, default=[])]
    longest = max(chains.values(), key=len)
    assert len(longest) <= LONGEST, " -> ".join(longest)


@pytest.mark.parametrize("module", [name for name in MODULES if not name.startswith(TORCH_AT_HOME)])
def test_torch_is_not_imported_at_module_level(module: str) -> None:
    tree = ast.parse(MODULES[module].read_text())
    top = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    owners = {name.split(".")[0] for name in imports(ast.Module(top, []), module)}
    assert not owners & TORCH_OWNERS


def test_luigi_and_typer_are_known_to_tasks_alone() -> None:
    assert "tasks" in MODULES and "pipeline.errors" in MODULES
    for module, path in MODULES.items():
        if not module.startswith("tasks"):
            known = {name.split(".")[0] for name in imports(ast.parse(path.read_text()), module)}
            assert not known & {"luigi", "typer", "click"}, module


def test_scheduling_never_loads_torch() -> None:
    """In a fresh process: tasks, command line, report, every method, metric and domain's card, and no torch."""
    names = [name for name in MODULES if not name.startswith(TORCH_AT_HOME)]
    code = f"""
import contextlib, importlib, sys
from pipeline.errors import WeightsError
for name in {names!r}:
    importlib.import_module(name)
from pipeline.methods import registry
from pipeline.metrics import base as metrics
from pipeline.domains import base as domains
[registry.get(name) for name in registry.names()]
[metrics.get(name) for name in metrics.names()]
for name in domains.names():
    with contextlib.suppress(WeightsError):  # files of a domain that do not come with the package
        domains.describe(name)
print([name for name in sys.modules if name.split('.')[0] in {sorted(TORCH_OWNERS)!r}])
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"
