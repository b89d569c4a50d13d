"""The experiment: the sizes of a profile and the rules of `[protocol]`, all that can change a number of any method."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from pipeline.attributes import EVALUATED
from pipeline.errors import ConfigError, UnknownNameError
from pipeline.settings.file import (
    Section,
)
from pipeline.settings.paths import expanded, open_regular
from stylegan.sampling import BLOCK

FULL, HALF = "full", "half"  # precision of the generator's high resolutions
BATCH = 64  # images are generated and judged in batches of this many consecutive ids, on every machine


@dataclass(frozen=True)
class Experiment:
    """Everything but weights and method settings that can change a number. Sizes come from the profile."""

    profile: str
    seed: int
    truncation_psi: float
    attributes: tuple[str, ...]
    n_latents: int
    n_faces: int
    n_steps: int
    n_reference: int
    n_timings: int
    found_share: float
    detection_threshold: float
    displacement_cap: float
    bisections: int
    bootstrap_samples: int
    confidence: float
    kid_subsets: int
    kid_subset_size: int
    inception_score_splits: int
    first_face_id: int
    first_reference_id: int
    n_naming_codes: int = 256
    comparison_samples: int = 10_000
    first_naming_id: int = 3_000_000_000
    n_spread: int = 5000
    n_matched_faces: int = 500
    matched_levels: tuple[float, ...] = (0.5, 1.0, 1.5, 2.0)
    matched_bisections: int = 10
    matched_tolerance: float = 0.05
    n_rate_faces: int = 1000
    rate_strengths: int = 10
    false_accept_rate: float = 0.001
    n_consistency_faces: int = 200
    consistency_share: float = 0.5
    precision: str = FULL
    faces_from: str = ""  # a table of inverted photographs, instead of sampled faces
    faces_sha256: str = ""  # of that table: what of it changes numbers

    @property
    def rendering(self) -> dict[str, str]:
        """What a stage that makes images adds to its parameters: nothing in full precision."""
        return {} if self.precision == FULL else {"precision": self.precision}

    @property
    def edits_per_method(self) -> int:
        """Images generated per method: attributes x faces x steps."""
        return len(self.attributes) * self.n_faces * self.n_steps

    @property
    def matched_per_method(self) -> int:
        """Changes sought per method at matched change: attributes x faces x up and down x levels."""
        return len(self.attributes) * self.n_matched_faces * 2 * len(self.matched_levels)

    @property
    def rated_per_method(self) -> int:
        """Images generated per method for rate curves: attributes x faces x strengths."""
        return len(self.attributes) * self.n_rate_faces * self.rate_strengths


def read_experiment(rules: Section, sizes: Section, of_domain: Section, profile: str) -> Experiment:
    """[protocol], [profile.*] and what [domain.*] has of a run, checked. Raises ConfigError, UnknownNameError."""
    attributes = tuple(dict.fromkeys(rules.names("attributes")))  # named twice, it would count twice in every mean
    column_names = {column: name for name, column in EVALUATED.items() if column != name}
    for attribute in attributes:
        if attribute in column_names:
            raise ConfigError(f"Attribute {attribute!r} is evaluated under the name {column_names[attribute]!r}.")
        if attribute not in EVALUATED:
            raise UnknownNameError("evaluated attribute", attribute, EVALUATED)
    if not attributes:
        raise rules.fail("attributes", "at least one evaluated attribute")
    far = 2**62
    faces_from, faces_sha256 = _faces_from(rules)
    experiment = Experiment(
        profile=profile,
        seed=rules.number("seed", int, 0, 2**63 - 1),
        truncation_psi=of_domain.number("truncation_psi", float, 0.05, 1.0),
        attributes=attributes,
        n_latents=sizes.number("n_latents", int, BLOCK, 10**9),
        n_faces=sizes.number("n_faces", int, 2, 10**6),
        n_steps=sizes.number("n_steps", int, 2, 10**4),
        n_reference=sizes.number("n_reference", int, 16, 10**7),
        n_timings=sizes.number("n_timings", int, 1, 10**4),
        found_share=rules.number("found_share", float, 0.0, 1.0),
        detection_threshold=rules.number("detection_threshold", float, 0.0, 1.0),
        displacement_cap=rules.number("displacement_cap", float, 0.01, 100.0),
        bisections=rules.number("bisections", int, 0, 30),
        bootstrap_samples=rules.number("bootstrap_samples", int, 10, 10**6),
        confidence=rules.number("confidence", float, 0.5, 0.999),
        kid_subsets=rules.number("kid_subsets", int, 1, 10**5),
        kid_subset_size=rules.number("kid_subset_size", int, 2, 10**5),
        inception_score_splits=rules.number("inception_score_splits", int, 1, 1000),
        first_face_id=rules.number("first_face_id", int, 0, far, multiple=BLOCK),
        first_reference_id=rules.number("first_reference_id", int, 0, far, multiple=BLOCK),
        n_naming_codes=sizes.number("n_naming_codes", int, 16, 10**6),
        comparison_samples=rules.number("comparison_samples", int, 10, 10**6),
        first_naming_id=rules.number("first_naming_id", int, 0, far, multiple=BLOCK),
        n_spread=sizes.number("n_spread", int, 16, 10**7),
        n_matched_faces=sizes.number("n_matched_faces", int, 2, 10**6),
        matched_levels=rules.rising("matched_levels", 0.01, 100.0),
        matched_bisections=rules.number("matched_bisections", int, 0, 60),
        matched_tolerance=rules.number("matched_tolerance", float, 1e-4, 1.0),
        n_rate_faces=sizes.number("n_rate_faces", int, 2, 10**6),
        rate_strengths=rules.number("rate_strengths", int, 2, 1000),
        false_accept_rate=rules.number("false_accept_rate", float, 1e-6, 0.5),
        n_consistency_faces=sizes.number("n_consistency_faces", int, 2, 10**6),
        consistency_share=rules.number("consistency_share", float, 0.01, 1.0),
        precision=of_domain.choice("precision", (FULL, HALF), FULL),
        faces_from=faces_from,
        faces_sha256=faces_sha256,
    )
    if experiment.n_consistency_faces > experiment.n_rate_faces:
        raise sizes.fail("n_consistency_faces", f"no more than the n_rate_faces of {experiment.n_rate_faces:,}")
    if experiment.n_spread > experiment.n_reference:
        raise sizes.fail("n_spread", f"no more than the n_reference of {experiment.n_reference:,} images")
    if experiment.matched_tolerance >= experiment.matched_levels[0]:
        raise rules.fail(
            "matched_tolerance", f"less than the smallest of matched_levels, {experiment.matched_levels[0]:g}"
        )
    _check_apart(experiment, rules.path)
    return experiment


def _faces_from(rules: Section) -> tuple[str, str]:
    """Path and sha256 of the table of inverted photographs; both empty where faces are sampled."""
    text = rules.text("faces_from", "")
    if not text:
        return "", ""
    path = expanded(text).absolute()
    try:
        with open_regular(path) as file:
            return str(path), hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise rules.fail("faces_from", f"a table that `latentbench invert` wrote ({error.strerror})") from error


def _check_apart(experiment: Experiment, path: Path) -> None:
    """Raises ConfigError if an id is in two sets of latents: what is trained or named on would be judged too."""
    sets = sorted(
        [
            (0, experiment.n_latents, "n_latents"),
            (
                experiment.first_face_id,
                max(experiment.n_faces, experiment.n_matched_faces, experiment.n_rate_faces),
                "first_face_id",
            ),
            (experiment.first_reference_id, experiment.n_reference, "first_reference_id"),
            (experiment.first_naming_id, experiment.n_naming_codes, "first_naming_id"),
        ]
    )
    for (first, count, one), (start, _, other) in pairwise(sets):
        if start < first + count:
            raise ConfigError(
                f"{path}: [protocol] {one} and {other}: the latents {first} to {first + count - 1} reach into those "
                f"from {start}; no two sets may have an id in common."
            )
