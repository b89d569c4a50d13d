"""Directions from networks: their effect on feature maps, their layer groups, and their form as candidates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipeline.errors import ConfigError
from pipeline.methods.bytes_taken import Cost
from pipeline.methods.cost import gradient_bytes, stepped_cost
from pipeline.methods.interface import FitData
from pipeline.methods.unnamed_directions import Candidates
from pipeline.tables.fields import W_DIM

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from pipeline.domains.base import DomainCard
    from pipeline.methods.contrastive.directions import Directions

ALL, SEEN, EACH = "all", "seen", "each"
CHUNK = 64  # codes whose features are computed at once without a gradient


def layers_seen(data: FitData, method: str, tap: str) -> int:
    """How many layers, from the first, the feature map after block `tap` depends on.

    Raises ConfigError if the generator has no such block.
    """
    known = tuple(data.generator.synthesis.block_names)
    if tap not in known:
        raise ConfigError(f"[method.{method}] tap: expected one of {', '.join(known)}, found {tap!r}.")
    return 2 * known.index(tap) + 1


def layer_groups(method: str, key: str, text: object, layers: int, seen: int) -> list[tuple[int, int]]:
    """Half-open ranges of layers from a text, each once, for a generator of `layers` layers.

    Words, separated by commas: `2-5` (both included), `6-` (to the last), `4`, `all`, `seen` (the first `seen`
    layers), `each` (each of the first `seen` alone). Layers beyond the last are left out. Raises ConfigError.

    >>> layer_groups("sefa", "groups", "all, 0-1, 6-, 9", layers=8, seen=3)
    [(0, 8), (0, 2), (6, 8)]
    >>> layer_groups("llf", "groups", "each", layers=8, seen=3)
    [(0, 1), (1, 2), (2, 3)]
    """
    groups: list[tuple[int, int]] = []
    for word in parse_groups(method, key, text):
        if word == EACH:
            groups += [(layer, layer + 1) for layer in range(seen)]
        elif word in (ALL, SEEN):
            groups.append((0, layers if word == ALL else seen))
        else:
            first, _, last = word.partition("-")
            stop = int(last) + 1 if last else (layers if "-" in word else int(first) + 1)
            if int(first) < layers:
                groups.append((int(first), min(stop, layers)))
    return list(dict.fromkeys(groups))


def groups_named(method: str, text: object, tap: str) -> int:
    """How many layer groups a text names, without a generator: groups that are the same for it count twice.

    `tap`, a block such as b16, says how many layers `each` stands for.

    >>> groups_named("llf", "each, all", tap="b16")
    6
    """
    resolution = tap.removeprefix("b")
    seen = 2 * (int(resolution).bit_length() - 3) + 1 if resolution.isdecimal() else 1
    return sum(max(seen, 1) if word == EACH else 1 for word in parse_groups(method, "groups", text))


def parse_groups(method: str, key: str, text: object) -> list[str]:
    """The words of layer groups; a number is one layer. Raises ConfigError for a word that is not one."""
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
    """Feature maps (N, C, h, w) of codes w (N, 512) after block `tap`, in small parts if no gradient is needed.

    `fed`: the ranges of layers that w feeds; the other layers get `base` (N, 512). By default w feeds every layer.
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
    """F(w), (B, C, h, w), without a gradient, and F(w + a_k d_k(w)), (K, B, C, h, w).

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
    """Mean |cosine| of unit directions (K, N, 512): of K directions at N codes.

    `between`: of two directions at one code; `samples`: of one direction at two codes (1 if it ignores the code).

    >>> import torch
    >>> cosines(torch.eye(2)[:, None].expand(2, 3, 2))  # two orthogonal directions, the same at three codes
    {'between': 0.0, 'samples': 1.0}
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

    d_k has unit norm, so s is a length in W. The code of each layer goes through the network, in evaluation mode.
    `nouns` name the models, such as regions; directions are numbered within their model.

    With `step` above 0, a code moves along the direction in steps of that length and a last, shorter one, and the
    direction is computed again at each step: w'_l is the end of the path, and s its length. A bent path ends nearer, so
    the step of naming is then at most STEP long.
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
        self.entries = [
            (which, number, span)
            for which, model in enumerate(self.models)
            for number in range(model.count)
            for span in self.spans
        ]

    @property
    def count(self) -> int:
        """The number of candidates: directions x layer groups."""
        return len(self.entries)

    def label(self, index: int) -> str:
        """The noun of the model, the number of the direction from 0, and the first and last layer."""
        which, number, (first, stop) = self.entries[index]
        layers = f"layer {first}" if stop == first + 1 else f"layers {first}-{stop - 1}"
        return f"{self.nouns[which]} {number}, {layers}"

    def shift(self, ws: Tensor, index: int, strengths: Tensor) -> Tensor:
        """The shift (N, L, 512) by strengths (N,) along the direction of each layer's code; 0 outside the group."""
        import torch

        which, number, (first, stop) = self.entries[index]
        shift = ws.new_zeros(ws.shape)
        codes, model = ws[:, first:stop], self.models[which]
        if torch.equal(codes, codes[:, :1].expand_as(codes)):
            codes = codes[:, :1]
        with torch.no_grad():
            shift[:, first:stop] = self._walk(model, number, codes, strengths.to(ws)[:, None, None])
        return shift

    def _walk(self, model: Directions, number: int, codes: Tensor, strengths: Tensor) -> Tensor:
        """The shift of codes (N, layers, 512) along a path of length strengths (N, 1, 1); 0 where the strength is 0."""
        import torch

        shift, sizes = torch.zeros_like(codes), strengths.abs()
        step = self.step or float(sizes.max())
        for before in range(math.ceil(float(sizes.max()) / step) if step else 0):
            taken = strengths.sign() * (sizes - before * step).clamp(0.0, step)
            at = codes + shift
            shift = shift + taken * model.one(at.flatten(0, 1), number).unflatten(0, at.shape[:2])
        return shift

    def state(self) -> dict[str, Tensor]:
        """The networks, with their index as prefix, and `spans` (G, 2) int64."""
        import torch

        networks = {
            f"{which}.{key}": value
            for which, model in enumerate(self.models)
            for key, value in model.state_dict().items()
        }
        return {**networks, "spans": torch.tensor(self.spans, dtype=torch.int64).reshape(-1, 2)}


def rebuild_candidates(
    state: dict[str, Tensor], depth: int, nouns: Sequence[str], step: float = 0.0
) -> DirectionCandidates:
    """The candidates with this `state`; its other keys are ignored."""
    from pipeline.methods.contrastive.directions import Directions

    models = []
    for which in range(len(nouns)):
        prefix = f"{which}."
        part = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
        first = part["weights.0"]
        model = Directions(len(first), first.shape[-1], depth=depth).to(first.device)
        model.load_state_dict(part)
        models.append(model)
    return DirectionCandidates(models, [(first, stop) for first, stop in state["spans"].tolist()], nouns, step)
