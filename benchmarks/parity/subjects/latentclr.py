"""LatentCLR: the contrastive loss, the direction models, and one step of its trainer."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from benchmarks.parity.comparison import Checkout, Comparison, Measured, Subject
from benchmarks.parity.loading import replace, theirs
from benchmarks.parity.measures import largest
from benchmarks.parity.subjects import contrast

K, BATCH, DEPTH = 12, 8, 3
STEP = 0.5  # of an iterative edit


def model(depth: int, k: int = K) -> Any:
    """Their model of K directions, of one seed; depth 0 is Fixed, 1 is LinearConditional."""
    import torch

    torch.manual_seed(32 + depth)
    conditional = theirs("colat.models.conditional")
    if depth == 0:
        return theirs("colat.models.fixed").Fixed(k, contrast.W_DIM, contrast.ALPHA)
    if depth == 1:
        return conditional.LinearConditional(k, contrast.W_DIM, contrast.ALPHA)
    return contrast.stirred(conditional.NonlinearConditional(k, contrast.W_DIM, depth, contrast.ALPHA), depth)


@lru_cache(maxsize=1)
def trainer_class() -> Any:
    """Their trainer, without what it imports for other generators and for its curves."""
    replace("torch.utils.tensorboard", SummaryWriter=object)
    replace("colat.generators", Generator=object)
    return theirs("colat.trainer").Trainer


@lru_cache(maxsize=2)
def step(unit: bool) -> tuple[float, float, float]:
    """Our loss, theirs, and the cosine of the gradients, of one training step; `unit`: of features of unit length.

    In float64: a step of .1 changes the features little, and single precision keeps few digits of their difference.
    """
    from pipeline.methods.contrastive.latentclr import LatentCLR

    known = model(DEPTH)
    own = contrast.copied(known, DEPTH).double().train()
    known, w = known.double(), contrast.codes(BATCH).double()
    method = LatentCLR(directions=K, depth=DEPTH, tap=contrast.TAP, batch=BATCH, unit_features=unit)
    outcome = method.objective(contrast.unlabelled(w), own, w, [], contrast.rng())
    outcome.loss.backward()
    projector = theirs("colat.projectors.identity").IdentityProjector(normalize=unit)
    loss = theirs("colat.loss").ContrastiveLoss(k=K, **contrast.CONTRAST)
    expected = contrast.step_of(trainer_class(), known, loss, w, flat=True, projector=projector, train_projector=False)
    return float(outcome.loss.detach()), expected, contrast.gradients(own, known, DEPTH)


def objective(unit: bool) -> Measured:
    """The loss of a step."""
    own, known, _ = step(unit)
    return Measured(abs(own - known), f"{own:.6f}", f"{known:.6f}")


def gradient(unit: bool) -> Measured:
    """Its gradient's direction."""
    return Measured(abs(1 - step(unit)[2]))


def walked() -> Measured:
    """Codes that take the direction again at every step (`iterative`), by our candidates and by their model."""
    import torch

    from pipeline.methods.contrastive.candidates import DirectionCandidates

    known, w = model(DEPTH).eval(), contrast.codes(BATCH)
    own = DirectionCandidates([contrast.copied(known, DEPTH)], [(0, 1)], ["direction"], STEP)
    worst = 0.0
    for k in (0, K - 1):
        for steps in (1, 4, -3):
            z = w
            known.alpha = STEP if steps > 0 else -STEP
            with torch.no_grad():
                for _ in range(abs(steps)):
                    z = known.forward_single(z, k)
            moved = own.shift(w[:, None], k, torch.full((len(w),), STEP * steps))[:, 0]
            worst = max(worst, largest(w + moved, z))
    return Measured(worst)


SUBJECT = Subject(
    checkout=Checkout("latentclr", "catlab-team/latentclr", "f02a70d"),
    comparisons=(
        Comparison(
            "loss",
            "contrastive loss, accuracy and gradient of given rows",
            "3 shapes",
            lambda: contrast.contrastive(theirs("colat.loss").ContrastiveLoss),
            1e-6,
        ),
        *(
            Comparison(
                f"directions_{word}",
                f"directions of {word} models: training, evaluation, single; number of parameters",
                f"{K} x 24",
                lambda depth=depth: contrast.directions(model(depth), depth),
                1e-6,
            )
            for word, depth in (("fixed", 0), ("linear", 1), ("nonlinear_1", 1), ("nonlinear_3", 3), ("nonlinear_4", 4))
        ),
        Comparison(
            "objective",
            "loss of a step of their Trainer with their projector (features of unit length), alpha .1",
            f"K {K}, {BATCH} codes",
            lambda: objective(True),
            1e-9,
        ),
        Comparison("gradient", "its gradient", f"K {K}, {BATCH} codes", lambda: gradient(True), 1e-9, "1 - cosine"),
        Comparison(
            "objective_raw",
            "the same with normalize: False, our unit_features = false",
            f"K {K}, {BATCH} codes",
            lambda: objective(False),
            1e-9,
        ),
        Comparison(
            "gradient_raw", "its gradient", f"K {K}, {BATCH} codes", lambda: gradient(False), 1e-9, "1 - cosine"
        ),
        Comparison(
            "iterative_edit",
            f"edits of 1, 4 and -3 steps of {STEP}, the direction taken again at each; our edit_step",
            f"2 x {BATCH} codes",
            walked,
            1e-5,
            formula=True,
        ),
    ),
    shims=(
        "empty modules stand for torch.utils.tensorboard and colat.generators, which their trainer imports",
        "their trainer gets the embedded generator's features, fixed codes, and an optimiser of rate 0",
    ),
)
