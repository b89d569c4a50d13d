"""LLF: LatentCLR's directions made local, one set per cluster of the generator's features, edited layer by layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pipeline.errors import ConfigError
from pipeline.methods import validation
from pipeline.methods.bytes_taken import Cost
from pipeline.methods.contrastive.candidates import (
    DirectionCandidates,
    cosines,
    directions_cost,
    draw_alphas,
    feature_changes,
    feature_maps,
    groups_named,
    layer_groups,
    layers_seen,
    parse_groups,
    rebuild_candidates,
)
from pipeline.methods.contrastive.llf_masks import (
    find_clusters,
    inside_and_outside,
    label_maps,
    region_of,
    seed_of,
    spread_over,
)
from pipeline.methods.contrastive.training import ContrastiveTraining, StepLoss, contrastive_loss, unit_rows
from pipeline.methods.interface import FitData, Paper
from pipeline.methods.naming import Unnamed, expected_images
from pipeline.methods.precision import full_precision
from pipeline.optimisation.stepped import frozen

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from pipeline.domains.base import DomainCard
    from stylegan.generator import Generator

ALL = "all"
START, CLUSTERS = 0, 1  # purposes of random streams


class LLF(Unnamed):
    """w'_l = w_l + s d_k(w_l) / ||d_k(w_l)|| in the layers l of a group, with d_k trained to change one region.

    "Towards Interpretable Face Morphing via Unsupervised Learning of Layer-Wise and Local Features", CAAI Transactions
    on Intelligence Technology 11(1), 2026 (code: disanda/LLF). LatentCLR within a mask; no labels:

    1. every pixel of the feature maps after block `tap` of `images` codes is a point. K-means with k = `clusters` gives
       k centres, which stay fixed. `latentbench methods llf-clusters` helps to choose k;
    2. each region c of `regions` (clusters are numbered from the top of the image) has a set of `directions` networks,
       of `depth` fully connected layers 512 wide with batch norm and ReLU between. With m0 and m1 the nearest centres
       of the pixels of F(w) and F(w + a d_k(w)), the region is R = (m0 = c) or (m1 = c), and

           h = R (F(w + a d_k(w)) - F(w)), flattened, to unit norm

       enters LatentCLR's contrastive loss (`training.py`: in [-0.5, 0.5]). `outside_weight` times the mean square of
       the change outside R is added (10 in the authors' logged run, 0 in their current configuration);
    3. an edit sends the code of each layer through the network, with batch norm as in evaluation; other layers keep
       their codes.

    No gradient passes through R, only through the masked difference. Nearest centres are computed on the device.
    `facts` say how much more each region changed inside than outside, on held-out codes.

    Departures from the authors' code:

    - a face is masked by its region. In batches of several faces, theirs spreads the masks over channels in the wrong
      order: channel c of face b of B gets the mask of face (b C + c) mod B. That equals the mask of face b on .78 to
      .95 of the entries; the contrastive loss of 12 directions and 3 faces is .052 with the spread masks and .070 with
      the right ones. `spread_masks = true` does as theirs, with which their published directions were trained;
    - the sets of all regions are trained together, one region per step in turn; `steps` counts all of them, and the
      learning rate falls by the steps of a region. Theirs trains one region per run;
    - a pair whose region is empty, or in which nothing changes, is left out of the loss (`dropped` in the facts);
      theirs is 0 / 0;
    - validation uses the masked training objective on held-out codes, and picks the models to keep; theirs uses the
      unmasked differences of features that were normalised one by one;
    - K-means is fitted on codes with the truncation of the edits, with 4 restarts (the best of 10 has the same inertia
      to 5e-5); theirs is fitted at psi = 0.5 and used at 0.85;
    - the penalty on the outside masks each pair by its region. Theirs masks one shared copy of F(w) in place, so the
      regions of all directions accumulate in it and count as change;
    - their wrapper truncates after the edit, so their step is psi a; here it is a;
    - directions are named by the rule that all methods share (`naming.py`), theirs by eye. `groups` are the layers of
      the candidates; by default each single layer that the tap sees, because directions were never trained beyond them.

    Pixels 0 and 5 belong to the clusters around 0 and 6; an edit that moves the second pixel to 1 changes region 0:

    >>> import torch
    >>> from pipeline.methods.contrastive.llf_masks import label_maps, region_of
    >>> before, after = torch.tensor([[[[0.0, 5.0]]]]), torch.tensor([[[[[0.0, 1.0]]]]])
    >>> centres = torch.tensor([[0.0], [6.0]])
    >>> label_maps(before, centres).flatten(), region_of(before, after, centres, cluster=0).flatten()
    (tensor([0, 1]), tensor([True, True]))
    """

    name: ClassVar[str] = "llf"
    version: ClassVar[int] = 2
    paper: ClassVar[Paper] = Paper(
        "Towards Interpretable Face Morphing via Unsupervised Learning of Layer-Wise and Local Features",
        "CAAI Transactions on Intelligence Technology 2026",
        "https://github.com/disanda/LLF",
    )
    unit: ClassVar[str] = "length in W, in the layers of its group"
    supervision: ClassVar[str] = "none"

    candidates_: DirectionCandidates
    centres_: Tensor  # (clusters, C)
    found_: dict[str, Any]

    def __init__(
        self,
        *,
        tap: str = "b16",
        clusters: int = 5,
        images: int = 256,
        regions: str | int = ALL,
        directions: int = 20,
        depth: int = 3,
        alpha: float = 0.1,
        outside_weight: float = 0.0,
        spread_masks: bool = False,
        feed: str | int = "",
        groups: str | int = "each",
        batch: int = 5,
        learning_rate: float = 0.001,
        steps: int = 6_000,
    ) -> None:
        self.tap = str(tap)
        self.clusters = validation.whole(self.name, "clusters", clusters, 2, 100)
        self.images = validation.whole(self.name, "images", images, 1, 100_000)
        self.regions = str(regions).strip()
        self.directions = validation.whole(self.name, "directions", directions, 2, 1000)
        self.depth = validation.whole(self.name, "depth", depth, 1, 16)
        self.alpha = validation.number(self.name, "alpha", alpha, 0.0, 1000.0, above=True)
        self.outside_weight = validation.number(self.name, "outside_weight", outside_weight, 0.0, 1e9)
        self.spread_masks = validation.flag(self.name, "spread_masks", spread_masks)
        self.feed = ", ".join(parse_groups(self.name, "feed", feed))
        self.groups = ", ".join(parse_groups(self.name, "groups", groups))
        self.batch = validation.whole(self.name, "batch", batch, 2, 4096)
        self.learning_rate = validation.number(self.name, "learning_rate", learning_rate, 0.0, 10.0, above=True)
        self.steps = validation.whole(self.name, "steps", steps, 1, 10**8)
        self.chosen = self._chosen()

    def _chosen(self) -> tuple[int, ...]:
        """The clusters that get directions, numbered from 0."""
        if self.regions == ALL:
            return tuple(range(self.clusters))
        words = [word.strip() for word in self.regions.split(",") if word.strip()]
        clusters = tuple(dict.fromkeys(int(word) for word in words if word.isdigit() and int(word) < self.clusters))
        if not clusters or len(clusters) != len(words):
            raise ConfigError(
                f"[method.{self.name}] regions: expected all, or different numbers from 0 to "
                f"{self.clusters - 1} separated by commas, found {self.regions!r}."
            )
        return clusters

    @property
    def nouns(self) -> list[str]:
        """The nouns of the sets of directions, for labels."""
        return [f"region {region}, direction" for region in self.chosen]

    def cost(self, card: DomainCard) -> Cost:
        """K networks of each region, one region a step through the generator's blocks up to `tap`."""
        return directions_cost(card, self.tap, self.directions, self.depth, self.batch, sets=len(self.chosen))

    def amount(self, latents: int, codes: int) -> tuple[int, str]:
        """Images of the training and of the naming."""
        candidates = self.directions * len(self.chosen) * groups_named(self.name, self.groups, self.tap)
        return self.steps * self.batch * (1 + self.directions) + expected_images(candidates, codes), "images"

    def find(self, data: FitData) -> DirectionCandidates:
        """Fit the clusters and train the directions. Resumes from a checkpoint of the same settings and data.

        Raises TrainingDivergedError; ConfigError if the generator has no block `tap`.
        """
        import torch
        from torch import nn

        from pipeline.methods.contrastive.directions import Directions

        layers, seen = data.generator.num_ws, layers_seen(data, self.name, self.tap)
        spans = layer_groups(self.name, "groups", self.groups, layers, seen)
        fed = layer_groups(self.name, "feed", self.feed, layers, seen)
        rng = data.rng(START)
        with frozen(data.generator), full_precision(data.generator):
            with torch.no_grad():
                maps = feature_maps(data, data.w[: self.images].to(data.device), self.tap)
            self.centres_, clustering = find_clusters(maps, self.clusters, seed_of(data.rng(CLUSTERS)))
            sizes = torch.bincount(label_maps(maps, self.centres_).flatten(), minlength=self.clusters)
            del maps
            sets = [Directions(self.directions, data.w.shape[1], depth=self.depth, rng=rng) for _ in self.chosen]
            models = nn.ModuleList(sets).to(data.device)
            training = ContrastiveTraining(
                self,
                data,
                models,
                lambda turn, w, rng: self.objective(data, sets[turn], w, self.chosen[turn], fed, rng)[0],
                steps=self.steps,
                batch=self.batch,
                learning_rate=self.learning_rate,
            )
            training.run()
            shown = data.w[training.trained :].to(data.device)
            self.found_ = {
                "training": training.facts(),
                "layers_seen": seen,
                "clustering": clustering,
                "cluster_shares": [round(share, 6) for share in (sizes / sizes.sum()).tolist()],
                "regions": self._measure(data, models, shown, fed),
            }
        return DirectionCandidates(sets, spans, self.nouns)

    def objective(
        self,
        data: FitData,
        networks: nn.Module,
        w: Tensor,
        region: int,
        fed: list[tuple[int, int]],
        rng: torch.Generator,
    ) -> tuple[StepLoss, tuple[float, float]]:
        """The masked loss of codes w (B, 512), and the mean squared change of features in and outside the region."""
        alphas = draw_alphas(self.directions, self.alpha, self.alpha, rng)
        before, after = feature_changes(data, networks(w), w, self.tap, alphas, fed)
        inside = region_of(before, after, self.centres_, region)
        change = after - before
        mask = spread_over(inside, change.shape[2]) if self.spread_masks else inside
        rows, there = unit_rows((change * mask).flatten(2))
        loss, accuracy = contrastive_loss(rows, there)
        contrast = float(loss.detach())
        if self.outside_weight:
            loss = loss + self.outside_weight * (change * ~mask).square().mean()
        return StepLoss(loss, contrast, accuracy, 1 - float(there.float().mean())), inside_and_outside(
            change.detach(), inside
        )

    def _measure(
        self, data: FitData, models: nn.ModuleList, w: Tensor, fed: list[tuple[int, int]]
    ) -> list[dict[str, float]]:
        """Per region, on held-out codes: the objective, the change inside over outside, the cosines of directions."""
        import torch

        entries = []
        with torch.no_grad():
            for region, networks in zip(self.chosen, models, strict=True):
                outcome, (inside, outside) = self.objective(data, networks, w, region, fed, data.rng(START))
                entry = {
                    "region": region,
                    "contrast": round(outcome.contrast, 6),
                    "accuracy": round(outcome.accuracy, 6),
                    "dropped": round(outcome.dropped, 6),
                    "inside_over_outside": round(inside / max(outside, 1e-30), 4),
                }
                entries.append(entry | cosines(networks(w)))
        return entries

    def region_maps(self, generator: Generator, ws: Tensor) -> Tensor:
        """The cluster of every pixel of the feature maps at the tap."""
        maps = generator.synthesis.features(ws, self.tap)
        return label_maps(maps, self.centres_.to(maps))

    def state(self) -> dict[str, Tensor]:
        """The networks, and the `centres` of the clusters."""
        return {**super().state(), "centres": self.centres_}

    def rebuild(self, state: dict[str, Tensor], facts: dict[str, Any]) -> DirectionCandidates:
        """The candidates that `state` and `facts` describe."""
        self.centres_ = state["centres"]
        self.found_ = {
            key: facts[key] for key in ("training", "layers_seen", "clustering", "cluster_shares", "regions")
        }
        return rebuild_candidates(state, self.depth, self.nouns)

    def facts(self) -> dict[str, Any]:
        """`training`, `regions` (locality), `clustering` (how K-means ended), `cluster_shares`; the facts of naming."""
        return {**self.found_, **super().facts()}
