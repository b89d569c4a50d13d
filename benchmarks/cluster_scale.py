"""A run of profile full at 1024 px on 1 to 256 workers that share no disk, simulated; writes a plot.

    python -m benchmarks.cluster_scale RATES [--to docs/img/cluster-scale.svg] [--gbit 1] [--faster 1]

RATES is the rates.json of a smoke run of all methods in domain synthface: seconds of a core for each unit of each
stage. Stages, shards and bytes are the real ones of profile full: the chain cuts them, as for a run, and the plan's
formulas size them for a card of 1024 px. Seconds of what makes or judges images are multiplied by --images, how much
longer an image of 1024 px with all its judges takes than one of 64 px; of scores by --vectors.

As a run does, stages follow one another; the methods are trained in one pass and the ranges of a method in another; a
worker gets a shard when it has none. A file is sent once to each worker that reads it, over the one link of the run's
process, and what shards write returns over it. `--faster` divides the seconds of images: workers with GPUs.
"""

from __future__ import annotations

import argparse
import heapq
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipeline.chain.links import KIND, Chain, Link
from pipeline.domains import base
from pipeline.methods import registry
from pipeline.planning.sizes import size_of
from pipeline.settings.settings import Settings, load_settings

IMAGES = 557 / 37  # ms of a core: 1024 px in domain photoface, all parts; 64 px, the median of `edits` in a smoke run
# An eigendecomposition of 1,280 x 1,280 takes 480 times as long as one of 128 x 128 (.282 and .00059 s of a core);
# supposed to be an eighth of a score's seconds at 128 features.
VECTORS = 60.0
WORKERS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
WITHOUT_IMAGES = ("latents", "rating")  # stages
SCORES = ("scores", "rescoring")
LEARNED_FROM_CODES = ("latents", "latents, iterations")  # units of trainings that make no images
SHARD_SECONDS = 0.1  # to send a shard, and to answer; supposed
START_SECONDS = 20.0  # of a worker, to load torch and the networks; supposed
RESOLUTION, FEATURES, CLASSES, EMBEDDING = 1024, 1280, 1000, 512
INK = "#808080"  # read on white and on black


@dataclass(frozen=True)
class Shard:
    """A shard: seconds on a worker, the files that it reads (name -> bytes), and the bytes that it writes."""

    seconds: float
    reads: dict[str, int]
    writes: int


Pass = list[Shard]  # shards that are computed together; the next pass waits for all of them


@dataclass(frozen=True)
class Took:
    """Seconds of a run on a number of workers: in all, at work, and in which no shard is left for some worker."""

    workers: int
    seconds: float
    busy: float
    by_stage: dict[str, float]

    @property
    def efficiency(self) -> float:
        """Share of the workers' time in which they compute."""
        return self.busy / (self.workers * self.seconds)


class Work:
    """The passes of a run: its chain, with the seconds of each unit."""

    def __init__(self, given: argparse.Namespace) -> None:
        self.given = given
        self.settings: Settings = load_settings(
            domain="synthface", profile="full", known_methods=registry.names(), known_domains=base.names()
        )
        self.chain = Chain(self.settings)
        self.card = replace(
            self.chain.card, resolution=RESOLUTION, feature_width=FEATURES, classes=CLASSES, channels=0,
            layers=18, embedding=EMBEDDING,
        )  # fmt: skip
        self.seconds = _seconds(json.loads(given.rates.read_text()))

    def passes(self) -> Iterator[tuple[str, Pass]]:
        """Stage -> shards, in the order of a run."""
        waiting: dict[tuple[str, str], Pass] = {}
        trained = False
        for link in self.chain.links:
            name = link.stage.name
            if name == "train":
                if not trained:
                    trained = True
                    every = [shard for one in self.chain.links if one.stage.name == name for shard in self.shards(one)]
                    yield name, sorted(every, key=lambda shard: -shard.seconds)
            elif link.attribute:
                key = (name, link.method)
                waiting.setdefault(key, []).extend(self.shards(link))
                if len(waiting[key]) == len(self.settings.experiment.attributes):
                    yield name, waiting.pop(key)
            else:
                yield name, self.shards(link)

    def shards(self, link: Link) -> Pass:
        """The shards of a stage."""
        stage = link.stage
        parts = KIND[stage.name].cut(self.settings, *link.names.values())
        units = sum(part.units for part in parts) or 1
        written = self.written(link)
        rate = self.rate(link)
        return [
            Shard(SHARD_SECONDS + rate * part.units, self.reads(link, part), round(written * part.units / units))
            for part in parts
        ]

    def written(self, link: Link) -> int:
        """Bytes of a stage on disk."""
        size = size_of(self.settings, self.card, link.stage.name, link.units, link.method)
        return 0 if size is None else size.bytes_written

    def reads(self, link: Link, part: Any) -> dict[str, int]:
        """Files that a shard reads: of latents whose images it makes its own part, of all else the whole stage."""
        found = {}
        for read in self.chain.read_by(link):
            size = self.written(read)
            name = f"{read.stage.name} {read.stage.label}"
            if link.stage.name in ("labels", "reference", "spread") and read.stage.name == "latents":
                name, size = f"{name} {part.name}", round(size * part.units / max(1, read.units))
            found[name] = size
        return found

    def rate(self, link: Link) -> float:
        """Seconds of a unit on a worker."""
        name = link.stage.name
        seconds = self.seconds[link.throughput_label]
        if name in SCORES:
            return seconds * self.given.vectors
        if name in WITHOUT_IMAGES or (name == "train" and link.unit in LEARNED_FROM_CODES):
            return seconds
        return seconds * self.given.images / self.given.faster


def _seconds(stored: dict[str, Any]) -> dict[str, float]:
    """Stage with its label -> seconds of a unit on one worker; a measurement on several counts for each of them."""
    found = {}
    for machine, rows in stored.items():
        workers = int(machine.split()[0].partition("-")[2].partition("x")[0] or 1)
        for label, row in rows.items():
            name = label.partition("/")[2]
            alone = name.startswith("train") and row["units"] < 10**9
            found[name] = row["seconds"] * (1 if alone else workers)
    return found


def simulate(passes: Sequence[tuple[str, Pass]], workers: int, bits: float) -> Took:
    """Compute the passes one after the other; `bits` a second go over the link, in each direction."""
    here: list[set[str]] = [set() for _ in range(workers)]
    now, busy = START_SECONDS, 0.0
    by_stage: dict[str, float] = {}
    for name, shards in passes:
        began, sent, returned = now, now, now
        free = [(now, worker) for worker in range(workers)]
        for shard in shards:
            start, worker = heapq.heappop(free)
            lacking = {file: size for file, size in shard.reads.items() if file not in here[worker]}
            here[worker] |= lacking.keys()
            if lacking:
                sent = max(sent, start) + 8 * sum(lacking.values()) / bits
                start = max(start, sent)
            done = start + shard.seconds
            busy += shard.seconds
            returned = max(returned, done) + 8 * shard.writes / bits
            heapq.heappush(free, (done, worker))
        now = max(returned, *(at for at, _ in free))
        by_stage[name] = by_stage.get(name, 0.0) + now - began
    return Took(workers, now, busy, by_stage)


def _others(passes: Sequence[tuple[str, Pass]]) -> float:
    """Hours of the longest shard that is no training."""
    return max(shard.seconds for name, shards in passes if name != "train" for shard in shards) / 3600


def picture(found: dict[str, list[Took]], path: Path) -> None:
    """Efficiency against workers, a line for each kind of worker."""
    import altair as alt
    import pandas as pd
    import vl_convert

    rows = [
        {"kind": kind, "workers": took.workers, "efficiency": took.efficiency}
        for kind, line in found.items()
        for took in line
    ]
    chart = (
        alt.Chart(pd.DataFrame(rows))
        .mark_line(point=True)
        .encode(
            x=alt.X("workers:Q", scale=alt.Scale(type="log", base=2), axis=alt.Axis(values=list(WORKERS))),
            y=alt.Y("efficiency:Q", title="share of workers' time that computes", scale=alt.Scale(domain=[0, 1])),
            color=alt.Color("kind:N", title=None, sort=list(found), legend=alt.Legend(orient="bottom", labelLimit=400)),
        )
        .properties(width=520, height=260)
    )
    text = {"labelColor": INK, "titleColor": INK, "titleFontWeight": "normal"}
    axis = {**text, "domainColor": INK, "tickColor": INK, "gridColor": INK, "gridOpacity": 0.15}
    style = {"background": None, "view": {"stroke": None}, "axis": axis, "legend": text}
    path.write_text(vl_convert.vegalite_to_svg(chart.to_dict() | {"config": style}), encoding="utf-8")


def table(line: Sequence[Took]) -> str:
    """Markdown: workers, hours, efficiency, and the stages that take most of the time."""
    rows = ["| workers | hours | efficiency | most of the time |", "|---|---|---|---|"]
    for took in line:
        most = sorted(took.by_stage.items(), key=lambda item: -item[1])[:3]
        shares = ", ".join(f"`{name}` {100 * seconds / took.seconds:.0f}%" for name, seconds in most)
        rows.append(f"| {took.workers} | {took.seconds / 3600:,.1f} | {took.efficiency:.2f} | {shares} |")
    return "\n".join(rows)


def main() -> None:
    """Simulate, print tables, write the plot."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("rates", type=Path, help="rates.json of a smoke run of all methods")
    parser.add_argument("--to", type=Path, help="file of the plot, SVG")
    parser.add_argument("--gbit", type=float, default=1.0, help="of the link of the run's process, a second")
    parser.add_argument("--images", type=float, default=IMAGES, help="times the seconds of an image of 64 px")
    parser.add_argument("--vectors", type=float, default=VECTORS, help="times the seconds of a score of 128 features")
    parser.add_argument(
        "--faster", type=float, default=50.0, help="a GPU makes images so many times faster than a core"
    )
    given = parser.parse_args()
    found = {}
    for kind, faster in (("one core each", 1.0), (f"GPUs, images {given.faster:g} times faster", given.faster)):
        given.faster = faster
        passes = list(Work(given).passes())
        found[kind] = [simulate(passes, workers, given.gbit * 1e9) for workers in WORKERS]
        sent = sum(shard.writes for _, shards in passes for shard in shards) / 1e9
        count = sum(len(shards) for _, shards in passes)
        print(
            f"\n{kind}: {len(passes)} passes, {count:,} shards, {sent:.1f} GB written\n\n{table(found[kind])}",
            flush=True,
        )
        longest = max(shard.seconds for _, shards in passes for shard in shards)
        print(f"The longest shard takes {longest / 3600:.1f} h, all but the trainings at most {_others(passes):.2f} h.")
    if given.to:
        picture(found, given.to)


if __name__ == "__main__":
    main()
