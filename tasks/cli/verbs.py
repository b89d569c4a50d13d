"""Verbs that are imported when they are first used, so that help and light verbs load none of the others.

Typer imports the function of every command to list them. Here a group lists its verbs from a table.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, ClassVar, Literal

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from tasks.cli.examples import fence_examples

Command = Any  # of click, which Typer keeps to itself
Context = Any
MARKUP: Literal["markdown"] = "markdown"


@dataclass(frozen=True)
class Verb:
    """A verb, and where it is: `home` is "module:function", or "module:app" of a group of verbs.

    help: the first paragraph of its help, which the list of verbs shows. panel: the heading that it is listed under.
    command: "module:class" of its command, where Typer's own will not do.
    """

    name: str
    home: str
    help: str
    panel: str | None = None
    command: str = ""

    def load(self) -> Command:
        """The verb as a command, its module imported."""
        target = _named(self.home)
        if isinstance(target, typer.Typer):
            app = target
            app.rich_markup_mode, app._add_completion = MARKUP, False
        else:
            app = typer.Typer(rich_markup_mode=MARKUP, add_completion=False)
            app.command(self.name, cls=_named(self.command) if self.command else None)(target)
        fence_examples(app)
        made: Any = get_command(app)
        made.name, made.rich_help_panel = self.name, self.panel
        return made

    def listed(self) -> Command:
        """A command that says in a list what the verb does, and can do nothing else."""
        return TyperCommand(self.name, help=self.help, rich_help_panel=self.panel)


def _named(home: str) -> Any:
    module, _, name = home.partition(":")
    return getattr(import_module(module), name)


class CommandTable(MutableMapping[str, Command]):
    """Commands by name: the `verbs`, each loaded when it is first asked for, and others that are there already."""

    def __init__(self, verbs: tuple[Verb, ...], others: Mapping[str, Command]) -> None:
        self._verbs = {verb.name: verb for verb in verbs}
        self._there = dict(others)

    def __getitem__(self, name: str) -> Command:
        if name not in self._there:
            self._there[name] = self._verbs[name].load()
        return self._there[name]

    def __setitem__(self, name: str, command: Command) -> None:
        self._there[name] = command

    def __delitem__(self, name: str) -> None:
        self._verbs.pop(name, None)
        self._there.pop(name, None)

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys([*self._verbs, *self._there]))

    def __len__(self) -> int:
        return len(set(self._verbs) | set(self._there))

    def __contains__(self, name: object) -> bool:
        return name in self._verbs or name in self._there


class LazyGroup(TyperGroup):
    """A group of `verbs`, and of the commands that are registered with it as usual."""

    verbs: ClassVar[tuple[Verb, ...]] = ()

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.commands = CommandTable(self.verbs, self.commands)
        self._listed: dict[str, Command] = {}

    def list_commands(self, ctx: Context) -> list[str]:
        """The names of all commands; imports none."""
        return list(self.commands)

    def get_command(self, ctx: Context, cmd_name: str) -> Command | None:
        """A command by name; while help is written, what the list says of it."""
        return self._listed.get(cmd_name) or super().get_command(ctx, cmd_name)

    def format_help(self, ctx: Context, formatter: Any) -> None:
        """Write the help of the group, with a line for each verb."""
        self._listed = {verb.name: verb.listed() for verb in self.verbs}
        try:
            super().format_help(ctx, formatter)
        finally:
            self._listed = {}
