"""Direction files: vectors that somebody else made, evaluated like any method."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar

from pipeline.attributes import EVALUATED, NAMES, index_of
from pipeline.domains.microbatches import in_microbatches
from pipeline.errors import ConfigError, StageError
from pipeline.methods import validation
from pipeline.methods.bytes_taken import Cost
from pipeline.methods.contrastive.candidates import ALL, EACH, SEEN, parse_groups
from pipeline.methods.cost import layers_of, linear_cost
from pipeline.methods.direction_reading import LONGEST, SHORTEST, DirectionVectors, Vector, read_directions
from pipeline.methods.interface import FitData, Method, Paper
from pipeline.methods.naming import LEAST_SPREAD, STEP, displacement
from pipeline.methods.naming_race import FIRST_CODES
from pipeline.settings.direction_files import evaluated_name, parsed_names

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from pipeline.domains.base import DomainCard

SURE = 2.0  # standard errors by which a change differs from 0


class DirectionFile(Method):
    """w'_l = w_l + s v_l, with v_l the vector of the attribute and layer l in a file.

    A file has 512 numbers for an attribute, which move every layer alike, or 512 for each layer. `layers` restricts an
    edit to some of them. A strength of 1 adds the vector as it is; with `normalise`, the vector divided by its length
    (the root mean square over the layers that the edit touches), so that a strength is a length in W.

    A positive strength must raise the attribute. `fit` looks: it moves codes up and down by the step of naming, scorer
    A reads the attribute, and an attribute that clearly falls becomes a warning (`flip` turns it around). No other
    number depends on what scorer A reads: the vectors are the file's.

    path, names, layers, flip, normalise: as [method.file.NAME] has them (`pipeline.settings.direction_files`). sha256:
    of what the files hold, by which a stage knows them; where they lie is no parameter.

    >>> import numpy as np
    >>> from pipeline.methods.direction_reading import Vector
    >>> numbers = placed("file.mine", "4-5", Vector(np.full((1, 512), 2.0), "age.npy", ""), layers=8)
    >>> numbers.shape, numbers[:, 0]
    ((8, 512), array([0., 0., 0., 0., 2., 2., 0., 0.]))
    """

    name: ClassVar[str] = "direction_file"
    version: ClassVar[int] = 1
    paper: ClassVar[Paper] = Paper("Directions out of files", "as their authors say")
    unit: ClassVar[str] = "the vector of the file; a length in W if normalised"
    supervision: ClassVar[str] = "labels"
    space: ClassVar[str] = "W+"
    exact_undo: ClassVar[bool] = True

    directions_: Tensor  # (A, L, 512), of the attributes that the files have
    columns_: tuple[int, ...]  # of the attributes, (A)
    facts_: dict[str, Any]

    def __init__(
        self,
        *,
        path: str = "",
        names: str = "",
        flip: str = "",
        layers: str | int = "all",
        normalise: bool = False,
        sha256: str = "",
    ) -> None:
        self.path, self.sha256 = path, sha256
        try:
            self.names = ", ".join(f"{attribute}: {spelled}" for attribute, spelled in parsed_names(names).items())
            flipped = [evaluated_name(name, "flip") for name in validation.split_names(flip)]
        except ConfigError as error:
            raise self._fault(error) from error
        self.flip = ", ".join(dict.fromkeys(flipped))
        self.layers = _checked_layers(self.section(), layers)
        self.normalise = validation.flag(self.section(), "normalise", normalise)

    @classmethod
    def section(cls) -> str:
        """Its section of luigi.cfg, after `method.`."""
        return f"file.{cls.name}"

    def parameters(self) -> dict[str, Any]:
        """The hyper-parameters without the path."""
        return {name: value for name, value in super().parameters().items() if name != "path"}

    def cost(self, card: DomainCard) -> Cost:
        """A vector for every evaluated attribute and layer."""
        return linear_cost(len(EVALUATED) * layers_of(card), codes_at_once=0)

    def amount(self, latents: int, codes: int) -> tuple[int, str]:
        """Images of the look at the signs."""
        return 2 * len(EVALUATED) * min(codes, FIRST_CODES), "images"

    def check(self, card: DomainCard, attributes: Sequence[str]) -> None:
        """Raise ConfigError where the files cannot edit these attributes in the domain. Reads them."""
        try:
            directions = read_directions(self.path, self.names)
            directions.check_attributes(attributes)
        except ConfigError as error:
            raise self._fault(error) from error
        for vector in directions.vectors.values():
            self._vector(vector, layers_of(card))

    def editable(self) -> tuple[str, ...]:
        """The attributes that the files have."""
        return tuple(NAMES[column] for column in self.columns_)

    def fit(self, data: FitData) -> None:
        """Read the files, and look whether each vector raises its attribute. Raises StageError."""
        import numpy as np
        import torch

        directions = self._read_again()
        signs = {name: -1.0 if name in validation.split_names(self.flip) else 1.0 for name in EVALUATED}
        vectors = {name: directions.vectors[name] for name in EVALUATED if name in directions.vectors}
        numbers = [signs[name] * self._vector(vector, data.generator.num_ws) for name, vector in vectors.items()]
        self.directions_ = torch.from_numpy(np.stack(numbers).astype(np.float32)).to(data.device)
        self.columns_ = tuple(index_of(name) for name in vectors)
        files = {
            name: {"file": vector.file, "sha256": vector.sha256, "rows": len(vector.numbers), "length": vector.length}
            for name, vector in vectors.items()
        }
        self.facts_ = {"columns": list(self.columns_), "files": files}
        self.facts_ |= changes_along(data, self.directions_, self.columns_, tuple(vectors))
        if self.facts_["lowered"]:
            fallen = ", ".join(self.facts_["lowered"])
            self.facts_["warning"] = (
                f"{self.name}: by scorer A the vector of {fallen} lowers the attribute. A positive strength must raise "
                f"it: --set method.{self.section()}.flip={fallen.replace(' ', '')}"
            )

    def edit(self, ws: Tensor, strengths: Tensor, values: Tensor) -> Tensor:
        """ws (N, L, 512) plus strengths (N, 35) times the vectors. Raises StageError for others than `editable`."""
        asked = [column for column in strengths.any(dim=0).nonzero()[:, 0].tolist() if column not in self.columns_]
        if asked:
            raise StageError(
                f"The files of {self.name} have no direction for {', '.join(NAMES[column] for column in asked)}; they "
                f"have {', '.join(self.editable())}."
            )
        return ws + (strengths.to(ws)[:, self.columns_] @ self.directions_.to(ws).flatten(1)).reshape(ws.shape)

    def state(self) -> dict[str, Tensor]:
        """The directions."""
        return {"directions": self.directions_}

    def restore(self, state: dict[str, Tensor], facts: dict[str, Any]) -> None:
        """Restore the directions."""
        self.directions_, self.columns_, self.facts_ = state["directions"], tuple(facts["columns"]), facts

    def facts(self) -> dict[str, Any]:
        """`columns` of the attributes; their `files`, with the lengths of the vectors; and `changes_along`."""
        return self.facts_

    def _read_again(self) -> DirectionVectors:
        """The files, on a worker. Raises StageError where they are not there, or not what they were."""
        try:
            directions = read_directions(self.path, self.names)
        except ConfigError as error:
            raise StageError(
                f"On {platform.node()}: {self._fault(error)} Every worker needs the files at that path, as it needs "
                "the outputs folder."
            ) from error
        if self.sha256 and directions.sha256 != self.sha256:
            raise StageError(f"{self.path} was changed during the run: run again, which starts with the new vectors.")
        return directions

    def _vector(self, vector: Vector, layers: int) -> np.ndarray:
        """The shift (L, 512) float64 by a strength of 1. Raises ConfigError."""
        numbers = placed(self.section(), self.layers, vector, layers)
        touched = numbers[numbers.any(axis=1)]
        length = Vector(touched, vector.file, vector.sha256).length if len(touched) else 0.0
        if not length:
            raise self._fault(f"layers: the vector in {vector.file} is 0 in the layers {self.layers}.")
        if self.normalise:
            return numbers / length
        if not SHORTEST <= length <= LONGEST:
            raise self._fault(
                f"normalise: the vector in {vector.file} has the length {length:.3g}, expected {SHORTEST:g} to "
                f"{LONGEST:g}. With normalise = true it is divided by its length."
            )
        return numbers

    def _fault(self, what: object) -> ConfigError:
        return ConfigError(f"[method.{self.section()}] {what}")


def placed(section: str, layers_key: str, vector: Vector, layers: int) -> np.ndarray:
    """A vector (R, 512) in the layers of a generator: (L, 512), 0 where an edit does not touch them.

    Raises ConfigError for layers that the generator or the file does not have.
    """
    import numpy as np

    rows, where = len(vector.numbers), f"[method.{section}] layers"
    if layers_key == ALL and rows not in (1, layers):
        raise ConfigError(
            f"{where}: {vector.file} has vectors for {rows} layers, the generator has {layers}. Name the layers to "
            f"use, such as layers = 0-{min(rows, layers) - 1}, if both number them alike."
        )
    first, stop = _span(layers_key, layers)
    most = layers if rows == 1 else min(rows, layers)
    if not first < stop <= most:
        raise ConfigError(
            f"{where}: expected layers from 0 to {most - 1} (the generator has {layers}, {vector.file} {rows}), found "
            f"{layers_key}."
        )
    numbers = np.zeros((layers, vector.numbers.shape[1]))
    numbers[first:stop] = vector.numbers if rows == 1 else vector.numbers[first:stop]
    return numbers


def changes_along(
    data: FitData, directions: Tensor, columns: Sequence[int], attributes: Sequence[str]
) -> dict[str, Any]:
    """How far each attribute moves along its direction (A, L, 512), as facts.

    `changes`: by attribute, scorer A's value after a step up minus the value after one down, in standard deviations of
    the training labels, as a mean over the first codes of naming. `lowered`: the attributes that clearly fall.
    """
    if data.naming_w is None or data.mean_distance is None:
        return {"changes": {}, "lowered": []}
    import torch

    spread = data.values.double().std(dim=0).cpu()
    changes: dict[str, float] = {}
    lowered: list[str] = []
    with torch.inference_mode():
        ws = data.generator.mapping.broadcast(data.naming_w[:FIRST_CODES].to(data.device))
        for done, (name, column) in enumerate(zip(attributes, columns, strict=True)):
            data.progress(done, len(columns), f"{name}: does it rise?")
            step = directions[done] * (STEP * data.mean_distance / float(displacement(directions[done : done + 1])))
            apart = _values(data, ws + step, column) - _values(data, ws - step, column)
            error = float(apart.std() / len(apart) ** 0.5)
            if float(apart.mean()) + SURE * error < 0:
                lowered.append(name)
            known = float(spread[column]) >= LEAST_SPREAD
            changes[name] = float(apart.mean() / spread[column]) if known else 0.0
    return {"changes": changes, "lowered": lowered}


def _values(data: FitData, ws: Tensor, column: int) -> Tensor:
    """Scorer A's values (N) float64 of an attribute on G(ws)."""
    import torch

    def see(rows: slice) -> Tensor:
        return data.scorer_a(data.generator.synthesis(ws[rows]).clamp(-1.0, 1.0))[:, column].double().cpu()

    return torch.cat(in_microbatches(see, len(ws), data.generator.resolution, data.device))


def _checked_layers(section: str, layers: object) -> str:
    """A key `layers`: one layer group. Raises ConfigError."""
    words = parse_groups(section, "layers", layers)
    if len(words) != 1 or words[0] in (SEEN, EACH):
        raise ConfigError(f"[method.{section}] layers: expected all, 4-7, 8- or 3, found {layers!r}.")
    return words[0]


def _span(layers_key: str, layers: int) -> tuple[int, int]:
    """The half-open range of layers that a checked key names."""
    if layers_key == ALL:
        return 0, layers
    first, dash, last = layers_key.partition("-")
    return int(first), int(last) + 1 if last else layers if dash else int(first) + 1


@lru_cache
def of_name(name: str) -> type[DirectionFile]:
    """The class of the direction file NAME: a method's name is a fact of its class."""
    return type(
        "DirectionFile", (DirectionFile,), {"name": name, "__doc__": DirectionFile.__doc__, "__module__": __name__}
    )
