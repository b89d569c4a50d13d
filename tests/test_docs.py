"""The documents say what is there: links, paths, commands, the table of the chain; and they say it in plain words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

import latentbench
from pipeline.chain.links import KINDS, Chain
from pipeline.storage.stages import Stage
from tasks.base import StageTask
from tasks.cli import app
from tests.test_plain_words import FORBIDDEN

ROOT = Path(__file__).parents[1]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md")), ROOT / "outputs/README.md"]
WIDTH = 120
FOLDERS = "stylegan|pipeline|tasks|latentbench|tests|benchmarks|docs"
RIDDLES = "|".join(FORBIDDEN)
GENERATED = {"results-standard.md", "tables.md"}  # the Markdown of a run, and the meanings in files

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def commands(group: Any = None, *names: str) -> Iterator[tuple[str, Any]]:
    """Every command with its full name, such as "weights list"."""
    for name, inner in getattr(group or typer.main.get_command(app), "commands", {}).items():
        yield " ".join((*names, name)), inner
        if hasattr(inner, "commands"):
            yield from commands(inner, *names, name)


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(), re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@each_page
def test_links_lead_somewhere(page: Path) -> None:
    assert page.read_text().startswith("# ")
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), target
        assert not anchor or anchor in anchors(linked), target


@each_page
def test_paths_are_there(page: Path) -> None:
    named = re.findall(rf"`((?:{FOLDERS})/[\w./]+)`", page.read_text())
    assert [path for path in named if not (ROOT / path).exists()] == [] or "NAME" in str(named)


def test_the_index_has_every_page() -> None:
    index = (ROOT / "docs/index.md").read_text()
    pages = {str(path.relative_to(ROOT / "docs")) for path in (ROOT / "docs").rglob("*.md")} - {"index.md"}
    assert pages and {name for name in pages if f"]({name})" not in index} == set()


@each_page
def test_commands_exist(page: Path) -> None:
    """In blocks of code: every verb of `latentbench`, and every option that it is given."""
    known = dict(commands())
    assert "run" in known and "weights list" in known
    block = re.sub(r"\\\n\s*", " ", page.read_text())
    for line in re.findall(r"^ {4,}(?:\$ )?latentbench (.+)$", block, re.M):
        words = line.split(" #")[0].split()
        verbs = [" ".join(words[:count]) for count in (2, 1)]
        verb = next((name for name in verbs if name in known), None)
        assert verb is not None, line
        options = {option for parameter in known[verb].params for option in parameter.opts + parameter.secondary_opts}
        given = {word.split("=")[0] for word in words if re.fullmatch(r"--[a-z][\w-]*(=.*)?", word)}
        assert given <= options | {"--help"}, line


def reads(stage: Stage, which: dict[Stage, str]) -> str:
    """The stages that a stage reads, by kind, with the sets of a kind that has several."""
    names: dict[str, list[str]] = {}
    for upstream in stage.upstream:
        sets = names.setdefault(upstream.name, [])
        sets += [which[upstream]] if which[upstream] else []
    return ", ".join(" ".join((f"`{name}`", *dict.fromkeys(sets))) for name, sets in names.items())


def table_of_the_chain() -> str:
    """Kind by kind in the order of computation, from the chain and the docstrings of its tasks."""
    changes = {"profile.smoke.n_matched_faces": 3, "profile.smoke.n_rate_faces": 2}  # else one stage for both sets
    settings = latentbench.settings(profile="smoke", methods="interfacegan", attributes="age", changes=changes)
    links = Chain(settings).links
    which = {link.stage: link.names.get("which", "") for link in links}
    lines = ["| stage | reads | result |", "|---|---|---|"]
    for kind in KINDS:
        stages = [link.stage for link in links if link.stage.name == kind.name]
        names = ", ".join(kind.sets) or ("METHOD-ATTRIBUTE" if kind.attributes else "METHOD" if kind.methods else "")
        text = str(StageTask.by_kind[kind.name].__doc__).partition("\n")[0]
        read = "; ".join(dict.fromkeys(text for text in (reads(stage, which) for stage in stages) if text))
        lines.append(f"| {f'`{kind.name}` {names}'.strip()} | {read or 'the seed'} | {text} |")
    return "\n".join(lines)


def test_the_table_of_the_chain_is_the_chain() -> None:
    page, expected = (ROOT / "docs/explanation/protocol.md").read_text(), table_of_the_chain()
    assert expected.count("\n") == len(KINDS) + 1
    assert expected in page, f"docs/explanation/protocol.md, expected:\n{expected}"


@each_page
def test_prose_fits_the_width(page: Path) -> None:
    lines = page.read_text().splitlines()
    prose = [line for line in lines if not line.startswith("|") and not re.match(r" {4,}\S", line)]
    assert prose and [line for line in prose if len(line) > WIDTH] == []


@each_page
def test_words_are_plain(page: Path) -> None:
    text = page.read_text()
    assert text
    if page.name not in GENERATED:
        assert re.findall(rf"\b(?:{RIDDLES})\b", text) == []


def test_the_words_of_the_help_are_plain() -> None:
    verbs = dict(commands())
    assert "run" in verbs
    for name, verb in verbs.items():
        texts = [verb.help or "", *(getattr(parameter, "help", None) or "" for parameter in verb.params)]
        assert any(texts), f"{name} has no help"
        assert [found for text in texts for found in re.findall(rf"\b(?:{RIDDLES})\b", text)] == [], name
