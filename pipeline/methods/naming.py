"""Names for unnamed directions: one rule for all methods that find directions without labels.

None of the papers has an automatic rule; their authors looked at strips of images. Our rule uses codes that nothing
else uses (`FitData.naming_w`), and is the same for all methods:

1. every pair of a candidate (direction x layer group) and a sign moves codes by STEP mean distances of two random w,
   whatever the method's unit and however many layers it edits;
2. scorer A reads all attributes before and after. A pair's change of an attribute is the mean difference over the
   codes, divided by the standard deviation of that attribute over the training labels;
3. an attribute gets the pair that raises it most, among pairs with a selectivity of at least LEAST_SELECTIVITY. The
   selectivity is c / (c + m), with c the change of the attribute and m the mean absolute change of the others. Where no
   pair is selective enough, the attribute gets the one that raises it most, and `qualified` is false. m leaves out
   attributes whose labels have no usable unit (`pipeline.statistics.units`), because a trace of them would decide it.
   Changes that differ by less than CHANGE_NOISE are equal, and the first of equal pairs gets the name, so that rounding
   chooses nothing;
4. pairs race (`naming_race.py`), because most lose after few codes. All move the first 16 codes. Only pairs that can
   still get a name go on to as many more codes, and so on, twice as many in all each time. A pair can if rule 3 gives
   it a name on the codes seen so far, or on one of 200 bootstrap resamples of them. That is for an attribute that
   protocols evaluate. For every other it takes one resample in twenty: 27 attributes that nobody edits would hold most
   of the pairs. Names go to pairs that moved all codes, and their changes are means over all codes.

The race chooses as all pairs on all codes would, up to near-ties. Measured on synthface with 192 codes in three orders:
of the 8 evaluated attributes, GANSpace with 200 candidates gets the same names, and SeFa with 256 at least 7, at a loss
of at most .014 standard deviations. Of all 35, at least 30 are the same. Images: a fifth, and an eighth with 512 codes.

The number of pairs tried is a fact of the method (`naming_candidates`) and a column of the published scores: the
readings of scorer A are supervision that a method "without labels" gets. `naming_images` is how many images it read.

Where a run makes its images in bfloat16 (`precision`), so does naming, whatever the training's precision: images take
half the time. Changes of 16 candidates of SeFa on 192 codes, .34 standard deviations in root mean square, differ from
full precision by .0022 in root mean square, and by .0096 at most.

An interrupted naming resumes: what was measured is kept, and gives the same names.

A direction that changes the first attribute by 3 and two others by 1 has a selectivity of 3 / (3 + 1) for it:

>>> import torch
>>> selectivities(torch.tensor([3.0, 1.0, 1.0]))
tensor([0.7500, 0.3333, 0.3333])
"""

from __future__ import annotations

from abc import abstractmethod
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pipeline.attributes import EVALUATED
from pipeline.domains.microbatches import in_microbatches
from pipeline.errors import StageError
from pipeline.methods.checkpoints import method_checkpoint
from pipeline.methods.interface import FitData, Method
from pipeline.methods.naming_race import FIRST_CODES, LEAST_SELECTIVITY, looks, named, selectivities, still_running
from pipeline.methods.precision import in_bfloat16
from pipeline.methods.unnamed_directions import Candidates
from pipeline.optimisation.checkpoint import Checkpoint
from pipeline.settings.experiment import BFLOAT16
from pipeline.statistics.units import Units, logits_of

if TYPE_CHECKING:
    from torch import Tensor

VERSION = 3  # of the rule: part of the fingerprint of every trained method
STEP = 0.15  # of a candidate, in mean distances of two random w, root mean square over the layers
LEAST_SPREAD = 1e-3  # changes of an attribute whose labels have a smaller standard deviation count as 0
# Of a race, after its first codes, on average: SeFa and GANSpace on synthface had 41 to 105, whatever their candidates.
PAIRS_LEFT = 50
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
    """One name per attribute, in the order of the attributes; `tried`: candidates x signs; `codes`: how many codes;
    `images`: how many images of moved codes scorer A looked at.
    """

    names: tuple[NamedCandidate, ...]
    tried: int
    codes: int
    images: int

    def facts(self) -> dict[str, Any]:
        """The naming, JSON-compatible; `from_facts` restores it."""
        return {
            "naming_candidates": self.tried,
            "naming_codes": self.codes,
            "naming_images": self.images,
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
            facts["naming_images"],
        )


def expected_images(candidates: int, codes: int) -> int:
    """About how many images a naming reads: of every pair on the first codes, and of PAIRS_LEFT on the others.

    >>> expected_images(candidates=256, codes=192)  # SeFa read 17,664 to 18,272
    16992
    """
    pairs, first = candidates * len(SIGNS), min(codes, FIRST_CODES)
    return pairs * first + min(pairs, PAIRS_LEFT) * (codes - first)


def name_directions(data: FitData, candidates: Candidates, method: Method | None = None) -> Naming:
    """A name for every attribute. Resumes from a checkpoint of the method if there is one.

    Raises StageError without candidates, or without codes to name them on.
    """
    if data.naming_w is None or not len(data.naming_w) or data.mean_distance is None:
        raise StageError("Naming directions takes FitData.naming_w, codes that nothing else uses, and mean_distance.")
    if not candidates.count:
        raise StageError("There is no direction to name: the layer groups reach beyond the generator's last layer.")

    kept = None if method is None else _checkpoint(method, data, candidates)
    with in_bfloat16(data) if data.naming_precision == BFLOAT16 else nullcontext(data) as seen:
        measured = measure(seen, candidates, kept)
    selectivity = selectivities(measured.changes, _usable(data))
    winners, qualified = named(measured.changes, selectivity)
    names = []
    for column, (attribute, row) in enumerate(zip(data.attributes, winners.tolist(), strict=True)):
        index, side = divmod(int(measured.pairs[row]), len(SIGNS))
        name = NamedCandidate(
            attribute=attribute,
            candidate=index,
            label=candidates.label(index),
            sign=SIGNS[side],
            strength=float(measured.strengths[index]),
            change=float(measured.changes[row, column]),
            selectivity=float(selectivity[row, column]),
            qualified=bool(qualified[column]),
        )
        names.append(name)
    return Naming(tuple(names), candidates.count * len(SIGNS), len(data.naming_w), measured.images)


@dataclass
class PairChanges:
    """What naming measured of the pairs that saw all codes; float64 on the CPU.

    - pairs (P,) int64, rising: candidate x 2, plus the index of the sign in SIGNS.
    - changes (P, 35): of every attribute, in standard deviations.
    - strengths (K,): of a step of each of the K candidates; 0 for one that moves nothing.
    - images: of moved codes that scorer A looked at, of all pairs.
    """

    pairs: Tensor
    changes: Tensor
    strengths: Tensor
    images: int


def measure(data: FitData, candidates: Candidates, kept: Checkpoint | None = None) -> PairChanges:
    """Race all pairs of a candidate and a sign on the naming codes. `kept` is the checkpoint of an interrupted race.

    The changes of a candidate that moves nothing are 0.
    """
    import torch

    assert data.naming_w is not None
    spread = data.values.double().std(dim=0).cpu()
    unit = torch.where(spread < LEAST_SPREAD, torch.inf, spread)
    evaluated = torch.zeros(len(data.attributes), dtype=torch.bool)
    evaluated[[data.attributes.index(EVALUATED.get(name, name)) for name in data.evaluated]] = True
    with torch.inference_mode():
        ws = data.generator.mapping.broadcast(data.naming_w.to(data.device))
        state = None if kept is None else kept.load()
        race = _start(data, candidates, ws) if state is None else _Race(**state)
        for rows in looks(len(ws)):
            if rows.start < race.seen.shape[1]:
                continue  # seen before the interruption
            _look(data, candidates, ws, rows, race, kept)
            race.seen, race.fresh = torch.cat([race.seen, torch.stack(race.fresh)], dim=1), []
            if rows.stop < len(ws):
                left = still_running(race.seen / unit, _usable(data), evaluated, data.seed)
                race.pairs, race.seen = race.pairs[left], race.seen[left]
                if kept is not None:
                    kept.save(vars(race))
        data.progress(1, 1, "")
    return PairChanges(race.pairs, race.seen.mean(dim=1) / unit, race.strengths, race.images)


@dataclass
class _Race:
    """The pairs in the race, their changes of the values on the codes seen (P, codes, 35), and `fresh`: the changes of
    the first of them on the codes of this look, (codes, 35) each.
    """

    pairs: Tensor
    strengths: Tensor
    seen: Tensor
    fresh: list[Tensor]
    images: int


def _start(data: FitData, candidates: Candidates, ws: Tensor) -> _Race:
    """All pairs, before the first code, and the strengths by which a step has its length."""
    import torch

    assert data.mean_distance is not None
    strengths = torch.zeros(candidates.count, dtype=torch.float64)
    for index in range(candidates.count):
        moved = float(displacement(candidates.shift(ws, index, ws.new_ones(len(ws)))).mean())
        if moved > 0:
            strengths[index] = STEP * data.mean_distance / moved
    pairs = torch.arange(candidates.count * len(SIGNS))
    return _Race(pairs, strengths, torch.zeros(len(pairs), 0, len(data.attributes), dtype=torch.float64), [], 0)


def _look(data: FitData, candidates: Candidates, ws: Tensor, rows: slice, race: _Race, kept: Checkpoint | None) -> None:
    """Measure the pairs in the race that have not seen these codes yet."""
    ahead = len(ws) - rows.start
    codes = ws[rows]
    before, saved = _values(data, codes), race.images
    for row in range(len(race.fresh), len(race.pairs)):
        index, side = divmod(int(race.pairs[row]), len(SIGNS))
        strength = SIGNS[side] * float(race.strengths[index])
        if race.images - saved >= CHECKPOINT_IMAGES and kept is not None:
            kept.save(vars(race))
            saved = race.images
        at_most = race.images + (len(race.pairs) - row) * len(codes) + len(race.pairs) * (ahead - len(codes))
        data.progress(race.images, at_most, f"naming, {candidates.label(index)}")
        if strength == 0:
            race.fresh.append(before.new_zeros(before.shape))
            continue
        shift = candidates.shift(codes, index, codes.new_full((len(codes),), strength))
        race.fresh.append(_values(data, codes + shift) - before)
        race.images += len(codes)


def _usable(data: FitData) -> Tensor:
    """Which attributes have a unit, (35,) bool."""
    import torch

    return torch.from_numpy(Units.of(logits_of(data.values).cpu().numpy()).usable)


def _checkpoint(method: Method, data: FitData, candidates: Candidates) -> Checkpoint:
    """The checkpoint of a naming of these candidates on these codes."""
    assert data.naming_w is not None
    state = candidates.state()
    rule = {
        "naming": VERSION,
        "mean_distance": data.mean_distance,
        "candidates": candidates.count,
        "precision": data.naming_precision,
    }
    tensors = (data.naming_w, *(state[name] for name in sorted(state)))
    return method_checkpoint(method, data, "naming", tensors=tensors, also=rule)


def displacement(shift: Tensor) -> Tensor:
    """Lengths (N,) of shifts (N, L, 512): root mean square over the layers, as in the tables."""
    return shift.double().norm(dim=2).square().mean(dim=1).sqrt()


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
