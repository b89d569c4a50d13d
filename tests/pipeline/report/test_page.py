"""The page: whole, alone, valid, honest, and safe whatever names it is given."""

from __future__ import annotations

import json
import re

import pyarrow as pa
import pytest

from pipeline.report import page, templates
from pipeline.report.charts import library
from pipeline.report.contents import Contents, contents_of
from pipeline.report.sections import provenance, viewer
from pipeline.tables.schemas import SCORES
from tests.builders import random_edits, random_run, random_scores
from tests.checks.html_page import read

ATTACK = '<script>alert("x")</script><img src=x onerror=alert(1)>'


def whole() -> Contents:
    return contents_of(random_run.tables(), random_run.strips())


@pytest.fixture(scope="module")
def html() -> str:
    return page.render(whole(), domain_summary="A generator of 64 px.")


def test_it_parses_and_its_links_lead_somewhere(html: str) -> None:
    reader = read(html)
    assert len(reader.ids) == len(set(reader.ids))
    assert {link.removeprefix("#") for link in reader.links} <= set(reader.ids)


def test_it_asks_for_nothing_from_outside(html: str) -> None:
    own = html.replace(library.library(), "")  # it names the homes of its formats, and may load none
    assert len(own) < len(html) - 500_000
    reader = read(own)
    assert all(source.startswith("data:image/") for source in reader.sources)
    assert reader.links and all(link.startswith("#") for link in reader.links)
    assert not re.search(r"https?:|//[a-z]|@import|url\((?!#)", re.sub(r"data:image/[^\"]*|(?m:^ *// .*$)", "", own))
    assert "default-src &#39;none&#39;" in html or "default-src 'none'" in html
    assert "link" not in reader.tags and "iframe" not in reader.tags


def test_it_says_what_was_run_and_what_it_is_not(html: str) -> None:
    for part in (
        "profile smoke",
        "2,048 labelled latents instead of 400,000",
        "comparable with a published FFHQ number",
        "0123456789abcdef0123456789abcdef01234567",
        "ab" * 32,
        "2.11.0",
        "reused from 20261119T031500Z-99999999",
        "A generator of 64 px.",
        "8 parts",
        "final_loss&#34;: 0.125",
    ):
        assert part in html, part


def test_every_table_names_its_domain_and_network(html: str) -> None:
    captions = re.findall(r'<figure class="table" id="table-[^>]*>\s*<figcaption>(.*?)</figcaption>', html, re.DOTALL)
    assert len(captions) > 5
    assert all('<span class="tag">synthface</span>' in caption for caption in captions)
    assert any("mtcnn-onet256" in caption for caption in captions)


def test_every_picture_is_in_the_page_once_with_its_scores(html: str) -> None:
    shown = viewer.viewer(whole())
    strips = [strip for faces in shown["strips"].values() for found in faces.values() for strip in found]
    assert len(strips) == len(whole().strips) and html.count("data:image/webp") == len(strips) + len(shown["faces"])
    assert all(len(strip["steps"]) == 5 for strip in strips)
    edits = whole().edits.set_index(["method", "attribute", "face_id", "step"])
    strength, value, distance, detected = shown["strips"]["age"]["256001"][0]["steps"][3]
    edit = edits.loc[("interfacegan", "age", 256001, 3)]
    assert (strength, detected) == (pytest.approx(edit["strength"], abs=1e-3), 1)
    assert distance == pytest.approx(edit["identity_recognizer_b"], abs=1e-3) and 0 < value < 1


def test_a_full_run_has_no_banner(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "library", str)  # it takes seconds to bundle
    full = {"profile": "full", "n_latents": 400_000, "n_faces": 50, "n_steps": 41, "edits_per_method": 16_400}
    html = page.render(contents_of({**random_run.tables(), "runs": random_run.runs(**full)}))
    assert "Not the published protocol" not in html
    assert "comparable with a published FFHQ number" in html


def test_untrusted_names_are_text(html: str) -> None:
    methods = ("l2l", ATTACK)
    row = random_scores.score(ATTACK, "age", ATTACK, 0.5, network=ATTACK, protocol=ATTACK, flag=ATTACK, unit=ATTACK)
    judges = {"identity_distance": "mtcnn-onet256", "attribute_change": "scorer_b"}
    more = [
        random_scores.score(name, "age", metric, 0.5, network=judge)
        for name in methods
        for metric, judge in judges.items()
    ]
    run = {"run_id": "20261120T031500Z-1a2b3c4d", "run_date": random_scores.DATE}
    tables = {
        "scores": pa.Table.from_pylist([{**run, **one} for one in (row, *more)], schema=SCORES),
        "ranges": random_edits.ranges(methods),
        "edits": random_edits.edits(methods),
        "runs": random_run.runs(commit=ATTACK, weights=f'{{"x": {json.dumps(ATTACK)}}}'),
    }
    attacked = page.render(contents_of(tables, random_run.strips(methods)), domain_summary=ATTACK)
    reader = read(attacked)
    assert reader.tags.count("script") == read(html).tags.count("script") > 4, "no script of a name"
    assert not reader.handlers
    assert all(source.startswith("data:image/") for source in reader.sources)
    assert "&lt;script&gt;alert" in attacked


def test_a_run_of_scores_alone_still_has_a_page() -> None:
    tables = random_run.tables()
    bare = {**tables, "edits": tables["edits"].slice(0, 0), "ranges": tables["ranges"].slice(0, 0)}
    shown = read(page.render(contents_of(bare)))
    assert "h1" in shown.tags and "table" in shown.tags


def test_durations_are_in_people_s_units() -> None:
    assert [templates.duration(s) for s in (0.42, 59.6, 61, 3725)] == ["0.4 s", "1 min 0 s", "1 min 1 s", "1 h 2 min"]


def test_attributes_have_their_units() -> None:
    found = {one["name"]: one for one in viewer.viewer(whole())["attributes"]}
    assert found["age"]["unit"] == "year" and found["age"]["low"] < found["age"]["high"]
    assert found["beard"] == {"name": "beard", "unit": "", "low": 0.0, "high": 1.0}


def test_parts_of_one_pass_take_its_time_once() -> None:
    part = {"started": "2026-11-20T03:00:00+00:00", "wall_seconds": 8.0}
    later = {"started": "2026-11-20T03:00:05+00:00", "wall_seconds": 5.0}
    after = {"started": "2026-11-20T04:00:00+00:00", "wall_seconds": 2.5}
    assert provenance.busy_seconds([part]) == 8
    assert provenance.busy_seconds([part, part, part]) == 8
    assert provenance.busy_seconds([after, part, later]) == 10 + 2.5
    assert provenance.busy_seconds([]) == 0


def test_parts_of_a_stage_are_one_line() -> None:
    lines = provenance.stage_lines(whole().run.stages)
    by_title = {line.title: line for line in lines}
    assert by_title["range l2l"].parts == 8
    assert by_title["latents train"].origin.startswith("reused from")
    assert by_title["edits l2l"].origin == "computed"


def test_the_paper_s_tables_have_its_methods_across_and_its_attributes_down(html: str) -> None:
    table = re.search(r'<figure class="table" id="paper-identity-mtcnn-onet256">.*?</figure>', html, re.DOTALL)
    assert table is not None
    columns = re.findall(r'<th scope="col"[^>]*>(.*?)</th>', table[0])
    assert columns[1:] == ["IG<br><small>interfacegan</small>", "L2L<br><small>l2l</small>"]
    rows = [row.split()[0] for row in re.findall(r'<th scope="row">(.*?)</th>', table[0], re.DOTALL)]
    assert rows == ["age", "baldness", "beard", "expression", "gender", "glasses", "pitch", "yaw", "mean"]
