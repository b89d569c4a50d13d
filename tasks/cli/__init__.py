"""The command line, `latentbench`. A verb is imported when it is used (`verb_table`).

Only verbs that compute import torch, and they do so on workers.
"""

from __future__ import annotations

import logging
import sys
from typing import Annotated, Any

import typer
from rich.logging import RichHandler

from pipeline.errors import LatentbenchError
from pipeline.execution.processes import name_user
from pipeline.settings.paths import documents
from pipeline.storage.files import told as in_words
from tasks.cli import streams
from tasks.cli.consoles import err, out
from tasks.cli.examples import fence_examples
from tasks.cli.verb_table import UPKEEP, VERBS
from tasks.cli.verbs import MARKUP, LazyGroup

INTERRUPTED = 130
MENDABLE = 2
UNPRINTED = 1


class Verbs(LazyGroup):
    """The verbs, with errors that users can mend printed in one line."""

    verbs = VERBS

    def invoke(self, ctx: Any) -> Any:
        """Run a verb; what a user can mend becomes exit code 2, Ctrl-C (and SIGTERM in a run) 130."""
        try:
            return super().invoke(ctx)
        except LatentbenchError as error:
            err.print(f"latentbench: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
            raise typer.Exit(MENDABLE) from error
        except OSError as error:
            if not in_words(error):
                raise
            err.print(f"latentbench: {in_words(error)}", style="red", markup=False, highlight=False, soft_wrap=True)
            raise typer.Exit(MENDABLE) from error
        except KeyboardInterrupt:
            err.print("\nInterrupted. What is finished is kept: the same command continues from here.")
            raise typer.Exit(INTERRUPTED) from None


app = typer.Typer(
    cls=Verbs,
    no_args_is_help=True,
    rich_markup_mode=MARKUP,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help=f"""Rerun the evaluation of semantic face editing in a StyleGAN2 latent space, end to end.

    Start with `latentbench run --profile smoke`: a complete evaluation of a few minutes. `latentbench plan
    --profile full` says what the published protocol would take here. Settings stand in luigi.cfg; every verb
    explains itself with `--help`. Pages that are named docs/... lie in `{documents()}`.
    """,
)


@app.command("help", rich_help_panel=UPKEEP)
def explain(
    context: typer.Context,
    verb: Annotated[list[str] | None, typer.Argument(help="A verb, such as `run` or `weights import`.")] = None,
) -> None:
    """Explain a verb, as its --help does.

    Example: latentbench help run
    """
    assert context.parent is not None
    context.parent.command.main([*(verb or ()), "--help"], prog_name=context.parent.info_name)


fence_examples(app)


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        out.print(version("latentbench"), highlight=False)
        raise typer.Exit


@app.callback()
def _before(
    version: Annotated[
        bool, typer.Option("--version", "-V", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Warnings of the pipeline are shown as lines on stderr."""
    name_user()
    handler = RichHandler(console=err, show_time=False, show_path=False, markup=False, highlighter=None)
    log = logging.getLogger("latentbench")
    log.handlers = [handler]
    log.propagate = False


def main() -> None:
    """Entry point of the console script. Exits with 1 where stdout cannot take what was asked for."""
    streams.prepare()
    try:
        try:
            app()
        finally:
            sys.stdout.flush()
    except streams.ReaderLeftError:
        sys.exit(UNPRINTED)
    except streams.OutputError as error:
        err.print(f"latentbench: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        sys.exit(UNPRINTED)
