"""Examples in the help of every verb, a line each."""

from __future__ import annotations

import inspect
import re

import typer

# "Examples:", an empty line, and lines that are indented, up to the end of the text.
EXAMPLES = re.compile(r"^(Examples?:)\n\n((?:    .*\n|\n)*    .*)\Z", re.MULTILINE)


def fence_examples(app: typer.Typer) -> None:
    """Fence the indented examples of every verb of an app and of its groups.

    Typer dedents all that follows the first paragraph, which takes the mark of a code block, its indent, from examples
    that are the only other paragraph; they then run together into one line.
    """
    for command in app.registered_commands:
        if command.callback is not None:
            command.help = fenced(inspect.getdoc(command.callback) or "")
    for group in app.registered_groups:
        if group.typer_instance is not None:
            fence_examples(group.typer_instance)


def fenced(text: str) -> str:
    """A text with its indented examples as a fenced block of code."""
    match = EXAMPLES.search(text)
    if not match:
        return text
    lines = [line for line in inspect.cleandoc(match[2]).splitlines() if line]
    return "\n".join([text[: match.start()] + match[1], "", "```", *lines, "```"])
