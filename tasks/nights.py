"""One evaluation a night: published under its date, compared with the nights before."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime, timedelta

from pipeline.errors import ConfigError
from pipeline.nights.conclusion import conclude
from pipeline.nights.notes import Note, is_published, marker, night_name, note_path, set_aside_for, settle
from pipeline.report.archive import AHEAD
from pipeline.report.publish import run_report
from pipeline.storage.run_log import computing
from tasks.base import LAST, RunTask
from tasks.luigi_apart import luigi
from tasks.mail import mailer
from tasks.runs import Stages


class NightTask(RunTask):
    """Parameters that name a night."""

    date = luigi.DateParameter(description="the night, as YYYY-MM-DD; it begins at midnight UTC")
    recompute_from = luigi.Parameter(
        default="", positional=False, description="measure this stage, and all that follows from it, again"
    )

    @property
    def name(self) -> str:
        """The name of the night's files."""
        return night_name(self.settings, self.date, self.recompute_from)


class SetAside(NightTask):
    """The stages that a night measures again, moved out of the way; nothing of them is lost."""

    def output(self) -> luigi.LocalTarget:
        """The file that says that all of them are."""
        return luigi.LocalTarget(str(marker(self.settings.outputs, self.name)))

    def run(self) -> None:
        """Move the folders, each before the ones that it reads."""
        stages = [link.stage for link in self.chain.downstream(self.recompute_from)]
        set_aside_for(self.settings, self.name, stages[::-1])


class Nightly(NightTask):
    """One night's evaluation, published under its date and compared with the nights before.

    Luigi fills missing nights: `luigi --module tasks RangeDaily --of Nightly --start 2026-11-01`. Stages are shared
    between nights: what no setting, weight or version changed is not computed again, only published. With
    `recompute_from`, the stages from that one on are measured again, so that a new driver or library shows.
    """

    @property
    def wanted(self) -> bool:
        """Whether the night is still to be published. A past night that was, under whatever settings, is not: settings
        that change today begin tonight, and history stays as it was.
        """
        settings = self.settings
        past = self.date < tonight()
        return not (self.complete() or (past and is_published(settings.outputs, settings, self.date)))

    @classmethod
    def bulk_complete(cls, parameter_tuples: Iterable[date]) -> list[date]:
        """Of these nights, the ones that RangeDaily need not ask for."""
        task: Callable[[date], Nightly] = cls
        return [night for night in parameter_tuples if not task(night).wanted]

    @property
    def priority(self) -> int:  # type: ignore[override]
        """Of several nights that are missing, the oldest first: each is compared with those before it."""
        return LAST - self.date.toordinal()

    def requires(self) -> RunTask:
        """Every stage. Raises ConfigError for a night that is yet to come, which would be the newest run until then."""
        today = (datetime.now(UTC) + AHEAD).date()
        if self.date > today:
            raise ConfigError(
                f"--date {self.date}: expected a night up to {today}, the date where it is latest on earth."
            )
        if not self.recompute_from:
            return self.clone(Stages)
        self.chain.downstream(self.recompute_from)  # raises UnknownNameError
        return self.clone(SetAside)

    def output(self) -> luigi.LocalTarget:
        """The night's note; its own name holds the date and the digest of the settings."""
        return luigi.LocalTarget(str(note_path(self.settings.outputs, self.name)))

    def run(self) -> Iterator[Stages]:
        """Measure again what was set aside, publish the night's report, compare it, and write its note last."""
        same = other = 0
        if self.recompute_from:
            yield self.clone(Stages)
            same, other = settle(self.settings, self.name)
        with computing(self.settings, "report"):
            folder = run_report(self.settings, night=self.date)
        note = Note(f"{self.date:%Y-%m-%d}", folder.name, self.recompute_from, same, other)
        conclude(self.settings, self.name, note, mailer())


class Nights(NightTask, luigi.WrapperTask):
    """Every night from `since` to `date`, both included; a night that has its note is complete."""

    since = luigi.DateParameter(positional=False, description="the first night")

    def requires(self) -> list[Nightly]:
        """A task per night that is missing, the oldest first, and the last, which alone measures again."""
        count = (self.date - self.since).days
        days = [self.since + timedelta(days=day) for day in range(count)]
        nights = [self.clone(Nightly, date=day, recompute_from="") for day in days]
        return [*(night for night in nights if night.wanted), self.clone(Nightly)]


def tonight() -> date:
    """The date of the night that is now: UTC's, as Luigi's RangeDaily counts it."""
    return datetime.now(UTC).date()
