"""What every task of the chain has in common: parameters, settings, a link of the chain, a manifest as target."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from pipeline.chain.links import Chain, Link
from pipeline.errors import ClusterError
from pipeline.settings.settings import Settings
from pipeline.storage.run_log import computing
from pipeline.storage.stages import MANIFEST, Stage, is_complete
from pipeline.storage.unfinished import note_failure
from tasks.luigi_apart import luigi
from tasks.requested import PARAMETERS, chain_of, settings_of

LAST = -(10**9)  # Luigi's priority of tasks that only gather others: a lower one than any stage's


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
        return settings_of({name: getattr(self, name) for name in PARAMETERS})

    @property
    def chain(self) -> Chain:
        """The run's stages."""
        return chain_of(self.settings)

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

    @property
    def links(self) -> list[Link]:
        """The stages that it computes: one, unless several wait together."""
        return [self.link]

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
        link = self.link
        with computing(self.settings, link.stage.name if link.method else link.title, link.method):
            self.compute()

    def compute(self) -> None:
        """What `run` computes, in the log of the run."""
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
