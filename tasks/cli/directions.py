"""`latentbench methods directions`: the directions of a trained method as files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tasks.cli import options
from tasks.cli.consoles import out
from tasks.paths import at_home


def directions(
    name: Annotated[str, typer.Argument(help="A method that a run has trained, such as interfacegan.")],
    folder: Annotated[Path, typer.Argument(help="Where ATTRIBUTE.npy files go.", callback=at_home)],
    domain: options.Domain = "",
    profile: options.Profile = "",
    attribute: options.Attributes = None,
    changes: options.Changes = None,
    outputs: options.Outputs = None,
) -> None:
    """Write the directions of a trained method as .npy files: 512 numbers for an attribute, or layers x 512.

    The options name the run that trained it. Any run evaluates such a folder as `--method file:NAME=FOLDER`
    (docs/howto/own-directions.md). A method whose edits differ between faces, such as l2l, has no direction.

    Example:

        latentbench methods directions interfacegan boundaries --profile smoke
    """
    from pipeline.chain.directions import write_directions

    chain = options.request(
        domain=domain, profile=profile, methods=[name], attributes=attribute, changes=changes, outputs=outputs
    ).chain
    (method,) = chain.settings.method_names
    for path in write_directions(chain, method, folder):
        out.print(str(path), markup=False, highlight=False, soft_wrap=True)
