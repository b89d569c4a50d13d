"""No settings file makes Luigi run code, and none that is broken stops the command line from explaining itself."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from luigi.configuration import get_config

from pipeline.errors import ConfigError
from tasks.luigi_apart import RUNS_CODE, import_luigi

ROOT = Path(__file__).parents[2]
EVIL = """[loggers]
keys=root
[handlers]
keys=h
[formatters]
keys=
[logger_root]
level=INFO
handlers=h
[handler_h]
class=StreamHandler
args=(open("executed", "w") and None,)
"""
FOREIGN = "[core]\nlogging_conf_file = evil.conf\n[worker]\ntask_process_context = evil.Context\n"


def python(code: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Python in a folder, as one whose modules are those of this checkout."""
    variables = os.environ | {"PYTHONPATH": str(ROOT)} | environment
    variables = {key: text for key, text in variables.items() if text}
    return subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=variables, capture_output=True, text=True, check=False
    )


def test_luigi_is_imported_in_one_module_alone() -> None:
    """Wherever else it is imported first, it would read the settings files."""
    ours = [path for folder in ("tasks", "latentbench", "pipeline") for path in (ROOT / folder).rglob("*.py")]
    assert len(ours) > 100
    lines = {path.relative_to(ROOT).as_posix(): path.read_text().splitlines() for path in ours}
    importing = {
        name for name, text in lines.items() for line in text if line.strip().startswith(("import luigi", "from luigi"))
    }
    assert importing == {"tasks/luigi_apart.py"}


def test_a_settings_file_runs_no_code(tmp_path: Path) -> None:
    """Neither that of the folder, nor Luigi's old one, nor the named one, and not by our own call of Luigi."""
    (tmp_path / "evil.conf").write_text(EVIL)
    (tmp_path / "evil.py").write_text('open("executed", "w")')
    for name in ("luigi.cfg", "client.cfg", "named.cfg"):
        (tmp_path / name).write_text(FOREIGN)
    trap = subprocess.run(  # the file does run code where Luigi reads it
        [sys.executable, "-c", "import luigi; luigi.build([], local_scheduler=True, logging_conf_file='evil.conf')"],
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    assert (tmp_path / "executed").exists(), trap.stderr
    (tmp_path / "executed").unlink()
    code = """
from tasks import Stages
import luigi
from luigi.configuration import get_config
from tasks.luigi_apart import configure_logging
assert not get_config().has_option("core", "logging_conf_file")
assert not get_config().has_option("worker", "task_process_context")
get_config().set("core", "logging_conf_file", "evil.conf")
configure_logging("CRITICAL")
luigi.build([], local_scheduler=True)
"""
    done = python(code, tmp_path, LUIGI_CONFIG_PATH="named.cfg")
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "executed").exists()


@pytest.fixture(params=RUNS_CODE, ids=lambda pair: pair[1])
def read_by_luigi(request: pytest.FixtureRequest) -> Iterator[str]:
    """A key that runs code, among those that Luigi has read already."""
    section, key = request.param
    config = get_config()
    had = config.has_section(section)
    config.set(section, key, "evil")
    yield key
    config.remove_option(section, key)
    if not had:
        config.remove_section(section)


def test_what_luigi_has_read_before_us_is_refused(read_by_luigi: str) -> None:
    with pytest.raises(ConfigError, match=f"{read_by_luigi} would make Luigi run code"):
        import_luigi()


def test_without_such_a_key_nothing_is_refused() -> None:
    import_luigi()
    assert "luigi" in sys.modules


@pytest.mark.parametrize("data", [b"\xff\xfe[\0", b"[core]\nautoload_range = maybe\n"])
def test_a_broken_file_stops_no_help(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "luigi.cfg").write_bytes(data)
    code = """
import os
from typer.testing import CliRunner
from tasks.cli import app
for arguments, expected in ((["--help"], 0), (["--version"], 0), (["methods"], 0), (["plan"], 2), (["status"], 2)):
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == expected, (arguments, result.output)
    assert "Traceback" not in result.output
    assert expected == 0 or "luigi.cfg" in result.stderr, result.stderr
"""
    done = python(code, tmp_path, LUIGI_CONFIG_PATH="")
    assert done.returncode == 0, done.stderr


def test_another_project_s_package_of_one_of_our_names_is_told(tmp_path: Path) -> None:
    (tmp_path / "pipeline").mkdir()
    (tmp_path / "pipeline" / "__init__.py").touch()
    done = python("import tasks", tmp_path, PYTHONPATH=f"{tmp_path}{os.pathsep}{ROOT}")
    assert done.returncode and f"for its package 'pipeline' Python finds {tmp_path}" in done.stderr


def test_a_folder_that_is_gone_stops_no_help(tmp_path: Path) -> None:
    code = "import os; os.rmdir(os.getcwd())\nimport tasks"
    (tmp_path / "gone").mkdir()
    assert python(code, tmp_path / "gone").returncode == 0
