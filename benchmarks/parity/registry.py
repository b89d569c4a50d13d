"""Which subjects there are. A new one is a file in `subjects` with a `SUBJECT`, and its name here."""

from __future__ import annotations

import difflib
import importlib

from benchmarks.parity.comparison import Subject

SUBJECTS = (
    "stylegan2_ada_pytorch",
    "stylegan2_pytorch",
    "interfacegan",
    "ganspace",
    "sefa",
    "styleflow",
    "latentclr",
    "llf",
    "rfm",
    "higan",
    "clean_fid",
    "torch_fidelity",
    "facenet_pytorch",
    "libraries",
)


def subject(name: str) -> Subject:
    """The subject of that name."""
    found: Subject = importlib.import_module(f"benchmarks.parity.subjects.{name}").SUBJECT
    return found


def chosen(only: list[str]) -> dict[str, Subject]:
    """Subjects, each with the comparisons that `only` names ('sefa', or 'sefa.factorize_weight'); all if it is empty.

    Raises KeyError, with the closest name, for one that does not exist.
    """
    subjects = {name: subject(name) for name in SUBJECTS}
    if not only:
        return subjects
    known = [*subjects, *(f"{name}.{one.name}" for name, each in subjects.items() for one in each.comparisons)]
    for word in only:
        if word not in known:
            close = difflib.get_close_matches(word, known, 1)
            hint = f" Did you mean '{close[0]}'?" if close else ""
            raise KeyError(f"--only {word}: no subject and no comparison has that name.{hint} --list names all.")
    kept = {}
    for name, each in subjects.items():
        wanted = tuple(one for one in each.comparisons if name in only or f"{name}.{one.name}" in only)
        if wanted:
            kept[name] = Subject(wanted, each.checkout, each.first, each.shims)
    return kept
