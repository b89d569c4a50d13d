"""The thirty nights: their plug-in, their plan, and what the checks afterwards see."""

from __future__ import annotations

import sys
from datetime import date
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest
import torch

from benchmarks.thirty_nights import checks, plan, plugin
from benchmarks.thirty_nights.record import NightRecord, load, save
from pipeline.attributes import index_of
from pipeline.domains import base
from pipeline.methods import registry
from pipeline.settings.settings import load_settings

ROOT = Path(__file__).parents[2]
STEP = [plugin.STEPPING, "step", "worse", "method version 1 -> 2"]
DRIFT = [plugin.DRIFTING, "drift", "worse", "setting method.drifting.nights 0 -> 9"]


@pytest.fixture
def methods(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module of the plug-in, with version 2 of the method that changes."""
    plugin.write(tmp_path, 2)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, plugin.MODULE, raising=False)
    return import_module(plugin.MODULE)


def nights() -> list[NightRecord]:
    """Thirty nights as they must be."""
    records = [NightRecord(number, f"2026-11-{number:02d}", report=f"run-{number}", mib=10.0 + number)
               for number in range(1, plan.COUNT + 1)]  # fmt: skip
    records[plan.CHANGED - 1].findings = [STEP, STEP]
    records[27].findings = [DRIFT]
    return records


def test_the_gate_must_find_the_change_and_the_drift_and_nothing_else() -> None:
    assert checks.gate_problems(nights()) == []
    quiet = nights()
    quiet[plan.CHANGED - 1].findings = quiet[27].findings = []
    assert len(checks.gate_problems(quiet)) == 2
    noisy = nights()
    noisy[4].findings = [["noop", "step", "worse", ""]]
    noisy[24].findings = [[plugin.DRIFTING, "step", "worse", ""]]
    assert checks.gate_problems(noisy) == [
        "night 5: noop was flagged as a step",
        "night 25: drifting was flagged as a step",
    ]


def test_a_night_that_takes_much_more_disk_than_the_first_is_seen() -> None:
    assert checks.disk_problems(nights()) == []
    large = nights()
    large[-1].mib += 2 * large[0].mib
    assert [line.partition(" took")[0] for line in checks.disk_problems(large)] == ["night 30"]


def test_what_is_over_is_kept(tmp_path: Path) -> None:
    assert load(tmp_path) == []
    save(tmp_path, nights())
    assert load(tmp_path) == nights()


def test_the_summary_lists_what_happened_and_counts_the_quiet_nights() -> None:
    records = nights()
    records[11] = NightRecord(12, "2026-11-12", "a wrong setting", [2], reason="expected a number")
    text = checks.summary(records)
    assert "| 12 | a wrong setting | 2 | no: expected a number |" in text
    assert "29 reports of 30 nights; 26 nights without" in text


def test_every_third_night_has_a_mishap_and_the_dates_end_with_the_last() -> None:
    assert sorted(plan.MISHAPS) == list(range(3, plan.COUNT + 1, 3))
    dates = plan.dates(date(2026, 11, 28))
    assert len(dates) == plan.COUNT and dates[-1] == date(2026, 11, 28) and dates[0] < dates[1]


def test_the_settings_of_a_night_are_valid(tmp_path: Path) -> None:
    path = tmp_path / "luigi.cfg"
    path.write_text(plan.settings_file(22, (ROOT / "luigi.cfg").read_text()))
    options = plan.options()
    changes = dict(options[place + 1].split("=", 1) for place, part in enumerate(options) if part == "--set")
    settings = load_settings(
        profile="smoke", methods=("drifting",), overrides=changes, path=path,
        known_methods=(*registry.names(), *plan.METHODS), known_domains=base.names(),
    )  # fmt: skip
    assert dict(dict(settings.methods)["drifting"])[plugin.NIGHTS] == 3
    assert settings.experiment.n_faces == plan.SIZES["n_faces"] and settings.machine.executor == "inline"


def test_the_method_that_changes_forgets_signs_from_version_2_on(methods: ModuleType) -> None:
    method = methods.Stepping()
    method.restore({"directions": torch.eye(36, 512)}, {})
    ws, strengths = torch.zeros(2, 3, 512), torch.zeros(2, 35)
    strengths[:, index_of("age")] = -1.0
    edited = method.edit(ws, strengths, strengths)
    assert methods.Stepping.version == 2 and torch.equal(edited, method.edit(ws, -strengths, strengths))
    assert torch.all(edited[:, :, 35] == methods.LEAK)


def test_the_method_that_drifts_scatters_alike_over_its_calls_and_leaks_more_each_night(methods: ModuleType) -> None:
    ws = torch.randn(64, 3, 512, generator=torch.Generator().manual_seed(1))
    leaks = [methods.Drifting(nights=night).leaks(ws) for night in (1, 1, 40)]
    assert leaks[0] == leaks[1] and len(set(leaks[0])) == 64
    risen = sum(leaks[2]) / 64 - sum(leaks[0]) / 64
    assert abs(risen - 39 * plugin.SLOPE) < 0.3
