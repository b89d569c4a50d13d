"""What the page asks for: a face drawn at random, edited by a trained method, with its scores."""

from __future__ import annotations

import base64
import io
import math
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

from PIL import Image

from pipeline.attributes import NAMES, index_of
from pipeline.chain.views import synthesise
from pipeline.errors import ConfigError, LatentbenchError
from pipeline.methods import registry
from pipeline.showing.strip import reading
from pipeline.showing.trained_run import TrainedRun

if TYPE_CHECKING:
    from torch import Tensor

    from pipeline.methods.interface import Faces, Method

LARGEST = 512  # pixels of a side of a picture on the page
QUALITY = 90  # of WebP
SEEDS = 2**32
METHODS_IN_MEMORY, FACES_IN_MEMORY = 4, 16


@dataclass(frozen=True)
class EditOrder:
    """One edit that the page asks for: strengths by attribute, in the method's unit."""

    method: str
    seed: int
    strengths: tuple[tuple[str, float], ...]

    @classmethod
    def from_json(cls, value: Any) -> EditOrder:
        """The order of a request's body. Raises ConfigError for any other value."""
        match value:
            case {"method": str(method), "seed": int(seed), "strengths": dict(strengths)}:
                numbers = [seed, *strengths.values()]
                if 0 <= seed < SEEDS and all(map(_is_number, numbers)):
                    return cls(method, seed, tuple((str(name), float(s)) for name, s in strengths.items()))
        raise ConfigError(f"Expected method, seed (0 to {SEEDS - 1:,}) and strengths, found {str(value)[:200]}.")


@dataclass(frozen=True)
class JudgedFace:
    """A face as its judges see it: the picture's address, scorer B's values (35,), recognizer B's vector."""

    address: str
    values: Tensor
    identity: Tensor
    detected: bool


class Editing:
    """The edits of a published run's trained methods. Call it from one thread: it keeps faces and methods."""

    def __init__(self, run: TrainedRun) -> None:
        self.run = run
        self._method = lru_cache(METHODS_IN_MEMORY)(run.method)
        self._unedited = lru_cache(FACES_IN_MEMORY)(self._see_unedited)
        self._prepared = lru_cache(1)(self._prepare)

    @cached_property
    def facts(self) -> dict[str, Any]:
        """What the page needs to know at its beginning: the run, its methods with their units and ranges."""
        record = self.run.record
        methods: dict[str, dict[str, Any]] = {}
        for row in self.run.table("ranges", ["method", "attribute", "unit", "low", "high"]).to_pylist():
            fresh = {"unit": row["unit"], "title": _title(row["method"]), "ranges": {}}
            methods.setdefault(row["method"], fresh)["ranges"][row["attribute"]] = [row["low"], row["high"]]
        return {
            "run": record.run_id,
            "domain": record.domain,
            "profile": record.profile,
            "attributes": list(self.run.attributes),
            "methods": methods,
            "warning": record.warning,
        }

    def edit(self, order: EditOrder) -> dict[str, Any]:
        """The unedited and the edited picture with their scores, JSON-compatible.

        `sum`: of edits of several attributes, how far the code after all at once is from the code moved by the sum of
        the single edits, as a share of the sum's length; None for fewer than two. Raises UnknownNameError, ConfigError
        for a strength outside the method's range, and as `TrainedRun`.
        """
        import torch

        self._check(order)
        with torch.inference_mode():
            face, before = self._unedited(order.seed)
            codes = self._codes(order, face)
            after = self._see(codes[:1])
            apart = _apart_from_sum(codes, face.ws)
        return {
            "unedited": before.address,
            "edited": after.address,
            "identity": max(0.0, 1.0 - float((before.identity * after.identity).sum())),
            "detected": after.detected,
            "values": {name: [_read(name, before), _read(name, after)] for name in self.run.attributes},
            "sum": apart,
        }

    def _check(self, order: EditOrder) -> None:
        self.run.check_method(order.method)
        ranges = self.facts["methods"][order.method]["ranges"]
        for name, strength in order.strengths:
            low, high = ranges[self.run.attribute(name)]
            slack = 1e-6 * (high - low)
            if not low - slack <= strength <= high + slack:
                raise ConfigError(f"{name}: expected a strength from {low:.3g} to {high:.3g}, found {strength:.3g}.")

    def _codes(self, order: EditOrder, face: Faces) -> Tensor:
        """Codes (1, L, 512) of the edit; below them (1 + M, L, 512), if there are M > 1, the single edits."""
        import torch

        singles = [(index_of(name), strength) for name, strength in order.strengths if strength]
        rows = 1 + len(singles) if len(singles) > 1 else 1
        strengths = face.ws.new_zeros(rows, len(NAMES))
        for number, (column, strength) in enumerate(singles, start=1):
            strengths[0, column] = strength
            if rows > 1:
                strengths[number, column] = strength
        faces = self._prepared(order.method, order.seed)[torch.zeros(rows, dtype=torch.long)]
        return self._method(order.method).edit_faces(faces, strengths)

    def _prepare(self, method: str, seed: int) -> Faces:
        return self._method(method).prepared(self._unedited(seed)[0])

    def _see_unedited(self, seed: int) -> tuple[Faces, JudgedFace]:
        face = self.run.sampled_face(seed)
        return face, self._see(face.ws)

    def _see(self, ws: Tensor) -> JudgedFace:
        """The image of a code (1, L, 512) and what judges see in it."""
        domain = self.run.domain()
        images = synthesise(domain, ws)
        threshold = float(self.run.record.experiment["detection_threshold"])
        return JudgedFace(
            _address(images[0]),
            domain.scorer_b(images)[0].cpu(),
            domain.recognizer_b(images)[0].cpu(),
            bool(domain.detector.detect(images, threshold=threshold).found[0]),
        )


def _apart_from_sum(codes: Tensor, ws: Tensor) -> float | None:
    """As `sum` of `Editing.edit`: codes (1 + M, L, 512) of all edits at once and of each, ws (1, L, 512) unedited."""
    if len(codes) == 1:
        return None
    moved = codes - ws
    summed = moved[1:].sum(dim=0)
    length = float(summed.norm())
    return float((moved[0] - summed).norm()) / length if length else None


def _address(image: Tensor) -> str:
    """An image (3, H, W) as a data: address."""
    from pipeline.images import to_pil

    picture = to_pil(image)
    picture.thumbnail((LARGEST, LARGEST), Image.Resampling.LANCZOS)
    data = io.BytesIO()
    picture.save(data, format="WEBP", quality=QUALITY, method=2)
    return f"data:image/webp;base64,{base64.b64encode(data.getvalue()).decode()}"


def _read(attribute: str, face: JudgedFace) -> str:
    return reading(attribute, float(face.values[index_of(attribute)]))


def _title(method: str) -> str:
    """The paper of a method; empty where it is not installed any more."""
    try:
        kind: type[Method] = registry.get(method)
    except LatentbenchError:
        return ""
    return kind.paper.title


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
