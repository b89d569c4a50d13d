"""The size of every stage: bytes on disk and in memory, computed from the schemas and the settings.

Only the constants below are measured; comments give their origin. Disk: rows x bytes of a row by its schema x the share
that zstd leaves of each type of column, and the footers, records and manifests of the files. Memory: of one worker, for
its process, the networks, a micro-batch of images, and the tables that the stage reads whole; `device_bytes` of it lie
on the device. docs/explanation/scale.md has the formulas in words and their results.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from pipeline.chain.consistency.edits import SHARD_FACES as CONSISTENCY_FACES
from pipeline.chain.curves.edits import SHARD_FACES as RATES_FACES
from pipeline.chain.face_blocks import cut_faces
from pipeline.chain.grid import gallery
from pipeline.chain.grid.edits import face_blocks
from pipeline.chain.matched.edits import SHARD_FACES as MATCHED_FACES
from pipeline.chain.training import as_configured
from pipeline.domains.base import DomainCard
from pipeline.domains.microbatches import image_bytes, microbatch_size
from pipeline.planning.table_bytes import MANIFEST_BYTES, MIB, row_bytes, table_bytes
from pipeline.settings.experiment import BATCH
from pipeline.settings.settings import Settings
from pipeline.statistics.false_accepts import ROWS as FALSE_ACCEPT_ROWS
from pipeline.storage.stages import cut_ids
from pipeline.tables import schemas
from pipeline.tables.schemas import W_DIM

PIXEL_BYTES, PNG_BYTES = 1.5, 200  # of a generated picture as PNG, of 3; and its header, added to a row's columns
EMBEDDING, SMALL_EMBEDDING = 512, 96  # recognizer B's dimensions; of the embedded domain's, for 64 px
SCORES_PER_SHARD, SCORES_RATED = 18, 91  # rows; 151 in 9 shards, 91 of rates and consistency (8 attributes)

# Memory.
PROCESS_BYTES = 800 * MIB  # Python, torch and other libraries in a worker; CUDA's libraries are not counted
JUDGING_BYTES = 256 * MIB  # what judges hold of a micro-batch of any resolution: they see at most a few hundred pixels
NETWORK_BYTES = 512 * MIB  # a generator of config-f (120 MiB) and six judges of the size of Inception's
SMALL_NETWORK_BYTES = 64 * MIB  # a generator with a width of its own, and judges like the embedded domain's (37 MiB)
VIEW_PIXELS = 24  # float32 pictures per image that judging a micro-batch holds: both images, SSIM's windows, LPIPS
CODE_COPIES = 3  # of the codes that a method fits at once: as they are, centred, and as numbers of a solver


@dataclass(frozen=True)
class Size:
    """Bytes that a stage keeps on disk, bytes that it writes for a while, and memory of one worker.

    `device_bytes` of `peak_bytes` lie on the device: on a CPU in the worker's memory like the rest.
    """

    bytes_written: int
    bytes_temporary: int
    peak_bytes: int
    device_bytes: int


def size_of(settings: Settings, card: DomainCard, stage: str, units: int, method: str = "") -> Size | None:
    """The size of a stage of so many units; None if unknown: for a stage without a sizer, a method without a `cost`."""
    if stage == "train":
        return _train(settings, card, method)
    sizer = _SIZERS.get(stage)
    return None if sizer is None else sizer(settings, card, units)


def images_in_memory(card: DomainCard, microbatch: int = 0) -> int:
    """Bytes of a micro-batch of images while it is generated and judged."""
    microbatch = microbatch or microbatch_size(card.resolution)
    each = max(image_bytes(card.resolution, card.channels), VIEW_PIXELS * _picture(card.resolution))
    return microbatch * each + JUDGING_BYTES


def _picture(resolution: int) -> int:
    return 3 * resolution * resolution * 4


def _working(card: DomainCard, written: int, *, images: int = 0, in_memory: float = 0, temporary: int = 0) -> Size:
    """The size of a stage whose worker holds the networks, `images` bytes of images, `in_memory` of tables."""
    device = (SMALL_NETWORK_BYTES if card.channels else NETWORK_BYTES) + images
    return Size(MANIFEST_BYTES + written, temporary, math.ceil(PROCESS_BYTES + device + in_memory), device)


# Stages


def _latents(settings: Settings, card: DomainCard, units: int) -> Size:
    shard = min(units, settings.machine.shard_size)
    written = table_bytes(schemas.LATENTS, units, _id_files(settings, units))
    return _working(card, written, in_memory=3 * shard * W_DIM * 4)


def _labels(settings: Settings, card: DomainCard, units: int) -> Size:
    written = table_bytes(schemas.LABELS, units, _id_files(settings, units))
    codes = settings.machine.shard_size * W_DIM * 4
    return _working(card, written, images=images_in_memory(card), in_memory=3 * codes)


def _id_files(settings: Settings, count: int) -> int:
    return len(cut_ids("x", 0, count, settings.machine.shard_size))


def _reference(settings: Settings, card: DomainCard, units: int) -> Size:
    schema = schemas.features(card.feature_width, card.classes)
    written = table_bytes(schema, units, _id_files(settings, units))
    in_memory = 3 * settings.machine.shard_size * (W_DIM + card.feature_width + card.classes) * 4
    return _working(card, written, images=images_in_memory(card), in_memory=in_memory)


def _spread(settings: Settings, card: DomainCard, units: int) -> Size:
    written = table_bytes(schemas.SPREAD, units, _id_files(settings, units), {"identity_b": _embedding(card)})
    return _working(card, written, images=images_in_memory(card))


def _embedding(card: DomainCard) -> int:
    """Dimensions of recognizer B."""
    if card.embedding:
        return card.embedding
    return EMBEDDING if card.resolution > 64 else SMALL_EMBEDDING


def _train(settings: Settings, card: DomainCard, method: str) -> Size | None:
    cost = as_configured(settings, method).cost(card)
    if cost is None:
        return None
    latents = settings.experiment.n_latents
    codes = latents * (W_DIM * 4 + 2 * len(schemas.VALUE_COLUMNS) * 4 + 16)  # w; the labels as table and as matrix
    shards = 2 * settings.machine.shard_size * W_DIM * 4
    copies = CODE_COPIES * min(cost.codes_at_once, latents) * W_DIM * 4
    return _working(
        card,
        cost.trained_bytes,
        images=max(cost.step_bytes, images_in_memory(card)),
        in_memory=codes + shards + copies + cost.checkpoint_bytes,
        temporary=cost.checkpoint_bytes,
    )


def _range(settings: Settings, card: DomainCard, units: int) -> Size:
    faces = settings.experiment.n_faces
    lengths = {name: faces for name in ("face_ids", "face_low", "face_high")}
    written = table_bytes(schemas.RANGES, 1, 1, lengths)
    return _working(card, written, images=images_in_memory(card), in_memory=_edited_codes(card, faces))


def _edited_codes(card: DomainCard, faces: int) -> int:
    layers = 2 * int(math.log2(card.resolution)) - 2
    return 4 * faces * layers * W_DIM * 4


def _edits(settings: Settings, card: DomainCard, units: int) -> Size:
    experiment = settings.experiment
    blocks = face_blocks(experiment.n_faces, experiment.n_steps)
    files = len(blocks) * len(experiment.attributes)
    vectors = schemas.features(card.feature_width, card.classes)
    written = table_bytes(schemas.EDITS, units, files) + table_bytes(vectors, units, files)
    largest = max(len(block) for block in blocks)
    images = images_in_memory(card) + largest * _picture(card.resolution)  # the unedited ones of a shard
    rows = largest * experiment.n_steps * (card.feature_width + card.classes + len(schemas.EDITS)) * 4
    return _working(
        card, written, images=images, in_memory=3 * rows + _edited_codes(card, largest * experiment.n_steps)
    )


def _timing(settings: Settings, card: DomainCard, units: int) -> Size:
    written = table_bytes(schemas.TIMINGS, units, 1)
    return _working(card, written, images=images_in_memory(card, microbatch=1))


def _gallery(settings: Settings, card: DomainCard, units: int) -> Size:
    experiment = settings.experiment
    pictures = min(gallery.FACES, experiment.n_faces) * min(gallery.STEPS, experiment.n_steps)
    files = len(experiment.attributes)
    png = math.ceil(PIXEL_BYTES * min(card.resolution, gallery.LARGEST) ** 2) + PNG_BYTES
    written = table_bytes(schemas.GALLERY, pictures * files, files) + pictures * files * png
    edits = experiment.edits_per_method * row_bytes(schemas.EDITS)
    return _working(card, written, images=images_in_memory(card), in_memory=2 * pictures * png + edits)


def _scores(settings: Settings, card: DomainCard, units: int) -> Size:
    """The largest shard is the one of all attributes: it holds every vector of the method and of the reference."""
    experiment, width, classes = settings.experiment, card.feature_width, card.classes
    files = len(experiment.attributes) + 1
    edits, reference = experiment.edits_per_method, experiment.n_reference
    vectors = 2 * 4 * (width + classes) * (edits + reference)  # as tables and as arrays
    doubles = 8 * width * (edits + 2 * reference)
    covariances = 8 * width**2 * (experiment.n_faces + 8)  # of each face, and of an eigendecomposition
    columns = 2 * edits * len(schemas.EDITS) * 8
    in_memory = vectors + doubles + covariances + columns
    written = table_bytes(schemas.STAGE_SCORES, files * SCORES_PER_SHARD, files)
    return Size(MANIFEST_BYTES + written, 0, PROCESS_BYTES + in_memory, 0)


def _matched(settings: Settings, card: DomainCard, units: int) -> Size:
    experiment = settings.experiment
    blocks = cut_faces(experiment.n_matched_faces, MATCHED_FACES)
    written = table_bytes(schemas.MATCHED, units, len(blocks) * len(experiment.attributes))
    faces = blocks[0][1]
    images = images_in_memory(card) + faces * _picture(card.resolution)
    codes = _edited_codes(card, faces * 2 * len(experiment.matched_levels))
    return _working(card, written, images=images, in_memory=codes)


def _rescoring(settings: Settings, card: DomainCard, units: int) -> Size:
    experiment = settings.experiment
    cells = 2 * len(experiment.matched_levels) * len(experiment.attributes)
    matrix = table_bytes(schemas.RESCORING, cells * len(schemas.VALUE_COLUMNS), 1)
    scores = table_bytes(schemas.STAGE_SCORES, cells * 6, 1)
    in_memory = 3 * experiment.matched_per_method * len(schemas.MATCHED) * 8
    return Size(MANIFEST_BYTES + matrix + scores, 0, PROCESS_BYTES + in_memory, 0)


def _rates(settings: Settings, card: DomainCard, units: int) -> Size:
    experiment = settings.experiment
    files = len(cut_faces(experiment.n_rate_faces, RATES_FACES)) * len(experiment.attributes)
    pairs = experiment.n_spread**2 / 2 * experiment.false_accept_rate  # the nearest persons of the spread, and
    distances = round(3 * 8 * (pairs + FALSE_ACCEPT_ROWS * experiment.n_spread))  # what is looked through at a time
    written = table_bytes(schemas.RATES, units, files)
    images = images_in_memory(card)
    return _working(card, written, images=images, in_memory=distances + _edited_codes(card, BATCH))


def _consistency(settings: Settings, card: DomainCard, units: int) -> Size:
    files = math.ceil(units / CONSISTENCY_FACES)
    written = table_bytes(schemas.CONSISTENCY, units, files, {"attributes": 3, "strengths": 3})
    microbatch = min(microbatch_size(card.resolution), CONSISTENCY_FACES)
    images = images_in_memory(card, microbatch) + 9 * microbatch * _picture(card.resolution)
    return _working(card, written, images=images, in_memory=16 * _edited_codes(card, CONSISTENCY_FACES))


def _rating(settings: Settings, card: DomainCard, units: int) -> Size:
    written = table_bytes(schemas.STAGE_SCORES, SCORES_RATED, 1)
    in_memory = 3 * settings.experiment.rated_per_method * len(schemas.RATES) * 8
    return Size(MANIFEST_BYTES + written, 0, PROCESS_BYTES + in_memory, 0)


_SIZERS: dict[str, Callable[[Settings, DomainCard, int], Size]] = {
    "latents": _latents,
    "labels": _labels,
    "reference": _reference,
    "spread": _spread,
    "range": _range,
    "edits": _edits,
    "timing": _timing,
    "gallery": _gallery,
    "scores": _scores,
    "matched": _matched,
    "rescoring": _rescoring,
    "rates": _rates,
    "consistency": _consistency,
    "rating": _rating,
}
