"""The results page of a published run, as Markdown, with its pictures: every number from the run's tables.

    python -m benchmarks.results outputs --run latest --pictures docs/img > docs/results.md
    python -m benchmarks.results outputs --second other-outputs > docs/results.md

The papers' claims one by one with what the tests allow to say, the ranks by each protocol with scores and intervals,
where the protocols disagree, the controls, what each training came to, the methods' departures, and the sizes. With
`--second`, the rank correlation with the same run of another seed.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import pandas as pd

import latentbench
from benchmarks.results_training import departures, ranks_picture, training_lines, training_picture
from pipeline.metrics.base import ALL, MATCHED, PAPER, RATES
from pipeline.report.archive import LATEST, check_report, find_run
from pipeline.report.contents import Contents, read_contents
from pipeline.report.controls import control_checks
from pipeline.report.matched_level import shown_level
from pipeline.report.sections.claims import Order, orders, verdicts

FLOAT_NOISE = 1e-9  # below it a score is 0
LEAST_METHODS = 3  # with a rank in both orders, for a correlation
MOVED = 4  # ranks between two orders that are worth a sentence
MOST_MOVERS = 4
WORDS = {True: "holds", False: "does not hold", None: "not testable"}


def main() -> None:
    """Print the page, write the pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("outputs", type=Path)
    parser.add_argument("--run", default=LATEST, help="the run's id, the beginning or end of it, or `latest`")
    parser.add_argument("--second", type=Path, help="outputs of the same run with another seed")
    parser.add_argument("--second-run", default=LATEST, help="that run's id")
    parser.add_argument("--pictures", type=Path, help="folder for the pictures, such as docs/img; without it, none")
    given = parser.parse_args()
    contents = read(given.outputs, given.run)
    second = read(given.second, given.second_run) if given.second else None
    pictures = write_pictures(contents, given.pictures) if given.pictures else {}
    print(page(contents, second, pictures), end="")


def read(outputs: Path, name: str) -> Contents:
    """A published run, its files checked."""
    folder = find_run(outputs, name)
    check_report(folder)
    return read_contents(folder)


def write_pictures(contents: Contents, folder: Path) -> dict[str, str]:
    """Write the pictures that the run has; title -> path from the folder above."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = {"ranks": ranks_picture(contents), "training": training_picture(contents)}
    for name, svg in drawn.items():
        if svg:
            (folder / f"results-{name}.svg").write_text(svg, encoding="utf-8")
    return {name: f"{folder.name}/results-{name}.svg" for name, svg in drawn.items() if svg}


def page(contents: Contents, second: Contents | None = None, pictures: dict[str, str] | None = None) -> str:
    """The whole page."""
    shown = pictures or {}
    parts = [
        head(contents),
        claims(contents),
        reach(contents),
        ranking(contents, shown.get("ranks", "")),
        disagreement(contents),
        seeds(contents, second) if second else [],
        controls(contents),
        training(contents, shown.get("training", "")),
        departures(contents),
        sizes(contents),
    ]
    return "\n".join(line for part in parts for line in [*part, ""] if part).rstrip() + "\n"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a Markdown table."""
    texts = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in row) + " |" for row in texts]


def score_text(row: pd.Series) -> str:
    """A score with its interval and flag; a dash for none."""
    if row.isna().all() or pd.isna(row["value"]):
        return "–"
    flag = " ⚑" if isinstance(row["flag"], str) and row["flag"] else ""
    value, low, high = (
        f"{0.0 if abs(row[name]) < FLOAT_NOISE else row[name]:.3g}" for name in ("value", "ci_low", "ci_high")
    )
    return f"{value}{'' if pd.isna(row['ci_low']) else f' [{low}, {high}]'}{flag}"


# Sections


def head(contents: Contents) -> list[str]:
    """Title, what was run, what must be known first."""
    run = contents.run
    others = f", seed {run.experiment['seed']}" if "seed" in run.experiment else ""
    return [
        f"# Results: profile {run.profile} on {run.domain}",
        "",
        f"Written by `python -m benchmarks.results` from run {run.run_id}: no number here was typed. "
        f"{run.n_latents:,} labelled latents, {run.n_faces} faces, {run.n_steps} steps, {run.edits_per_method:,} edits "
        f"per method, {len(contents.methods)} methods{others}. In brackets: 95 % interval over faces. ⚑: flagged, so "
        "that it supports no claim and takes no rank.",
        *(["", f"**{text}**"] if (text := " ".join(filter(None, [run.warning, contents.stand_in_warning]))) else []),
        *(
            []
            if run.domain in ("ffhq", "photoface")
            else ["", f"**None of it is about FFHQ**: generator, faces and judges are {run.domain}'s."]
        ),
    ]


def claims(contents: Contents) -> list[str]:
    """The papers' claims, one by one."""
    rows = []
    for one in verdicts(contents):
        why = f": {one.doubt}" if one.tested == "cannot be said" and one.doubt else ""
        rows.append((one.claim, one.source, one.judged_by, one.found, f"**{one.tested}**{why}"))
    lines = table(("claim", "source", "judged by", "found here", "verdict"), rows)
    return [
        "## What the papers claim",
        "",
        "Holds: better than every rival, significantly. Does not hold: a rival is significantly better. Otherwise it "
        "cannot be said from this run, for the reason that stands there.",
        "",
        *(lines if rows else ["No claim can be put to this run: methods that they compare are missing."]),
    ]


def reach(contents: Contents) -> list[str]:
    """How far the methods move what they edit: without it no other score can be read."""
    level = shown_level(contents)
    wanted = (
        ("attribute change, paper's grid", PAPER, "attribute_change", None),
        (f"changes of {level:g} not reached", MATCHED, "unreached_share", level),
        ("faces that change sides", RATES, "target_change_rate", None),
    )
    columns = {title: whole(contents, protocol, metric, at) for title, protocol, metric, at in wanted}
    columns = {title: scores for title, scores in columns.items() if len(scores)}
    rows = [
        (name, *(score_text(scores.loc[name]) if name in scores.index else "–" for scores in columns.values()))
        for name in contents.methods
    ]
    return ["## How far the edits go", "", *table(("method", *columns), rows)] if columns else []


def whole(contents: Contents, protocol: str, metric: str, level: float | None) -> pd.DataFrame:
    """Scores over all attributes, by method; of the first network where several judge."""
    scores = contents.scores
    own = scores[(scores["protocol"] == protocol) & (scores["metric"] == metric) & (scores["attribute"] == ALL)]
    own = own[own["level"].isna()] if level is None else own[own["level"] == level]
    return own.drop_duplicates("method").set_index("method")


def ranked(contents: Contents) -> dict[str, pd.Series]:
    """Title of each order in which some method has a rank -> ranks by method, without those that have none."""
    competitors = [name for name in contents.methods if name not in contents.controls]
    series = {one.title: pd.Series(one.ranks, competitors, dtype=float).dropna() for one in orders(contents)}
    return {title: ranks for title, ranks in series.items() if len(ranks)}


def ranking(contents: Contents, picture: str) -> list[str]:
    """Rank, score and interval of every competitor by every order."""
    competitors = [name for name in contents.methods if name not in contents.controls]
    made: list[Order] = orders(contents)
    if not made:
        return []
    rows = []
    for place, name in enumerate(competitors):
        cells = [
            f"{'–' if one.ranks[place] is None else one.ranks[place]}: {score_text(one.scores.loc[name])}"
            for one in made
        ]
        rows.append((name, *cells))
    lines = ["## The ranking under each protocol", "", *table(("method", *(one.title for one in made)), rows)]
    return [*lines, "", f"![Ranks by protocol]({picture})"] if picture else lines


def correlation(one: pd.Series, other: pd.Series) -> tuple[float, int]:
    """Spearman's rank correlation over the methods that both rank, and how many those are; NaN for too few."""
    both = one.index.intersection(other.index)
    if len(both) < LEAST_METHODS:
        return math.nan, len(both)
    return float(one[both].rank().corr(other[both].rank())), len(both)


def disagreement(contents: Contents) -> list[str]:
    """Rank correlations between the orders, and the methods that change their ranks the most."""
    made = ranked(contents)
    title = ["## Where the protocols disagree", ""]
    rows = []
    for (first, one), (second, other) in combinations(made.items(), 2):
        rho, count = correlation(one, other)
        rows.append(
            (first, second, "–" if math.isnan(rho) else f"{rho:+.2f}", str(count), "; ".join(movers(one, other)))
        )
    if not rows:
        return [*title, "Fewer than two protocols rank a method here: every score is flagged."]
    return [
        *title,
        f"Spearman's rank correlation over the methods that both rank, and the methods whose ranks among these differ "
        f"by {MOVED} or more.",
        "",
        *table(("order", "other order", "correlation", "methods", "who moves"), rows),
    ]


def movers(one: pd.Series, other: pd.Series) -> Iterator[str]:
    """The methods that move the most between two orders, ranked among the methods of both."""
    both = one.index.intersection(other.index)
    before, after = one[both].rank(method="min"), other[both].rank(method="min")
    moved = (after - before).abs().sort_values(ascending=False, kind="stable")
    for name in moved[moved >= MOVED].index[:MOST_MOVERS]:
        yield f"{name} {before[name]:.0f} to {after[name]:.0f}"


def seeds(contents: Contents, second: Contents) -> list[str]:
    """Rank correlation of each order between two runs."""
    one, other = ranked(contents), ranked(second)
    rows = []
    for title in one:
        if title in other:
            rho, count = correlation(one[title], other[title])
            moved = "; ".join(movers(one[title], other[title]))
            rows.append((title, "–" if math.isnan(rho) else f"{rho:+.2f}", str(count), moved))
    seeds_of = [run.experiment.get("seed") for run in (contents.run, second.run)]
    same = "" if seeds_of[0] != seeds_of[1] else " **Both have the same seed.**"
    words = (
        f"Run {second.run.run_id}, profile {second.run.profile}, seed {seeds_of[1]}, against seed {seeds_of[0]}.{same}"
    )
    lines = (
        table(("order", "correlation", "methods", "who moves"), rows) if rows else ["No order ranks methods in both."]
    )
    return ["## Another seed", "", words, "", *lines]


def controls(contents: Contents) -> list[str]:
    """What the controls must score, and what they scored."""
    rows = [(one.control, one.expected, one.found, WORDS[one.holds]) for one in control_checks(contents.scores)]
    return ["## Controls", "", *table(("control", "expected", "found", ""), rows)] if rows else []


def training(contents: Contents, picture: str) -> list[str]:
    """Steps, losses and seconds of every training."""
    rows = training_lines(contents)
    if not rows:
        return []
    note = "Losses are the methods' own and do not compare between methods. Held out: on codes that no training saw."
    lines = table(
        ("method", "steps", "loss, first to last tenth", "held out, before to after", "learned", "seconds"), rows
    )
    return ["## Training", "", note, "", *lines, *(["", f"![Losses by step]({picture})"] if picture else [])]


def sizes(contents: Contents) -> list[str]:
    """What this run had less of than the published protocol and the full profile; commit, command, machine."""
    run = contents.run
    lines = ["## Sizes, commit and command", ""]
    lines += [f"- {text}" for text in run.smaller] or ["- every size is the published protocol's"]
    lines += [f"- {text}" for text in other_settings(contents, "full")]
    own = list(other_settings(contents, run.profile))
    changed = f", with settings that differ from the profile's today: {'; '.join(own)}" if own else ""
    machine = ", ".join(str(run.machine[key]) for key in ("cores", "processor") if run.machine.get(key))
    busy = sum(stage.get("work_seconds", 0.0) for stage in run.stages)
    return [
        *lines,
        "",
        f"Commit {run.commit or 'unknown'}, `latentbench run --domain {run.domain} --profile {run.profile}`{changed}. "
        f"Machine: {machine} ({run.machine.get('device', '')}); {busy / 3600:.1f} hours of work in all stages.",
    ]


def other_settings(contents: Contents, profile: str) -> Iterator[str]:
    """Settings of the methods in which the run differs from a profile of luigi.cfg as it is now, with both values."""
    methods = [name for name in contents.methods if name in contents.run.settings.get("methods", {})]
    now: dict[str, Any] = latentbench.settings(profile=profile, domain=contents.run.domain, methods=methods).as_json()
    for name in methods:
        own, other = contents.run.settings["methods"][name], now["methods"].get(name, {})
        for key in sorted({*own, *other}):
            if own.get(key) != other.get(key):
                yield f"{name}.{key} {own.get(key, 'none')} ({profile}: {other.get(key, 'none')})"


if __name__ == "__main__":
    main()
