"""Names of methods -> their classes: ours, and those of packages that declare a `latentbench.methods` entry point."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import EntryPoint, distributions
from pathlib import Path
from typing import Any

from pipeline.errors import ConfigError, LatentbenchError, UnknownNameError
from pipeline.methods import masking
from pipeline.methods.base import Method
from pipeline.settings.names import RULE, fits

ENTRY_POINTS = "latentbench.methods"
FACTS = ("name", "version", "paper", "unit", "supervision")  # of a class, without which nothing can be said of it

# In the order in which tables show them. Controls last.
BUILT_IN: dict[str, str] = {
    "interfacegan": "pipeline.methods.interfacegan:InterFaceGAN",
    "interfacegan_z": "pipeline.methods.interfacegan_z:InterFaceGANZ",
    "interfacegan_conditional": "pipeline.methods.interfacegan_conditional:InterFaceGANConditional",
    "higan": "pipeline.methods.higan:HiGAN",
    "rfm": "pipeline.methods.rfm:RFM",
    "ganspace": "pipeline.methods.ganspace:GANSpace",
    "sefa": "pipeline.methods.sefa:SeFa",
    "latentclr": "pipeline.methods.contrastive.latentclr:LatentCLR",
    "llf": "pipeline.methods.contrastive.llf:LLF",
    "styleflow": "pipeline.methods.styleflow.method:StyleFlow",
    "l2l": "pipeline.methods.l2l.method:L2L",
    "interfacegan_shuffled": "pipeline.methods.interfacegan_shuffled:InterFaceGANShuffled",
    "random": "pipeline.methods.controls:RandomDirection",
    "noop": "pipeline.methods.controls:NoOp",
}


def names() -> tuple[str, ...]:
    """Every method that can be named, ours first."""
    return (*BUILT_IN, *sorted({point.name for point in _plugged()[0]}))


def broken() -> dict[str, str]:
    """What other packages declare and cannot be used: method, or package -> what is wrong with it."""
    found = dict(_plugged()[1])
    for name in names():
        try:
            get(name)
        except LatentbenchError as error:
            found[name] = str(error)
    return found


def _plugged() -> tuple[list[EntryPoint], dict[str, str]]:
    """Entry points of other packages whose names can be methods', and what is wrong with the rest.

    One package after the other, so that one whose list cannot be read costs nobody the methods of the others.
    """
    points, faults = [], {}
    for package in distributions():
        try:
            declared = list(package.entry_points.select(group=ENTRY_POINTS))
        except Exception as error:  # whatever importlib.metadata makes of a damaged file
            faults[str(package.name)] = (
                f"its entry_points.txt cannot be read ({type(error).__name__}: {error}). Install the package again, or "
                "remove it: Dask, which computes, stops at it too."
            )
            continue
        for point in declared:
            if fits(point.name):
                points.append(point)
            else:
                faults[repr(point.name)] = f"Expected a method's name of {RULE}; the package is {package.name}."
    return [point for point in points if point.name not in BUILT_IN], faults


def get(name: str) -> type[Method]:
    """The class of a method. Raises UnknownNameError, or LatentbenchError if a plug-in cannot be loaded or used."""
    if name in BUILT_IN:
        module, _, attribute = BUILT_IN[name].partition(":")
        return _as_method(name, getattr(import_module(module), attribute))
    points = [point for point in _plugged()[0] if point.name == name]
    if not points:
        raise UnknownNameError("method", name, names())
    try:
        target = points[0].load()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # code of others: it may even call sys.exit while it is imported
        raise LatentbenchError(
            f"Method {name!r} cannot be loaded from {points[0].value}: {type(error).__name__}: {error}"
        ) from error
    return _as_method(name, target)


def _as_method(name: str, target: object) -> type[Method]:
    """The class that a method can be made of. Raises LatentbenchError."""
    if not (isinstance(target, type) and issubclass(target, Method)):
        raise LatentbenchError(f"Method {name!r} is {target!r}, expected a subclass of pipeline.methods.base.Method.")
    lacking = [fact for fact in FACTS if not hasattr(target, fact)] + sorted(target.__abstractmethods__)
    if lacking:
        raise LatentbenchError(f"Method {name!r} lacks {', '.join(lacking)} (docs/plugin.md says what they are).")
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
    try:
        return masking.masked(kind(**own), parameters.get(masking.SETTING, masking.NONE))
    except LatentbenchError as error:
        raise ConfigError(f"{source}: {error}") from error
    except Exception as error:
        if name in BUILT_IN:
            raise
        raise ConfigError(f"{source}: [method.{name}]: {type(error).__name__}: {error}") from error


_unfitted: dict[tuple[type[Method], str, str], Method] = {}


def unfitted(name: str, parameters: Mapping[str, Any], source: str = "luigi.cfg") -> Method:
    """The method of `build`, one object for all who ask for the same: to be asked for its facts, never to be fitted.

    Raises as `build`.
    """
    key = (get(name), repr(sorted(parameters.items())), source)
    if key not in _unfitted:
        _unfitted[key] = build(name, parameters, source)
    return _unfitted[key]


def load(name: str, folder: Path, parameters: Mapping[str, Any]) -> Method:
    """The fitted method that `Method.save` wrote into a folder, with the layer mask of these settings.

    Raises UnknownNameError for the method, LatentbenchError if the folder holds another one.
    """
    return masking.masked(get(name).load(folder), parameters.get(masking.SETTING, masking.NONE))
