"""Options that several verbs share, and the run that they name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.errors import ConfigError
from pipeline.settings.direction_files import check_listed
from pipeline.settings.paths import folder_to_be
from pipeline.settings.settings import Settings
from tasks.paths import at_home
from tasks.requested import chain_of, settings_of

if TYPE_CHECKING:
    from pipeline.chain.links import Chain
    from tasks.runs import Evaluation, Stages

WHAT = "What is computed"
WHERE = "Where and how it runs (changes no number)"

Domain = Annotated[str, typer.Option(help="Generator and judges; see `latentbench domains`.", rich_help_panel=WHAT)]
Profile = Annotated[
    str, typer.Option(help="Sizes of every stage: smoke, standard, full or yours.", rich_help_panel=WHAT)
]
Methods = Annotated[
    list[str] | None,
    typer.Option(
        "--method",
        "-m",
        help="A method; repeat for several. See `methods`. file:NAME=PATH: directions out of your own files "
        "(docs/howto/own-directions.md).",
        rich_help_panel=WHAT,
    ),
]
Attributes = Annotated[
    list[str] | None,
    typer.Option("--attribute", "-a", help="An evaluated attribute; repeat for several.", rich_help_panel=WHAT),
]
Changes = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="SECTION.KEY=VALUE",
        help="A setting in place of luigi.cfg's, such as protocol.seed=7 or method.l2l.width=256; repeat for several.",
        rich_help_panel=WHAT,
    ),
]


def _folder(text: str) -> Path:
    """A folder; an empty text, as of a variable that is not set, would mean the working folder."""
    if not text.strip():
        raise typer.BadParameter("expected a folder, found nothing")
    return Path(text)


Outputs = Annotated[
    Path | None,
    typer.Option(
        help="Folder with stages/ and reports/.",
        rich_help_panel=WHERE,
        callback=at_home,
        parser=_folder,
        metavar="PATH",
    ),
]
Device = Annotated[str, typer.Option(help="cpu or cuda.", rich_help_panel=WHERE)]
Devices = Annotated[
    str,
    typer.Option(
        metavar="N|cuda:0,cuda:1",
        help="GPUs that get a worker process each; means --device cuda.",
        rich_help_panel=WHERE,
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(min=0, help="Worker processes; 0: one per core.", rich_help_panel=WHERE, show_default=False),
]
Threads = Annotated[
    int | None, typer.Option(min=1, help="Torch threads of each worker.", rich_help_panel=WHERE, show_default=False)
]
Scheduler = Annotated[
    str, typer.Option(metavar="ADDRESS", help="An existing Dask scheduler to use.", rich_help_panel=WHERE)
]
Executor = Annotated[
    str, typer.Option(metavar="dask|inline", help="inline: in this process, for a debugger.", rich_help_panel=WHERE)
]


@dataclass(frozen=True)
class Request:
    """The run that a command line names, as parameters of Luigi's tasks; what is empty is luigi.cfg's."""

    parameters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def evaluation(self) -> Evaluation:
        """The task that is the whole run."""
        from tasks.runs import Evaluation

        return Evaluation(**self.parameters)

    @property
    def stages(self) -> Stages:
        """The task that is every stage of the run, without its report."""
        from tasks.runs import Stages

        return Stages(**self.parameters)

    @property
    def settings(self) -> Settings:
        """The run's settings. Raises ConfigError and UnknownNameError."""
        return settings_of(self.parameters)

    @property
    def chain(self) -> Chain:
        """The run's stages."""
        return chain_of(self.settings)


def parse_changes(texts: list[str] | None) -> dict[str, str]:
    """`SECTION.KEY=VALUE` texts as a mapping. Raises ConfigError for one that is not of that form."""
    changes = {}
    for text in texts or ():
        name, equals, value = text.partition("=")
        if not equals or "." not in name:
            raise ConfigError(f"--set {text}: expected SECTION.KEY=VALUE, such as protocol.seed=7.")
        changes[name.strip()] = value.strip()
    return changes


def _joined(option: str, names: list[str] | None) -> str:
    """Names as Luigi's tasks take them. Raises ConfigError for an empty one, which would mean all of luigi.cfg's."""
    for name in names or ():
        if not name.strip(" ,"):
            raise ConfigError(f"{option} {name!r}: expected a name. Without {option}, luigi.cfg's are taken.")
        check_listed(name)
    return ",".join(names or ())


def request(
    *,
    domain: Domain = "",
    profile: Profile = "",
    methods: Methods = None,
    attributes: Attributes = None,
    changes: Changes = None,
    outputs: Outputs = None,
    device: Device = "",
    devices: Devices = "",
    executor: Executor = "",
    scheduler: Scheduler = "",
    workers: Workers = None,
    threads: Threads = None,
) -> Request:
    """The run that these options name."""
    return Request(
        {
            "domain": domain,
            "profile": profile,
            "methods": _joined("--method", methods),
            "attributes": _joined("--attribute", attributes),
            "changes": parse_changes(changes),
            "outputs": str(outputs) if outputs else "",
            "device": device or ("cuda" if devices else ""),
            "devices": devices,
            "executor": executor,
            "dask_scheduler": scheduler,
            "dask_workers": "" if workers is None else str(workers),
            "dask_threads": "" if threads is None else str(threads),
        }
    )


def naming_a_run(*without: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Decorator of a verb: its first parameter becomes the options of `request`, but for `without`."""
    shared = [
        option.replace(kind=inspect.Parameter.POSITIONAL_OR_KEYWORD)
        for option in inspect.signature(request, eval_str=True).parameters.values()
        if option.name not in without
    ]
    names = [option.name for option in shared]

    def decorate(verb: Callable[..., None]) -> Callable[..., None]:
        @wraps(verb)
        def named(**given: Any) -> None:
            options = {name: given.pop(name) for name in names}
            verb(request=request(**options), **given)

        _, *own = inspect.signature(verb, eval_str=True).parameters.values()
        named.__signature__ = inspect.Signature([*shared, *own])  # type: ignore[attr-defined]
        named.__annotations__ = {}  # the signature alone says what the verb takes
        return named

    return decorate


def outputs_folder(outputs: Path | None) -> Path:
    """The folder that runs write to, by option or by luigi.cfg. Raises ConfigError where none can be."""
    return folder_to_be(outputs) if outputs else settings_of({}).outputs


def bytes_of_gib(size: float) -> int:
    """GiB of an option as bytes."""
    return int(size * 2**30)
