"""`latentbench weights stand-in`: files of the published shapes that mean nothing, to try the machinery."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.errors import UnknownNameError
from pipeline.settings.downloads import VARIABLE
from pipeline.weights.telling import in_mb
from tasks.paths import at_home

DOMAINS = ("ffhq",)


def stand_in(
    domain: Annotated[str, typer.Argument(help="The domain whose files to stand in for: ffhq.")],
    to: Annotated[
        Path,
        typer.Option(metavar="DIR", help="A folder of its own, which is made if it is not there.", callback=at_home),
    ],
    shape: Annotated[
        str, typer.Option(help="The generator's channels: paper256, as published, or narrow, which is far faster.")
    ] = "paper256",
) -> None:
    """Make stand-ins for every file of a domain, so that its chain runs on a machine without the official ones.

    Their shapes are right and their numbers mean nothing: tables, page and terminal call them stand-ins, and
    `weights verify` never takes one for the file it stands in for.

    Example: latentbench weights stand-in ffhq --to /tmp/stand-ins --shape narrow
    """
    if domain not in DOMAINS:
        raise UnknownNameError("domain with stand-ins", domain, DOMAINS)
    from pipeline.domains.ffhq.stand_ins import make

    for path in make(to, shape):
        typer.echo(f"{path}: {in_mb(path.stat().st_size)}")
    typer.echo(f"Use them: {VARIABLE}={to.absolute()} latentbench run --domain {domain} --profile smoke")
