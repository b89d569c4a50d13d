"""Inversion of photographs into a folder of codes: finished ones are kept, unusable ones are reported.

FOLDER/faces.parquet        one row per photograph, as `schemas.INVERTED`
FOLDER/sheet.png            each aligned photograph next to its projection
FOLDER/finished/*.parquet   one file per photograph and setting, with which a later call continues
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import torch
from torch import Tensor

from pipeline.errors import CorruptShardError, LatentbenchError, PhotoError
from pipeline.images import resize, save_png, sheet
from pipeline.inversion.alignment import cut_out, ffhq_square
from pipeline.inversion.finding import find_face
from pipeline.inversion.photos import read_photo
from pipeline.inversion.projection import SPACES, Options, project
from pipeline.networks.landmarks import LandmarkFinder
from pipeline.networks.pairs import structural_similarity
from pipeline.networks.recognizer import distance
from pipeline.progress import Display
from pipeline.settings.paths import readable
from pipeline.storage.files import file_sha256, write_whole
from pipeline.storage.fingerprint import digest
from pipeline.storage.manifests import load_record
from pipeline.storage.stages import check_shard, write_shard
from pipeline.tables.parquet import read_table, write_table
from pipeline.tables.schemas import INVERTED, W_DIM

if TYPE_CHECKING:
    from pipeline.domains.base import Domain

log = logging.getLogger("latentbench")

VERSION = 2  # raise it when codes change
TABLE, SHEET, FINISHED = "faces.parquet", "sheet.png", "finished"
LARGEST_ENLARGEMENT = 2.0  # of a photograph's face, to the resolution of the domain
SHEET_ROW, SHEET_TILE = 4, 256  # pairs in a row of the sheet; largest side of a picture on it


@dataclass(frozen=True)
class Photograph:
    """A photograph to project: its file, the aligned picture (3, R, R), and the side of its square in pixels."""

    path: Path
    sha256: str
    picture: Tensor
    side: float


@dataclass(frozen=True)
class Inverted:
    """The result of `invert`: paths of table and sheet (None if no photograph could be used), and the table's rows.

    `kept` counts the photographs that an earlier call finished; `refused` are pairs of path and reason.
    """

    table: Path | None
    sheet: Path | None
    rows: pa.Table
    kept: int
    refused: tuple[tuple[Path, str], ...]


def invert(
    domain: Domain,
    photos: Sequence[Path],
    folder: Path,
    options: Options,
    *,
    aligned: bool = False,
    threshold: float = 0.9,
    batch: int = 8,
) -> Inverted:
    """Align and project photographs, and write table, sheet and finished rows into `folder`.

    With `aligned`, photographs are already squares in FFHQ's frame and are only resized. `threshold` is the smallest
    probability of a face. `batch` photographs are projected together, which changes codes only by rounding. A
    photograph that was finished in this folder with the same options is not projected again. Unusable photographs are
    listed in `refused`. Raises LatentbenchError for a folder that cannot be made.

        domain = pipeline.domains.base.load("synthface", "cpu")
        inverted = invert(domain, [Path("face.png")], Path("codes"), Options(steps=400))
    """
    try:
        (folder / FINISHED).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LatentbenchError(f"Cannot write to {folder}: {error.strerror}. Name another folder with --to.") from error
    photographs, refused = _align_all(domain, photos, aligned, threshold)
    names = {photo.sha256: _part_name(domain, photo, options, aligned) for photo in photographs}
    parts = {photo.sha256: _finished(folder / FINISHED, names[photo.sha256]) for photo in photographs}
    todo = [photo for photo in photographs if parts[photo.sha256] is None]
    kept = len(photographs) - len(todo)
    title, total = f"{domain.card.name} invert", len(photographs) * options.steps
    with Display(title, total, "steps of photographs", before=kept * options.steps) as display:
        done = kept
        for first in range(0, len(todo), batch):
            group = todo[first : first + batch]

            def tell(step: int, loss: float, before: int = done, count: int = len(group)) -> None:
                note = f"loss {loss:.3f}, photographs {before + 1} to {before + count} of {len(photographs)}"
                display.update(before * options.steps + step * count, note)

            pictures = torch.stack([photo.picture for photo in group]).to(domain.device)
            keys = [int(photo.sha256[:15], 16) for photo in group]
            projected = project(domain, pictures, keys, options, tell)
            rows = _rows(domain, group, pictures, projected.ws, projected.loss, options)
            for photo, row in zip(group, rows, strict=True):
                parts[photo.sha256] = _write_part(folder / FINISHED, names[photo.sha256], row)
            done += len(group)
    finished = [part for photo in photographs if (part := parts[photo.sha256]) is not None]
    if not finished:
        return Inverted(None, None, INVERTED.empty_table(), 0, tuple(refused))
    return _finish(domain, folder, finished, photographs, options, kept, refused)


# Photographs


def _align_all(
    domain: Domain, photos: Sequence[Path], aligned: bool, threshold: float
) -> tuple[list[Photograph], list[tuple[Path, str]]]:
    """The usable photographs in order, and the paths of the others with the reason."""
    finder = None if aligned else LandmarkFinder(domain.device)
    photographs: list[Photograph] = []
    refused: list[tuple[Path, str]] = []
    first_path: dict[str, Path] = {}
    with Display(f"{domain.card.name} align", len(photos), "photographs") as display:
        for number, path in enumerate(photos, start=1):
            try:
                photo = _align(path, finder, domain.card.resolution, threshold)
                if photo.sha256 in first_path:
                    raise PhotoError(f"it is the same file as {readable(first_path[photo.sha256])}: name it once.")
                first_path[photo.sha256] = path
                photographs.append(photo)
            except PhotoError as error:
                refused.append((path, str(error)))
            display.update(number, readable(path.name))
    return photographs, refused


def _align(path: Path, finder: LandmarkFinder | None, resolution: int, threshold: float) -> Photograph:
    """Read and align a photograph. Raises PhotoError unless it shows exactly one face that is large enough."""
    photo = read_photo(path)
    height, width = photo.shape[1:]
    if finder is None:
        if height != width:
            raise PhotoError(f"it is {width} x {height} pixels, but aligned photographs are squares.")
        side, picture = float(width), photo
    else:
        square = ffhq_square(find_face(photo, finder, threshold).landmarks)
        side = square.side
    if side * LARGEST_ENLARGEMENT < resolution:
        raise PhotoError(
            f"its face is too small: the square around it is {side:.0f} pixels wide, expected at least "
            f"{resolution / LARGEST_ENLARGEMENT:.0f} for pictures of {resolution}."
        )
    picture = resize(photo[None], resolution)[0] if finder is None else cut_out(photo, square, resolution)
    return Photograph(path, file_sha256(path), picture, side)


# Finished photographs


def _part_name(domain: Domain, photo: Photograph, options: Options, aligned: bool) -> str:
    """The file name of a photograph's row: a digest of everything that can change the row."""
    roles = ("generator", "perception", "scorer_b", "recognizer_b", "detector")
    facts = {
        "version": VERSION,
        "domain": domain.card.name,
        "photo": photo.sha256,
        "aligned": aligned,
        "options": asdict(options),
        "weights": {role: domain.card.weights[role] for role in roles},
    }
    return f"{digest(facts)[:24]}.parquet"


def _write_part(folder: Path, name: str, row: dict[str, Any]) -> pa.Table:
    columns = {key: [value] for key, value in row.items()}
    write_shard(folder, name, lambda path: write_table(columns, INVERTED, path))
    return read_table(folder / name, INVERTED)


def _finished(folder: Path, name: str) -> pa.Table | None:
    """The row of an earlier call, or None. A damaged row is logged and computed again."""
    try:
        record = load_record(folder, name)
        if record is None:
            return None
        check_shard(folder / name, record)
        return read_table(folder / name, INVERTED)
    except CorruptShardError as error:
        log.warning("%s is damaged and computed again: %s", folder / name, error)
        return None


# Table and sheet


@torch.no_grad()
def _rows(
    domain: Domain, group: Sequence[Photograph], photos: Tensor, ws: Tensor, loss: Tensor, options: Options
) -> list[dict[str, Any]]:
    """One row of INVERTED for each photograph."""
    mean = domain.generator.mapping.w_avg
    images = domain.generator.synthesis(ws)
    mean_face = domain.generator.synthesis(domain.generator.mapping.broadcast(mean[None])).expand_as(photos)
    perceptual = domain.perceptual_distance
    detection = domain.detector.detect(images)
    columns = {
        "loss": loss,
        "lpips": perceptual(images, photos).flatten(),
        "mean_face_lpips": perceptual(mean_face, photos).flatten(),
        "ssim": structural_similarity(images, photos),
        "pixel_error": (images - photos).square().mean(dim=(1, 2, 3)).sqrt(),
        "identity_recognizer_b": distance(domain.recognizer_b(images), domain.recognizer_b(photos)),
        "value_error": (domain.scorer_b(images) - domain.scorer_b(photos)).abs().mean(dim=1),
        "face_probability": torch.where(detection.found, detection.probability, 0.0),
        "displacement": (ws - mean).norm(dim=2).mean(dim=1) / domain.mean_distance,
    }
    measured = {name: values.float().cpu().numpy() for name, values in columns.items()}
    codes = ws.float().cpu().numpy()
    rows = []
    for index, photo in enumerate(group):
        row: dict[str, Any] = {name: values[index] for name, values in measured.items()}
        row |= {"latent_id": index, "photo": readable(photo.path.name)}
        row |= {"photo_sha256": photo.sha256, "side": photo.side}
        row |= {"domain": domain.card.name, "generator": domain.card.weights["generator"]}
        row |= asdict(options)
        row |= {"w": codes[index, 0]} if options.space == SPACES[0] else {"ws": codes[index].reshape(-1)}
        rows.append(row)
    return rows


def _finish(
    domain: Domain,
    folder: Path,
    parts: Sequence[pa.Table],
    photographs: Sequence[Photograph],
    options: Options,
    kept: int,
    refused: Sequence[tuple[Path, str]],
) -> Inverted:
    """Write table and sheet, each atomically."""
    rows = pa.concat_tables(parts)
    id_index, photo_index = INVERTED.get_field_index("latent_id"), INVERTED.get_field_index("photo")
    names = [readable(photo.path.name) for photo in photographs]
    rows = rows.set_column(id_index, INVERTED.field("latent_id"), pa.array(range(rows.num_rows), pa.int64()))
    rows = rows.set_column(photo_index, INVERTED.field("photo"), pa.array(names))
    write_whole(folder, TABLE, lambda path: write_table(rows, INVERTED, path))
    pictures = []
    for row, photo in zip(rows.select(["w", "ws"]).to_pylist(), photographs, strict=True):
        codes = torch.tensor(row["w"] or row["ws"], device=domain.device).reshape(1, -1, W_DIM)
        with torch.no_grad():
            image = domain.generator.synthesis(codes.expand(1, domain.generator.num_ws, -1)).cpu()
        pictures += [photo.picture.cpu(), image[0]]
    shown = torch.stack(pictures)
    if shown.shape[-1] > SHEET_TILE:
        shown = resize(shown, SHEET_TILE)
    drawn = sheet(shown, columns=min(2 * SHEET_ROW, len(shown)))
    write_whole(folder, SHEET, lambda path: save_png(drawn, path))
    return Inverted(folder / TABLE, folder / SHEET, rows, kept, tuple(refused))
