"""Settings and whole runs from Python, with the names of the command line."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from latentbench.published import Report
from pipeline.errors import ConfigError, StageError
from pipeline.execution.processes import name_user
from pipeline.report.archive import read_report_manifest
from pipeline.report.finding import find_report
from pipeline.settings.direction_files import check_listed
from pipeline.settings.settings import Settings
from tasks.cli.computing import compute
from tasks.cli.consoles import err
from tasks.requested import read_again, settings_of
from tasks.runs import Evaluation

log = logging.getLogger("latentbench")


def settings(
    *,
    domain: str = "",
    profile: str = "",
    methods: str | Sequence[str] = (),
    attributes: str | Sequence[str] = (),
    changes: Mapping[str, Any] | None = None,
    outputs: str | os.PathLike[str] = "",
) -> Settings:
    """The settings of a run, read from luigi.cfg and checked. Arguments that are left out keep the values of the file.

    `changes` maps "section.key" to a value that replaces the value of the file:
    {"protocol.seed": 7, "machine.device": "cuda"}.
    Raises UnknownNameError with the closest known name, ConfigError for a value that is out of range.

    >>> import latentbench
    >>> latentbench.settings(profile="smoke", methods=["l2l"], changes={"protocol.seed": 7}).experiment.seed
    7
    """
    return settings_of(_parameters(domain, profile, methods, attributes, changes, outputs))


def run(
    *,
    domain: str = "",
    profile: str = "",
    methods: str | Sequence[str] = (),
    attributes: str | Sequence[str] = (),
    changes: Mapping[str, Any] | None = None,
    outputs: str | os.PathLike[str] = "",
) -> Report:
    """Compute the missing stages of a run, publish it, and return the report, as `latentbench run` does.

    Arguments as in `settings`. Progress goes to stderr. Call it from the main thread, which Ctrl-C and SIGTERM
    reach, and in a script below `if __name__ == "__main__":`, since workers import the script. Raises as `settings`;
    WeightsError for weights that are missing; BusyError while another process runs the same settings; StageError if a
    stage failed: what is finished is kept, and the same call continues.

    >>> import latentbench
    >>> report = latentbench.run(profile="smoke", methods=["interfacegan", "noop"], outputs="outputs")
    >>> sorted(set(report.frame("scores").method))
    ['interfacegan', 'noop']

    The same run is computed and published once:

    >>> latentbench.run(profile="smoke", methods=["interfacegan", "noop"], outputs="outputs") == report
    True
    """
    if threading.current_thread() is not threading.main_thread():
        raise StageError("A run must be started in the main thread: Ctrl-C and SIGTERM reach no other.")
    name_user()
    task = Evaluation(**_parameters(domain, profile, methods, attributes, changes, outputs))
    chosen, card = task.settings, task.chain.card
    if card.stand_in:
        log.warning("%s: stand-ins in place of official networks. No number of this run means anything.", card.name)
    code = compute(task, chosen, console=err)
    folder = None if code else find_report(chosen)
    if folder is None:
        raise StageError(
            f"The run is not complete (exit code {code}); stderr says what failed. Finished stages are kept: the same "
            "call continues."
        )
    return Report(folder, read_report_manifest(folder))


def _parameters(
    domain: str,
    profile: str,
    methods: str | Sequence[str],
    attributes: str | Sequence[str],
    changes: Mapping[str, Any] | None,
    outputs: str | os.PathLike[str],
) -> dict[str, Any]:
    """The parameters of Luigi's tasks for this run, whose settings are read now."""
    read_again()
    return {
        "domain": domain,
        "profile": profile,
        "methods": _joined("methods", methods),
        "attributes": _joined("attributes", attributes),
        "changes": {key: _plain(value) for key, value in (changes or {}).items()},
        "outputs": os.fspath(outputs),
    }


def _joined(argument: str, names: str | Sequence[str]) -> str:
    """Names in the form of Luigi's tasks. Raises ConfigError for an empty name, which would mean all of luigi.cfg."""
    listed = [names] if isinstance(names, str) else list(names)
    for name in listed:
        if not name.strip(" ,"):
            raise ConfigError(f"{argument}: expected names, found {name!r}. Without {argument}, luigi.cfg's are taken.")
        check_listed(name)
    return ",".join(listed)


def _plain(value: Any) -> Any:
    """A path as text, as in luigi.cfg; any other value unchanged."""
    return os.fspath(value) if isinstance(value, os.PathLike) else value
