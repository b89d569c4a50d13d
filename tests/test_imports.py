"""Imports go one way, and torch stays out of the processes that schedule."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# Each line may import from the lines above it, and from its own package.
LAYERS: tuple[tuple[str, ...], ...] = (
    ("stylegan",),
    ("pipeline.errors", "pipeline.names", "pipeline.progress"),
    ("pipeline.attributes", "pipeline.devices", "pipeline.paths", "pipeline.processes", "pipeline.settings_file"),
    ("pipeline.config", "pipeline.schemas", "pipeline.units", "pipeline.pictures"),
    ("pipeline.gpus", "pipeline.files", "pipeline.jobs"),
    ("pipeline.provenance",),
    ("pipeline.joining",),
    ("pipeline.cluster",),
    ("pipeline.dispatch",),
    ("pipeline.locks", "pipeline.manifests"),
    ("pipeline.damage", "pipeline.machine_rates"),
    ("pipeline.stages",),
    ("pipeline.weights",),
    ("pipeline.states", "pipeline.tables", "pipeline.compute", "pipeline.images"),
    ("pipeline.runs",),
    ("pipeline.networks",),
    ("pipeline.domains",),
    ("pipeline.inversion", "pipeline.photographs"),
    ("pipeline.scorers",),
    ("pipeline.batches",),
    ("pipeline.latents",),
    ("pipeline.spread",),
    ("pipeline.labelling",),
    ("pipeline.methods",),
    ("pipeline.training",),
    ("pipeline.calibration",),
    ("pipeline.statistics", "pipeline.crossing"),
    ("pipeline.differences",),
    ("pipeline.ranks",),
    ("pipeline.metrics",),
    ("pipeline.judging", "pipeline.blocks"),
    ("pipeline.editing",),
    ("pipeline.matched", "pipeline.rates", "pipeline.consistency"),
    ("pipeline.scoring",),
    ("pipeline.rescoring", "pipeline.rating"),
    ("pipeline.chain",),
    ("pipeline.sizing",),
    ("pipeline.ablation", "pipeline.planning", "pipeline.diagnosis"),
    ("pipeline.report",),
    ("tasks",),
)
LEVEL = {prefix: level for level, prefixes in enumerate(LAYERS) for prefix in prefixes}

# Where torch may be imported at module level.
TORCH_AT_HOME = (
    "stylegan",
    "pipeline.networks",
    "pipeline.images",
    "pipeline.domains.synthface",
    "pipeline.inversion",
    "pipeline.scorers.training",
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
    for package in ("stylegan", "pipeline", "tasks")
    for path in sorted((ROOT / package).rglob("*.py"))
}


def layer(module: str) -> str | None:
    """The longest prefix of a module that is in LAYERS."""
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


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_one_way(module: str) -> None:
    own = layer(module)
    if module == "pipeline":
        own = LAYERS[0][0]
    assert own is not None, f"{module} is in no layer: give it a line in LAYERS"
    for name in imports(ast.parse(MODULES[module].read_text()), module):
        other = layer(name)
        if name.split(".")[0] in ("stylegan", "pipeline", "tasks") and other is not None and other != own:
            assert LEVEL[other] < LEVEL[own], f"{module} imports {name}, which is not above it"


@pytest.mark.parametrize("module", [name for name in MODULES if not name.startswith(TORCH_AT_HOME)])
def test_torch_is_not_imported_at_module_level(module: str) -> None:
    tree = ast.parse(MODULES[module].read_text())
    top = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    owners = {name.split(".")[0] for name in imports(ast.Module(top, []), module)}
    assert not owners & TORCH_OWNERS


def test_luigi_and_typer_are_known_to_tasks_alone() -> None:
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
