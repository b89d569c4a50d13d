"""LLF: LatentCLR's directions made local, one set per cluster of the generator's features, edited layer by layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pipeline.errors import ConfigError
from pipeline.methods import validation
from pipeline.methods.contrastive.candidates import (
    DirectionCandidates,
    cosines,
    directions_cost,
    draw_alphas,
    feature_changes,
    feature_maps,
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
from pipeline.methods.contrastive.training import ContrastiveTraining, Outcome, contrastive_loss, unit_rows
from pipeline.methods.cost import Cost
from pipeline.methods.interface import FitData, Paper
from pipeline.methods.naming import Unnamed
from pipeline.optimisation.stepped import frozen

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from pipeline.domains.base import DomainCard

ALL = "all"
START, CLUSTERS = 0, 1  # purposes of random streams


class LLF(Unnamed):
    """w'_l = w_l + s d_k(w_l) / ||d_k(w_l)|| in the layers l of a group, d_k learned to change one region of the face.

    "Towards Interpretable Face Morphing via Unsupervised Learning of Layer-Wise and Local Features", CAAI Transactions
    on Intelligence Technology 11(1), 2026 (code: disanda/LLF). LatentCLR within a mask; no labels:

    1. every pixel of the feature maps after block `tap` of `images` codes is a point; K-means with k = `clusters` gives
       k centres, from then on frozen. How k is chosen: `latentbench methods llf-clusters`;
    2. for each region c of `regions` (clusters numbered from the top of the image) a set of `directions` networks, of
       `depth` fully connected layers 512 wide with batch norm and ReLU between. With m0 and m1 the nearest centres of
       the pixels of F(w) and F(w + a d_k(w)), the region is R = (m0 = c) or (m1 = c), and

           h = R (F(w + a d_k(w)) - F(w)), flattened, to unit norm

       goes into LatentCLR's contrastive loss (`contrastive.py`: it lies in [-0.5, 0.5]), plus `outside_weight` times
       the mean square of what changed outside R (10 in the authors' logged run, 0 in their current configuration);
    3. an edit sends each layer's own code through the network, batch norm as in evaluation; other layers keep theirs.

    No gradient passes through R, only through the masked difference. Nearest centres are reckoned on the device.
    `facts` say how much more the inside of each region changed than the outside, on held-out codes.

    Departures from the authors' code:

    - a face is masked by its own region. Theirs, in batches of several, spreads the masks over channels in the wrong
      order, so that channel c of face b of B gets the mask of face (b C + c) mod B. That equals its own on .78 to .95
      of the entries; the contrastive loss of 12 directions and 3 faces is .052 by theirs and .070 by their own masks.
      `spread_masks = true` does as theirs, by which their published directions were trained;
    - sets for all regions are trained side by side, one region per step in turn: `steps` counts all of them. Theirs is
      one region per run;
    - a pair whose region is empty, or in which nothing changes, is left out of the loss (`dropped` in the facts);
      theirs is 0 / 0;
    - validation is on the training objective, masked, on held-out codes, and picks the models that are kept; theirs is
      on the unmasked differences of features that were normalised one by one;
    - K-means is fitted on codes of the truncation that is edited, with 4 restarts (of 10, the best has the same inertia
      to 5e-5); theirs at psi = 0.5, used at 0.85;
    - the outside penalty masks each pair by its own region. Theirs masks one shared copy of F(w) in place, so that the
      regions of all directions pile up in it and count as change;
    - their wrapper truncates after the edit, so that a step is psi a; here it is a;
    - directions are named by the rule that all methods share (`naming.py`), theirs by eye. `groups` are the layers of
      its candidates; by default each single layer that the tap sees, as directions were never trained beyond those.
    """

    name: ClassVar[str] = "llf"
    version: ClassVar[int] = 1
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
        steps: int = 12_000,
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
        """The clusters that get directions, from 0."""
        if self.regions == ALL:
            return tuple(range(self.clusters))
        words = [word.strip() for word in self.regions.split(",") if word.strip()]
        found = tuple(dict.fromkeys(int(word) for word in words if word.isdigit() and int(word) < self.clusters))
        if not found or len(found) != len(words):
            raise ConfigError(
                f"[method.{self.name}] regions: expected all, or different numbers from 0 to "
                f"{self.clusters - 1} separated by commas, found {self.regions!r}."
            )
        return found

    @property
    def nouns(self) -> list[str]:
        """What the sets of directions are called."""
        return [f"region {region}, direction" for region in self.chosen]

    def cost(self, card: DomainCard) -> Cost:
        """K networks of each region, one region a step through the generator's blocks up to `tap`."""
        return directions_cost(card, self.tap, self.directions, self.depth, self.batch, sets=len(self.chosen))

    def find(self, data: FitData) -> DirectionCandidates:
        """Fit the clusters and train the directions, going on from a checkpoint of the same settings and data.

        Raises TrainingDivergedError; ConfigError if the generator has no block `tap`.
        """
        import torch
        from torch import nn

        from pipeline.methods.contrastive.directions import Directions

        layers, seen = data.generator.num_ws, layers_seen(data, self.name, self.tap)
        spans = layer_groups(self.name, "groups", self.groups, layers, seen)
        fed = layer_groups(self.name, "feed", self.feed, layers, seen)
        rng = data.rng(START)
        with frozen(data.generator):
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
    ) -> tuple[Outcome, tuple[float, float]]:
        """The masked loss of codes w (B, 512), and the features' mean square change inside and outside the region."""
        alphas = draw_alphas(self.directions, self.alpha, self.alpha, rng)
        before, after = feature_changes(data, networks(w), w, self.tap, alphas, fed)
        own = region_of(before, after, self.centres_, region)
        change = after - before
        mask = spread_over(own, change.shape[2]) if self.spread_masks else own
        rows, there = unit_rows((change * mask).flatten(2))
        loss, accuracy = contrastive_loss(rows, there)
        contrast = float(loss.detach())
        if self.outside_weight:
            loss = loss + self.outside_weight * (change * ~mask).square().mean()
        return Outcome(loss, contrast, accuracy, 1 - float(there.float().mean())), inside_and_outside(
            change.detach(), own
        )

    def _measure(
        self, data: FitData, models: nn.ModuleList, w: Tensor, fed: list[tuple[int, int]]
    ) -> list[dict[str, float]]:
        """Per region, on held-out codes: the objective, how much more the inside changed, and what directions share."""
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

    def state(self) -> dict[str, Tensor]:
        """The networks and the clusters' `centres`."""
        return {**super().state(), "centres": self.centres_}

    def rebuild(self, state: dict[str, Tensor], facts: dict[str, Any]) -> DirectionCandidates:
        """The candidates of which `state` and `facts` were kept."""
        self.centres_ = state["centres"]
        self.found_ = {
            key: facts[key] for key in ("training", "layers_seen", "clustering", "cluster_shares", "regions")
        }
        return rebuild_candidates(state, self.depth, self.nouns)

    def facts(self) -> dict[str, Any]:
        """`training`, `regions` (locality), `clustering` (K-means' end), `cluster_shares`; and the naming's."""
        return {**self.found_, **super().facts()}
