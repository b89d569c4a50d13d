"""Photographs to a folder of codes: what is finished is kept, what cannot be used is named, the others go on.

FOLDER/faces.parquet        one row per photograph, as `schemas.INVERTED`
FOLDER/sheet.png            each aligned photograph beside its projection
FOLDER/finished/*.parquet   one file per photograph and setting: what a later call starts from
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
LARGEST_ENLARGEMENT = 2.0  # of a photograph's pixels, to the size of the domain's pictures
SHEET_ROW, SHEET_TILE = 4, 256  # pairs in a row of the sheet; largest side of a picture on it


@dataclass(frozen=True)
class Wanted:
    """One photograph that can be projected: its file, the aligned picture (3, R, R), and the side that was cut out."""

    path: Path
    sha256: str
    picture: Tensor
    side: float


@dataclass(frozen=True)
class Inverted:
    """Table and sheet (None if no photograph could be used), the rows, how many were kept, and who was refused why."""

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
    """Align and project photographs, and write what the module says into `folder`.

    `aligned` photographs are squares in FFHQ's frame already and are only resized. `threshold` is the smallest
    probability of a face. `batch` photographs are projected at once, which changes no code but for rounding. A
    photograph that was finished in this folder with the same options is not projected again. Raises LatentbenchError
    for a folder that cannot be made.
    """
    try:
        (folder / FINISHED).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LatentbenchError(f"Cannot write to {folder}: {error.strerror}. Name another folder with --to.") from error
    wanted, refused = _align_all(domain, photos, aligned, threshold)
    names = {one.sha256: _part_name(domain, one, options, aligned) for one in wanted}
    parts = {one.sha256: _finished(folder / FINISHED, names[one.sha256]) for one in wanted}
    todo = [one for one in wanted if parts[one.sha256] is None]
    kept = len(wanted) - len(todo)
    title, total = f"{domain.card.name} invert", len(wanted) * options.steps
    with Display(title, total, "steps of photographs", before=kept * options.steps) as display:
        done = kept
        for first in range(0, len(todo), batch):
            lot = todo[first : first + batch]

            def tell(step: int, loss: float, before: int = done, count: int = len(lot)) -> None:
                note = f"loss {loss:.3f}, photographs {before + 1} to {before + count} of {len(wanted)}"
                display.update(before * options.steps + step * count, note)

            pictures = torch.stack([one.picture for one in lot]).to(domain.device)
            keys = [int(one.sha256[:15], 16) for one in lot]
            projected = project(domain, pictures, keys, options, tell)
            rows = _rows(domain, lot, pictures, projected.ws, projected.loss, options)
            for one, row in zip(lot, rows, strict=True):
                parts[one.sha256] = _write_part(folder / FINISHED, names[one.sha256], row)
            done += len(lot)
    found = [part for one in wanted if (part := parts[one.sha256]) is not None]
    if not found:
        return Inverted(None, None, INVERTED.empty_table(), 0, tuple(refused))
    return _finish(domain, folder, found, wanted, options, kept, refused)


# Photographs


def _align_all(
    domain: Domain, photos: Sequence[Path], aligned: bool, threshold: float
) -> tuple[list[Wanted], list[tuple[Path, str]]]:
    """Those that can be projected, in order, and the others with the reason."""
    finder = None if aligned else LandmarkFinder(domain.device)
    wanted: list[Wanted] = []
    refused: list[tuple[Path, str]] = []
    seen: dict[str, Path] = {}
    with Display(f"{domain.card.name} align", len(photos), "photographs") as display:
        for place, path in enumerate(photos, start=1):
            try:
                one = _align(path, finder, domain.card.resolution, threshold)
                if one.sha256 in seen:
                    raise PhotoError(f"it is the very file {readable(seen[one.sha256])}: name it once.")
                seen[one.sha256] = path
                wanted.append(one)
            except PhotoError as error:
                refused.append((path, str(error)))
            display.update(place, readable(path.name))
    return wanted, refused


def _align(path: Path, finder: LandmarkFinder | None, resolution: int, threshold: float) -> Wanted:
    """Raises PhotoError for what is no photograph of one face, large enough."""
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
    return Wanted(path, file_sha256(path), picture, side)


# Finished photographs


def _part_name(domain: Domain, one: Wanted, options: Options, aligned: bool) -> str:
    """The file of a photograph's row: all that can change it is in the name."""
    roles = ("generator", "perception", "scorer_b", "recognizer_b", "detector")
    facts = {
        "version": VERSION,
        "domain": domain.card.name,
        "photo": one.sha256,
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
    """The row of an earlier call, or None; one that is damaged is named and computed again."""
    try:
        record = load_record(folder, name)
        if record is None:
            return None
        check_shard(folder / name, record)
        return read_table(folder / name, INVERTED)
    except CorruptShardError as error:
        log.warning("%s is damaged and computed again: %s", folder / name, error)
        return None


# What is written


@torch.no_grad()
def _rows(
    domain: Domain, lot: Sequence[Wanted], photos: Tensor, ws: Tensor, loss: Tensor, options: Options
) -> list[dict[str, Any]]:
    """One row of INVERTED for each photograph."""
    mean = domain.generator.mapping.w_avg
    images = domain.generator.synthesis(ws)
    mean_face = domain.generator.synthesis(domain.generator.mapping.broadcast(mean[None])).expand_as(photos)
    alike = domain.perceptual_distance
    detection = domain.detector.detect(images)
    columns = {
        "loss": loss,
        "lpips": alike(images, photos).flatten(),
        "mean_face_lpips": alike(mean_face, photos).flatten(),
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
    for place, one in enumerate(lot):
        row: dict[str, Any] = {name: values[place] for name, values in measured.items()}
        row |= {"latent_id": place, "photo": readable(one.path.name), "photo_sha256": one.sha256, "side": one.side}
        row |= {"domain": domain.card.name, "generator": domain.card.weights["generator"]}
        row |= asdict(options)
        row |= {"w": codes[place, 0]} if options.space == SPACES[0] else {"ws": codes[place].reshape(-1)}
        rows.append(row)
    return rows


def _finish(
    domain: Domain,
    folder: Path,
    parts: Sequence[pa.Table],
    wanted: Sequence[Wanted],
    options: Options,
    kept: int,
    refused: Sequence[tuple[Path, str]],
) -> Inverted:
    """Write table and sheet, each there whole or not at all."""
    rows = pa.concat_tables(parts)
    places = INVERTED.get_field_index("latent_id"), INVERTED.get_field_index("photo")
    rows = rows.set_column(places[0], INVERTED.field("latent_id"), pa.array(range(rows.num_rows), pa.int64()))
    rows = rows.set_column(places[1], INVERTED.field("photo"), pa.array([readable(one.path.name) for one in wanted]))
    write_whole(folder, TABLE, lambda path: write_table(rows, INVERTED, path))
    pictures = []
    for row, one in zip(rows.select(["w", "ws"]).to_pylist(), wanted, strict=True):
        codes = torch.tensor(row["w"] or row["ws"], device=domain.device).reshape(1, -1, W_DIM)
        with torch.no_grad():
            image = domain.generator.synthesis(codes.expand(1, domain.generator.num_ws, -1)).cpu()
        pictures += [one.picture.cpu(), image[0]]
    shown = torch.stack(pictures)
    if shown.shape[-1] > SHEET_TILE:
        shown = resize(shown, SHEET_TILE)
    drawn = sheet(shown, columns=min(2 * SHEET_ROW, len(shown)))
    write_whole(folder, SHEET, lambda path: save_png(drawn, path))
    return Inverted(folder / TABLE, folder / SHEET, rows, kept, tuple(refused))
