"""Directions that networks give: their effect on feature maps, their layer groups, and themselves as candidates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipeline.errors import ConfigError
from pipeline.methods.cost import Cost, gradient_bytes, stepped_cost
from pipeline.methods.interface import FitData
from pipeline.methods.naming import Candidates
from pipeline.tables.fields import W_DIM

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from pipeline.domains.base import DomainCard
    from pipeline.methods.contrastive.directions import Directions

ALL, SEEN, EACH = "all", "seen", "each"
CHUNK = 64  # codes whose features are computed at once where no gradient is wanted


def layers_seen(data: FitData, method: str, tap: str) -> int:
    """How many layers, from the first, the feature map after block `tap` depends on.

    Raises ConfigError if the generator has no such block.
    """
    known = tuple(data.generator.synthesis.block_names)
    if tap not in known:
        raise ConfigError(f"[method.{method}] tap: expected one of {', '.join(known)}, found {tap!r}.")
    return 2 * known.index(tap) + 1


def layer_groups(method: str, key: str, text: object, layers: int, seen: int) -> list[tuple[int, int]]:
    """Half-open ranges of layers that a text names, each once, clipped to a generator of `layers` layers.

    Words, separated by commas: `2-5` (both included), `6-` (to the last), `4`, `all`, `seen` (the first `seen`),
    `each` (each of those alone). What lies beyond the last layer is left out. Raises ConfigError.
    """
    found: list[tuple[int, int]] = []
    for word in parse_groups(method, key, text):
        if word == EACH:
            found += [(layer, layer + 1) for layer in range(seen)]
        elif word in (ALL, SEEN):
            found.append((0, layers if word == ALL else seen))
        else:
            first, _, last = word.partition("-")
            stop = int(last) + 1 if last else (layers if "-" in word else int(first) + 1)
            if int(first) < layers:
                found.append((int(first), min(stop, layers)))
    return list(dict.fromkeys(found))


def parse_groups(method: str, key: str, text: object) -> list[str]:
    """The words of layer groups; a number is one layer. Raises ConfigError for one that `layer_groups` cannot read."""
    words = [word.strip() for word in str(text).split(",") if word.strip()]
    for word in words:
        first, dash, last = word.partition("-")
        fits = first.isdecimal() and (last.isdecimal() and int(last) >= int(first) or not last)
        if word not in (ALL, SEEN, EACH) and not fits:
            raise ConfigError(
                f"[method.{method}] {key}: expected layers such as 2-5, 6-, 4, all, seen or each, separated "
                f"by commas, found {word!r}."
            )
    return words


def feature_maps(
    data: FitData, w: Tensor, tap: str, fed: Sequence[tuple[int, int]] = (), base: Tensor | None = None
) -> Tensor:
    """Feature maps (N, C, h, w) of codes w (N, 512) after block `tap`, in small parts where no gradient is wanted.

    `fed`: the ranges of layers that w feeds, the other layers get `base` (N, 512); none: w feeds every layer.
    """
    import torch

    ws = data.generator.mapping.broadcast(w)
    if fed and base is not None:
        edited, ws = ws, data.generator.mapping.broadcast(base).clone()
        for first, stop in fed:
            ws[:, first:stop] = edited[:, first:stop]
    if torch.is_grad_enabled() and ws.requires_grad:
        return data.generator.synthesis.features(ws, tap)
    return torch.cat([data.generator.synthesis.features(part, tap) for part in ws.split(CHUNK)])


def feature_changes(
    data: FitData,
    directions: Tensor,
    w: Tensor,
    tap: str,
    alphas: Tensor,
    fed: Sequence[tuple[int, int]] = (),
) -> tuple[Tensor, Tensor]:
    """F(w) as (B, C, h, w) and F(w + a_k d_k(w)) as (K, B, C, h, w), the first without a gradient.

    directions (K, B, 512), w (B, 512), alphas (K,).
    """
    import torch

    count, batch = directions.shape[:2]
    with torch.no_grad():
        before = feature_maps(data, w, tap)
    moved = (w + alphas.to(w)[:, None, None] * directions).flatten(0, 1)
    after = feature_maps(data, moved, tap, fed, w.repeat(count, 1))
    return before, after.unflatten(0, (count, batch))


def draw_alphas(count: int, low: float, high: float, rng: torch.Generator) -> Tensor:
    """Step sizes (count,), even in [low, high], on the CPU."""
    import torch

    return low + (high - low) * torch.rand(count, generator=rng)


def directions_cost(card: DomainCard, tap: str, directions: int, depth: int, batch: int, sets: int = 1) -> Cost:
    """The cost of `sets` of direction models, each of which makes `batch` images of every direction in a step.

    A model of depth 0 is a vector, else fully connected layers with biases and norms.
    """
    each = depth * W_DIM * W_DIM + max(1, 5 * (depth - 1)) * W_DIM if depth else W_DIM
    return stepped_cost(sets * directions * each, batch * directions, gradient_bytes(card, tap))


def cosines(directions: Tensor) -> dict[str, float]:
    """What unit directions (K, N, 512) have in common, as means of |cosine|.

    `between`: two directions at one code; `samples`: one direction at two codes (1: it does not look at the code).
    """
    import torch

    directions = directions.detach()
    count, codes = directions.shape[:2]
    at_code = torch.einsum("knd,jnd->nkj", directions, directions).abs()
    of_one = torch.einsum("knd,kmd->knm", directions, directions).abs()
    between = (float(at_code.sum()) - codes * count) / max(1, codes * count * (count - 1))
    samples = (float(of_one.sum()) - codes * count) / max(1, count * codes * (codes - 1))
    return {"between": round(between, 4), "samples": round(samples, 4)}


class DirectionCandidates(Candidates):
    """Every direction of some models in every layer group: w'_l = w_l + s d_k(w_l) for the layers l of the group.

    d_k has unit norm, so that s is a length in W. Each layer's own code goes through the network, which is in
    evaluation mode. `nouns` name the models, such as regions; directions count within their model.

    With a `step` above 0, a code goes s along the direction in steps of that length, and a last, shorter one; the
    direction is taken again at each: w'_l is where the path ends, and s the path's length. A path that bends ends
    nearer, so that naming's step is then at most as long as it is meant to be.
    """

    def __init__(
        self,
        models: Sequence[Directions],
        spans: Sequence[tuple[int, int]],
        nouns: Sequence[str],
        step: float = 0.0,
    ) -> None:
        self.step = step
        self.models = [model.eval().requires_grad_(False) for model in models]
        self.spans, self.nouns = list(spans), tuple(nouns)
        self.places = [
            (place, number, span)
            for place, model in enumerate(self.models)
            for number in range(model.count)
            for span in self.spans
        ]

    @property
    def count(self) -> int:
        """How many there are: directions x layer groups."""
        return len(self.places)

    def label(self, index: int) -> str:
        """The model's noun, the direction's number from 0, and its first and last layer."""
        place, number, (first, stop) = self.places[index]
        layers = f"layer {first}" if stop == first + 1 else f"layers {first}-{stop - 1}"
        return f"{self.nouns[place]} {number}, {layers}"

    def shift(self, ws: Tensor, index: int, strengths: Tensor) -> Tensor:
        """strengths (N,) along the direction, from each layer's own code, in the layers of its group; 0 elsewhere."""
        import torch

        place, number, (first, stop) = self.places[index]
        moved = ws.new_zeros(ws.shape)
        own, model = ws[:, first:stop], self.models[place]
        if torch.equal(own, own[:, :1].expand_as(own)):
            own = own[:, :1]
        with torch.no_grad():
            moved[:, first:stop] = self._walk(model, number, own, strengths.to(ws)[:, None, None])
        return moved

    def _walk(self, model: Directions, number: int, own: Tensor, strengths: Tensor) -> Tensor:
        """Where codes own (N, layers, 512) get to, less themselves, at strengths (N, 1, 1); 0 where those are 0."""
        import torch

        moved, sizes = torch.zeros_like(own), strengths.abs()
        step = self.step or float(sizes.max())
        for before in range(math.ceil(float(sizes.max()) / step) if step else 0):
            taken = strengths.sign() * (sizes - before * step).clamp(0.0, step)
            at = own + moved
            moved = moved + taken * model.one(at.flatten(0, 1), number).unflatten(0, at.shape[:2])
        return moved

    def state(self) -> dict[str, Tensor]:
        """The networks, prefixed by their place, and `spans` (G, 2) int64."""
        import torch

        networks = {
            f"{place}.{key}": value
            for place, model in enumerate(self.models)
            for key, value in model.state_dict().items()
        }
        return {**networks, "spans": torch.tensor(self.spans, dtype=torch.int64).reshape(-1, 2)}


def rebuild_candidates(
    state: dict[str, Tensor], depth: int, nouns: Sequence[str], step: float = 0.0
) -> DirectionCandidates:
    """The candidates whose `state` was kept; other keys of it are ignored."""
    from pipeline.methods.contrastive.directions import Directions

    models = []
    for place in range(len(nouns)):
        prefix = f"{place}."
        part = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
        first = part["weights.0"]
        model = Directions(len(first), first.shape[-1], depth=depth).to(first.device)
        model.load_state_dict(part)
        models.append(model)
    return DirectionCandidates(models, [(first, stop) for first, stop in state["spans"].tolist()], nouns, step)
