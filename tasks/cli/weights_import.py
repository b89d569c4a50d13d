"""`latentbench weights import`: a checkpoint of others, converted once to what the pipeline reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline.errors import WeightsError
from pipeline.settings.paths import readable
from pipeline.tables.schemas import W_DIM
from tasks.paths import at_home


def import_weights(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A .pkl, .pt or .safetensors with a StyleGAN2.", callback=at_home)
    ],
    to: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="Folder, made if it is not there, or .safetensors file to write; default: the folder of FILE.",
            show_default=False,
            callback=at_home,
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="What the card calls the weights; else FILE's name.", show_default=False)
    ] = None,
    license_note: Annotated[
        str | None,
        typer.Option(
            help="The licence that you have them under; else what is known of the format.", show_default=False
        ),
    ] = None,
    sha256: Annotated[
        str | None, typer.Option(help="What FILE must have; refused before anything is read.", show_default=False)
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace other weights at the target.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Convert a checkpoint to safetensors and a JSON card, without executing anything in it.

    Reads StyleGAN2 generators from pickles of NVIDIA (stylegan2-ada-pytorch, stylegan3, the TensorFlow-era
    stylegan2), from rosinality's .pt and from safetensors. docs/howto/own-checkpoint.md says what is refused and why.

    Example: latentbench weights import ffhq.pkl --to weights --name ffhq-1024
    """
    from stylegan.checkpoints.opening import first_look
    from stylegan.errors import WeightsFileError

    try:
        first_look(file, beginning=not sha256)
        from stylegan.checkpoints.importing import import_checkpoint  # loads torch, which takes seconds

        imported = import_checkpoint(
            file, to, name=name, license_note=license_note, expected_sha256=sha256, replace=force
        )
    except WeightsFileError as error:
        raise WeightsError(str(error)) from error
    if as_json:
        facts = {"path": str(imported.path), "sha256": imported.sha256, "written": imported.written} | imported.card
        typer.echo(readable(json.dumps(facts, indent=1, ensure_ascii=False)))
        return
    for line in _lines(imported.card):
        typer.echo(line)
    typer.echo(f"sha256: {imported.sha256}")
    typer.echo(f"{'written' if imported.written else 'already there'}: {readable(imported.path)} and its card")
    widths = (imported.card["architecture"]["z_dim"], imported.card["architecture"]["w_dim"])
    if widths != (W_DIM, W_DIM):
        typer.secho(
            f"No domain can use it: domain ffhq expects z and w of {W_DIM} numbers, and these have {widths[0]} and "
            f"{widths[1]}.",
            fg="yellow",
            err=True,
        )


def _lines(card: dict[str, Any]) -> list[str]:
    """What was read, for people."""
    architecture, source = card["architecture"], card["source"]
    channels = ", ".join(f"{size}: {width}" for size, width in architecture["channels"].items())
    clamp = architecture["conv_clamp"]
    bounds = f"within {clamp:g}" if clamp else "not bounded"
    lines = [
        f"read: {source['file']}, {source['format']}, sha256 {source['sha256']}",
        f"generator: {architecture['resolution']} px, z {architecture['z_dim']}, w {architecture['w_dim']}, "
        f"{architecture['mapping_layers']} mapping layers, activations {bounds}",
        f"channels by resolution: {channels}",
        f"licence: {card['license']}",
    ]
    return lines + [f"assumed: {text}" for text in card["assumed"]]
