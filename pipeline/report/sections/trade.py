"""Identity against attribute change, before the protocols one by one."""

from __future__ import annotations

from pipeline.report.charts.trade import trade_chart
from pipeline.report.sections import PageSection

SECTION = PageSection(
    key="trade",
    title="Identity against attribute change",
    order=30,
    charts=lambda contents: [chart for chart in (trade_chart(contents),) if chart is not None],
)
