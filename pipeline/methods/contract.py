"""The contract that every method keeps, as checks that run on any registered method, ours or a plug-in.

A check takes a `Subject` and raises BrokenContract, or any error of the method. Its docstring is the promise that
`latentbench methods check` prints.

>>> from pipeline.methods.contract import CHECKS
>>> print(CHECKS["inputs_are_not_modified"].__doc__)
Codes, values, z and strengths are as they were after an edit.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.attributes import EVALUATED
from pipeline.errors import ConfigError, LatentbenchError, StageError
from pipeline.methods import registry
from pipeline.methods.interface import Faces
from pipeline.methods.subject import Subject, copied

if TYPE_CHECKING:
    from torch import Tensor

NOISE = 1e-4  # largest difference that another order of summation makes
STILL = 0.1  # largest displacement by a zero edit that is not exactly the identity, in mean distances
UNDONE = 1e-3  # largest displacement after an exact undoing, in mean distances
FELT = 0.2  # smallest displacement by an edit that is to be undone, in mean distances
STRENGTHS = tuple(2.0**exponent for exponent in range(-1, 7))
TWO_AT_ONCE = 0.6  # strength of each of two edits made together


class BrokenContract(LatentbenchError):  # noqa: N818
    """A promise that a method breaks: what was expected and what was found."""


def _expect(kept: bool, message: str) -> None:
    if not kept:
        raise BrokenContract(message)


def facts_are_declared(subject: Subject) -> None:
    """name, version, paper, unit and supervision are declared, and the name is the registered one."""
    kind = registry.get(subject.name, subject.parameters)
    _expect(kind.name == subject.name, f"name is {kind.name!r}, registered as {subject.name!r}")
    _expect(kind.version >= 1, f"version is {kind.version}, expected 1 or more")
    _expect(bool(kind.unit and kind.paper.title and kind.space), "unit, space or the paper's title is empty")
    _expect(kind.supervision in ("labels", "none"), f"supervision is {kind.supervision!r}, expected 'labels' or 'none'")


def parameters_build_the_same(subject: Subject) -> None:
    """The constructor takes what `parameters()` returns, JSON-compatible, and returns the same again."""
    parameters = registry.build(subject.name, subject.parameters).parameters()
    again = registry.build(subject.name, json.loads(json.dumps(parameters))).parameters()
    _expect(again == parameters, f"parameters() is {parameters}, and {again} once they went through the constructor")


def unknown_settings_are_named(subject: Subject) -> None:
    """An unknown setting is a ConfigError, so the constructor takes no **kwargs."""
    try:
        registry.build(subject.name, {**subject.parameters, "speling": 1})
    except ConfigError:
        return
    raise BrokenContract("a setting named 'speling' was accepted: take keyword arguments by name")


def zero_changes_nothing(subject: Subject) -> None:
    """Strength 0 returns the very same codes, or nearly so where exact_identity is False, in a new tensor."""
    ws, faces = subject.faces.ws, copied(subject.faces)
    edited = subject.fitted.edit_faces(faces, subject.strengths(faces))
    if subject.fitted.exact_identity:
        _expect(bool((edited == ws).all()), "strength 0 changed codes: set exact_identity = False, or do not")
    moved = subject.distance(edited, ws)
    _expect(moved < STILL, f"strength 0 moved a code by {moved:.3g} mean distances, expected less than {STILL:g}")
    _expect(edited.data_ptr() != faces.ws.data_ptr(), "the input tensor itself was returned, expected a new one")


def inputs_are_not_modified(subject: Subject) -> None:
    """Codes, values, z and strengths are as they were after an edit."""
    import torch

    faces = copied(subject.faces)
    change = subject.strengths(faces, age=0.5, yaw=-0.5)
    inputs = {"ws": faces.ws, "values": faces.values, "z": faces.z, "strengths": change}
    before = {name: tensor.clone() for name, tensor in inputs.items() if tensor is not None}
    subject.fitted.edit_faces(faces, change)
    changed = [name for name, then in before.items() if not torch.equal(then, inputs[name])]  # type: ignore[arg-type]
    _expect(not changed, f"edit modified its input {', '.join(changed)}: work on a copy")


def shape_and_type_are_kept(subject: Subject) -> None:
    """Edited codes are finite float32 of the input's shape and device, and carry no gradient."""
    ws, edited = subject.faces.ws, subject.edit(glasses=1.0)
    _expect(edited.shape == ws.shape, f"shape is {tuple(edited.shape)}, expected {tuple(ws.shape)}")
    _expect(edited.dtype == ws.dtype, f"dtype is {edited.dtype}, expected {ws.dtype}")
    _expect(edited.device == ws.device, f"device is {edited.device}, expected {ws.device}")
    _expect(bool(edited.isfinite().all()), "edited codes hold infinities or NaN")
    _expect(not edited.requires_grad, "edited codes require a gradient: detach them")


def no_faces_give_no_edits(subject: Subject) -> None:
    """An empty batch gives an empty batch."""
    empty = subject.faces[slice(0, 0)]
    found = subject.edit(faces=empty, age=1.0).shape
    _expect(found == empty.ws.shape, f"shape is {tuple(found)}, expected {tuple(empty.ws.shape)}")


def layers_may_differ(subject: Subject) -> None:
    """A code whose layers hold different w is edited layer by layer."""
    import torch

    one, other = subject.faces[:1], subject.faces[1:2]
    half = one.ws.shape[1] // 2

    def with_codes(ws: Tensor) -> Faces:
        return Faces(ws, one.values, one.z, one.mapping, one.truncation_psi)

    mixed = torch.cat([one.ws[:, :half], other.ws[:, half:]], dim=1)
    edited = subject.edit(faces=with_codes(mixed), age=0.5)
    first = subject.edit(faces=one, age=0.5)[:, :half]
    last = subject.edit(faces=with_codes(other.ws), age=0.5)[:, half:]
    error = float((edited - torch.cat([first, last], dim=1)).abs().max())
    _expect(error < NOISE, f"a layer's edit depends on the other layers' codes: it differs by {error:.3g}")


def same_seed_same_method(subject: Subject) -> None:
    """Fitting twice on the same data and seed gives the same edits, to the bit: randomness from data.rng alone."""
    one, other = subject.edit(age=1.0, smile=-0.5), subject.edit(subject.fit(), age=1.0, smile=-0.5)
    _expect(bool((one == other).all()), f"two fits differ by {float((one - other).abs().max()):.3g}")


def save_and_load_agree(subject: Subject) -> None:
    """A loaded method has the edits, parameters and facts of the saved one, and saves the same bytes."""
    import torch

    with tempfile.TemporaryDirectory() as name:
        folder, again = Path(name), Path(name) / "again"
        again.mkdir()
        subject.fitted.save(folder)
        loaded = registry.load(subject.name, folder, subject.parameters)
        loaded.to(torch.device(subject.faces.ws.device))
        same = subject.edit(loaded, beard=0.7, pitch=-1.0) == subject.edit(beard=0.7, pitch=-1.0)
        _expect(bool(same.all()), "the loaded method edits otherwise: does state() hold all that fit learned?")
        _expect(loaded.parameters() == subject.fitted.parameters(), "the loaded method has other parameters")
        _expect(loaded.facts() == subject.fitted.facts(), "the loaded method has other facts: are they plain JSON?")
        loaded.save(again)
        for file in ("method.safetensors", "method.json"):
            _expect((again / file).read_bytes() == (folder / file).read_bytes(), f"{file} differs when saved again")


def another_version_is_refused(subject: Subject) -> None:
    """A method saved by another version is not loaded."""
    with tempfile.TemporaryDirectory() as name:
        subject.fitted.save(Path(name))
        path = Path(name) / "method.json"
        card = json.loads(path.read_text())
        path.write_text(json.dumps(card | {"version": card["version"] + 1}))
        try:
            registry.get(subject.name, subject.parameters).load(Path(name))
        except StageError:
            return
    raise BrokenContract("load took a method of another version: leave load() to the base class")


def faces_do_not_depend_on_their_batch(subject: Subject) -> None:
    """A face is edited the same alone and in a batch, once and twice."""
    import torch

    faces, count = copied(subject.faces), len(subject.faces.ws)
    change = subject.strengths(faces, gender=1.0) * torch.linspace(-1, 1, count).to(faces.ws)[:, None]
    rows = [slice(row, row + 1) for row in range(count)]
    for edits in (1, 2):
        together = subject.chain(copied(faces), *[change] * edits).ws
        alone = torch.cat([subject.chain(faces[row], *[change[row]] * edits).ws for row in rows])
        error = float((together - alone).abs().max())
        _expect(error < NOISE, f"a face's edit depends on its batch: edited {edits} times, it differs by {error:.3g}")


def several_attributes_change_at_once(subject: Subject) -> None:
    """An edit of two attributes differs from the edit of either."""
    moved = list(islice(moved_attributes(subject), 2))
    if len(moved) < 2:
        return  # nothing to tell apart: noop, or a method that learned a single attribute
    first, second = moved
    both = subject.edit(None, None, **{first: TWO_AT_ONCE, second: -TWO_AT_ONCE})
    for name, strength in ((first, TWO_AT_ONCE), (second, -TWO_AT_ONCE)):
        single = subject.edit(None, None, **{name: strength})
        message = f"an edit of {first} and {second} equals the edit of {name} alone"
        _expect(float((both - single).abs().max()) > NOISE, message)


def moved_attributes(subject: Subject) -> Iterator[str]:
    """The evaluated attributes whose edit changes a code in both directions."""
    for name in filter(subject.fitted.editable().__contains__, EVALUATED.values()):
        edits = (subject.edit(None, None, **{name: strength}) for strength in (TWO_AT_ONCE, -TWO_AT_ONCE))
        if all(bool((edited != subject.faces.ws).any()) for edited in edits):
            yield name


def an_edit_answers_faces(subject: Subject) -> None:
    """`edited` returns the codes of `edit_faces` and, for a face that moved, its `carries`; all else is NaN."""
    import torch

    method, faces = subject.fitted, copied(subject.faces)
    change = subject.strengths(faces, age=0.5, yaw=-0.5)
    found = method.edited(faces, change)
    _expect(isinstance(found, Faces), f"edited answers a {type(found).__name__}, expected Faces")
    _expect(torch.equal(found.ws, method.edit_faces(faces, change)), "edited answers other codes than edit_faces")
    _expect(found.values.shape == faces.values.shape, f"the answered values have shape {tuple(found.values.shape)}")
    for name, tensor in found.carried.items():
        fits = tensor.is_floating_point() and len(tensor) == len(faces.ws)
        _expect(fits, f"carried {name!r} is {tensor.dtype} {tuple(tensor.shape)}, expected floats, one row for a face")
    moved = (found.ws != faces.ws).flatten(1).any(dim=1)
    for name in ("values", "z"):
        held = getattr(found, name)
        if name not in method.carries and held is not None:
            unknown = bool(held[moved].isnan().all())
            _expect(
                unknown, f"{name} of the unedited faces stayed: carry the edited ones, or leave it to Faces.moved()"
            )


def zero_keeps_what_an_edit_carries(subject: Subject) -> None:
    """Where strength 0 returns the very same codes, it does not change the next edit."""
    faces = copied(subject.faces)
    zero, first, second = (
        subject.strengths(faces, **change) for change in ({}, {"age": 0.5}, {"yaw": -0.5, "age": 0.2})
    )
    if not subject.fitted.exact_identity:
        return
    for before in ((), (first,)):
        same = subject.chain(faces, *before, zero, second).ws == subject.chain(faces, *before, second).ws
        _expect(bool(same.all()), "an edit of zero changed what the next edit does: keep what is known in after()")


def edits_undo(subject: Subject) -> None:
    """Where `exact_undo` is declared, edits of one attribute each, undone in reverse order, return the codes."""
    if not subject.fitted.exact_undo:
        return
    faces = copied(subject.faces)
    age, yaw = (subject.strengths(faces, **{name: felt(subject, name)}) for name in ("age", "yaw"))
    for edits in ((age, -age), (age, -yaw, yaw, -age)):
        left = subject.distance(subject.chain(faces, *edits).ws, faces.ws)
        _expect(left < UNDONE, f"undoing left {left:.3g} mean distances: carry what edits need, or no exact_undo")


def felt(subject: Subject, name: str) -> float:
    """The smallest of STRENGTHS at which an edit of the attribute moves every face by FELT, or the largest."""
    tried = STRENGTHS[:1] if subject.fitted.value_bounded else STRENGTHS

    def far(strength: float) -> bool:
        faces = copied(subject.faces)
        edited = subject.fitted.edit_faces(faces, subject.strengths(faces, **{name: strength}))
        return float((edited - faces.ws).norm(dim=2).amax(dim=1).min()) > FELT * subject.mean_distance

    return next((strength for strength in tried if far(strength)), tried[-1])


CHECKS: dict[str, Callable[[Subject], None]] = {
    check.__name__: check
    for check in (
        facts_are_declared,
        parameters_build_the_same,
        unknown_settings_are_named,
        zero_changes_nothing,
        inputs_are_not_modified,
        shape_and_type_are_kept,
        no_faces_give_no_edits,
        layers_may_differ,
        same_seed_same_method,
        save_and_load_agree,
        another_version_is_refused,
        faces_do_not_depend_on_their_batch,
        several_attributes_change_at_once,
        an_edit_answers_faces,
        zero_keeps_what_an_edit_carries,
        edits_undo,
    )
}


@dataclass(frozen=True)
class CheckResult:
    """The result of one check; `fault` is empty if the promise is kept."""

    check: str
    promise: str
    fault: str


def verdicts(subject: Subject) -> Iterator[CheckResult]:
    """The result of every check in turn; an error of the method is its fault, with type and message."""
    for name, check in CHECKS.items():
        fault = ""
        try:
            check(subject)
        except BrokenContract as error:
            fault = str(error)
        except Exception as error:  # whatever a method raises
            fault = f"{type(error).__name__}: {error}"
        yield CheckResult(name, (check.__doc__ or "").strip(), fault)
