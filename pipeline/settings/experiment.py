"""The experiment: the sizes of a profile and the rules of `[protocol]`, all that can change a number of any method."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

from pipeline.attributes import EVALUATED
from pipeline.errors import ConfigError, UnknownNameError
from pipeline.settings.file import Section
from pipeline.settings.keys import choice, declared, key, number, read_keys, rising, whole
from pipeline.settings.paths import expanded, open_regular
from stylegan.sampling import BLOCK

FULL, HALF, BFLOAT16 = "full", "half", "bfloat16"  # precision of the generator's high resolutions and of judges
PRECISIONS = (FULL, HALF, BFLOAT16)
PRECISION = "precision"  # key of [domain.*]; [profile.*] may have it as DOMAIN.precision
BATCH = 64  # images are generated and judged in batches of this many consecutive ids, on every machine
LAST_ID = 2**62
RULES, SIZES, DOMAIN = "protocol", "profile", "domain"  # sections of luigi.cfg
INDIFFERENT = ("profile", "comparison_samples")  # fields of an experiment that change no score


def _attributes(section: Section, name: str) -> tuple[str, ...]:
    """Evaluated attributes, each once: named twice, it would count twice in every mean."""
    attributes = tuple(dict.fromkeys(section.names(name)))
    column_names = {column: attribute for attribute, column in EVALUATED.items() if column != attribute}
    for attribute in attributes:
        if attribute in column_names:
            raise ConfigError(f"Attribute {attribute!r} is evaluated under the name {column_names[attribute]!r}.")
        if attribute not in EVALUATED:
            raise UnknownNameError("evaluated attribute", attribute, EVALUATED)
    if not attributes:
        raise section.fail(name, "at least one evaluated attribute")
    return attributes


def _table(section: Section, name: str) -> str:
    """Path of a table of inverted photographs; empty for sampled faces."""
    text = section.text(name)
    return str(expanded(text).absolute()) if text else ""


@dataclass(frozen=True)
class Experiment:
    """Everything but weights and method settings that can change a number. Sizes come from the profile."""

    profile: str
    seed: int = whole(RULES, "Root of all randomness: a latent depends on (seed, latent id) alone.", 0, 2**63 - 1)
    truncation_psi: float = number(
        DOMAIN, "Truncation of sampled latents: w = mean + psi (w - mean). 1 is none.", 0.05, 1.0
    )
    attributes: tuple[str, ...] = key(
        RULES, _attributes, "Attributes that are edited and evaluated (the eight of the L2L paper)."
    )
    n_latents: int = whole(SIZES, "Latents sampled and labelled to train on.", BLOCK, 10**9, unit="latents")
    n_faces: int = whole(SIZES, "Faces edited per method and attribute.", 2, 10**6, unit="faces")
    n_steps: int = whole(
        SIZES,
        "Images per face and attribute: the range in n_steps - 1 equal intervals.",
        2,
        10**4,
        unit="images",
    )
    n_reference: int = whole(SIZES, "Unedited images that FID, KID and IS compare with.", 16, 10**7, unit="images")
    n_timings: int = whole(SIZES, "Repetitions of the timing of one edit.", 1, 10**4)
    found_share: float = number(
        RULES, "Share of the faces that the detector must still find at the ends of a calibrated range.", 0.0, 1.0
    )
    detection_threshold: float = number(
        RULES,
        "Smallest detector probability that counts as a found face (facenet-pytorch's own last threshold is 0.7).",
        0.0,
        1.0,
    )
    displacement_cap: float = number(
        RULES, "Largest displacement ||w' - w|| of an edit.", 0.01, 100.0, unit="mean distances of two random w"
    )
    bisections: int = whole(
        RULES, "Halvings of the interval in which a face is lost, when bracketing its limit.", 0, 30
    )
    bootstrap_samples: int = whole(RULES, "Resamples of the bootstrap over faces.", 10, 10**6, unit="resamples")
    confidence: float = number(RULES, "Level of the bootstrap's intervals.", 0.5, 0.999)
    kid_subsets: int = whole(RULES, "Subsets of KID (clean-fid's default).", 1, 10**5, unit="subsets")
    kid_subset_size: int = whole(
        RULES, "Largest size of a subset of KID (clean-fid's default).", 2, 10**5, unit="images"
    )
    inception_score_splits: int = whole(RULES, "Inception score: parts whose spread is published.", 1, 1000)
    first_face_id: int = whole(
        RULES,
        "First latent id of the faces that are edited, far from every training id. No id may be in two sets.",
        0,
        LAST_ID,
        multiple=BLOCK,
    )
    first_reference_id: int = whole(RULES, "First latent id of the quality reference.", 0, LAST_ID, multiple=BLOCK)
    n_naming_codes: int = whole(
        SIZES,
        "Codes on which unnamed directions get their names: one image of each per candidate and sign.",
        16,
        10**6,
        unit="codes",
    )
    comparison_samples: int = whole(
        RULES,
        "Resamples behind differences between methods and their ranks. Holm's correction multiplies the smallest p "
        "value, which is 1 / (1 + this), by the number of pairs: with 14 methods that is 91, so fewer than 2000 could "
        "show no difference at all.",
        10,
        10**6,
        unit="resamples",
    )
    first_naming_id: int = whole(
        RULES,
        "First latent id of the codes on which unnamed directions get their names.",
        0,
        LAST_ID,
        multiple=BLOCK,
    )
    n_spread: int = whole(
        SIZES,
        "The first of the unedited images, whose logits give each attribute's spread: the unit of matched change.",
        16,
        10**7,
        unit="images",
    )
    n_matched_faces: int = whole(
        SIZES,
        "Faces edited to a matched change, per method, attribute, direction and level (ids from first_face_id).",
        2,
        10**6,
        unit="faces",
    )
    matched_levels: tuple[float, ...] = rising(
        RULES,
        "Matched change: how far the edited attribute moves, up and down, in standard deviations of scorer A's logit "
        "over unedited images.",
        0.01,
        100.0,
    )
    matched_bisections: int = whole(
        RULES, "Matched change: most evaluations in the interval in which a change is passed.", 0, 60
    )
    matched_tolerance: float = number(
        RULES, "Matched change: largest difference from a level that counts as reached, in the same unit.", 1e-4, 1.0
    )
    n_rate_faces: int = whole(
        SIZES,
        "Faces edited for rate curves, per method and attribute (ids from first_face_id).",
        2,
        10**6,
        unit="faces",
    )
    rate_strengths: int = whole(
        RULES,
        "Rate curves: strengths per face, from the method's largest / rate_strengths to its largest.",
        2,
        1000,
    )
    false_accept_rate: float = number(
        RULES,
        "Rate curves: share of pairs of different persons that recognizer B may take for one when it accepts an edited "
        "face as the same.",
        1e-6,
        0.5,
    )
    n_consistency_faces: int = whole(
        SIZES,
        "The first of the faces of rate curves, which are edited in every order of three attributes.",
        2,
        10**6,
        unit="faces",
    )
    consistency_share: float = number(
        RULES,
        "Consistency: strength of each of three edits in a row, as a share of the end of the method's calibrated "
        "range.",
        0.01,
        1.0,
    )
    precision: str = choice(
        DOMAIN,
        "Precision of the generator's four highest resolutions: full; half (float16, as NVIDIA's code has it on GPUs: "
        "about half the memory there; pixels change by less than .01; slow on a CPU); or bfloat16, which is also that "
        "of the judges' convolutions, all but the detector's: 2 to 3 times as fast on processors that multiply it; "
        "docs/reference/benchmarks.md has the change of every score. A profile may have it as DOMAIN.precision.",
        PRECISIONS,
        default=FULL,
    )
    training_precision: str = choice(
        SIZES,
        "Precision of the networks from which methods learn: full, or bfloat16, in which the generator's four highest "
        "resolutions, scorer A and recognizer A compute. Trainings through images take about half the time where the "
        "processor has instructions for bfloat16 (AVX512_BF16, AMX), and longer elsewhere. LatentCLR and LLF train in "
        "full precision all the same.",
        (FULL, BFLOAT16),
        default=FULL,
    )
    faces_from: str = key(
        RULES,
        _table,
        "A table of inverted photographs (FOLDER/faces.parquet of `latentbench invert`, docs/howto/photographs.md), "
        "whose codes are edited in place of sampled faces; empty: sampled faces. No profile may ask for more faces "
        "than the table has.",
        default="",
    )
    faces_sha256: str = ""  # of the table's content, which changes numbers

    @property
    def rendering(self) -> dict[str, str]:
        """What a stage that makes images adds to its parameters: nothing in full precision."""
        return {} if self.precision == FULL else {"precision": self.precision}

    @property
    def learning(self) -> dict[str, str]:
        """What a trained method adds to its parameters: nothing in full precision."""
        return {} if self.training_precision == FULL else {"training_precision": self.training_precision}

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
    """[protocol], [profile.*] and what [domain.*] has of a run, checked. Raises ConfigError, UnknownNameError.

    A profile's `DOMAIN.precision` goes before the domain's own, and its `DOMAIN.SIZE`, such as `photoface.n_latents`,
    before its own size, unless the command line gave that one.
    """
    domain = of_domain.name.removeprefix(f"{DOMAIN}.")
    for name in declared(Experiment, SIZES):
        if f"{domain}.{name}" in sizes.values and (name not in sizes.changed or f"{domain}.{name}" in sizes.changed):
            sizes.values[name] = sizes.values[f"{domain}.{name}"]
    of_profile = f"{domain}.{PRECISION}"
    if of_profile in sizes.values and PRECISION not in of_domain.changed:
        of_domain.values[PRECISION] = sizes.choice(of_profile, PRECISIONS)
    experiment = read_keys(Experiment, {RULES: rules, SIZES: sizes, DOMAIN: of_domain}, profile=profile)
    if experiment.n_consistency_faces > experiment.n_rate_faces:
        raise sizes.fail("n_consistency_faces", f"no more than the n_rate_faces of {experiment.n_rate_faces:,}")
    if experiment.n_spread > experiment.n_reference:
        raise sizes.fail("n_spread", f"no more than the n_reference of {experiment.n_reference:,} images")
    if experiment.matched_tolerance >= experiment.matched_levels[0]:
        raise rules.fail(
            "matched_tolerance", f"less than the smallest of matched_levels, {experiment.matched_levels[0]:g}"
        )
    _check_apart(experiment, rules.path)
    return replace(experiment, faces_sha256=_table_sha256(experiment.faces_from, rules))


def _table_sha256(path: str, rules: Section) -> str:
    """sha256 of the table of inverted photographs; empty where faces are sampled."""
    if not path:
        return ""
    try:
        with open_regular(Path(path)) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise rules.fail("faces_from", f"a table that `latentbench invert` wrote ({error.strerror})") from error


def _check_apart(experiment: Experiment, path: Path) -> None:
    """Raises ConfigError if an id is in two sets of latents: training or naming faces would be judged too."""
    n_edited = max(experiment.n_faces, experiment.n_matched_faces, experiment.n_rate_faces)
    sets = sorted(
        [
            (0, experiment.n_latents, "n_latents"),
            (experiment.first_face_id, n_edited, "first_face_id"),
            (experiment.first_reference_id, experiment.n_reference, "first_reference_id"),
            (experiment.first_naming_id, experiment.n_naming_codes, "first_naming_id"),
        ]
    )
    for (first, count, name), (start, _, next_name) in pairwise(sets):
        if start < first + count:
            raise ConfigError(
                f"{path}: [protocol] {name} and {next_name}: the latents {first} to {first + count - 1} overlap with "
                f"the set that begins at {start}; no id may be in two sets."
            )
