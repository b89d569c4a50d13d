"""The chain of a run: every stage in the order of computation, with the function that computes it.

Luigi's tasks and `latentbench plan` both read it, so that what is planned is what is run. The report is not here:
it is made from the chain's stages, by `pipeline.report`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from math import log2

from pipeline.chain import calibration, labels, latents, spread, training
from pipeline.chain.consistency import edits as consistency
from pipeline.chain.curves import edits as rates
from pipeline.chain.curves import scores as rating
from pipeline.chain.grid import edits as editing
from pipeline.chain.grid import scores as scoring
from pipeline.chain.matched import edits as matched
from pipeline.chain.matched import scores as rescoring
from pipeline.domains.base import DomainCard, describe
from pipeline.errors import ConfigError, UnknownNameError
from pipeline.inversion import table as photographs
from pipeline.methods import registry
from pipeline.methods.contrastive.candidates import layer_groups
from pipeline.settings.settings import Settings
from pipeline.storage.stages import Manifest, Stage

LATENT_SETS = latents.SETS
LABELLED_SETS = labels.SETS
REFERENCE_SETS = ("reference", "faces")  # unedited images: those of the reference, and those of the edited faces


@dataclass(frozen=True)
class Link:
    """One stage of a run, and how to compute it.

    `run` computes and publishes the stage, continuing from what is there. `units` is how much work that is,
    counted in `unit`, for estimates. `method` and `attribute` are empty for what is not of one.
    """

    stage: Stage
    run: Callable[[], object]
    units: int
    unit: str
    method: str = ""
    attribute: str = ""

    @property
    def title(self) -> str:
        """What people read: "labels train", "edits l2l"."""
        return self.stage.title

    @property
    def rate(self) -> str:
        """Label of the seconds of one unit in `machine_rates.measured_rates`: attributes share their method's."""
        return f"{self.stage.name} {self.method}" if self.attribute else self.stage.title


class Chain:
    """The stages of one run. Making one reads the domain's card and checks the methods' settings; no torch.

    Raises UnknownNameError and ConfigError for settings that no method takes, for attributes that the domain's scorers
    do not know, and for photographs that cannot be edited; WeightsError for missing weights.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.card: DomainCard = describe(settings.domain)
        self.card.check_attributes(settings.protocol.attributes)
        check_methods(settings, self.card)
        check_faces(settings, self.card)

    # One link at a time

    def latents(self, which: str) -> Link:
        """Sampling of z and mapping to w, of one of LATENT_SETS."""
        stage = latents.latents_stage(self.settings, self.card, which)
        return Link(stage, partial(latents.run_latents, self.settings, which), self._count(which), "latents")

    def labels(self, which: str) -> Link:
        """Scorer A's values and the detector's probability, of one of LABELLED_SETS."""
        stage = labels.labels_stage(self.settings, self.card, which)
        return Link(stage, partial(labels.run_labels, self.settings, which), self._count(which), "images")

    def train(self, method: str) -> Link:
        """The fit of a method on the labelled latents."""
        units, unit = training.work(self.settings, method)
        stage = training.train_stage(self.settings, self.card, method)
        run = partial(training.run_train, self.settings, method, self.settings.method_names)
        return Link(stage, run, units, unit, method)

    def calibrate(self, method: str, attribute: str) -> Link:
        """The range of strengths of a method for an attribute."""
        stage = calibration.range_stage(self.settings, self.card, method, attribute)
        run = partial(self.calibrate_all, method, (attribute,))
        return Link(stage, run, self.settings.protocol.n_faces, "faces", method, attribute)

    def calibrate_all(self, method: str, attributes: Sequence[str]) -> Sequence[Manifest]:
        """Compute the ranges of several attributes in one pass, so that they share the workers."""
        return calibration.run_range(self.settings, method, attributes)

    def reference(self, which: str = "reference") -> Link:
        """Perception features of unedited images, with which quality is compared: the reference, or the faces."""
        stage = editing.reference_stage(self.settings, self.card, which)
        run = partial(editing.run_reference, self.settings, which)
        return Link(stage, run, self._count(which), "images")

    def edits(self, method: str) -> Link:
        """Every edit of a method, generated and measured in one pass."""
        stage = editing.edits_stage(self.settings, self.card, method)
        run = partial(editing.run_edits, self.settings, method)
        return Link(stage, run, self.settings.protocol.edits_per_method, "images", method)

    def timing(self, method: str) -> Link:
        """Seconds of one edit, with and without synthesis."""
        stage = editing.timing_stage(self.settings, self.card, method)
        run = partial(editing.run_timing, self.settings, method)
        return Link(stage, run, self.settings.protocol.n_timings, "edits", method)

    def gallery(self, method: str) -> Link:
        """The strips of pictures that the page shows."""
        stage = editing.gallery_stage(self.settings, self.card, method)
        run = partial(editing.run_gallery, self.settings, method)
        return Link(stage, run, len(self.settings.protocol.attributes), "strips", method)

    def scores(self, method: str) -> Link:
        """Every score of a method, with its interval."""
        stage = scoring.scores_stage(self.settings, self.card, method)
        run = partial(scoring.run_scores, self.settings, method)
        return Link(stage, run, self.settings.protocol.edits_per_method, "images", method)

    def spread(self) -> Link:
        """How far scorers' logits differ between unedited images: the unit of matched change."""
        stage = spread.spread_stage(self.settings, self.card)
        run = partial(spread.run_spread, self.settings)
        return Link(stage, run, self.settings.protocol.n_spread, "images")

    def matched(self, method: str) -> Link:
        """A method's edits at matched change, searched and measured."""
        stage = matched.matched_stage(self.settings, self.card, method)
        run = partial(matched.run_matched, self.settings, method)
        return Link(stage, run, self.settings.protocol.matched_per_method, "edits", method)

    def rates(self, method: str) -> Link:
        """A method's edits for its rate curves."""
        stage = rates.rates_stage(self.settings, self.card, method)
        run = partial(rates.run_rates, self.settings, method)
        return Link(stage, run, self.settings.protocol.rated_per_method, "images", method)

    def consistency(self, method: str) -> Link:
        """A method's edits in every order, at once, and undone."""
        stage = consistency.consistency_stage(self.settings, self.card, method)
        run = partial(consistency.run_consistency, self.settings, method)
        return Link(stage, run, self.settings.protocol.n_consistency_faces, "faces", method)

    def rating(self, method: str) -> Link:
        """The scores of a method's rate curves and of its consistency."""
        stage = rating.rating_stage(self.settings, self.card, method)
        run = partial(rating.run_rating, self.settings, method)
        return Link(stage, run, self.settings.protocol.rated_per_method, "images", method)

    def rescoring(self, method: str) -> Link:
        """The scores and the re-scoring matrix of a method at matched change."""
        stage = rescoring.rescoring_stage(self.settings, self.card, method)
        run = partial(rescoring.run_rescoring, self.settings, method)
        return Link(stage, run, self.settings.protocol.matched_per_method, "edits", method)

    # All of them

    @cached_property
    def links(self) -> tuple[Link, ...]:
        """Every link, each after those that it reads."""
        found = [self.latents(which) for which in LATENT_SETS]
        found += [self.labels(which) for which in LABELLED_SETS]
        found += [*(self.reference(which) for which in REFERENCE_SETS), self.spread()]
        for method in self.settings.method_names:
            found.append(self.train(method))
            found += [self.calibrate(method, attribute) for attribute in self.settings.protocol.attributes]
            found += [self.edits(method), self.timing(method), self.gallery(method), self.scores(method)]
            found += [self.matched(method), self.rescoring(method), self.rates(method)]
            found += [self.consistency(method), self.rating(method)]
        return tuple(found)

    def position(self, link: Link) -> int:
        """Where a link stands in the order of computation, from 0."""
        return self._positions[link.stage, link.stage.label]

    @cached_property
    def _positions(self) -> dict[tuple[Stage, str], int]:
        """By label too: two sets of as many latents are one stage under two names."""
        return {(link.stage, link.stage.label): position for position, link in enumerate(self.links)}

    def stage_names(self) -> tuple[str, ...]:
        """Names of the stages in order, each once: what `--from` takes."""
        return tuple(dict.fromkeys(link.stage.name for link in self.links))

    def downstream(self, name: str, method: str = "") -> tuple[Link, ...]:
        """The links of that stage name (and method) and every link that reads them, directly or not.

        Raises UnknownNameError for a stage or method that this run does not have.
        """
        if name not in self.stage_names():
            raise UnknownNameError("stage", name, self.stage_names())
        if method and method not in self.settings.method_names:
            raise UnknownNameError("method in this run", method, self.settings.method_names)
        reached: set[Stage] = set()
        found = []
        for link in self.links:
            named = link.stage.name == name and (not method or link.method == method)
            if named or reached.intersection(link.stage.upstream):
                reached.add(link.stage)
                found.append(link)
        return tuple(found)

    def _count(self, which: str) -> int:
        return latents.id_range(self.settings, which)[1]


def check_methods(settings: Settings, card: DomainCard) -> None:
    """Check every method's settings as its constructor does, before anything is computed. Raises ConfigError.

    Of our own methods also that a layer group lies inside the domain's generator: beyond it there is nothing to edit.
    """
    layers = 2 * int(log2(card.resolution)) - 2
    for name, pairs in settings.methods:
        source = settings.source_of(name)
        groups = registry.build(name, dict(pairs), source).parameters().get("groups")
        if name in registry.BUILT_IN and groups is not None and not layer_groups(name, "groups", groups, layers, 1):
            raise ConfigError(
                f"{source}: [method.{name}] groups: expected a group of the layers 0 to {layers - 1}, found {groups!r}."
            )


def check_faces(settings: Settings, card: DomainCard) -> None:
    """Check that inverted photographs, if they are what is edited, can be. Raises ConfigError."""
    if not settings.protocol.faces_sha256:
        return
    photographs.read_codes(settings, card)
    without = [name for name in settings.method_names if registry.get(name).space == "Z"]
    if without:
        others = " ".join(f"--method {name}" for name in settings.method_names if name not in without)
        raise ConfigError(
            f"{settings.source}: [protocol] faces_from: photographs have no z, which {', '.join(without)} edits. "
            f"Leave it out: {others or 'name other methods'}"
        )
