"""The registry of methods: names and classes, ours and of packages with an entry point `latentbench.methods`.

>>> from pipeline.methods import registry
>>> registry.names()[:2]
('interfacegan', 'interfacegan_z')
>>> registry.get("sefa").unit
'length in W, in the layers of its group'
>>> registry.build("rfm", {"layers": 4}).parameters()["layers"]
4
>>> registry.build("rfm", {"layer": 4})
Traceback (most recent call last):
    ...
pipeline.errors.ConfigError: luigi.cfg: [method.rfm] layer: No setting named 'layer'. Did you mean 'layers'? ...
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import EntryPoint, distributions
from pathlib import Path
from typing import Any

from pipeline.errors import ConfigError, LatentbenchError, UnknownNameError
from pipeline.methods import masking
from pipeline.methods.interface import Method
from pipeline.settings.direction_files import DIGEST, is_direction_file
from pipeline.settings.names import RULE, fits

ENTRY_POINTS = "latentbench.methods"
FACTS = ("name", "version", "paper", "unit", "supervision")  # that every class must declare

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
DIRECTION_FILE = "pipeline.methods.direction_file"  # whose methods have their names from the command line


def names() -> tuple[str, ...]:
    """The names of all methods, ours first."""
    return (*BUILT_IN, *sorted({point.name for point in _plugged()[0]}))


def broken() -> dict[str, str]:
    """Methods of other packages that cannot be used: name of the method or package -> its fault."""
    faults = dict(_plugged()[1])
    for name in names():
        try:
            get(name)
        except LatentbenchError as error:
            faults[name] = str(error)
    return faults


def _plugged() -> tuple[list[EntryPoint], dict[str, str]]:
    """Entry points of other packages with valid names, and the faults of the others.

    Packages are read one by one, so that a damaged one does not hide the methods of the others.
    """
    points, faults = [], {}
    for package in distributions():
        try:
            declared = list(package.entry_points.select(group=ENTRY_POINTS))
        except Exception as error:  # importlib.metadata may raise anything on a damaged file
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


def get(name: str, parameters: Mapping[str, Any] | None = None) -> type[Method]:
    """The class of a method; with its parameters of a run, also of a direction file.

    Raises UnknownNameError, or LatentbenchError if a plug-in cannot be loaded or used.
    """
    if name in BUILT_IN:
        module, _, attribute = BUILT_IN[name].partition(":")
        return _as_method(name, getattr(import_module(module), attribute))
    points = [point for point in _plugged()[0] if point.name == name]
    if not points and is_direction_file(parameters or {}):
        return _as_method(name, import_module(DIRECTION_FILE).of_name(name))
    if not points:
        raise UnknownNameError("method", name, names())
    try:
        target = points[0].load()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # foreign code may even call sys.exit while it is imported
        raise LatentbenchError(
            f"Method {name!r} cannot be loaded from {points[0].value}: {type(error).__name__}: {error}"
        ) from error
    return _as_method(name, target)


def _as_method(name: str, target: object) -> type[Method]:
    """The target, checked to be a complete class of methods. Raises LatentbenchError."""
    if not (isinstance(target, type) and issubclass(target, Method)):
        raise LatentbenchError(f"Method {name!r} is {target!r}, expected a subclass of latentbench.Method.")
    lacking = [fact for fact in FACTS if not hasattr(target, fact)] + sorted(target.__abstractmethods__)
    if lacking:
        raise LatentbenchError(f"Method {name!r} lacks {', '.join(lacking)}: see docs/tutorial/own-method.md.")
    return target


def build(name: str, parameters: Mapping[str, Any], source: str = "luigi.cfg") -> Method:
    """The method by name with these hyper-parameters, not yet fitted.

    Raises UnknownNameError for an unknown method, and ConfigError, which names the key and the file `source`, for a
    hyper-parameter that the method does not have or that is out of range.
    """
    kind = get(name, parameters)
    section = f"method.file.{name}" if is_direction_file(parameters) else f"method.{name}"
    known = (*inspect.signature(kind).parameters, masking.SETTING)
    for key in parameters:
        if key not in known:
            error = UnknownNameError("setting", key, known)
            raise ConfigError(f"{source}: [{section}] {key}: {error}")
    arguments = {key: value for key, value in parameters.items() if key != masking.SETTING}
    try:
        return masking.masked(kind(**arguments), parameters.get(masking.SETTING, masking.NONE))
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
    key = (get(name, parameters), repr(sorted(parameters.items())), source)
    if key not in _unfitted:
        _unfitted[key] = build(name, parameters, source)
    return _unfitted[key]


def version(name: str) -> int:
    """The version of a method. A name that no registered method has is a direction file's: runs have no others."""
    return get(name, None if name in names() else {DIGEST: ""}).version


def load(name: str, folder: Path, parameters: Mapping[str, Any]) -> Method:
    """The fitted method that `Method.save` wrote into a folder, with the layer mask of these settings.

    Raises UnknownNameError for the method, LatentbenchError if the folder holds another one.
    """
    return masking.masked(get(name, parameters).load(folder), parameters.get(masking.SETTING, masking.NONE))
