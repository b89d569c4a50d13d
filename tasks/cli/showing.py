"""`latentbench show` and `demo`: edits of a published run in a picture, and with sliders on a local page."""

from __future__ import annotations

import webbrowser
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.errors import ConfigError
from pipeline.execution.processes import use_threads
from pipeline.report.archive import LATEST, find_run, find_run_of
from pipeline.storage.files import replacing
from tasks.cli import options
from tasks.cli.consoles import err, out
from tasks.paths import at_home

if TYPE_CHECKING:
    from pipeline.showing.trained_run import TrainedRun

STILL, MOVING = (".png", ".webp"), (".webp", ".gif")

Methods = Annotated[list[str], typer.Argument(metavar="METHOD", help="One method, or several: a row for each.")]
Attribute = Annotated[str, typer.Argument(metavar="ATTRIBUTE", help="An evaluated attribute, such as age.")]
Face = Annotated[int, typer.Option(help="A face of the run, counted from 0.")]
Run = Annotated[str, typer.Option("--run", metavar="RUN", help="A run's id, the beginning or end of it, or `latest`.")]
Domain = Annotated[str, typer.Option(help="The latest run of this domain; see `latentbench domains`.")]
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
Open = Annotated[bool, typer.Option("--open", help="Open it in a browser.")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="The page's port on 127.0.0.1; 0 is any that is free.")]


def show(
    methods: Methods,
    attribute: Attribute,
    face: Face = 0,
    run: Run = LATEST,
    domain: Domain = "",
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
    from pipeline.showing import strip
    from pipeline.showing.edited_faces import row_of

    file = _file(to, methods, attribute, face, animate=animate, force=force)
    trained = find_trained_run(options.outputs_folder(outputs), run, device, domain)
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


def demo(
    domain: Domain = "",
    run: Run = LATEST,
    port: Port = 0,
    opened: Open = False,
    outputs: options.Outputs = None,
    device: options.Device = "",
) -> None:
    """Edit random faces with sliders, on a page that only this machine can open (docs/howto/look.md).

    The page has the methods that a published run trained, a slider for each attribute over the method's calibrated
    range, and the unedited face next to the edited one with its scores. Several attributes are edited at once, as the
    method does it. Faces are drawn by a seed, which the page shows. Ctrl-C ends it.

    Examples:

        latentbench demo --open
        latentbench demo --domain photoface --port 8000
        latentbench demo --run 1a2b3c4d
    """
    import asyncio

    from pipeline.showing.demo.editing import Editing
    from pipeline.showing.demo.server import serve

    editing = Editing(find_trained_run(options.outputs_folder(outputs), run, device, domain))
    methods = ", ".join(editing.facts["methods"])

    def ready(address: str) -> None:
        out.print(f"Run {editing.facts['run']}: {methods}", markup=False, highlight=False)
        out.print(f"Page: {address}  (Ctrl-C ends it)", markup=False, highlight=False, soft_wrap=True)
        if opened and not webbrowser.open(address):
            err.print("No browser could be opened; open the address above yourself.")

    with suppress(KeyboardInterrupt):
        asyncio.run(serve(editing, port, ready))


def find_trained_run(outputs: Path, run: str, device: str, domain: str = "") -> TrainedRun:
    """A published run, or the latest one of a domain, whose methods can work again. Raises StageError, ConfigError."""
    from pipeline.showing.trained_run import TrainedRun

    machine = options.request(device=device).settings.machine
    use_threads(machine.train_threads)
    folder = find_run_of(outputs, domain) if domain and run == LATEST else find_run(outputs, run)
    trained = TrainedRun(folder, machine.device)
    if domain and trained.record.domain != domain:
        raise ConfigError(f"Run {trained.record.run_id} is of domain {trained.record.domain}, expected {domain}.")
    return trained


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
