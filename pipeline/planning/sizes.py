"""What a run takes: bytes on disk and in memory, of every stage, from the schemas and the settings alone.

Nothing is measured but the constants below, whose origin stands beside them. Disk: rows x the bytes of a row by its
schema x what zstd leaves of each kind of column, and the footers, records and manifests of the files. Memory: what is
held at once by one worker (its process, the networks, a lot of images, the tables that the stage reads whole), of which
`device_bytes` lie on the device. docs/scale.md has the formulas in words and what they come to.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa

from pipeline.chain.consistency.edits import SHARD_FACES as CONSISTENCY_FACES
from pipeline.chain.curves.edits import SHARD_FACES as RATES_FACES
from pipeline.chain.face_blocks import cut_faces
from pipeline.chain.grid import gallery
from pipeline.chain.grid.edits import face_blocks
from pipeline.chain.links import Chain, Link
from pipeline.chain.matched.edits import SHARD_FACES as MATCHED_FACES
from pipeline.chain.training import build
from pipeline.domains.base import DomainCard
from pipeline.domains.microbatches import image_bytes, microbatch_size
from pipeline.settings.experiment import BATCH
from pipeline.settings.settings import Settings
from pipeline.storage.stages import cut_ids
from pipeline.tables import schemas
from pipeline.tables.schemas import W_DIM

KIB, MIB, GIB = 2**10, 2**20, 2**30

# Disk: what is left of a column's bytes, as measured in runs of profiles smoke and standard. Floats hardly compress:
# byte-stream-split zstd leaves .85 of w, .9 of scorers' values.
VECTOR_LEFT, FLOAT_LEFT, DOUBLE_LEFT, WHOLE_LEFT = 0.87, 0.92, 0.4, 0.3
WORD_BYTES = 0.2  # a row's share of a dictionary-coded word, of which a file has few
COLUMN_BYTES, FILE_BYTES = 440, 400  # of a file's footer: name, unit, meaning and statistics of each column
RECORD_BYTES, MANIFEST_BYTES = 450, 2 * KIB
PIXEL_BYTES, PNG_BYTES = 1.5, 200  # of a generated picture as PNG, of 3; and its header, beside a row's columns
EMBEDDING, SMALL_EMBEDDING = 512, 96  # recognizer B's dimensions; of the embedded domain's, for 64 px
SCORES_PER_SHARD, SCORES_RATED = 18, 91  # rows; 151 in 9 shards, 91 of rates and consistency (8 attributes)
THUMBNAIL_BYTES, PAGE_BYTES = 4 * KIB, MIB  # a picture on the page (128 px at most, base64), and the rest of it

# Memory.
PROCESS_BYTES = 800 * MIB  # Python, torch and the libraries beside it, in a worker; CUDA's own are not counted
JUDGING_BYTES = 256 * MIB  # what judges hold of a lot, whatever its resolution: they see at most a few hundred pixels
SCHEDULING_BYTES = 300 * MIB  # the process that runs the chain; it never loads torch
NETWORK_BYTES = 512 * MIB  # a generator of config-f (120 MiB) and six judges of the size of Inception's
SMALL_NETWORK_BYTES = 64 * MIB  # a generator with a width of its own, and judges like the embedded domain's (37 MiB)
VIEW_PIXELS = 24  # float32 pictures per image that judging a lot holds: both images, SSIM's windows, LPIPS
GRADIENT_MAPS = 5  # times `image_bytes` that a step through the generator keeps for its gradient: 4.4 at 1024 px
LOT_OF_CODES = 65_536 * W_DIM * 4 * 3  # that a linear method judges at once, centred and as numbers of the solver
NOT_THROUGH_GENERATOR = ("styleflow",)  # of the methods that take steps
ADAM = 3  # a network, its two moments, in checkpoints and in memory


@dataclass(frozen=True)
class Size:
    """Bytes that a stage writes and keeps, that it writes beside them for a while, and that one worker holds at once.

    `device_bytes` of `peak_bytes` lie on the device: on a CPU in the worker's memory like the rest.
    """

    bytes_written: int
    bytes_temporary: int
    peak_bytes: int
    device_bytes: int


def size_of(settings: Settings, card: DomainCard, link: Link) -> Size:
    """The size of one stage. A stage that it does not know counts as one small file."""
    sizer = _SIZERS.get(link.stage.name)
    if sizer is None:
        return Size(MANIFEST_BYTES, 0, PROCESS_BYTES, 0)
    return sizer(settings, card, link)


def row_bytes(schema: pa.Schema, lengths: Mapping[str, float] | None = None) -> float:
    """Bytes of one row as Parquet keeps them, without footers; `lengths` are those of lists of no fixed length."""
    return sum(_field_bytes(field.type, (lengths or {}).get(field.name, 3)) for field in schema)


def _field_bytes(kind: pa.DataType, length: float) -> float:
    if pa.types.is_fixed_size_list(kind):
        return kind.list_size * 4 * VECTOR_LEFT
    if pa.types.is_list(kind):
        return length * _field_bytes(kind.value_type, 0)
    if pa.types.is_float32(kind):
        return 4 * FLOAT_LEFT
    if pa.types.is_float64(kind):
        return 8 * DOUBLE_LEFT
    if pa.types.is_boolean(kind):
        return 1 / 8
    if pa.types.is_integer(kind) or pa.types.is_timestamp(kind):
        return kind.bit_width / 8 * WHOLE_LEFT
    return WORD_BYTES


def table_bytes(schema: pa.Schema, rows: float, files: int, lengths: Mapping[str, float] | None = None) -> int:
    """Bytes of a table in so many files, with their records."""
    footer = FILE_BYTES + COLUMN_BYTES * len(schema) + RECORD_BYTES
    return math.ceil(rows * row_bytes(schema, lengths) + files * footer)


def images_in_memory(card: DomainCard, lot: int = 0) -> int:
    """Bytes of a lot of images while it is made, and then judged."""
    lot = lot or microbatch_size(card.resolution)
    each = max(image_bytes(card.resolution, card.channels), VIEW_PIXELS * _picture(card.resolution))
    return lot * each + JUDGING_BYTES


def _picture(resolution: int) -> int:
    return 3 * resolution * resolution * 4


def _working(card: DomainCard, written: int, *, images: int = 0, held: float = 0, temporary: int = 0) -> Size:
    """A stage's size where a worker holds the networks, so many bytes of images, and `held` of tables and codes."""
    device = (SMALL_NETWORK_BYTES if card.channels else NETWORK_BYTES) + images
    return Size(MANIFEST_BYTES + written, temporary, math.ceil(PROCESS_BYTES + device + held), device)


# Stages


def _latents(settings: Settings, card: DomainCard, link: Link) -> Size:
    shard = min(link.units, settings.machine.shard_size)
    written = table_bytes(schemas.LATENTS, link.units, _id_files(settings, link.units))
    return _working(card, written, held=3 * shard * W_DIM * 4)


def _labels(settings: Settings, card: DomainCard, link: Link) -> Size:
    written = table_bytes(schemas.LABELS, link.units, _id_files(settings, link.units))
    codes = settings.machine.shard_size * W_DIM * 4
    return _working(card, written, images=images_in_memory(card), held=3 * codes)


def _id_files(settings: Settings, count: int) -> int:
    return len(cut_ids("x", 0, count, settings.machine.shard_size))


def _reference(settings: Settings, card: DomainCard, link: Link) -> Size:
    schema = schemas.features(card.feature_width, card.classes)
    written = table_bytes(schema, link.units, _id_files(settings, link.units))
    held = 3 * settings.machine.shard_size * (W_DIM + card.feature_width + card.classes) * 4
    return _working(card, written, images=images_in_memory(card), held=held)


def _spread(settings: Settings, card: DomainCard, link: Link) -> Size:
    written = table_bytes(schemas.SPREAD, link.units, _id_files(settings, link.units), {"identity_b": _embedding(card)})
    return _working(card, written, images=images_in_memory(card))


def _embedding(card: DomainCard) -> int:
    """Dimensions of recognizer B, which no card tells."""
    return EMBEDDING if card.resolution > 64 else SMALL_EMBEDDING


def trained_bytes(parameters: Mapping[str, Any]) -> int:
    """Bytes of what a method learned, from its settings: networks of `layers` or `depth`, else directions."""

    def number(key: str, default: int) -> int:
        found = parameters.get(key, default)
        return found if isinstance(found, int) and not isinstance(found, bool) else default

    layer = number("width", W_DIM) ** 2 * 4
    if "depth" in parameters:
        return number("clusters", 1) * number("directions", 1) * number("depth", 1) * layer
    if "width" in parameters:
        return (number("layers", 1) + 1) * layer
    candidates = max(number("components", 0), number("directions", 0))
    return (len(schemas.VALUE_COLUMNS) + candidates) * W_DIM * 4 + 16 * KIB


def _train(settings: Settings, card: DomainCard, link: Link) -> Size:
    parameters = build(settings, link.method).parameters()
    learned = trained_bytes(parameters)
    steps, batch = parameters.get("steps", 0), parameters.get("batch", BATCH)
    values = len(schemas.VALUE_COLUMNS) * 4
    codes = settings.experiment.n_latents * (W_DIM * 4 + 2 * values + 16)  # w; the labels as table and as matrix
    shard = settings.machine.shard_size * W_DIM * 4
    if isinstance(steps, int) and steps > 0 and isinstance(batch, int):
        images = max(batch * _gradient_bytes(card, link.method, parameters), images_in_memory(card))
        held = codes + 2 * shard + ADAM * learned
        return _working(card, learned, images=images, held=held, temporary=ADAM * learned)
    lot = min(LOT_OF_CODES, 3 * settings.experiment.n_latents * W_DIM * 4)
    return _working(card, learned, images=images_in_memory(card), held=codes + 2 * shard + lot)


def _gradient_bytes(card: DomainCard, method: str, parameters: Mapping[str, Any]) -> int:
    """What a training keeps of one code's pass through the generator: to the end, to the block `tap`, or none."""
    if method in NOT_THROUGH_GENERATOR:
        return 0
    tap = str(parameters.get("tap", ""))
    if tap.startswith("b") and tap[1:].isdigit():
        directions = parameters.get("directions", 1)
        return GRADIENT_MAPS * image_bytes(int(tap[1:])) * (directions if isinstance(directions, int) else 1)
    return GRADIENT_MAPS * image_bytes(card.resolution, card.channels)


def _range(settings: Settings, card: DomainCard, link: Link) -> Size:
    faces = settings.experiment.n_faces
    lengths = {name: faces for name in ("face_ids", "face_low", "face_high")}
    written = table_bytes(schemas.RANGES, 1, 1, lengths)
    return _working(card, written, images=images_in_memory(card), held=_edited_codes(card, faces))


def _edited_codes(card: DomainCard, faces: int) -> int:
    layers = 2 * int(math.log2(card.resolution)) - 2
    return 4 * faces * layers * W_DIM * 4


def _edits(settings: Settings, card: DomainCard, link: Link) -> Size:
    experiment = settings.experiment
    blocks = face_blocks(experiment.n_faces, experiment.n_steps)
    files = len(blocks) * len(experiment.attributes)
    vectors = schemas.features(card.feature_width, card.classes)
    written = table_bytes(schemas.EDITS, link.units, files) + table_bytes(vectors, link.units, files)
    largest = max(len(block) for block in blocks)
    images = images_in_memory(card) + largest * _picture(card.resolution)  # the unedited ones of a shard
    rows = largest * experiment.n_steps * (card.feature_width + card.classes + len(schemas.EDITS)) * 4
    return _working(card, written, images=images, held=3 * rows + _edited_codes(card, largest * experiment.n_steps))


def _timing(settings: Settings, card: DomainCard, link: Link) -> Size:
    written = table_bytes(schemas.TIMINGS, link.units, 1)
    return _working(card, written, images=images_in_memory(card, lot=1))


def _gallery(settings: Settings, card: DomainCard, link: Link) -> Size:
    experiment = settings.experiment
    pictures = min(gallery.FACES, experiment.n_faces) * min(gallery.STEPS, experiment.n_steps)
    files = len(experiment.attributes)
    png = math.ceil(PIXEL_BYTES * card.resolution**2) + PNG_BYTES
    written = table_bytes(schemas.GALLERY, pictures * files, files) + pictures * files * png
    edits = experiment.edits_per_method * row_bytes(schemas.EDITS)
    return _working(card, written, images=images_in_memory(card), held=2 * pictures * png + edits)


def _scores(settings: Settings, card: DomainCard, link: Link) -> Size:
    """Its largest shard is that of all attributes, which holds every vector of the method and of the reference."""
    experiment, width, classes = settings.experiment, card.feature_width, card.classes
    files = len(experiment.attributes) + 1
    edits, reference = experiment.edits_per_method, experiment.n_reference
    vectors = 2 * 4 * (width + classes) * (edits + reference)  # as tables and as arrays
    doubles = 8 * width * (edits + 2 * reference)
    covariances = 8 * width**2 * (experiment.n_faces + 8)  # of each face, and of an eigendecomposition
    kernels = 1024 * 4 * 3 * max(edits, reference)
    columns = 2 * edits * len(schemas.EDITS) * 8
    held = vectors + max(doubles + covariances, kernels) + columns
    written = table_bytes(schemas.STAGE_SCORES, files * SCORES_PER_SHARD, files)
    return Size(MANIFEST_BYTES + written, 0, PROCESS_BYTES + held, 0)


def _matched(settings: Settings, card: DomainCard, link: Link) -> Size:
    experiment = settings.experiment
    blocks = cut_faces(experiment.n_matched_faces, MATCHED_FACES)
    written = table_bytes(schemas.MATCHED, link.units, len(blocks) * len(experiment.attributes))
    faces = blocks[0][1]
    images = images_in_memory(card) + faces * _picture(card.resolution)
    codes = _edited_codes(card, faces * 2 * len(experiment.matched_levels))
    return _working(card, written, images=images, held=codes)


def _rescoring(settings: Settings, card: DomainCard, link: Link) -> Size:
    experiment = settings.experiment
    cells = 2 * len(experiment.matched_levels) * len(experiment.attributes)
    matrix = table_bytes(schemas.RESCORING, cells * len(schemas.VALUE_COLUMNS), 1)
    scores = table_bytes(schemas.STAGE_SCORES, cells * 6, 1)
    held = 3 * link.units * len(schemas.MATCHED) * 8
    return Size(MANIFEST_BYTES + matrix + scores, 0, PROCESS_BYTES + held, 0)


def _rates(settings: Settings, card: DomainCard, link: Link) -> Size:
    experiment = settings.experiment
    files = len(cut_faces(experiment.n_rate_faces, RATES_FACES)) * len(experiment.attributes)
    distances = 34 * experiment.n_spread**2  # of every two persons of the spread, whose quantile is taken
    written = table_bytes(schemas.RATES, link.units, files)
    images = images_in_memory(card)
    return _working(card, written, images=images, held=distances + _edited_codes(card, BATCH))


def _consistency(settings: Settings, card: DomainCard, link: Link) -> Size:
    files = math.ceil(link.units / CONSISTENCY_FACES)
    written = table_bytes(schemas.CONSISTENCY, link.units, files, {"attributes": 3, "strengths": 3})
    lot = min(microbatch_size(card.resolution), CONSISTENCY_FACES)
    images = images_in_memory(card, lot) + 9 * lot * _picture(card.resolution)
    return _working(card, written, images=images, held=16 * _edited_codes(card, CONSISTENCY_FACES))


def _rating(settings: Settings, card: DomainCard, link: Link) -> Size:
    written = table_bytes(schemas.STAGE_SCORES, SCORES_RATED, 1)
    return Size(MANIFEST_BYTES + written, 0, PROCESS_BYTES + 3 * link.units * len(schemas.RATES) * 8, 0)


_SIZERS: dict[str, Callable[[Settings, DomainCard, Link], Size]] = {
    "latents": _latents,
    "labels": _labels,
    "reference": _reference,
    "spread": _spread,
    "train": _train,
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


def report_size(settings: Settings) -> Size:
    """The published tables and page, and the process that gathers every method's tables to publish them."""
    experiment, methods = settings.experiment, len(settings.method_names)
    rows = {
        "edits": (schemas.EDITS, experiment.edits_per_method),
        "matched": (schemas.MATCHED, experiment.matched_per_method),
        "rates": (schemas.RATES, experiment.rated_per_method),
        "consistency": (schemas.CONSISTENCY, experiment.n_consistency_faces),
    }
    tables = sum(table_bytes(schema, methods * count, 1) for schema, count in rows.values())
    matrix = 2 * len(experiment.matched_levels) * len(experiment.attributes) * len(schemas.VALUE_COLUMNS)
    tables += table_bytes(schemas.RESCORING, methods * matrix, 1)
    tables += table_bytes(schemas.SCORES, methods * 400, 1)
    pairs = methods * (methods - 1) // 2
    tables += table_bytes(schemas.DIFFERENCES, 30 * (len(experiment.attributes) + 1) * pairs, 1)
    pictures = min(gallery.FACES, experiment.n_faces) * min(gallery.STEPS, experiment.n_steps)
    pictures *= len(experiment.attributes)
    page = PAGE_BYTES + methods * pictures * THUMBNAIL_BYTES
    in_memory = sum(methods * count * len(schema) * 8 for schema, count in rows.values())
    return Size(tables + page, 0, SCHEDULING_BYTES + 3 * in_memory + 4 * page, 0)


# The whole, and the machine


@dataclass(frozen=True)
class Whole:
    """What a run writes and holds, and what the machine has, in bytes.

    bytes_written: all that its stages and report keep. bytes_to_write: of what is still to compute. disk_needed: with
    the largest of what is written for a while. peak_bytes: on this machine, workers and scheduling process together;
    worker_bytes, gathering_bytes: of one worker, and of that process when it publishes. device_bytes: of one worker, on
    its device.
    """

    bytes_written: int
    bytes_to_write: int
    disk_needed: int
    disk_free: int
    peak_bytes: int
    worker_bytes: int
    workers: int
    gathering_bytes: int
    device_bytes: int
    memory: int

    def as_json(self) -> dict[str, int]:
        """By name, JSON-compatible."""
        return asdict(self)


def whole(chain: Chain, missing: Sequence[bool]) -> Whole:
    """The sum over a chain; `missing` says of each link whether it is still to compute."""
    settings, machine = chain.settings, chain.settings.machine
    sizes = [size_of(settings, chain.card, link) for link in chain.links]
    report = report_size(settings)
    todo = [size for size, wanted in zip(sizes, missing, strict=True) if wanted]
    to_write = sum(size.bytes_written for size in todo) + (report.bytes_written if todo else 0)
    on_gpu = machine.device.startswith("cuda")
    workers = 1 if machine.executor == "inline" else len(machine.devices) or (1 if on_gpu else machine.workers)
    trained = {place for place, link in enumerate(chain.links) if link.stage.name == "train"}
    host = [size.peak_bytes - (size.device_bytes if on_gpu else 0) for size in sizes]
    together = max(peak * (1 if place in trained else workers) for place, peak in enumerate(host))
    return Whole(
        bytes_written=sum(size.bytes_written for size in sizes) + report.bytes_written,
        bytes_to_write=to_write,
        disk_needed=to_write + max((size.bytes_temporary for size in todo), default=0),
        disk_free=free_disk(settings.outputs),
        peak_bytes=max(together + SCHEDULING_BYTES, report.peak_bytes),
        worker_bytes=max(host),
        workers=workers,
        gathering_bytes=report.peak_bytes,
        device_bytes=max(size.device_bytes for size in sizes) if on_gpu else 0,
        memory=psutil.virtual_memory().total,
    )


def free_disk(outputs: Path) -> int:
    """Bytes free where the outputs folder is, or will be."""
    folder = outputs.absolute()
    return shutil.disk_usage(next(path for path in (folder, *folder.parents) if path.is_dir())).free


def in_bytes(count: float) -> str:
    """Bytes as people read them: 3.4 GiB, 120 MiB, 5 KiB."""
    for unit, name in ((GIB, "GiB"), (MIB, "MiB")):
        if count >= unit:
            return f"{count / unit:,.1f} {name}" if count < 100 * unit else f"{count / unit:,.0f} {name}"
    return f"{math.ceil(count / KIB):,} KiB"
