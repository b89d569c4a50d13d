"""The run before: the newest published run of the same domain and profile, and how its scores differ from a new run's.

Scores over all attributes are compared, each as `compare_runs` does; `latentbench compare` compares all scores.
"""

from __future__ import annotations

import logging
from pathlib import Path

import pandas as pd
import pyarrow as pa

from pipeline.errors import LatentbenchError
from pipeline.metrics.base import ALL
from pipeline.report.archive import PublishedRun, check_report, published_runs
from pipeline.report.compare_runs import Comparison, compare_scores
from pipeline.report.contents import record_of
from pipeline.tables.parquet import read_table
from pipeline.tables.schemas import FACE_SCORES, RUNS, SCORES

log = logging.getLogger("latentbench")


def run_before(outputs: Path, domain: str, profile: str) -> PublishedRun | None:
    """The newest published run of that domain and profile; None if there is none."""
    same = [
        run
        for run in published_runs(outputs)
        if (run.manifest.get("domain"), run.manifest.get("profile")) == (domain, profile)
    ]
    return max(same, key=lambda run: run.run_id, default=None)


def difference_to_before(outputs: Path, tables: dict[str, pa.Table]) -> Comparison | None:
    """The run before and the run of these published tables, side by side; None without an earlier run.

    An earlier run that is damaged is left out, and the log says so: it must not keep a new one from being published.
    """
    record = record_of(tables["runs"])
    found = run_before(outputs, record.domain, record.profile)
    if found is None:
        return None
    try:
        check_report(found.folder)
        earlier = record_of(read_table(found.folder / "runs.parquet", RUNS))
        scores = read_table(found.folder / "scores.parquet", SCORES).to_pandas()
        path = found.folder / "face_scores.parquet"
        faces = read_table(path, FACE_SCORES) if path.is_file() else FACE_SCORES.empty_table()
    except LatentbenchError as error:
        log.warning("The page does not compare with the run before: %s", error)
        return None
    both = (faces.to_pandas(), tables["face_scores"].to_pandas())
    return compare_scores(earlier, _overall(scores), record, _overall(tables["scores"].to_pandas()), both)


def _overall(scores: pd.DataFrame) -> pd.DataFrame:
    return scores[scores["attribute"] == ALL]
