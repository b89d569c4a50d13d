"""What every task of the chain has in common: parameters, settings, a link of the chain, a manifest as target."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, ClassVar

import luigi

from pipeline.chain.links import Chain, Link
from pipeline.domains import base as domains
from pipeline.errors import ClusterError, ConfigError
from pipeline.methods import registry
from pipeline.settings.file import find_config
from pipeline.settings.settings import Settings, load_settings
from pipeline.storage.stages import MANIFEST, Stage, is_complete
from pipeline.storage.unfinished import note_failure

# Task parameter -> the key of luigi.cfg whose place it takes.
MACHINE = {
    "device": "machine.device",
    "devices": "machine.devices",
    "executor": "machine.executor",
    "dask_scheduler": "machine.scheduler",
    "dask_workers": "machine.workers",
    "dask_threads": "machine.threads",
}

LAST = -(10**9)  # Luigi's priority of tasks that only gather others: a lower one than any stage's


def _text(key: str, value: Any) -> str:
    """A setting of JSON as luigi.cfg would have it: true, null, a number, a text, a list. Raises ConfigError."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return ""
    if isinstance(value, str | int | float):
        return str(value)
    if isinstance(value, list | tuple):
        return ", ".join(_text(key, part) for part in value)
    raise ConfigError(f"--changes {key}: expected a text, a number, true, false or a list of these, found {value!r}.")


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


@lru_cache(maxsize=64)
def _settings(
    domain: str,
    profile: str,
    methods: str,
    attributes: str,
    outputs: str,
    changes: tuple[tuple[str, str], ...],
    path: Path,
) -> Settings:
    overrides = dict(changes)
    if outputs:
        overrides["latentbench.outputs"] = outputs
    return load_settings(
        domain=domain,
        profile=profile,
        methods=_listed(methods),
        attributes=_listed(attributes),
        known_methods=registry.names(),
        known_domains=domains.names(),
        files_of=domains.file_keys,
        overrides=overrides,
        path=path,
    )


def read_again() -> None:
    """Read luigi.cfg and the files that settings name again, as a new process does: they may have changed."""
    _settings.cache_clear()


@lru_cache(maxsize=64)
def _chain(settings: Settings) -> Chain:
    return Chain(settings)


class ManifestTarget(luigi.Target):
    """A stage's manifest: there when the stage is published and every file is as it was written."""

    def __init__(self, stage: Stage, outputs: Path) -> None:
        self.stage, self.outputs = stage, outputs

    @property
    def path(self) -> Path:
        """The manifest file."""
        return self.stage.folder(self.outputs) / MANIFEST

    def exists(self) -> bool:
        """Whether the stage is published and whole."""
        return is_complete(self.stage, self.outputs)


class RunTask(luigi.Task):
    """Parameters that name a run. Empty ones mean what luigi.cfg says.

    Where and how it runs (the last six) changes no number and no task's identity.
    """

    domain = luigi.Parameter(default="", positional=False, description="generator and judges, such as synthface")
    profile = luigi.Parameter(default="", positional=False, description="smoke, standard, full or one of yours")
    methods = luigi.Parameter(default="", positional=False, description="methods, separated by commas")
    attributes = luigi.Parameter(default="", positional=False, description="attributes, separated by commas")
    changes: luigi.DictParameter[dict[str, str]] = luigi.DictParameter(
        default={}, positional=False, description='settings to change: {"protocol.seed": "7", ...}'
    )
    outputs = luigi.Parameter(default="", positional=False, description="folder to write to")
    device = luigi.Parameter(default="", positional=False, significant=False, description="cpu or cuda")
    devices = luigi.Parameter(
        default="", positional=False, significant=False, description="GPUs with a worker each: 2, or cuda:0,cuda:1"
    )
    executor = luigi.Parameter(default="", positional=False, significant=False, description="dask or inline")
    dask_scheduler = luigi.Parameter(
        default="", positional=False, significant=False, description="address of an existing Dask scheduler"
    )
    dask_workers = luigi.Parameter(
        default="", positional=False, significant=False, description="worker processes; 0: one per core"
    )
    dask_threads = luigi.Parameter(
        default="", positional=False, significant=False, description="torch threads of each worker"
    )

    priority = LAST

    @property
    def settings(self) -> Settings:
        """The run's settings, read and checked. Raises ConfigError and UnknownNameError."""
        changes: Mapping[str, Any] = self.changes
        texts = {key: _text(key, value) for key, value in changes.items()}
        texts |= {key: getattr(self, name) for name, key in MACHINE.items() if getattr(self, name)}
        return _settings(
            self.domain,
            self.profile,
            self.methods,
            self.attributes,
            self.outputs,
            tuple(sorted(texts.items())),
            find_config(),
        )

    @property
    def chain(self) -> Chain:
        """The run's stages."""
        return _chain(self.settings)

    @property
    def title(self) -> str:
        """What people read while it runs; empty for tasks that only gather others."""
        return ""


class StageTask(RunTask):
    """A task that is one stage: `kind` and its own parameters name it, `run` computes it, its manifest says that it
    is there. It requires the tasks of the stages that its stage reads.
    """

    kind: ClassVar[str]  # one of `pipeline.chain.links.KIND`, and no other task's
    by_kind: ClassVar[dict[str, type[StageTask]]] = {}

    def __init_subclass__(cls, **given: Any) -> None:
        super().__init_subclass__(**given)
        if "kind" in vars(cls):  # else a base of several tasks
            StageTask.by_kind[cls.kind] = cls

    @property
    def link(self) -> Link:
        """The stage and the function that computes it."""
        named = [getattr(self, name) for name in ("which", "method", "attribute") if hasattr(self, name)]
        return self.chain.link(self.kind, *named)

    def requires(self) -> list[StageTask]:
        """The tasks of the stages that this one reads."""
        return [task_of(self, link) for link in self.chain.read_by(self.link)]

    @property
    def priority(self) -> int:  # type: ignore[override]
        """Luigi computes in the order of the chain."""
        return -self.chain.position(self.link)

    @property
    def title(self) -> str:
        """The stage, as its messages call it."""
        return self.link.title

    @cached_property
    def target(self) -> ManifestTarget:
        """The stage's manifest."""
        return ManifestTarget(self.link.stage, self.settings.outputs)

    def output(self) -> ManifestTarget:
        """The one target that Luigi looks at."""
        return self.target

    def run(self) -> None:
        """Compute and publish the stage, continuing from the shards that are there."""
        self.link.run()

    def on_failure(self, exception: BaseException) -> str:
        """Leave a note for `latentbench status` if the stage is to blame, then report as Luigi does."""
        if not isinstance(exception, ClusterError):
            note_failure(self.link.stage, self.settings.outputs, exception)
        return str(super().on_failure(exception))


def task_of(run: RunTask, link: Link) -> StageTask:
    """The task of a link of the same run."""
    kind = link.stage.name
    return run.clone(StageTask.by_kind.get(kind) or plain_task(kind, tuple(link.names)), **link.names)


def plain_task(kind: str, names: tuple[str, ...]) -> type[StageTask]:
    """The task of a kind that has no class of its own: named after it, with a parameter for each of `names`."""
    parameters = {name: luigi.Parameter(positional=False) for name in names}
    facts = {"kind": kind, "__doc__": f"Stage `{kind}`.", "__module__": __name__}
    return type(kind.title().replace("_", ""), (StageTask,), facts | parameters)
