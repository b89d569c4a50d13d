"""The notebook's cells run in their order on the reference run; what is committed is a small, finished run of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import matplotlib
import pytest

NOTEBOOK = Path(__file__).parents[1] / "examples/reports.ipynb"
MOST_BYTES = 200_000
CELLS: list[dict[str, Any]] = [
    cell for cell in json.loads(NOTEBOOK.read_text())["cells"] if cell["cell_type"] == "code"
]


def test_its_cells_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a kernel, which `make notebook` starts: the cells are plain Python."""
    from matplotlib import pyplot

    monkeypatch.delenv("OUTPUTS", raising=False)
    before = matplotlib.get_backend()
    pyplot.switch_backend("agg")
    names: dict[str, Any] = {}
    try:
        for number, cell in enumerate(CELLS, start=1):
            exec(compile("".join(cell["source"]), f"cell {number}", "exec"), names)
        assert len(pyplot.get_fignums()) == 3
        assert len(names["board"]) > 5 and names["leakage"].notna().all(axis=None) and len(names["errors"]) > 5
    finally:
        pyplot.close("all")
        pyplot.switch_backend(before)
        names["temporary"].cleanup()


def test_what_is_committed_is_a_finished_run() -> None:
    assert NOTEBOOK.stat().st_size < MOST_BYTES
    assert [cell["execution_count"] for cell in CELLS] == list(range(1, len(CELLS) + 1))
    kinds = {output["output_type"] for cell in CELLS for output in cell["outputs"]}
    assert kinds == {"execute_result", "display_data"}, "no error, no warning"
    shown = [output["data"] for cell in CELLS for output in cell["outputs"]]
    assert sum("image/png" in data for data in shown) == 3 and all("text/plain" in data for data in shown)
