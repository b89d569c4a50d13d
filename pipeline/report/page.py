"""The page of a run: one HTML file that needs nothing else, neither network nor neighbours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline.report.charts import library, marks
from pipeline.report.charts.chart import Chart, in_page
from pipeline.report.contents import Contents
from pipeline.report.sections import PageSection, sections, template_folders
from pipeline.report.templates import comparability, environment, inlined

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jinja2 import Environment
    from markupsafe import Markup

TEMPLATE = "page.html.j2"


@dataclass(frozen=True)
class Shown:
    """A section as the page shows it: its id, its heading, the entries below its own in the contents, its HTML,
    and the charts that its HTML has places for."""

    key: str
    title: str
    links: Sequence[tuple[str, str]]
    links_in_line: bool
    body: Markup
    charts: Sequence[Chart]


def render(contents: Contents, *, domain_summary: str = "") -> str:
    """The whole page as HTML.

    `domain_summary`: one sentence about the domain, from its card.
    """
    templates = environment(template_folders())
    facts = {
        "run": contents.run,
        "contents": contents,
        "domain_summary": domain_summary[:1].upper() + domain_summary[1:],
        "comparability": comparability(contents.run.domain),
        "level": f"{100 * contents.run.experiment.get('confidence', 0.95):g} %",
        "colours": marks.colours(contents),
    }
    drawn = [_shown(section, contents, templates, facts) for section in sections()]
    shown = [section for section in drawn if section is not None]
    charts = [chart for section in shown for chart in section.charts]
    return templates.get_template(TEMPLATE).render(**facts, shown=shown, **inlined(), **_charts(contents, charts))


def _charts(contents: Contents, charts: Sequence[Chart]) -> dict[str, Any]:
    """The charts as the page contains them, with the library that draws them; all empty for a page without."""
    from markupsafe import Markup

    if not charts:
        return {"chart_data": None, "chart_library": "", "chart_script": "", "chart_style": ""}
    return {
        "chart_data": {**in_page(charts), "methods": marks.key(contents)},
        "chart_library": Markup(library.library()),
        "chart_script": Markup(library.script()),
        "chart_style": Markup(library.style()),
    }


def _shown(section: PageSection, contents: Contents, templates: Environment, facts: dict[str, Any]) -> Shown | None:
    """A section's HTML; None if it has nothing of this run."""
    from markupsafe import Markup

    tables, charts, values = section.tables(contents), section.charts(contents), section.values(contents)
    if not (tables or charts or values):
        return None
    body = templates.get_template(section.template).render(
        **facts, section=section, tables=tables, charts=charts, **values
    )
    return Shown(section.key, section.title, section.links(contents), section.links_in_line, Markup(body), charts)
