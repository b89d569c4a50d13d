"""Luigi, kept from settings files that could make it run code.

Luigi reads ./luigi.cfg, ./client.cfg and $LUIGI_CONFIG_PATH as it is imported, stops with a trace at a file that it
cannot parse, and runs what some keys name: a logging configuration is evaluated, a context of tasks and a collector of
metrics are imported. A settings file is what people hand each other to repeat a run. So `latentbench` imports Luigi
here alone, where it sees none of these files, and gives it the checked keys of ours; the machine's own /etc/luigi still
counts. Where Luigi was there before us, as on its own command line, a key that runs code is refused.
"""

from __future__ import annotations

import configparser
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import chdir, contextmanager, nullcontext, suppress
from pathlib import Path

from pipeline.errors import ConfigError, LatentbenchError
from pipeline.settings.file import VARIABLE, find_config, luigi_settings, read_config

__all__ = ["LuigiRunResult", "LuigiStatusCode", "configure_logging", "import_luigi", "luigi", "retcode"]

OF_THE_MACHINE = ("/etc/luigi/client.cfg", "/etc/luigi/luigi.cfg")
EMPTY = Path(os.devnull).parent  # a folder in which nobody keeps a luigi.cfg
# Section, key: what Luigi runs by a setting.
RUNS_CODE = (
    ("core", "logging_conf_file"),
    ("worker", "task_process_context"),
    ("scheduler", "metrics_custom_import"),
)


def import_luigi() -> None:
    """Import Luigi without the settings files of this folder and of $LUIGI_CONFIG_PATH, or check its settings.

    Raises ConfigError for a setting by which Luigi would run code.
    """
    if "luigi" in sys.modules:
        _refuse_code()
        return
    with _nowhere(), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that [core] autoload_range is missing, which it is not
        import luigi  # noqa: F401, F811


@contextmanager
def _nowhere() -> Iterator[None]:
    """A working folder and an environment in which Luigi finds no settings file."""
    named = os.environ.pop(VARIABLE, None)
    try:
        with chdir(EMPTY) if _is_somewhere() else nullcontext():
            yield
    finally:
        if named is not None:
            os.environ[VARIABLE] = named


def _is_somewhere() -> bool:
    """Whether the working folder can be come back to; one that was removed holds no settings file either."""
    try:
        return bool(os.getcwd())
    except OSError:
        return False


def _refuse_code() -> None:
    """Raise ConfigError if Luigi has read a key of `RUNS_CODE` from anywhere but the machine's own files."""
    from luigi.configuration import get_config

    read, parser = get_config(), configparser.ConfigParser(interpolation=None, strict=False)
    parser.read(OF_THE_MACHINE)
    for section, key in RUNS_CODE:
        for name in (key, key.replace("_", "-")):
            if read.has_option(section, name) and not parser.has_option(section, name):
                raise ConfigError(
                    f"[{section}] {key} would make Luigi run code that a settings file names (./luigi.cfg, "
                    f"./client.cfg or ${VARIABLE}): take it out. Luigi itself takes --logging-conf-file."
                )


def configure_logging(level: str) -> None:
    """Print Luigi's log from that level on, and keep Luigi from configuring logging by itself."""
    from luigi.configuration import get_config

    get_config().set("core", "no_configure_logging", "true")
    log = logging.getLogger("luigi-interface")
    log.setLevel(level)
    log.propagate = False
    handler = logging.StreamHandler()
    handler.setLevel(level)  # the log of a run has its warnings in any case
    handler.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
    log.handlers = [handler]


def give_settings() -> None:
    """Give Luigi the keys of our settings file that it may have. Raises ConfigError, UnknownNameError."""
    from luigi.configuration import get_config

    path = find_config()
    config = get_config()
    for section, values in luigi_settings(read_config(path), path).items():
        for key, text in values.items():
            config.set(section, key, text)


import_luigi()
with suppress(LatentbenchError):  # the verb that reads the wrong file reports it
    give_settings()

import luigi
from luigi.execution_summary import LuigiRunResult, LuigiStatusCode
from luigi.retcodes import retcode
