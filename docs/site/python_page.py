"""The public names of `latentbench` as directives of Sphinx's Python domain. Their docstrings are Markdown."""

from __future__ import annotations

import inspect
import re
from dataclasses import is_dataclass
from typing import Any

MODULE = "latentbench"


def python() -> str:
    """Every name of `latentbench.__all__` with its docstring, functions first."""
    import latentbench

    objects = {name: getattr(latentbench, name) for name in latentbench.__all__ if not name.startswith("_")}
    classes = {name: thing for name, thing in objects.items() if inspect.isclass(thing)}
    functions = {name: thing for name, thing in objects.items() if name not in classes}
    parts = ["## Functions", "", *(function(name, thing) for name, thing in functions.items())]
    return "\n".join([*parts, "## Classes", "", *(class_(name, thing) for name, thing in classes.items())])


def function(name: str, thing: Any) -> str:
    """A function as a directive."""
    return directive("py:function", f"{MODULE}.{name}{signature(thing)}", docstring(thing), colons=4)


def class_(name: str, thing: type) -> str:
    """A class as a directive, with its public methods and properties inside."""
    members = [member(name, key, value) for key, value in inspect.getmembers(thing) if own(thing, key, value)]
    title = f"{MODULE}.{name}" + (signature(thing) if is_dataclass(thing) else "")
    return directive("py:class", title, "\n\n".join([docstring(thing), *members]), colons=4)


def own(thing: type, key: str, value: Any) -> bool:
    """Whether a member is public, of our code, and documented."""
    home = getattr(value.fget if isinstance(value, property) else value, "__module__", "") or ""
    kind = inspect.isroutine(value) or isinstance(value, property)
    return kind and not key.startswith("_") and home.split(".")[0] in (MODULE, "pipeline") and bool(docstring(value))


def member(owner: str, key: str, value: Any) -> str:
    """A method or a property as a directive."""
    if isinstance(value, property):
        return directive("py:property", f"{MODULE}.{owner}.{key}", docstring(value), colons=3)
    return directive("py:method", f"{MODULE}.{owner}.{key}{signature(value)}", docstring(value), colons=3)


def directive(kind: str, title: str, text: str, *, colons: int) -> str:
    """A directive of MyST with Markdown inside; the outer fence is the longer one."""
    fence = ":" * colons
    return f"{fence}{{{kind}}} {title}\n\n{text}\n{fence}\n"


class Written(str):
    """An annotation that is shown as it is written."""

    __repr__ = str.__str__


def signature(thing: Any) -> str:
    """The signature as it is called: on one line, without self, without the objects behind defaults.

    >>> def example(self, size: int, *, names: str | None = None) -> int: ...
    >>> signature(example)
    '(size: int, *, names: str | None = None) -> int'
    """
    found = inspect.signature(thing)
    kept = [value for name, value in found.parameters.items() if name != "self"]
    shown = [value.replace(annotation=_written(value.annotation)) for value in kept]
    text = str(found.replace(parameters=shown, return_annotation=_written(found.return_annotation)))
    return text.replace("<factory>", "...")


def _written(annotation: Any) -> Any:
    return Written(annotation) if isinstance(annotation, str) else annotation


def docstring(thing: Any) -> str:
    """The docstring in Markdown: examples become blocks of code."""
    paragraphs = re.split(r"\n{2,}", inspect.getdoc(thing) or "")
    return "\n\n".join(f"```pycon\n{text}\n```" if text.startswith(">>>") else text for text in paragraphs)
