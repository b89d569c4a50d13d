"""The console script: Ctrl-C before the command line is there."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from tasks import cli, console


class Interrupting(ModuleType):
    """A module whose import is stopped by Ctrl-C."""

    def __getattr__(self, name: str) -> object:
        raise KeyboardInterrupt


def test_ctrl_c_during_the_import_is_an_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "tasks.cli", Interrupting("tasks.cli"))
    with pytest.raises(SystemExit) as ended:
        console.main()
    assert ended.value.code == cli.INTERRUPTED == 130
    assert "Traceback" not in capsys.readouterr().err
