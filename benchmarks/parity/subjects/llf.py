"""LLF: the contrastive loss, the direction model, the clusters' masks, and one step of its trainer."""

from __future__ import annotations

import copy
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from benchmarks.parity.comparison import Checkout, Comparison, Measured, Subject
from benchmarks.parity.loading import replace, theirs
from benchmarks.parity.subjects import contrast

K, DEPTH, CLUSTERS, IMAGES = 12, 3, 5, 64
REGION = 0


def model() -> Any:
    """Their model of K directions, of one seed."""
    import torch

    torch.manual_seed(41)
    return contrast.stirred(theirs("model").NonlinearConditional(K, contrast.W_DIM, DEPTH, contrast.ALPHA), 41)


@lru_cache(maxsize=1)
def trainer_class() -> Any:
    """Their trainer, without what it imports for its configuration, its generator and its curves."""

    def main(**_: Any) -> Any:
        return lambda function: function

    replace("hydra", main=main, __path__=[])
    replace("hydra.utils", instantiate=None)
    replace("omegaconf", DictConfig=object, OmegaConf=object)
    replace("torch.utils.tensorboard", SummaryWriter=object)
    replace("models", __path__=[])
    replace("models.generators", Generator=object, __path__=[])
    replace("models.generators.stylegan2", __path__=[])
    replace("models.generators.stylegan2.stylegan2_wrap", StyleGAN2Generator=object)
    return theirs("train").Trainer


@lru_cache(maxsize=1)
def clusters() -> tuple[Any, Any]:
    """A KMeans of the pixels of feature maps, as they fit one, and its centres."""
    import torch
    from sklearn.cluster import KMeans

    from pipeline.methods.contrastive.llf_masks import points_of

    with torch.no_grad():
        maps = contrast.features_of(contrast.codes(IMAGES))
    machine = KMeans(n_clusters=CLUSTERS, n_init=2, random_state=0).fit(points_of(maps))
    return machine, torch.from_numpy(machine.cluster_centers_)


def masks() -> Measured:
    """Share of pixels whose cluster differs, by our nearest centre and their `_kmeans_predict`."""
    import torch

    from pipeline.methods.contrastive.llf_masks import label_maps

    machine, centres = clusters()
    with torch.no_grad():
        maps = contrast.features_of(contrast.codes(IMAGES))
    expected = trainer_class()._kmeans_predict(SimpleNamespace(), maps, machine)
    return Measured(float((label_maps(maps, centres).numpy() != expected).mean()))


@lru_cache(maxsize=4)
def step(batch: int, spread: bool) -> tuple[float, float, float]:
    """Our loss, theirs, and the cosine of the gradients, of one step on a batch of codes in one region.

    In float64; without the penalty outside, which is off in their current configuration and declared to differ.
    """
    import joblib

    from pipeline.methods.contrastive.llf import LLF

    machine, centres = copy.deepcopy(clusters())
    machine.cluster_centers_ = machine.cluster_centers_.astype("float64")
    joblib.dump(machine, "kmeans.pkl")
    known = model()
    own = contrast.copied(known, DEPTH).double().train()
    known, w = known.double(), contrast.codes(batch).double()
    method = LLF(
        tap=contrast.TAP,
        clusters=CLUSTERS,
        directions=K,
        depth=DEPTH,
        alpha=contrast.ALPHA,
        batch=batch,
        spread_masks=spread,
    )
    method.centres_ = centres.double()
    outcome, _ = method.objective(contrast.unlabelled(w), own, w, REGION, [], contrast.rng())
    outcome.loss.backward()
    loss = theirs("loss").ContrastiveLoss(k=K, **contrast.CONTRAST)
    more = {
        "use_kmeans": True,
        "k_th_cluster": REGION,
        "kmeans_model_path": str(Path("kmeans.pkl")),
        "use_mse": False,
    }
    expected = contrast.step_of(trainer_class(), known, loss, w, flat=False, **more)
    return float(outcome.loss.detach()), expected, contrast.gradients(own, known, DEPTH)


def objective(batch: int, spread: bool) -> Measured:
    """The loss of a step."""
    own, known, _ = step(batch, spread)
    return Measured(abs(own - known), f"{own:.6f}", f"{known:.6f}")


def gradient(batch: int, spread: bool) -> Measured:
    """Its gradient's direction."""
    return Measured(abs(1 - step(batch, spread)[2]))


DECLARED = "theirs spreads the masks over channels in the wrong order; ours gives each face its own (llf; D6)"

SUBJECT = Subject(
    checkout=Checkout("LLF", "disanda/LLF", "129a4bc"),
    comparisons=(
        Comparison(
            "loss",
            "contrastive loss, accuracy and gradient of given rows",
            "3 shapes",
            lambda: contrast.contrastive(theirs("loss").ContrastiveLoss),
            1e-6,
        ),
        Comparison(
            "directions",
            "directions of their model of depth 3: training, evaluation, single",
            f"{K} x 24",
            lambda: contrast.directions(model(), DEPTH),
            1e-6,
        ),
        Comparison(
            "clusters", "nearest centre of every pixel, by KMeans.predict", f"{IMAGES} maps", masks, 1e-4, "share"
        ),
        *(
            Comparison(
                f"objective_{batch}",
                f"loss of a step of their Trainer with region {REGION}'s masks, {batch} codes; our spread_masks = true",
                f"K {K}",
                lambda batch=batch: objective(batch, True),
                1e-9,
            )
            for batch in (3, 5)
        ),
        Comparison("gradient_3", "its gradient, 3 codes", f"K {K}", lambda: gradient(3, True), 1e-9, "1 - cosine"),
        Comparison(
            "objective_own_masks",
            "the same with each face's own mask, our default; 3 codes",
            f"K {K}",
            lambda: objective(3, False),
            declared=DECLARED,
        ),
        Comparison(
            "gradient_own_masks",
            "its gradient",
            f"K {K}",
            lambda: gradient(3, False),
            unit="1 - cosine",
            declared=DECLARED,
        ),
    ),
    shims=(
        "empty modules stand for hydra, omegaconf, torch.utils.tensorboard and their generators",
        "their trainer gets the embedded generator's features, fixed codes, and an optimiser of rate 0",
    ),
)
