"""How modules of a checkout are imported: from the user's folder, in this process alone, without the network."""

from __future__ import annotations

import importlib
import importlib.util
import socket
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

OURS = ("pipeline", "stylegan")  # imported first, so that a checkout's folder of that name cannot take their place
_open: list[Path] = []


def open_checkout(folder: Path, first: tuple[str, ...] = ()) -> None:
    """From now on `theirs` imports from `folder`. Nothing is written there, and nothing is fetched."""
    for name in (*OURS, *first):
        importlib.import_module(name)
    sys.dont_write_bytecode = True
    socket.socket.connect = _refuse  # type: ignore[method-assign, assignment]
    sys.path.insert(0, str(folder))
    _open[:] = [folder.resolve()]


def _refuse(*_: Any) -> NoReturn:
    raise ConnectionError("A comparison with a checkout makes no connection.")


def theirs(name: str) -> ModuleType:
    """The checkout's module of that name. Raises ImportError if another one has taken the name.

    Modules of ours that share the name's first part stay the ones that our code sees.
    """
    top = name.partition(".")[0]
    before = {key: module for key, module in sys.modules.items() if key.partition(".")[0] == top}
    ours = {} if all(inside(module) for module in before.values()) else before
    for key in ours:
        del sys.modules[key]
    try:
        module = importlib.import_module(name)
    finally:
        if ours:
            for key in [key for key in sys.modules if key.partition(".")[0] == top]:
                del sys.modules[key]
            sys.modules.update(ours)
    if not inside(module):
        raise ImportError(f"{name} came from {module.__file__}, not from {_open[0]}: is the checkout complete?")
    return module


def inside(module: ModuleType) -> bool:
    """Whether a module's file lies in the open checkout."""
    places = [module.__file__] if getattr(module, "__file__", None) else list(getattr(module, "__path__", []))
    return all(Path(place).resolve().is_relative_to(_open[0]) for place in places if place)


def folder() -> Path:
    """The open checkout."""
    return _open[0]


def stand_in(name: str, **members: Any) -> None:
    """A module with these members alone, where a library that no comparison uses is not installed."""
    if name not in sys.modules and importlib.util.find_spec(name) is None:
        replace(name, **members)


def replace(name: str, **members: Any) -> None:
    """A module with these members alone, in place of one that no comparison uses and that would not load."""
    module = ModuleType(name)
    vars(module).update(members)
    sys.modules[name] = module
