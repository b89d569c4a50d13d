"""What the code writes into the documentation site. `make docs` builds the site itself and takes longer."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

import latentbench
from docs.site import contents, generated, settings_page
from pipeline.methods import registry
from pipeline.metrics import base as metrics
from pipeline.settings.comments import declared_keys
from tasks.cli import app

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"


def headings(text: str) -> set[str]:
    return set(re.findall(r"^##+ `(.+)`$", text, re.M))


def verbs(group: Any, *names: str) -> Iterator[str]:
    for name, inner in getattr(group, "commands", {}).items():
        yield " ".join(("latentbench", *names, name))
        yield from verbs(inner, *names, name)


def test_every_mark_has_a_writer_and_every_writer_a_mark() -> None:
    marks = [mark for page in DOCS.rglob("*.md") for mark in generated.MARK.findall(page.read_text())]
    assert len(marks) == len(set(marks)) and set(marks) == set(generated.WRITERS)


def test_a_mark_becomes_what_the_code_writes() -> None:
    source = ["# A\n\n<!-- generated: metrics -->\n"]
    generated.fill(None, "a", source)
    assert source == [f"# A\n\n{generated.metrics()}\n"]


def test_the_command_line_has_every_verb_with_its_whole_first_line() -> None:
    text, known = generated.commands(), set(verbs(typer.main.get_command(app)))
    assert "latentbench weights list" in known and headings(text) == known
    assert "...\n" not in "".join(re.findall(r"^\* \[.*\n", text, re.M))
    assert set(re.findall(r"^\* \[`(.+?)`\]", text, re.M)) == known
    assert str(ROOT) not in text


def test_the_settings_have_every_section_and_every_declared_key() -> None:
    text = generated.settings()
    sections = settings_page.read((ROOT / "luigi.cfg").read_text())
    assert {name for name in headings(text)} == {
        "[profile.*]" if name.startswith("profile.") else f"[{name}]" for name in sections
    }
    shown = set(re.findall(r"^\| `([^`]+)` \|", text, re.M))
    for kind in ("latentbench", "protocol", "machine"):
        assert set(declared_keys(kind)) and set(declared_keys(kind)) <= shown


def test_the_python_page_has_every_public_name() -> None:
    shown = set(re.findall(r"\{py:(?:function|class)\} latentbench\.(\w+)", generated.python()))
    assert shown == {name for name in latentbench.__all__ if not name.startswith("_")}


@pytest.mark.parametrize("name", ["Method.edit(ws: Tensor, strengths: Tensor", "Report.page\n"])
def test_members_stand_in_their_class(name: str) -> None:
    assert re.search(rf"^:::\{{py:\w+\}} latentbench\.{re.escape(name)}", generated.python(), re.M)


def test_methods_and_metrics_are_all_there() -> None:
    assert headings(generated.methods()) == set(registry.BUILT_IN)
    text = generated.metrics()
    assert {name for name in metrics.names() if f"| `{name}` |" in text} == set(metrics.names())
    assert "interfacegan" in headings(generated.departures())


def test_the_site_has_every_page_in_its_contents() -> None:
    listed = [page for pages in contents.parts((DOCS / "index.md").read_text()).values() for _, page in pages]
    pages = {str(page.relative_to(ROOT).with_suffix("")) for page in DOCS.rglob("*.md")} - {"docs/index"}
    assert len(listed) == len(set(listed)) and pages < set(listed)
    assert all((ROOT / f"{page}.md").is_file() for page in listed)
