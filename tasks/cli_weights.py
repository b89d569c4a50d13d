"""`latentbench weights`: the files of pretrained networks."""

from __future__ import annotations

import typer

from tasks.cli_weights_import import import_weights

app = typer.Typer(no_args_is_help=True, help="Pretrained networks: bring in a checkpoint of others.")
app.command("import")(import_weights)
