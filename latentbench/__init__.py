"""Latentbench from Python: the base class of methods, the registries, settings, runs, and published tables.

    import latentbench

    report = latentbench.run(profile="smoke", methods=["interfacegan", "noop"])
    scores = report.frame("scores")

Importing this package imports nothing else, torch least of all: each name is imported when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from latentbench.named import domains, method, methods, metric, metrics
    from latentbench.published import Report, query, report, reports, unpack
    from latentbench.running import run, settings
    from pipeline.errors import LatentbenchError
    from pipeline.methods.bytes_taken import Cost
    from pipeline.methods.interface import Faces, FitData, Method, Paper
    from pipeline.metrics.base import Metric
    from pipeline.settings.settings import Settings

    __version__: str

__all__ = [
    "Cost",
    "Faces",
    "FitData",
    "LatentbenchError",
    "Method",
    "Metric",
    "Paper",
    "Report",
    "Settings",
    "__version__",
    "domains",
    "method",
    "methods",
    "metric",
    "metrics",
    "query",
    "report",
    "reports",
    "run",
    "settings",
    "unpack",
]

# Name -> the module that defines it.
_HOMES = {
    "Cost": "pipeline.methods.bytes_taken",
    "Faces": "pipeline.methods.interface",
    "FitData": "pipeline.methods.interface",
    "LatentbenchError": "pipeline.errors",
    "Method": "pipeline.methods.interface",
    "Metric": "pipeline.metrics.base",
    "Paper": "pipeline.methods.interface",
    "Report": "latentbench.published",
    "Settings": "pipeline.settings.settings",
    "domains": "latentbench.named",
    "method": "latentbench.named",
    "methods": "latentbench.named",
    "metric": "latentbench.named",
    "metrics": "latentbench.named",
    "query": "latentbench.published",
    "report": "latentbench.published",
    "reports": "latentbench.published",
    "run": "latentbench.running",
    "settings": "latentbench.running",
    "unpack": "latentbench.published",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        value: Any = _version()
    elif name in _HOMES:
        value = getattr(import_module(_HOMES[name]), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)


def _version() -> str:
    """The installed version. Raises AttributeError where the code lies in a folder and is not installed."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("latentbench")
    except PackageNotFoundError as error:
        raise AttributeError("latentbench is not installed, so it has no version: pip install -e .") from error
