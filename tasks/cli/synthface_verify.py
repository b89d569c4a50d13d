"""`latentbench synthface verify`: every bar of the embedded domain, in one table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.domains.synthface.verification import GROUPS, chosen_groups
from pipeline.settings.devices import cores
from tasks.paths import at_home

if TYPE_CHECKING:
    from torch import Tensor

Only = Annotated[list[str] | None, typer.Option(help=f"Measure this group alone, of {', '.join(GROUPS)}; repeatable.")]
Out = Annotated[Path, typer.Option(help="Parquet file for the figures, one row each.", callback=at_home)]
Folder = Annotated[
    Path, typer.Option(help="Where rendered faces are kept; a later call finds them there.", callback=at_home)
]
Workers = Annotated[int, typer.Option(help="Processes that render; 0: one per core.")]
Threads = Annotated[int, typer.Option(help="Threads of torch; 0: one per core.")]


def verify(
    only: Only = None,
    out: Out = Path("outputs/synthface/verify.parquet"),
    folder: Folder = Path("outputs/synthface"),
    workers: Workers = 0,
    threads: Threads = 0,
) -> None:
    """Measure every bar of the embedded domain on held-out faces; exit code 1 where one is missed.

    Example: latentbench synthface verify --only renderer --only population
    """
    names = chosen_groups(only or ())
    from pipeline.domains.synthface.verification.figures import Bench, as_lines, exit_code, summary, write
    from pipeline.domains.synthface.verification.run import verify as run
    from pipeline.metrics.fid import frechet_distance

    bench = Bench(folder, workers or cores(), threads or cores(), frechet_distance, _boundaries, typer.echo)
    rows = run(bench, names)
    write(rows, out)
    for line in as_lines(rows):
        typer.echo(line)
    typer.echo(f"{summary(rows)}; all figures: {out}")
    raise typer.Exit(exit_code(rows))


def _boundaries(w: Tensor, values: Tensor, seed: int) -> dict[str, dict[str, Any]]:
    """What InterFaceGAN tells of its boundaries, trained on w (N, 512) with these values (N, 35) for labels."""
    from pipeline.domains.base import load
    from pipeline.methods.interface import FitData
    from pipeline.methods.interfacegan import InterFaceGAN

    domain, method = load("synthface", "cpu"), InterFaceGAN(attributes="all")
    method.fit(FitData(w, values, domain.generator, domain.scorer_a, domain.recognizer_a, seed, domain.device))
    return method.facts()["boundaries"]
