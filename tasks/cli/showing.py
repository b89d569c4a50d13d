"""`latentbench show`: pictures of a published run's edits, in a file."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from pipeline.errors import ConfigError
from pipeline.execution.processes import use_threads
from pipeline.report.archive import LATEST, find_run
from pipeline.showing import strip
from pipeline.showing.edited_faces import row_of
from pipeline.showing.trained_run import TrainedRun
from pipeline.storage.files import replacing
from tasks.cli import options
from tasks.cli.consoles import err, out
from tasks.paths import at_home

STILL, MOVING = (".png", ".webp"), (".webp", ".gif")

Methods = Annotated[list[str], typer.Argument(metavar="METHOD", help="One method, or several: a row for each.")]
Attribute = Annotated[str, typer.Argument(metavar="ATTRIBUTE", help="An evaluated attribute, such as age.")]
Face = Annotated[int, typer.Option(help="A face of the run, counted from 0.")]
Run = Annotated[str, typer.Option("--run", metavar="RUN", help="A run's id, the beginning or end of it, or `latest`.")]
To = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="The file to write: .png or .webp; .webp or .gif with --animate. By default "
        "METHOD-ATTRIBUTE-faceN.png (or .webp) in this folder.",
        callback=at_home,
        show_default=False,
    ),
]
Animate = Annotated[bool, typer.Option("--animate", help="One picture that moves from end to end of the range.")]
AllSteps = Annotated[
    bool, typer.Option("--all-steps", help="Every step of the run's grid, not the gallery's, which are at most nine.")
]
Size = Annotated[int, typer.Option(min=96, max=1024, help="Pixels of a side of each edit.")]
Force = Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")]
Open = Annotated[bool, typer.Option("--open", help="Open the picture in a browser.")]


def show(
    methods: Methods,
    attribute: Attribute,
    face: Face = 0,
    run: Run = LATEST,
    to: To = None,
    animate: Animate = False,
    all_steps: AllSteps = False,
    size: Size = 160,
    force: Force = False,
    opened: Open = False,
    outputs: options.Outputs = None,
    device: options.Device = "",
) -> None:
    """Draw one face edited for one attribute, with strengths and scores below each picture (docs/howto/look.md).

    The pictures go from the smallest strength of the method's calibrated range to the largest. They come from the
    run's gallery where it has the face. Else the run's trained methods make them again, which loads the domain's
    networks; `show` says which. The scores are the run's published ones.

    Examples:

        latentbench show l2l age
        latentbench show interfacegan l2l expression --face 3 --open
        latentbench show styleflow yaw --animate --to yaw.gif
        latentbench show l2l age --run 1a2b3c4d --face 7 --all-steps --size 256
    """
    file = _file(to, methods, attribute, face, animate=animate, force=force)
    trained = find_trained_run(options.outputs_folder(outputs), run, device)
    rows = [row_of(trained, method, attribute, face, all_steps=all_steps) for method in methods]
    heading = strip.Heading(
        trained.attribute(attribute),
        face,
        f"Run {trained.record.run_id}, domain {trained.record.domain}, profile {trained.record.profile}",
    )
    sheets = strip.frames(heading, rows, size) if animate else [strip.drawn(heading, rows, size)]
    _write(file, strip.encoded(sheets, file.suffix.lower()))
    for row in rows:
        source = "generated again from the trained method" if row.again else "stored in the run's gallery"
        out.print(f"{row.method}: {len(row.edits)} pictures, {source}", markup=False, highlight=False)
    out.print(f"Picture: {file}", markup=False, highlight=False, soft_wrap=True)
    if opened and not webbrowser.open(file.resolve().as_uri()):
        err.print("No browser could be opened; open the file named above yourself.")


def find_trained_run(outputs: Path, run: str, device: str) -> TrainedRun:
    """A published run whose methods can work again on a device. Raises StageError, ConfigError."""
    machine = options.request(device=device).settings.machine
    use_threads(machine.train_threads)
    return TrainedRun(find_run(outputs, run), machine.device)


def _file(to: Path | None, methods: list[str], attribute: str, face: int, *, animate: bool, force: bool) -> Path:
    """The file to write, which is not there or may be replaced. Raises ConfigError."""
    suffixes = MOVING if animate else STILL
    file = to or Path(f"{'-'.join((*methods, attribute))}-face{face}{suffixes[0]}")
    if file.suffix.lower() not in suffixes:
        remedy = " Without --animate it does not move." if not animate and file.suffix.lower() == ".gif" else ""
        raise ConfigError(f"--to {file}: expected a file {' or '.join(suffixes)}, found {file.suffix!r}.{remedy}")
    if not file.parent.is_dir():
        raise ConfigError(f"--to {file}: there is no folder {file.parent}. Make it first.")
    if file.is_dir() or (file.exists() and not force):
        raise ConfigError(f"{file} is there already. Replace it with --force, or name another file with --to.")
    return file


def _write(file: Path, data: bytes) -> None:
    """Write a file whole or not at all. Raises ConfigError where it cannot be written."""
    try:
        with replacing(file) as temporary:
            temporary.write_bytes(data)
    except OSError as error:
        raise ConfigError(f"{file} cannot be written: {error.strerror}. Name another file with --to.") from error
