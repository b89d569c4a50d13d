"""Thirty nights by `latentbench nightly --date`: a mishap on every third, a change on the tenth, a drift from the 20th.

    python -m benchmarks.thirty_nights --outputs DIR      about ten minutes on two idle cores

Afterwards every night must have a report or a stated reason, the gate must have flagged the change and the drift and
nothing else, no night may take more disk than the first, and one glob must read all nights. Prints the summary, and
where the page of the nights is. What is there counts: the same command continues.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from datetime import UTC, date, datetime
from pathlib import Path

from benchmarks.faults.damage import change_a_byte
from benchmarks.faults.processes import LATENTBENCH, ROOT, Command, Ended, reason
from benchmarks.thirty_nights import plan, plugin, record
from benchmarks.thirty_nights.checks import problems, summary
from benchmarks.thirty_nights.record import NightRecord
from pipeline.nights.findings import GateResult
from pipeline.nights.notes import read_notes
from pipeline.nights.summary import verdict
from pipeline.storage.provenance import code_commit

QUIET, FLAGGED = 0, 1  # exit codes of a complete night


class Nights:
    """Where the nights are, and what is kept between two."""

    def __init__(self, folder: Path, last: date) -> None:
        self.folder, self.outputs, self.plugins = folder, folder / "outputs", folder / "plugins"
        self.dates = plan.dates(last)
        folder.mkdir(parents=True, exist_ok=True)

    def start(self, number: int, *more: str) -> Command:
        """`latentbench nightly` of that night."""
        arguments = ["nightly", "--date", f"{self.dates[number - 1]}", *plan.options(), *more]
        config = self.folder / "luigi.cfg"
        config.write_text(plan.settings_file(number, (ROOT / "luigi.cfg").read_text()))
        env = {"PYTHONPATH": f"{ROOT}:{self.plugins}", "LUIGI_CONFIG_PATH": str(config)}
        return Command([*LATENTBENCH, *arguments, "--outputs", str(self.outputs)], self.folder / "said", env)

    def collect(self) -> Ended:
        """`latentbench gc` when all nights are over: what published runs need stays."""
        more = ["--older-than", "0", "--yes", "--outputs", str(self.outputs)]
        return Command([*LATENTBENCH, "gc", *more], self.folder / "said").end()

    def publish(self, number: int) -> NightRecord:
        """One night with its mishap, and the same command again where a timer would give it."""
        plugin.write(self.plugins, plan.version(number))
        mishap = plan.MISHAPS.get(number)
        night = NightRecord(number, f"{self.dates[number - 1]}", mishap.title if mishap else "")
        damaged, sound = self._damage(mishap)
        ended = self._first(number, mishap)
        night.faults += [fault for one in ended for fault in one.faults(mishap.codes if mishap else (QUIET, FLAGGED))]
        if damaged is not None and damaged.name not in "".join(one.err for one in ended):
            night.faults.append(f"{damaged.name} was damaged and not named")
        if mishap and mishap.again:
            ended.append(self.start(number).end())
            night.faults += ended[-1].faults((QUIET, FLAGGED))
        if damaged is not None and mishap and mishap.restored:
            damaged.write_bytes(sound)
        night.codes = [one.code for one in ended]
        night.seconds = round(sum(one.seconds for one in ended), 1)
        return self._concluded(night, ended)

    def _damage(self, mishap: plan.Mishap | None) -> tuple[Path | None, bytes]:
        if mishap is None or mishap.damages is None:
            return None, b""
        path = mishap.damages(self.outputs)
        sound = path.read_bytes()
        change_a_byte(path)
        return path, sound

    def _first(self, number: int, mishap: plan.Mishap | None) -> list[Ended]:
        """The first command of a night, or two at once."""
        command = self.start(number, *(mishap.more if mishap else ()))
        twin = self.start(number) if mishap and mishap.twice else None
        if mishap and mishap.strike:
            mishap.strike(command, self.outputs)
        return [one.end() for one in (command, twin) if one is not None]

    def _concluded(self, night: NightRecord, ended: list[Ended]) -> NightRecord:
        """The night's note, or why it has none."""
        notes = [note for note in read_notes(self.outputs) if note.date == night.date]
        if notes:
            result = GateResult.from_json(notes[-1].comparison)
            night.report, night.verdict = notes[-1].report, verdict(result)
            night.findings = [
                [one.method, one.kind, one.verdict, one.causes[0] if one.causes else ""] for one in result.findings
            ]
        else:
            night.reason = reason(ended[-1].err)
        night.mib = round(record.disk(self.outputs), 2)
        return night


def main() -> None:
    """Publish the nights that are not over, check all, print the summary. Exit code 1 if anything is not right."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--outputs", type=Path, default=Path("build/thirty-nights"), help="folder for all of it")
    parser.add_argument(
        "--last", type=date.fromisoformat, default=None, help="the last night (default: tonight in UTC)"
    )
    parser.add_argument("--afresh", action="store_true", help="remove the nights that are there")
    given = parser.parse_args()
    if given.afresh:
        shutil.rmtree(given.outputs, ignore_errors=True)
    folder = given.outputs.absolute()
    over = record.load(folder)
    last = date.fromisoformat(over[0].date) + (plan.dates(date.max)[-1] - plan.dates(date.max)[0]) if over else None
    nights = Nights(folder, last or given.last or datetime.now(UTC).date())
    for number in range(len(over) + 1, plan.COUNT + 1):
        over.append(nights.publish(number))
        record.save(folder, over)
        night = over[-1]
        print(f"night {number}: {night.codes} {night.verdict or night.reason}. {'; '.join(night.faults)}", flush=True)
    before = record.disk(nights.outputs)
    faults = nights.collect().faults([QUIET])
    after = record.disk(nights.outputs)
    said = [*faults, *problems(over, nights.outputs)]
    print(f"\n{summary(over)}\n\n`latentbench gc`: {before:.1f} -> {after:.1f} MiB. Commit {code_commit()}.")
    print("\n".join(["", "Not right:", *(f"- {line}" for line in said)] if said else ["", "All is as it must be."]))
    print(f"Page of the nights: {next((nights.outputs / 'nightly').glob('*.html'))}")
    sys.exit(bool(said))


if __name__ == "__main__":
    main()
