"""Latent to latent: one mapper f(w, delta a) for all attributes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from pipeline.errors import TrainingDivergedError
from pipeline.methods import checks
from pipeline.methods.base import FitData, Method, Paper
from pipeline.methods.checkpoints import Checkpoint

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from pipeline.networks.mapper import Mapper


CHECKPOINT_STEPS = 100  # between two checkpoints
CURVE_POINTS = 200  # of the loss that are kept
PROBE = 64  # held-out codes on which the mapper is measured before and after training
DISTANCE_PAIRS = 20_000  # of codes, whose mean distance is the unit of the losses in W
WARM_UP = 0.02  # share of the steps in which the learning rate rises
LAST_RATE = 0.05  # share of the learning rate at the last step
LOSSES = ("attribute", "cycle", "identity", "neighbourhood", "face")
# Purposes of random streams; that of step k is FIRST_STEP + k.
START, PAIRS, PROBE_CHANGES, FIRST_STEP = 0, 1, 2, 1000


class L2L(Method):
    """w' = f(w, da; theta), a fully connected tanh network; da is the wanted change of all 35 attribute values.

    Khodadadeh et al., "Latent to Latent: A Learned Mapper for Identity Preserving Editing of Multiple Face Attributes
    in StyleGAN-generated Images", WACV 2022. Trained through the frozen generator G, scorer H and recognizer F, with
    w' = f(w, da) and a' = a + da, on the weighted sum of

    - target attribute  ||H(G(w')) - a'||^2, over all 35 values, so that what should stay is held too
    - cycle             ||w - f(w', -da)||, not squared
    - identity          ||w - f(w, 0)||, not squared
    - neighbourhood     ||w - w'||^2
    - face identity     ||F(G(w)) - F(G(w'))||^2

    da is sparse: a' is the values of another code of the batch; where they differ by less than `threshold` from
    a, a' is a. A share `noop_share` of the samples has da = 0; a share `single_share` changes a single attribute, drawn
    evenly, to a value drawn evenly from those at least `threshold` away.

    What the paper leaves open, and what is ours (loss weights, threshold, depth, optimiser are in no source we could
    read; those of the losses follow the one unofficial implementation):

    - f takes and gives one code in W, put into every layer; codes that differ between layers go through it one by one;
    - norms in W are in units of the mean distance of two training codes, so that the weights mean the same for any
      generator; the mapper standardises codes by their mean and standard deviation;
    - the residual form w + g(w, da) is the default, `residual = false` the plain one;
    - the start values of the weights that da meets are larger (`networks/mapper.py`): with equal ones, 150 steps on the
      embedded domain lowered the target loss by less than 2 %, with these by more than 40 %;
    - Adam with a short warm-up and a cosine to a twentieth of the learning rate.

    An edit of zero is close to w, not equal: `facts` have the error, on codes that were not trained on. Strengths
    beyond +-1 ask for values outside [0, 1]; the mapper was never trained on them.
    """

    name: ClassVar[str] = "l2l"
    version: ClassVar[int] = 1
    paper: ClassVar[Paper] = Paper(
        "Latent to Latent: A Learned Mapper for Identity Preserving Editing of Multiple Face Attributes in "
        "StyleGAN-generated Images",
        "WACV 2022",
        "https://openaccess.thecvf.com/WACV2022",
    )
    unit: ClassVar[str] = "difference of the attribute's value"
    supervision: ClassVar[str] = "labels"
    exact_identity: ClassVar[bool] = False
    value_bounded: ClassVar[bool] = True

    mapper_: Mapper
    facts_: dict[str, Any]

    def __init__(
        self,
        *,
        layers: int = 4,
        width: int = 512,
        residual: bool = True,
        weight_attribute: float = 1.0,
        weight_cycle: float = 0.5,
        weight_identity: float = 0.5,
        weight_neighbourhood: float = 0.5,
        weight_face: float = 1.0,
        threshold: float = 0.25,
        noop_share: float = 0.1,
        single_share: float = 0.3,
        batch: int = 16,
        learning_rate: float = 0.0003,
        steps: int = 20_000,
    ) -> None:
        self.layers = checks.whole(self.name, "layers", layers, 1, 64)
        self.width = checks.whole(self.name, "width", width, 1, 65_536)
        self.residual = checks.flag(self.name, "residual", residual)
        self.weight_attribute = checks.number(self.name, "weight_attribute", weight_attribute, 0.0, 1e6)
        self.weight_cycle = checks.number(self.name, "weight_cycle", weight_cycle, 0.0, 1e6)
        self.weight_identity = checks.number(self.name, "weight_identity", weight_identity, 0.0, 1e6)
        self.weight_neighbourhood = checks.number(self.name, "weight_neighbourhood", weight_neighbourhood, 0.0, 1e6)
        self.weight_face = checks.number(self.name, "weight_face", weight_face, 0.0, 1e6)
        self.threshold = checks.number(self.name, "threshold", threshold, 0.0, 0.5)
        self.noop_share = checks.number(self.name, "noop_share", noop_share, 0.0, 1.0)
        self.single_share = checks.number(self.name, "single_share", single_share, 0.0, 1.0 - self.noop_share)
        self.batch = checks.whole(self.name, "batch", batch, 2, 65_536)
        self.learning_rate = checks.number(self.name, "learning_rate", learning_rate, 0.0, 10.0, above=True)
        self.steps = checks.whole(self.name, "steps", steps, 1, 10**8)

    def parameters(self) -> dict[str, Any]:
        """The hyper-parameters as the constructor takes them."""
        return {
            "layers": self.layers,
            "width": self.width,
            "residual": self.residual,
            **{f"weight_{name}": getattr(self, f"weight_{name}") for name in LOSSES},
            "threshold": self.threshold,
            "noop_share": self.noop_share,
            "single_share": self.single_share,
            "batch": self.batch,
            "learning_rate": self.learning_rate,
            "steps": self.steps,
        }

    def fit(self, data: FitData) -> None:
        """Train the mapper, going on from a checkpoint of the same settings and data if there is one.

        A resumed training gives the very bits of an undisturbed one (on as many threads): what step k draws
        depends on (seed, k) alone. Raises TrainingDivergedError.
        """
        with frozen(data.generator, data.scorer_a, data.recognizer_a):
            training = _Training(self, data)
            training.run()
        self.mapper_ = training.mapper.requires_grad_(False)
        self.facts_ = training.facts()

    def edit(self, ws: Tensor, strengths: Tensor, values: Tensor) -> Tensor:
        """f(w, strengths) of ws (N, L, 512), strengths (N, 35); layer by layer where layers differ."""
        import torch

        change = strengths.to(ws)
        with torch.no_grad():
            if torch.equal(ws, ws[:, :1].expand_as(ws)):
                return self.mapper_(ws[:, 0], change)[:, None].expand_as(ws).clone()
            count, layers, width = ws.shape
            each = self.mapper_(ws.reshape(-1, width), change.repeat_interleave(layers, dim=0))
            edited: Tensor = each.reshape(count, layers, width)
            return edited

    def state(self) -> dict[str, Tensor]:
        """The mapper's weights and buffers."""
        return dict(self.mapper_.state_dict())

    def restore(self, state: dict[str, Tensor], facts: dict[str, Any]) -> None:
        """Take back the mapper and the facts."""
        w_dim = len(state["mean"])
        attributes = state["hidden.0.weight"].shape[1] - w_dim
        mapper = self.new_mapper(w_dim, attributes, None).to(state["mean"].device)
        mapper.load_state_dict(state)
        self.mapper_ = mapper.eval().requires_grad_(False)
        self.facts_ = facts

    def facts(self) -> dict[str, Any]:
        """`curve`: steps and losses; `start` and `end`: the losses on held-out codes; errors in mean distances."""
        return self.facts_

    def new_mapper(self, w_dim: int, attributes: int, rng: torch.Generator | None) -> Mapper:
        """An untrained mapper of these hyper-parameters."""
        from pipeline.networks.mapper import Mapper

        return Mapper(w_dim, attributes, width=self.width, layers=self.layers, residual=self.residual, rng=rng)

    def draw_changes(self, values: Tensor, rng: torch.Generator) -> Tensor:
        """Wanted changes da (N, 35) of values (N, 35) on the CPU; values + da stays in [0, 1]."""
        import torch

        count, attributes = values.shape
        change = values[torch.randperm(count, generator=rng)] - values
        change = change * (change.abs() >= self.threshold)
        kind = torch.rand(count, generator=rng)
        column = torch.randint(attributes, (count,), generator=rng)
        share = torch.rand(count, generator=rng)
        own = values.gather(1, column[:, None])[:, 0]
        alone = torch.zeros_like(values).scatter_(1, column[:, None], self._single_change(own, share)[:, None])
        change = torch.where((kind < self.noop_share + self.single_share)[:, None], alone, change)
        return change.masked_fill((kind < self.noop_share)[:, None], 0.0)

    def _single_change(self, own: Tensor, share: Tensor) -> Tensor:
        """Changes (N,) to values even in [0, own - threshold] and [own + threshold, 1]; `share` is even in [0, 1)."""
        import torch

        below = (own - self.threshold).clamp(min=0.0)
        above = (1.0 - self.threshold - own).clamp(min=0.0)
        place = share * (below + above)
        return torch.where(place < below, place, own + self.threshold + place - below) - own

    def losses(
        self, mapper: nn.Module, data: FitData, w: Tensor, values: Tensor, change: Tensor, unit: float
    ) -> Tensor:
        """The five losses (5,), in the order of LOSSES, means over the batch, not weighted.

        w (N, 512), values and change (N, 35) on the device; `unit` is the mean distance of two codes.
        """
        import torch

        broadcast, synthesis = data.generator.mapping.broadcast, data.generator.synthesis
        edited = mapper(w, change)
        # One pass of the mapper for the two other terms in W.
        back, same = mapper(torch.cat([edited, w]), torch.cat([-change, torch.zeros_like(change)])).chunk(2)
        images = synthesis(broadcast(edited))
        with torch.no_grad():
            before = data.recognizer_a(synthesis(broadcast(w)))
        attribute = (data.scorer_a(images) - (values + change)).square().sum(dim=1)
        face = (data.recognizer_a(images) - before).square().sum(dim=1)
        length = torch.linalg.vector_norm
        cycle, identity = length(w - back, dim=1) / unit, length(w - same, dim=1) / unit
        neighbourhood = (w - edited).square().sum(dim=1) / unit**2
        return torch.stack([loss.mean() for loss in (attribute, cycle, identity, neighbourhood, face)])

    def weights(self) -> list[float]:
        """The losses' weights, in the order of LOSSES."""
        return [getattr(self, f"weight_{name}") for name in LOSSES]

    def rate(self, step: int) -> float:
        """The learning rate of a step, from 0."""
        rising = max(1, round(WARM_UP * self.steps))
        if step < rising:
            return self.learning_rate * (step + 1) / rising
        done = (step - rising) / max(1, self.steps - rising)
        return self.learning_rate * (LAST_RATE + (1 - LAST_RATE) * (1 + math.cos(math.pi * done)) / 2)


@contextmanager
def frozen(*networks: nn.Module) -> Iterator[None]:
    """Networks in evaluation mode and without gradients of their own; as they were, afterwards."""
    modes = [(module, module.training) for network in networks for module in network.modules()]
    grads = [(parameter, parameter.requires_grad) for network in networks for parameter in network.parameters()]
    try:
        for network in networks:
            network.eval().requires_grad_(False)
        yield
    finally:
        for module, mode in modes:
            module.training = mode
        for parameter, wanted in grads:
            parameter.requires_grad_(wanted)


@dataclass
class _Curve:
    """Losses over the steps, thinned."""

    steps: list[int] = field(default_factory=list)
    losses: list[list[float]] = field(default_factory=list)


class _Training:
    """One training of the mapper: its state, steps, checkpoints and final facts."""

    def __init__(self, method: L2L, data: FitData) -> None:
        import torch

        self.method, self.data = method, data
        held_out = min(PROBE, len(data.w) // 4)
        self.trained = len(data.w) - held_out
        self.unit = mean_distance(data)
        self.mapper = method.new_mapper(data.w.shape[1], len(data.attributes), data.rng(START)).to(data.device)
        spread, mean = torch.std_mean(data.w[: self.trained].double(), dim=0)
        floor = 1e-3 * spread.max().clamp(min=1e-12)
        self.mapper.mean.copy_(mean)
        self.mapper.scale.copy_(spread.clamp(min=floor))
        self.optimiser = torch.optim.Adam(self.mapper.parameters(), lr=method.learning_rate)
        self.weights = torch.tensor(method.weights(), device=data.device)
        self.step = 0
        self.curve = _Curve()
        self.kept = Checkpoint(method, data)
        self.start = self.measure()

    def run(self) -> None:
        """Every step that is left. Raises TrainingDivergedError."""
        self.resume()
        every = max(1, self.method.steps // CURVE_POINTS)
        while self.step < self.method.steps:
            losses = self.advance()
            if self.step % every == 0 or self.step == self.method.steps:
                self.note(losses)
            if self.step % CHECKPOINT_STEPS == 0:
                self.save()
        self.end = self.measure()
        self.check(self.end["total"], "at the end")

    def advance(self) -> Tensor:
        """One step of Adam; returns the five losses before it."""
        import torch

        method, data = self.method, self.data
        rng = data.rng(FIRST_STEP + self.step)
        rows = torch.randint(self.trained, (method.batch,), generator=rng).to(data.w.device)
        values = data.values[rows].cpu()
        change = method.draw_changes(values, rng)
        w, values, change = (tensor.to(data.device) for tensor in (data.w[rows], values, change))
        losses = method.losses(self.mapper, data, w, values, change, self.unit)
        for group in self.optimiser.param_groups:
            group["lr"] = method.rate(self.step)
        self.optimiser.zero_grad(set_to_none=True)
        (losses * self.weights).sum().backward()
        self.optimiser.step()
        self.step += 1
        return losses.detach()

    def note(self, losses: Tensor) -> None:
        """Keep the losses of a step, tell them, and stop if they are not numbers."""
        total = float((losses * self.weights).sum())
        self.curve.steps.append(self.step)
        self.curve.losses.append([round(value, 6) for value in losses.tolist()])
        if not math.isfinite(total):
            self.check(total, f"at step {self.step}")
        self.data.progress(self.step, self.method.steps, f"loss {total:.3f}")

    def check(self, total: float, when: str) -> None:
        """Raise TrainingDivergedError unless a loss is finite and no higher than at the start, on the same codes."""
        start = self.start["total"]
        if math.isfinite(total) and total <= start:
            return
        self.kept.discard()
        raise TrainingDivergedError(
            f"l2l: the loss on held-out codes was {start:.4g} before training and is {total:.4g} {when}, after "
            f"{self.step} of {self.method.steps} steps: training diverged, nothing was published. Lower learning_rate "
            f"(now {self.method.learning_rate:g}) or raise steps in luigi.cfg: [method.l2l]."
        )

    def measure(self) -> dict[str, float]:
        """The losses on the held-out codes, always with the same changes: their weighted `total` and each."""
        import torch

        data = self.data
        w, values = data.w[self.trained :], data.values[self.trained :].cpu()
        change = self.method.draw_changes(values, data.rng(PROBE_CHANGES))
        with torch.no_grad():
            w, values, change = (tensor.to(data.device) for tensor in (w, values, change))
            losses = self.method.losses(self.mapper, data, w, values, change, self.unit)
            total = float((losses * self.weights).sum())
        return {"total": total, **dict(zip(LOSSES, losses.tolist(), strict=True))}

    def facts(self) -> dict[str, Any]:
        """What the training came to."""
        return {
            "mean_distance": self.unit,
            "start": self.start,
            "end": self.end,
            "noop_error": self.end["identity"],
            "cycle_error": self.end["cycle"],
            "attribute_error_kept": self.end["attribute"] / max(self.start["attribute"], 1e-12),
            "held_out": len(self.data.w) - self.trained,
            "curve": {"steps": self.curve.steps, "names": list(LOSSES), "losses": self.curve.losses},
        }

    # Checkpoints

    def save(self) -> None:
        """Keep what a later call goes on from."""
        self.kept.save(
            {
                "step": self.step,
                "mapper": self.mapper.state_dict(),
                "optimiser": self.optimiser.state_dict(),
                "curve_steps": self.curve.steps,
                "curve_losses": self.curve.losses,
            }
        )

    def resume(self) -> None:
        """Take the checkpoint's state, if there is one of the same settings and data."""
        state = self.kept.load()
        if state is None:
            return
        self.mapper.load_state_dict(state["mapper"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step = state["step"]
        self.curve = _Curve(state["curve_steps"], state["curve_losses"])


def mean_distance(data: FitData) -> float:
    """Mean of ||w - w'|| over random pairs of the training codes."""
    import torch

    rng = data.rng(PAIRS)
    first, second = torch.randint(len(data.w), (2, DISTANCE_PAIRS), generator=rng).to(data.w.device)
    apart = first != second
    return float((data.w[first[apart]] - data.w[second[apart]]).double().norm(dim=1).mean())
