"""Names for unnamed directions: one rule for all methods that find directions without labels.

None of the papers has an automatic rule; their authors looked at strips of images. Our rule uses codes that nothing
else uses (`FitData.naming_w`), and is the same for all methods:

1. every candidate (direction x layer group), with both signs, moves every code by STEP mean distances of two random w,
   whatever the method's unit and however many layers it edits;
2. scorer A reads all attributes before and after. A candidate's change of an attribute is the mean difference over the
   codes, divided by the standard deviation of that attribute over the training labels;
3. an attribute gets the candidate and sign that raise it most, among candidates with a selectivity of at least
   LEAST_SELECTIVITY. The selectivity is c / (c + m), with c the change of the attribute and m the mean absolute change
   of the other attributes. Where no candidate is selective enough, the attribute gets the one that raises it most, and
   `qualified` is false. m leaves out attributes whose labels have no usable unit (`pipeline.statistics.units`), because
   a trace of them would decide it. Changes that differ by less than CHANGE_NOISE are equal, and the first of equal
   candidates gets the name, so that rounding chooses nothing.

The number of candidates tried, counting signs, is a fact of the method (`naming_candidates`) and a column of the
published scores: the readings of scorer A are supervision that a method "without labels" gets.

An interrupted naming resumes: the measurements of each candidate are kept, and give the same names.

A direction that changes the first attribute by 3 and two others by 1 has a selectivity of 3 / (3 + 1) for it:

>>> import torch
>>> selectivities(torch.tensor([3.0, 1.0, 1.0]))
tensor([0.7500, 0.3333, 0.3333])
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pipeline.domains.microbatches import in_microbatches
from pipeline.errors import StageError
from pipeline.methods.checkpoints import method_checkpoint
from pipeline.methods.interface import FitData, Method
from pipeline.methods.unnamed_directions import Candidates
from pipeline.optimisation.checkpoint import Checkpoint
from pipeline.statistics.units import Units, logits_of

if TYPE_CHECKING:
    from torch import Tensor

VERSION = 2  # of the rule: part of the fingerprint of every trained method
STEP = 0.15  # of a candidate, in mean distances of two random w, root mean square over the layers
LEAST_SELECTIVITY = 0.75  # three times the mean change of the other attributes
LEAST_SPREAD = 1e-3  # changes of an attribute whose labels have a smaller standard deviation count as 0
# In standard deviations. A scorer's values of an image differ by up to 1.6e-5 from batch to batch, means over codes by
# less; attributes that vary have a standard deviation of .02 or more.
CHANGE_NOISE = 1e-3
CHECKPOINT_IMAGES = 2048  # images between two checkpoints
SIGNS = (1, -1)


@dataclass(frozen=True)
class NamedCandidate:
    """The candidate that one attribute got.

    `sign`, 1 or -1, raises the attribute; `strength` is the unsigned strength of a step of STEP, in the method's unit;
    `change` (in standard deviations) and `selectivity` were measured there.
    """

    attribute: str
    candidate: int
    label: str
    sign: int
    strength: float
    change: float
    selectivity: float
    qualified: bool


@dataclass(frozen=True)
class Naming:
    """One name per attribute, in the order of the attributes; `tried`: candidates x signs; `codes`: how many codes."""

    names: tuple[NamedCandidate, ...]
    tried: int
    codes: int

    def facts(self) -> dict[str, Any]:
        """The naming, JSON-compatible; `from_facts` restores it."""
        return {
            "naming_candidates": self.tried,
            "naming_codes": self.codes,
            "naming_step": STEP,
            "naming_least_selectivity": LEAST_SELECTIVITY,
            "naming_unqualified": [name.attribute for name in self.names if not name.qualified],
            "naming": [asdict(name) for name in self.names],
        }

    @classmethod
    def from_facts(cls, facts: dict[str, Any]) -> Naming:
        """The naming that gave these facts."""
        return cls(
            tuple(NamedCandidate(**entry) for entry in facts["naming"]),
            facts["naming_candidates"],
            facts["naming_codes"],
        )


def name_directions(data: FitData, candidates: Candidates, method: Method | None = None) -> Naming:
    """A name for every attribute. Resumes from a checkpoint of the method if there is one.

    Raises StageError without candidates, or without codes to name them on.
    """
    if data.naming_w is None or not len(data.naming_w) or data.mean_distance is None:
        raise StageError("Naming directions takes FitData.naming_w, codes that nothing else uses, and mean_distance.")
    if not candidates.count:
        raise StageError("There is no direction to name: the layer groups reach beyond the generator's last layer.")
    import torch

    changes, strengths = measure(data, candidates, None if method is None else _checkpoint(method, data, candidates))
    usable = torch.from_numpy(Units.of(logits_of(data.values).cpu().numpy()).usable)
    selectivity = selectivities(changes, usable)
    names = []
    for column, attribute in enumerate(data.attributes):
        index, side, qualified = pick(changes[:, :, column], selectivity[:, :, column])
        name = NamedCandidate(
            attribute=attribute,
            candidate=index,
            label=candidates.label(index),
            sign=SIGNS[side],
            strength=float(strengths[index]),
            change=float(changes[index, side, column]),
            selectivity=float(selectivity[index, side, column]),
            qualified=qualified,
        )
        names.append(name)
    return Naming(tuple(names), candidates.count * len(SIGNS), len(data.naming_w))


def pick(changes: Tensor, selectivity: Tensor) -> tuple[int, int, bool]:
    """The best candidate of one attribute, the index of its sign in SIGNS, and whether it is selective enough.

    changes (K, 2) and selectivity (K, 2), per candidate and sign. The first of candidates that are equal within
    CHANGE_NOISE.

    >>> import torch
    >>> changes = torch.tensor([[2.0, -2.0], [-1.0, 1.0]])  # the first raises the attribute more ...
    >>> pick(changes, torch.tensor([[0.5, 0.5], [0.9, 0.9]]))  # ... but the second, downwards, is selective
    (1, 1, True)
    """
    import torch

    fits = (changes > CHANGE_NOISE) & (selectivity >= LEAST_SELECTIVITY)
    qualified = bool(fits.any())
    best = torch.where(fits, changes, -torch.inf) if qualified else changes
    index, side = divmod(int((best >= best.max() - CHANGE_NOISE).int().argmax()), len(SIGNS))
    return index, side, qualified


def measure(data: FitData, candidates: Candidates, kept: Checkpoint | None = None) -> tuple[Tensor, Tensor]:
    """Changes (K, 2, 35) per candidate, sign and attribute, in standard deviations, and strengths (K,) of a step.

    Both float64 on the CPU. A candidate that moves nothing has a strength of 0 and changes of 0. `kept` is the
    checkpoint of the candidates measured before an interruption.
    """
    import torch

    assert data.naming_w is not None and data.mean_distance is not None
    length = STEP * data.mean_distance
    with torch.inference_mode():
        ws = data.generator.mapping.broadcast(data.naming_w.to(data.device))
        before = _values(data, ws)
        changes = torch.zeros(candidates.count, len(SIGNS), len(data.attributes), dtype=torch.float64)
        strengths = torch.zeros(candidates.count, dtype=torch.float64)
        state = None if kept is None else kept.load(data.device)
        first = 0
        if state is not None:
            first, changes, strengths = state["measured"], state["changes"].cpu(), state["strengths"].cpu()
        every = max(1, CHECKPOINT_IMAGES // (len(SIGNS) * len(ws)))
        for index in range(first, candidates.count):
            if kept is not None and index > first and index % every == 0:
                kept.save({"measured": index, "changes": changes, "strengths": strengths})
            data.progress(index, candidates.count, f"naming, {candidates.label(index)}")
            unit = candidates.shift(ws, index, ws.new_ones(len(ws)))
            moved = float(displacement(unit).mean())
            if moved <= 0:
                continue
            strengths[index] = length / moved
            for side, sign in enumerate(SIGNS):
                strength = ws.new_full((len(ws),), sign * float(strengths[index]))
                after = _values(data, ws + candidates.shift(ws, index, strength))
                changes[index, side] = (after - before).mean(dim=0)
        data.progress(candidates.count, candidates.count, "")
    spread = data.values.double().std(dim=0).cpu()
    return changes / torch.where(spread < LEAST_SPREAD, torch.inf, spread), strengths


def _checkpoint(method: Method, data: FitData, candidates: Candidates) -> Checkpoint:
    """The checkpoint of a naming of these candidates on these codes."""
    assert data.naming_w is not None
    state = candidates.state()
    rule = {"naming": VERSION, "mean_distance": data.mean_distance, "candidates": candidates.count}
    tensors = (data.naming_w, *(state[name] for name in sorted(state)))
    return method_checkpoint(method, data, "naming", tensors=tensors, also=rule)


def displacement(shift: Tensor) -> Tensor:
    """Lengths (N,) of shifts (N, L, 512): root mean square over the layers, as in the tables."""
    return shift.double().norm(dim=2).square().mean(dim=1).sqrt()


def selectivities(changes: Tensor, usable: Tensor | None = None) -> Tensor:
    """c / (c + m) of changes (..., attributes), in [0, 1]; 0 where nothing changes.

    c is the absolute change of an attribute, m the mean absolute change of the others. usable (attributes,) bool: which
    of the others count in m; by default all.
    """
    import torch

    sizes = changes.abs()
    counted = torch.ones(sizes.shape[-1], dtype=torch.bool) if usable is None else usable
    counted = counted.to(sizes)
    others = ((sizes * counted).sum(dim=-1, keepdim=True) - sizes * counted) / (counted.sum() - counted).clamp(min=1)
    total = sizes + others
    return torch.where(total > 0, sizes / total.clamp(min=1e-300), 0.0)


def _values(data: FitData, ws: Tensor) -> Tensor:
    """Scorer A's values (N, 35) float64 on the CPU of G(ws)."""
    import torch

    def see(rows: slice) -> Tensor:
        return data.scorer_a(data.generator.synthesis(ws[rows])).double().cpu()

    return torch.cat(in_microbatches(see, len(ws), data.generator.resolution, data.device))


class Unnamed(Method):
    """Base class of methods whose directions have no names: `find` learns them, the rule names them.

    A strength of 1 is the method's unit. Edits of several attributes add up; each is computed from the unedited code.
    Subclasses that learn more extend `facts` and `state`.
    """

    supervision: ClassVar[str] = "none"

    candidates_: Candidates
    naming_: Naming

    @abstractmethod
    def find(self, data: FitData) -> Candidates:
        """Learn the candidates from `data`."""

    @abstractmethod
    def rebuild(self, state: dict[str, Tensor], facts: dict[str, Any]) -> Candidates:
        """The candidates that `state` and `facts` describe."""

    def fit(self, data: FitData) -> None:
        """Find directions and name them."""
        self.candidates_ = self.find(data)
        self.naming_ = name_directions(data, self.candidates_, self)

    def edit(self, ws: Tensor, strengths: Tensor, values: Tensor) -> Tensor:
        """ws (N, L, 512) plus the shifts of the attributes, by strengths (N, 35)."""
        edited = ws.clone()
        for column in strengths.any(dim=0).nonzero()[:, 0].tolist():
            name = self.naming_.names[column]
            edited += self.candidates_.shift(ws, name.candidate, name.sign * strengths[:, column].to(ws))
        return edited

    def state(self) -> dict[str, Tensor]:
        """The tensors of the candidates."""
        return self.candidates_.state()

    def restore(self, state: dict[str, Tensor], facts: dict[str, Any]) -> None:
        """Restore candidates and names."""
        self.naming_ = Naming.from_facts(facts)
        self.candidates_ = self.rebuild(state, facts)

    def facts(self) -> dict[str, Any]:
        """`naming`: per attribute, its candidate and measurements; `naming_candidates`: how many were tried."""
        return self.naming_.facts()
