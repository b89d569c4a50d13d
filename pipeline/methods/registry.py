"""Names of methods -> their classes: ours, and those of packages that declare a `latentbench.methods` entry point."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from pipeline.errors import ConfigError, LatentbenchError, UnknownNameError
from pipeline.methods import masking
from pipeline.methods.base import Method

ENTRY_POINTS = "latentbench.methods"

# In the order in which tables show them. Controls last.
BUILT_IN: dict[str, str] = {
    "interfacegan": "pipeline.methods.interfacegan:InterFaceGAN",
    "interfacegan_z": "pipeline.methods.interfacegan_z:InterFaceGANZ",
    "interfacegan_conditional": "pipeline.methods.interfacegan_conditional:InterFaceGANConditional",
    "higan": "pipeline.methods.higan:HiGAN",
    "rfm": "pipeline.methods.rfm:RFM",
    "ganspace": "pipeline.methods.ganspace:GANSpace",
    "sefa": "pipeline.methods.sefa:SeFa",
    "latentclr": "pipeline.methods.latentclr:LatentCLR",
    "llf": "pipeline.methods.llf:LLF",
    "styleflow": "pipeline.methods.styleflow:StyleFlow",
    "l2l": "pipeline.methods.l2l:L2L",
    "interfacegan_shuffled": "pipeline.methods.interfacegan_shuffled:InterFaceGANShuffled",
    "random": "pipeline.methods.controls:RandomDirection",
    "noop": "pipeline.methods.controls:NoOp",
}


def names() -> tuple[str, ...]:
    """Every method that can be named, ours first."""
    plugged = {point.name for point in entry_points(group=ENTRY_POINTS)} - set(BUILT_IN)
    return (*BUILT_IN, *sorted(plugged))


def get(name: str) -> type[Method]:
    """The class of a method. Raises UnknownNameError, or LatentbenchError if a plug-in is not a Method."""
    target: object
    if name in BUILT_IN:
        module, _, attribute = BUILT_IN[name].partition(":")
        target = getattr(import_module(module), attribute)
    else:
        points = [point for point in entry_points(group=ENTRY_POINTS) if point.name == name]
        if not points:
            raise UnknownNameError("method", name, names())
        target = points[0].load()
    if not (isinstance(target, type) and issubclass(target, Method)):
        raise LatentbenchError(f"Method {name!r} is {target!r}, expected a subclass of pipeline.methods.base.Method.")
    return target


def build(name: str, parameters: Mapping[str, Any], source: str = "luigi.cfg") -> Method:
    """The method of that name with these hyper-parameters, not yet fitted.

    Raises UnknownNameError for the method; ConfigError, naming the key of luigi.cfg, for a hyper-parameter that
    it does not have or that is out of range; `source` is the file that the message names.
    """
    kind = get(name)
    known = (*inspect.signature(kind).parameters, masking.SETTING)
    for key in parameters:
        if key not in known:
            error = UnknownNameError("setting", key, known)
            raise ConfigError(f"{source}: [method.{name}] {key}: {error}")
    own = {key: value for key, value in parameters.items() if key != masking.SETTING}
    return masking.masked(kind(**own), parameters.get(masking.SETTING, masking.NONE))
