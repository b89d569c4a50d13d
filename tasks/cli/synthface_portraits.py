"""`latentbench synthface render`, `factors` and `sheet`: pictures of the embedded domain's faces."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from pipeline.domains.synthface.factor_rows import rows
from pipeline.errors import ConfigError
from tasks.paths import at_home

Seed = Annotated[int, typer.Option(help="Root of what is drawn at random; no training used 1010.", min=0)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def render(
    picture: Annotated[Path, typer.Argument(metavar="OUT.png", help="PNG file to write.", callback=at_home)],
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="A factor in [0, 1], such as age=0.8; repeat for several."),
    ] = None,
    identity: Annotated[
        list[int] | None,
        typer.Option(help="Who: identity factors of this id, all others at their default; repeat for a row.", min=0),
    ] = None,
    random: Annotated[
        list[int] | None, typer.Option(help="Start from this random whole face instead; repeat for a row.", min=0)
    ] = None,
    like: Annotated[
        Path | None, typer.Option(help="Start from the faces of a PNG that this command wrote.", callback=at_home)
    ] = None,
    seed: Seed = 1010,
    size: Annotated[int, typer.Option(help="Pixels of a face's side.", min=16, max=1024)] = 256,
    masks: Annotated[bool, typer.Option("--masks", help="Write OUT-masks.png too: the part of each pixel.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print all factors as JSON.")] = False,
) -> None:
    """Render faces from factors; `latentbench synthface factors` lists them.

    docs/reference/synthface-factors.md has a picture of each. The PNG carries the factors of its faces in a text chunk,
    from which --like takes them.

    Example: latentbench synthface render --set age=0.8 --set glasses=1 --identity 7 out.png
    """
    if picture.suffix.lower() != ".png":
        raise ConfigError(f"{picture}: expected a file name that ends in .png.")
    from pipeline.domains.synthface import portrait

    settings = portrait.parse_settings(changes or [])
    portraits = portrait.compose(seed, identity or [], random or [], settings, like)
    written = portrait.draw_portraits(portraits, picture, size, masks=masks)
    if as_json:
        typer.echo(json.dumps(portrait.as_json(portraits) | {"files": [str(path) for path in written]}, indent=1))
        return
    for line in portrait.describe(portraits):
        typer.echo(line)
    for path in written:
        typer.echo(f"written: {path}")


def factors(
    write: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Write the page and its pictures into this folder of docs.", callback=at_home
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the factors of a face: range, default, meaning, parts; or write them as a page with a picture of each.

    Example: latentbench synthface factors --write docs/reference
    """
    if write is None:
        _table(rows(), as_json=as_json)
        return
    if as_json:
        raise ConfigError("--json prints the table and --write writes the page: use one of them.")
    from pipeline.domains.synthface import catalogue
    from pipeline.progress import Display

    with Display("factors", catalogue.FILES, "files") as display:
        for done, path in enumerate(catalogue.write_page(write), start=1):
            display.update(done, path.name)
    typer.echo(f"written: {write / catalogue.PAGE} and its pictures in {write / catalogue.PICTURES}")


def sheet(
    picture: Annotated[
        Path | None, typer.Argument(help="PNG file to write.", show_default=False, callback=at_home)
    ] = None,
    kind: Annotated[
        str,
        typer.Option(
            metavar="pairs|generated|renders|strip",
            help="pairs: render and G(z) side by side; generated: G(z); renders: of the same faces' truth; "
            "strip: each evaluated attribute low and high.",
        ),
    ] = "pairs",
    seed: Seed = 1010,
    count: Annotated[
        int | None, typer.Option(help="Faces or pairs; else what the docs show.", min=1, max=600, show_default=False)
    ] = None,
    every: Annotated[
        Path | None,
        typer.Option(
            "--all", metavar="FOLDER", help="Write all four kinds into this folder of docs.", callback=at_home
        ),
    ] = None,
) -> None:
    """Draw many faces in one picture, to look at.

    Examples: latentbench synthface sheet docs/img/synthface-pairs.png; latentbench synthface sheet --all docs/img
    """
    if (picture is None) == (every is None):
        raise ConfigError("Expected one of a PNG file to write and --all FOLDER, such as `sheet --all docs/img`.")
    from pipeline.domains.synthface import sheets

    for name, path in sheets.sheet_files(every).items() if every else [(kind, picture)]:
        assert path is not None
        shown = sheets.write_sheet(name, path, seed, count)
        typer.echo(f"{shown} {'pairs' if name == 'pairs' else 'faces'}: {path}")


def _table(rows: list[dict[str, object]], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
        return
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from tasks.cli.consoles import out

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for index, title in enumerate(rows[0]):
        table.add_column(title, no_wrap=index == 0)
    for row in rows:
        cells = (", ".join(map(str, value)) if isinstance(value, list) else str(value) for value in row.values())
        table.add_row(*cells)
    out.print(table, markup=False, highlight=False)
