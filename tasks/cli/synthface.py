"""`latentbench synthface`: train and measure the embedded domain's networks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.domains.synthface.domain import ROLES
from pipeline.errors import UnknownNameError
from pipeline.settings.devices import cores
from tasks.cli import synthface_portraits, synthface_verify
from tasks.paths import at_home

app = typer.Typer(
    no_args_is_help=True,
    help="The embedded domain: train its networks from rendered faces, and measure them against the truth.",
)
app.command("render")(synthface_portraits.render)
app.command("factors")(synthface_portraits.factors)
app.command("sheet")(synthface_portraits.sheet)
app.command("verify")(synthface_verify.verify)

ORDER = ("perception", "scorer_a", "scorer_b", "recognizer_a", "recognizer_b", "reader", "generator")
Roles = Annotated[list[str] | None, typer.Argument(help=f"Networks, of {', '.join(ROLES)}; none: all, in order.")]
Folder = Annotated[
    Path, typer.Option(help="Rendered sets, checkpoints and logs; a later call continues from them.", callback=at_home)
]
Workers = Annotated[int, typer.Option(help="Processes that render; 0: one per core.")]
Threads = Annotated[int, typer.Option(help="Threads of torch while training; 0: one per core.")]
Share = Annotated[float, typer.Option(help="Share of the full sets and steps, for a trial; stamped into the card.")]
Further = Annotated[bool, typer.Option(help="Start from the published weights instead of from seeded start values.")]


def _chosen(roles: list[str] | None) -> tuple[str, ...]:
    for role in roles or ():
        if role not in ROLES:
            raise UnknownNameError("network of synthface", role, ROLES)
    return tuple(role for role in ORDER if not roles or role in roles)


@app.command()
def train(
    roles: Roles = None,
    folder: Folder = Path("outputs/synthface"),
    workers: Workers = 0,
    threads: Threads = 0,
    share: Share = 1.0,
    further: Further = False,
) -> None:
    """Train networks and put them, with their cards, into the package. Resumable; the same seed gives the same sets.

    With --further a network goes on from its published weights, and its card names them by their sha256. The same
    command continues after an interruption; after it has ended, it continues from the published weights.

    Examples: latentbench synthface train scorer_a scorer_b; latentbench synthface train generator --further
    """
    from pipeline.domains.synthface.training.build import Workshop, train_role

    shop = Workshop(folder, workers or cores(), threads or cores(), _say, share, further)
    for role in _chosen(roles):
        train_role(role, shop)


@app.command()
def measure(
    roles: Roles = None, folder: Folder = Path("outputs/synthface"), workers: Workers = 0, threads: Threads = 0
) -> None:
    """Measure networks on held-out faces and write the figures into their cards.

    Example: latentbench synthface measure generator
    """
    import json

    from pipeline.domains.synthface.training.build import Workshop, measure_role

    shop = Workshop(folder, workers or cores(), threads or cores(), _say)
    for role in _chosen(roles):
        typer.echo(f"{role}: {json.dumps(measure_role(role, shop))}")


def _say(text: str) -> None:
    typer.echo(text)
