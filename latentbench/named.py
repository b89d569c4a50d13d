"""What can be named in a run: methods, metrics, domains."""

from __future__ import annotations

from pipeline.domains import base
from pipeline.methods import registry
from pipeline.methods.interface import Method
from pipeline.metrics import base as metrics_base
from pipeline.metrics.base import Metric


def methods() -> tuple[str, ...]:
    """The name of every method, ours first and controls last among them, then those of installed packages.

    >>> import latentbench
    >>> latentbench.methods()[:2]
    ('interfacegan', 'interfacegan_z')
    """
    return registry.names()


def method(name: str) -> type[Method]:
    """The class of a method; `method(name)(**parameters)` makes one that is not yet fitted.

    Raises UnknownNameError with the closest known name, LatentbenchError if another package's method cannot be used.

    >>> import latentbench
    >>> latentbench.method("interfacegan").supervision
    'labels'
    """
    return registry.get(name)


def metrics(*protocols: str) -> tuple[str, ...]:
    """The name of every metric, or of those of some protocols, in the order in which tables show them.

    >>> import latentbench
    >>> latentbench.metrics("locality-1")
    ('locality', 'parts_area')
    """
    return metrics_base.names(*protocols)


def metric(name: str) -> Metric:
    """A metric: its version, meaning, paper, unit, which way is better. Raises UnknownNameError.

    >>> import latentbench
    >>> latentbench.metric("ssim").better
    'higher'
    """
    return metrics_base.get(name)


def domains() -> tuple[str, ...]:
    """The name of every domain, which is a generator with its judges.

    >>> import latentbench
    >>> latentbench.domains()
    ('synthface', 'ffhq')
    """
    return base.names()
