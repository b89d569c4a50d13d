"""The registries: names of methods, metrics and domains, and what they name."""

from __future__ import annotations

from pipeline.domains import base
from pipeline.methods import registry
from pipeline.methods.interface import Method
from pipeline.metrics import base as metrics_base
from pipeline.metrics.base import Metric


def methods() -> tuple[str, ...]:
    """The names of all methods: ours, controls last, then the methods of installed packages.

    >>> import latentbench
    >>> latentbench.methods()[:2]
    ('interfacegan', 'interfacegan_z')
    """
    return registry.names()


def method(name: str) -> type[Method]:
    """The class of a method; `method(name)(**parameters)` makes an unfitted one.

    Raises UnknownNameError with the closest known name, LatentbenchError if another package's method cannot be used.

    >>> import latentbench
    >>> latentbench.method("interfacegan").supervision
    'labels'
    """
    return registry.get(name)


def metrics(*protocols: str) -> tuple[str, ...]:
    """The names of all metrics, or of the metrics of some protocols, in the order of the tables.

    >>> import latentbench
    >>> latentbench.metrics("locality-1")
    ('locality', 'parts_area')
    """
    return metrics_base.names(*protocols)


def metric(name: str) -> Metric:
    """A metric: version, meaning, paper, unit, and which direction is better. Raises UnknownNameError.

    >>> import latentbench
    >>> latentbench.metric("ssim").better
    'higher'
    """
    return metrics_base.get(name)


def domains() -> tuple[str, ...]:
    """The names of all domains. A domain is a generator with its networks.

    >>> import latentbench
    >>> latentbench.domains()
    ('synthface', 'ffhq', 'photoface')
    """
    return base.names()
