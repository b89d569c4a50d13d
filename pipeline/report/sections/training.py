"""How the trainings of the methods went."""

from __future__ import annotations

from pipeline.report.charts.training import training_chart
from pipeline.report.sections import PageSection

SECTION = PageSection(
    key="training",
    title="Training",
    order=98,
    charts=lambda contents: [chart for chart in (training_chart(contents),) if chart is not None],
)
