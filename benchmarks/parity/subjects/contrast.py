"""What the comparisons with LatentCLR and LLF share: direction models with the same weights, and one training step."""

from __future__ import annotations

import copy
import logging
from functools import lru_cache
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from benchmarks.parity.comparison import Measured
from benchmarks.parity.embedded import domain
from benchmarks.parity.measures import largest

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from pipeline.methods.contrastive.directions import Directions
    from pipeline.methods.interface import FitData

TAP, ALPHA, W_DIM = "b16", 0.1, 512
SHAPES = ((12, 8, 4096), (5, 3, 300), (20, 5, 64))  # directions, codes, features
CONTRAST = {"temp": 0.5, "abs": True, "reduce": "mean"}  # their configuration of the loss


def copied(known: Any, depth: int) -> Directions:
    """Our models with the weights of theirs: a bank of `nets`, or `params` where depth is 0."""
    import torch

    from pipeline.methods.contrastive.directions import Directions

    own = Directions(known.k, known.size, depth=depth)
    with torch.no_grad():
        if depth == 0:
            own.weights[0].copy_(known.params)
            return own
        for k, net in enumerate(known.nets):
            for layer in range(depth):
                linear = net.get_submodule(f"linear_{layer + 1}")
                own.weights[layer][k].copy_(linear.weight)
                if linear.bias is not None:
                    own.biases[layer][k, 0].copy_(linear.bias)
            for layer in range(depth - 1):
                norm = net.get_submodule(f"batchnorm_{layer + 1}")
                own.gains[layer][k, 0].copy_(norm.weight)
                own.shifts[layer][k, 0].copy_(norm.bias)
                own.get_buffer(f"mean{layer}")[k, 0].copy_(norm.running_mean)
                own.get_buffer(f"variance{layer}")[k, 0].copy_(norm.running_var)
    return own


def stirred(known: Any, seed: int) -> Any:
    """Their models with norms that are not at their start."""
    import torch

    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in known.state_dict().items():
            if "batchnorm" in name and value.ndim:
                value += 0.3 * torch.rand(value.shape, generator=rng)
    return known


def directions(known: Any, depth: int) -> Measured:
    """Two batches in training, a third in evaluation, and single directions; counts of parameters."""
    import torch

    own = copied(known, depth)
    if sum(p.numel() for p in own.parameters()) != sum(p.numel() for p in known.parameters()):
        raise ValueError("The numbers of parameters differ.")
    rng = torch.Generator().manual_seed(31)
    worst = 0.0
    for training in (True, True, False):
        z = torch.randn(6, W_DIM, generator=rng)
        own.train(training)
        known.train(training)
        with torch.no_grad():
            worst = max(worst, largest((z + ALPHA * own(z)).flatten(0, 1), known(z)))
    with torch.no_grad():
        for k in range(known.k):
            worst = max(worst, largest(z + ALPHA * own.one(z, k), known.forward_single(z, k)))
    return Measured(worst)


def contrastive(loss_class: Any) -> Measured:
    """Loss, accuracy and gradient of random unit rows, over shapes."""
    import torch

    from pipeline.methods.contrastive.training import contrastive_loss

    worst = 0.0
    for count, batch, width in SHAPES:
        rng = torch.Generator().manual_seed(count)
        rows = nn_normalised(
            torch.randn(count, batch, width, generator=rng) + torch.randn(count, 1, width, generator=rng)
        )
        own_rows, known_rows = (rows.clone().requires_grad_(True) for _ in range(2))
        loss, accuracy = contrastive_loss(own_rows, torch.ones(count, batch, dtype=torch.bool))
        loss.backward()
        right, expected = loss_class(k=count, **CONTRAST)(known_rows.flatten(0, 1))
        expected.backward()
        pairs = ((loss, expected), (accuracy, right), (own_rows.grad, known_rows.grad))
        worst = max(worst, *(largest(one, other) for one, other in pairs))
    return Measured(worst)


def nn_normalised(rows: Tensor) -> Tensor:
    """Rows of unit length."""
    import torch

    return torch.nn.functional.normalize(rows, dim=-1)


@lru_cache(maxsize=2)
def generator_in(kind: torch.dtype) -> Any:
    """The embedded generator in this precision."""
    return copy.deepcopy(domain().generator).to(kind)


def features_of(w: Tensor) -> Tensor:
    """Feature maps of the embedded generator after block TAP, in the precision of w."""
    generator = generator_in(w.dtype)
    found: Tensor = generator.synthesis.features(generator.mapping.broadcast(w), TAP)
    return found


def generator_of(w: Tensor, *, flat: bool) -> Any:
    """What their trainers call a generator: it draws the codes w, and shows their features."""
    found = SimpleNamespace(eval=lambda: None, sample_latent=lambda _: w)
    found.get_features = found.get_features_pre = lambda z: features_of(z).flatten(1) if flat else features_of(z)
    return found


def step_of(trainer_class: Any, model: nn.Module, loss: nn.Module, w: Tensor, *, flat: bool, **more: Any) -> float:
    """The loss of one step of their trainer, whose gradients stay in the model; nothing is moved."""
    import torch

    optimiser = torch.optim.SGD(model.parameters(), lr=0.0)
    trainer = trainer_class(
        model=model,
        loss_fn=loss,
        optimizer=optimiser,
        generator=generator_of(w, flat=flat),
        batch_size=len(w),
        iterations=1,
        device=torch.device("cpu"),
        scheduler=torch.optim.lr_scheduler.ConstantLR(optimiser, 1.0),
        **more,
    )
    logging.getLogger().setLevel(logging.ERROR)
    trainer._train_loop(0, 1)
    return float(trainer.train_loss_metric.compute())


def gradients(own: Directions, known: Any, depth: int) -> float:
    """Cosine of the two gradients over all weights."""
    import torch

    mine, theirs = [], []
    for k, net in enumerate(known.nets):
        for layer in range(depth):
            mine.append(own.weights[layer].grad[k].flatten())
            theirs.append(net.get_submodule(f"linear_{layer + 1}").weight.grad.flatten())
    return float(torch.nn.functional.cosine_similarity(torch.cat(mine).double(), torch.cat(theirs).double(), dim=0))


def codes(count: int) -> Tensor:
    """w (count, 512) of the embedded generator, of one seed."""
    import torch

    from benchmarks.parity.embedded import codes_z

    with torch.no_grad():
        return domain().generator.map_to_w(torch.from_numpy(codes_z(count)))


def unlabelled(w: Tensor) -> FitData:
    """What an objective needs of its data: codes and the generator."""
    import torch

    from pipeline.methods.interface import FitData

    home = domain()
    return FitData(
        w=w,
        values=torch.zeros(len(w), 0),
        generator=generator_in(w.dtype),
        scorer_a=home.scorer_a,
        recognizer_a=home.recognizer_a,
        seed=0,
        device=torch.device("cpu"),
    )


def rng() -> torch.Generator:
    """For an objective that draws nothing from it but a fixed alpha."""
    import torch

    return torch.Generator().manual_seed(0)
