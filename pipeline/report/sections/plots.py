"""The plots of the edits over their ranges."""

from __future__ import annotations

from pipeline.report import figures
from pipeline.report.sections import PageSection

SECTION = PageSection(key="plots", title="Plots", order=54, plots=lambda contents: figures.plots(contents))
