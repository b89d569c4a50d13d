"""`latentbench scorer`: attribute scorers for photographs, trained on labelled faces of one's own or of others."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline.errors import ConfigError, UnknownNameError
from pipeline.execution.gpus import check_device
from pipeline.scorer_training.labels import MOST_BAD
from pipeline.scorer_training.reading import facts, open_headers, read_labels, write_report
from pipeline.scorer_training.roles import ROLES, choose
from pipeline.scorer_training.split import check_sizes, split
from pipeline.settings.devices import cores
from pipeline.weights.store import open_store
from tasks.paths import at_home

app = typer.Typer(
    no_args_is_help=True,
    help="Scorers of photographs: train one of the two that a domain needs from labelled faces. "
    "docs/howto/own-labels.md says more.",
)

WHAT, HOW, WHERE = "Images and labels to learn from", "How it is trained (changes the result)", "Where and how it runs"

Kind = Annotated[
    str,
    typer.Option(
        "--from",
        metavar="ffhq|celeba|table",
        help="Layout of the labels: ffhq-features JSON, CelebA's attribute file, or a CSV or Parquet of yours.",
        rich_help_panel=WHAT,
    ),
]
Images = Annotated[
    Path, typer.Option(metavar="DIR", help="Folder of the pictures.", rich_help_panel=WHAT, callback=at_home)
]
LabelPath = Annotated[
    Path,
    typer.Option(
        metavar="PATH",
        help="ffhq: the folder of JSON files; celeba: the attribute file or its folder; table: the file.",
        rich_help_panel=WHAT,
        callback=at_home,
    ),
]
MostBad = Annotated[
    float,
    typer.Option(
        min=0, max=1, help="Largest share of unreadable labels or pictures to tolerate.", rich_help_panel=WHAT
    ),
]
RoleName = Annotated[
    str,
    typer.Option(
        "--role",
        metavar="a|b",
        help="a labels and trains, b only judges; each has its own architectures and seed.",
        rich_help_panel=HOW,
    ),
]
Architecture = Annotated[
    str,
    typer.Option(
        help="a: resnet18 (default) or residual; b: mobilenet_v3_large (default) or plain. Each second one is small, "
        "for 64 px.",
        rich_help_panel=HOW,
        show_default=False,
    ),
]
Resolution = Annotated[int, typer.Option(min=32, max=512, help="Pixels of a side that it sees.", rich_help_panel=HOW)]
Epochs = Annotated[int, typer.Option(min=1, help="Times that every picture is seen.", rich_help_panel=HOW)]
Batch = Annotated[int, typer.Option(min=4, help="Pictures in a step.", rich_help_panel=HOW)]
Rate = Annotated[float, typer.Option(min=1e-6, max=1.0, help="Highest learning rate.", rich_help_panel=HOW)]
Seed = Annotated[
    int | None,
    typer.Option(
        min=0, help="Of split, start values and order; a: 41, b: 42.", rich_help_panel=HOW, show_default=False
    ),
]
Share = Annotated[
    float,
    typer.Option(min=0.01, max=0.9, help="Share that validates, unless the labels say who does.", rich_help_panel=HOW),
]
FloorR2 = Annotated[
    float,
    typer.Option("--floor", max=1.0, help="Validation R2 below which an attribute is left out.", rich_help_panel=HOW),
]
FloorAuc = Annotated[
    float, typer.Option(max=1.0, help="The same for what is yes or no, by its AUC.", rich_help_panel=HOW)
]
To = Annotated[
    Path,
    typer.Option(
        metavar="FILE.safetensors",
        help="File to write; its card (.json) gets the same name.",
        rich_help_panel=WHERE,
        callback=at_home,
    ),
]
Device = Annotated[str, typer.Option(metavar="cpu|cuda", help="Where it is trained.", rich_help_panel=WHERE)]
Threads = Annotated[
    int, typer.Option(min=0, help="Threads; 0: one per core. With 1, the same bits every time.", rich_help_panel=WHERE)
]
Folder = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Decoded pictures, checkpoint and report; default: FILE.training, in the folder of the file.",
        rich_help_panel=WHERE,
        show_default=False,
        callback=at_home,
    ),
]
Further = Annotated[
    int,
    typer.Option(min=0, help="Faces more, which only networks and formulas label.", rich_help_panel=HOW),
]
FaceFolder = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Rendered faces; default: FILE.faces, in the folder of the file.",
        rich_help_panel=WHERE,
        show_default=False,
        callback=at_home,
    ),
]
Fresh = Annotated[
    bool, typer.Option("--fresh/--resume", help="Forget the checkpoint, or go on from it.", rich_help_panel=WHERE)
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Read and report the labels; train and write nothing.", rich_help_panel=WHERE)
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.", rich_help_panel=WHERE)]


@app.command()
def train(
    kind: Kind,
    images: Images,
    labels: LabelPath,
    role: RoleName,
    to: To,
    architecture: Architecture = "",
    resolution: Resolution = 128,
    epochs: Epochs = 20,
    batch: Batch = 64,
    rate: Rate = 1e-3,
    seed: Seed = None,
    validation_share: Share = 0.1,
    floor: FloorR2 = 0.5,
    floor_auc: FloorAuc = 0.7,
    most_bad: MostBad = MOST_BAD,
    device: Device = "cpu",
    threads: Threads = 0,
    folder: Folder = None,
    fresh: Fresh = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Train a scorer: pictures in, the 35 attributes out, and a card that says how well it reads each of them.

    Unknown values are masked. An attribute without labels, or whose validation figure is below its floor, is left out,
    and the card says why. Broken labels and pictures are named in the report. An interrupted training goes on where it
    was; a checkpoint of other settings or data is refused.

    Examples:

        latentbench scorer train --from ffhq --images ffhq --labels ffhq-features/json --role a --to a.safetensors

        latentbench scorer train --from celeba --images CelebA-HQ-img --labels CelebAMask-HQ --role b --to b.safetensors

        latentbench scorer train --from table --images faces --labels faces.csv --role a --to a.safetensors --dry-run
    """
    if to.suffix != ".safetensors":
        raise ConfigError(f"--to {to}: expected a file that ends in .safetensors.")
    if resolution % 16:
        raise ConfigError(f"--resolution {resolution}: expected a multiple of 16.")
    check_device(device)
    chosen, width, seeded = choose(role, architecture, seed)
    found = read_labels(kind, images, labels)
    index = folder or to.with_suffix(".training")
    if dry_run:
        found = open_headers(found, images)
        parts = split(found, seeded, validation_share)
        _tell_labels(facts(found, parts, validation_share), found.problems.lines(), as_json=as_json)
        found.problems.check(len(found), most_bad)
        check_sizes(parts)
        return
    if found.problems.found:
        typer.echo(f"left out: {'; '.join(found.problems.lines())}", err=True)
        typer.echo(f"every name: {write_report(found, index)}", err=True)
    found.problems.check(len(found), most_bad)

    from pipeline.scorer_training.training.build import ScorerJob, train_scorer
    from pipeline.scorer_training.training.fit import ScorerRecipe

    recipe = ScorerRecipe(chosen, width, resolution, epochs, batch, rate, seeded, validation_share)
    job = ScorerJob(
        images, role, to, recipe, index, floor, floor_auc, most_bad, device, threads or cores(), fresh=fresh
    )
    card = train_scorer(job, found, lambda text: typer.echo(text, err=True))
    if as_json:
        typer.echo(json.dumps(card, indent=1))
        return
    _tell_card(card)
    typer.echo(f"written: {to} and {to.with_suffix('.json')}; {index} may be deleted.")


@app.command()
def photoface(
    role: RoleName,
    to: To,
    further: Further = 0,
    floor: FloorR2 = 0.5,
    floor_auc: FloorAuc = 0.8,
    threads: Threads = 1,
    folder: FaceFolder = None,
    as_json: AsJson = False,
) -> None:
    """Train a scorer of the domain photoface again: on generated faces, which it renders and labels itself.

    The two that come with the package were made so. Labels by looking are a table of the package; networks of other
    packages read age, sex, emotions and pose; blur, exposure and noise are formulas. Rendering goes on where it was.

    Example:

        latentbench scorer photoface --role a --to scorer_a.safetensors
    """
    if to.suffix != ".safetensors":
        raise ConfigError(f"--to {to}: expected a file that ends in .safetensors.")
    if role not in ROLES:
        raise UnknownNameError("role", role, ROLES)

    from pipeline.domains.photoface import files
    from pipeline.domains.photoface.networks import read_generator
    from pipeline.scorer_training.generated.build import HeadJob
    from pipeline.scorer_training.generated.build import train as train_on_faces

    store, cache = open_store(), folder or to.with_suffix(".faces")
    generator = read_generator(store).generator, files.fetched("generator", store).sha256
    trunk = files.TRUNKS[f"scorer_{role}"]
    job = HeadJob(role, to, cache, *generator, trunk, further, floor, floor_auc, threads or cores())
    card = train_on_faces(job, store, lambda text: typer.echo(text, err=True))
    if as_json:
        typer.echo(json.dumps(card, indent=1))
        return
    _tell_card(card)
    typer.echo(f"written: {to} and {to.with_suffix('.json')}; {cache} may be deleted.")


def _tell_labels(report: dict[str, Any], problems: list[str], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(report, indent=1))
        return
    groups = f", {report['groups']:,} persons" if report["groups"] < report["faces"] else ""
    typer.echo(f"{report['faces']:,} labelled pictures{groups} from {', '.join(report['files'])}")
    typer.echo(f"{report['training']:,} would train, {report['validation']:,} validate ({report['split']})")
    for line in problems:
        typer.echo(f"left out: {line}")
    rows = [list(row.values()) for row in report["attributes"]]
    _table(("attribute", "known", "missing", "mean", "sd", "above half"), rows)


def _tell_card(card: dict[str, Any]) -> None:
    table = card["measured"]["validation"]
    rows = []
    for name in (*card["attributes"], *card["left_out"]):
        row = table.get(name, {})
        rows.append([name, row.get("n", 0), row.get("r2"), row.get("auc"), card["left_out"].get(name, "")])
    _table(("attribute", "n", "R2", "AUC", "left out because"), rows)
    typer.echo(f"{len(card['attributes'])} attributes known, {len(card['left_out'])} left out")


def _table(titles: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from tasks.cli.consoles import out

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for index, title in enumerate(titles):
        numbers = 0 < index and title != titles[-1] or title == "above half"
        table.add_column(title, no_wrap=index == 0, justify="right" if numbers else "left")
    for row in rows:
        table.add_row(*(_cell(value) for value in row))
    out.print(table, markup=False, highlight=False)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)
