"""`latentbench invert`: photographs to codes of a domain's generator."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from pipeline.errors import ConfigError, UnknownNameError
from pipeline.pictures import why_not
from pipeline.settings.paths import readable
from tasks.cli import options
from tasks.cli.consoles import err, out
from tasks.cli.options import WHAT, WHERE
from tasks.paths import at_home

if TYPE_CHECKING:
    from pipeline.inversion.run import Inverted

SPACES = ("w", "w+")
SHOWN = ("lpips", "mean_face_lpips", "ssim", "pixel_error", "identity_recognizer_b", "face_probability")
SOME_REFUSED = 1

Photos = Annotated[list[Path], typer.Argument(metavar="PHOTO...", help="Pictures of one face each.", callback=at_home)]
To = Annotated[Path, typer.Option(metavar="FOLDER", help="Folder for faces.parquet and sheet.png.", callback=at_home)]
Space = Annotated[
    str, typer.Option(metavar="w|w+", help="One code for all layers, or one for each.", rich_help_panel=WHAT)
]
Steps = Annotated[int, typer.Option(min=1, max=100_000, help="Steps of the optimisation.", rich_help_panel=WHAT)]
Seed = Annotated[int, typer.Option(min=0, help="Root of the noise on the codes.", rich_help_panel=WHAT)]
Aligned = Annotated[
    bool, typer.Option("--aligned", help="The photographs are squares in FFHQ's frame already.", rich_help_panel=WHAT)
]
Batch = Annotated[int, typer.Option(min=1, help="Photographs that are projected at once.", rich_help_panel=WHERE)]


def invert(
    photos: Photos,
    to: To,
    domain: options.Domain = "",
    space: Space = "w",
    steps: Steps = 400,
    seed: Seed = 0,
    aligned: Aligned = False,
    device: options.Device = "",
    threads: options.Threads = None,
    batch: Batch = 8,
    as_json: Annotated[bool, typer.Option("--json", help="Print the rows as JSON.")] = False,
) -> None:
    """Align photographs as FFHQ does and find the codes whose images come closest (docs/howto/photographs.md).

    A run edits them with `--set protocol.faces_from=FOLDER/faces.parquet`. Photographs that are finished in FOLDER are
    kept. Photographs that cannot be used are named, the others continue, and the exit code is 1.

    Example: latentbench invert anna.jpg ben.png --domain synthface --to faces
    """
    if space not in SPACES:
        raise UnknownNameError("space", space, SPACES)
    if to.exists() and not to.is_dir():
        raise ConfigError(f"--to {to}: expected a folder, found a file.")
    settings = options.request(domain=domain, device=device).settings
    unusable = [(path, reason) for path in photos if (reason := why_not(path))]
    if len(unusable) == len(photos):  # nothing to load a network for
        _tell([], unusable, len(photos), as_json=as_json)
        raise typer.Exit(SOME_REFUSED)
    from pipeline.domains import base
    from pipeline.execution.shards import use_threads
    from pipeline.inversion.projection import Options
    from pipeline.inversion.run import invert as run

    use_threads(threads or settings.machine.train_threads)
    inverted = run(
        base.load(settings.domain, settings.machine.device, sources=settings.sources),
        photos,
        to,
        Options(space, steps, seed),
        aligned=aligned,
        threshold=settings.experiment.detection_threshold,
        batch=batch,
    )
    rows: list[dict[str, Any]] = inverted.rows.drop_columns(["w", "ws"]).to_pylist()
    _tell(rows, inverted.refused, len(photos), as_json=as_json, found=inverted)
    if inverted.refused:
        raise typer.Exit(SOME_REFUSED)


def _tell(
    rows: list[dict[str, Any]],
    refused: Sequence[tuple[Path, str]],
    asked: int,
    *,
    as_json: bool,
    found: Inverted | None = None,
) -> None:
    """Rows to stdout, refusals to stderr."""
    if as_json:
        reasons = [{"photo": readable(path), "reason": readable(reason)} for path, reason in refused]
        table = str(found.table or "") if found else ""
        typer.echo(json.dumps({"table": table, "photographs": rows, "refused": reasons}, indent=1))
    elif rows and found:
        out.print(_table(rows))
        kept = f", {found.kept} of them kept from before" if found.kept else ""
        out.print(
            f"{len(rows)} of {asked} photographs{kept}: {found.table}", markup=False, highlight=False, soft_wrap=True
        )
        out.print(f"Photographs and projections: {found.sheet}", markup=False, highlight=False, soft_wrap=True)
    for path, reason in refused:
        line = f"{readable(path)}: {readable(reason)}"
        err.print(line, style="red", markup=False, highlight=False, soft_wrap=True)
    if refused:
        photographs = "1 photograph is" if asked == 1 else f"{len(refused)} of {asked} photographs are"
        err.print(f"{photographs} left out.", style="red", highlight=False)


def _table(rows: list[dict[str, Any]]) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("photo")
    for name in SHOWN:
        table.add_column(name.replace("_", " "), justify="right")
    for row in rows:
        table.add_row(escape(row["photo"]), *(f"{row[name]:.3f}" for name in SHOWN))
    return table
