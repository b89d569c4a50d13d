"""Luigi's graph says what the stages say: every stage has a task, and a task requires what its stage reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import luigi
import pytest
from luigi.task import flatten

import tasks
from pipeline.chain.links import Chain, Link
from pipeline.errors import ConfigError
from pipeline.storage.stages import Stage
from tasks.base import RunTask, StageTask

METHODS = "interfacegan,noop"


@pytest.fixture
def evaluation(tmp_path: Path) -> tasks.Evaluation:
    return tasks.Evaluation(profile="smoke", methods=METHODS, attributes="age,yaw", outputs=str(tmp_path))


def closure(task: luigi.Task) -> dict[str, luigi.Task]:
    """A task and everything below it, by task id."""
    found = {task.task_id: task}
    for required in flatten(task.requires()):
        if required.task_id not in found:
            found |= closure(required)
    return found


def below(stage: Stage) -> set[Stage]:
    """Every stage that a stage reads, directly or not."""
    return set(stage.upstream).union(*(below(part) for part in stage.upstream))


def stages_of(task: luigi.Task) -> set[Stage]:
    return {below.link.stage for below in closure(task).values() if isinstance(below, StageTask)}


def test_every_stage_has_its_task(evaluation: tasks.Evaluation) -> None:
    assert stages_of(evaluation) == {link.stage for link in evaluation.chain.links}
    kinds = {type(task) for task in closure(evaluation).values()}
    assert kinds == set(StageTask.by_kind.values()) | {tasks.Evaluation, tasks.PublishReport}


def test_every_stage_is_asked_for_by_itself(evaluation: tasks.Evaluation) -> None:
    """Luigi looks below no task that is complete: a damaged file is found only where its stage is named."""
    named = {task.link.stage for task in flatten(evaluation.requires()) if isinstance(task, StageTask)}
    assert named == {link.stage for link in evaluation.chain.links}


def test_a_task_requires_what_its_stage_reads(evaluation: tasks.Evaluation) -> None:
    stage_tasks = [task for task in closure(evaluation).values() if isinstance(task, StageTask)]
    assert len(stage_tasks) > len(evaluation.methods)
    for task in stage_tasks:
        assert below(task.link.stage) <= stages_of(task) - {task.link.stage}, task


def test_the_report_requires_what_it_shows(evaluation: tasks.Evaluation) -> None:
    (report,) = [task for task in closure(evaluation).values() if isinstance(task, tasks.PublishReport)]
    assert stages_of(report) == {link.stage for link in evaluation.chain.links}


def test_the_chain_is_in_order(evaluation: tasks.Evaluation) -> None:
    seen: set[Stage] = set()
    assert evaluation.chain.links
    for link in evaluation.chain.links:
        assert set(link.stage.upstream) <= seen
        seen.add(link.stage)


def test_a_task_computes_its_own_link(evaluation: tasks.Evaluation, monkeypatch: pytest.MonkeyPatch) -> None:
    """run() calls the function of the very stage that output() looks at; calibration all its attributes at once."""
    called: list[Any] = []
    monkeypatch.setattr(Chain, "calibrate_all", lambda self, method, attributes: called.append((method, *attributes)))
    task = tasks.CalibrateRange(**shared(evaluation), method="noop", attribute="age,yaw")
    task.run()
    assert called == [("noop", "age", "yaw")]
    expected = [task.chain.link("range", "noop", attribute).stage for attribute in ("age", "yaw")]
    assert [target.stage for target in task.output()] == expected


def shared(task: RunTask) -> dict[str, Any]:
    """Parameters that name the run."""
    return {name: getattr(task, name) for name, _ in RunTask.get_params()}


def test_machine_settings_do_not_change_a_task(evaluation: tasks.Evaluation) -> None:
    other = evaluation.clone(executor="inline", dask_workers="1", device="cpu")
    assert other.task_id == evaluation.task_id
    assert other.settings.machine.executor == "inline"
    assert [link.stage for link in other.chain.links] == [link.stage for link in evaluation.chain.links]


def test_downstream_is_everything_made_from_a_stage(evaluation: tasks.Evaluation) -> None:
    chain = evaluation.chain

    def names(links: tuple[Link, ...]) -> list[str]:
        return [link.title for link in links]

    assert names(chain.downstream("scores")) == ["scores interfacegan", "scores noop"]
    assert names(chain.downstream("edits", "noop")) == ["edits noop", "gallery noop", "scores noop"]
    assert set(chain.downstream("latents")) == set(chain.links)
    only = chain.downstream("train", "noop")
    assert {link.method for link in only} == {"noop"} and only[0].stage.name == "train"


def test_luigi_joins_attributes_that_wait_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through Luigi's own scheduler: one run for all attributes of a method."""
    published: set[Stage] = set()
    called: list[list[str]] = []

    def calibrate_all(self: Chain, method: str, attributes: list[str]) -> None:
        called.append(list(attributes))
        published.update(self.link("range", method, attribute).stage for attribute in attributes)

    monkeypatch.setattr(Chain, "calibrate_all", calibrate_all)
    monkeypatch.setattr("tasks.base.is_complete", lambda stage, outputs: stage.name != "range" or stage in published)
    parameters = {"profile": "smoke", "methods": "noop", "outputs": str(tmp_path)}
    wanted = [tasks.CalibrateRange(**parameters, method="noop", attribute=name) for name in ("age", "beard", "yaw")]
    assert luigi.build(wanted, local_scheduler=True, log_level="CRITICAL")
    assert [sorted(names) for names in called] == [["age", "beard", "yaw"]]


def test_changes_are_taken_as_json_has_them() -> None:
    changes = '{"machine.check_disk": false, "protocol.matched_levels": [0.5, 2], '
    changes += '"protocol.seed": 7, "machine.devices": null}'
    task = tasks.Nightly.from_str_params({"date": "2026-11-24", "changes": changes})
    settings = task.settings
    assert settings.machine.check_disk is False and settings.machine.devices == ()
    assert settings.experiment.matched_levels == (0.5, 2.0) and settings.experiment.seed == 7
    wrong = tasks.Nightly.from_str_params({"date": "2026-11-24", "changes": '{"protocol.seed": {"a": 1}}'})
    with pytest.raises(ConfigError, match="--changes protocol.seed: expected a text, a number"):
        _ = wrong.settings
