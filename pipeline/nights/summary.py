"""A night in words: one paragraph for a terminal and a message, and Markdown for a log or a pull request."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from pipeline.metrics.base import ALL
from pipeline.nights.causes import in_a_sentence
from pipeline.nights.findings import BETTER, CHANGED, DRIFT, STEP, WORSE, FlaggedScore, GateResult
from pipeline.nights.history import Night
from pipeline.nights.notes import Note
from pipeline.report.grids import short

NOUNS = {
    (STEP, WORSE): "regression",
    (STEP, BETTER): "improvement",
    (STEP, CHANGED): "change",
    (DRIFT, WORSE): "drift for the worse",
    (DRIFT, BETTER): "drift for the better",
    (DRIFT, CHANGED): "drift",
}
PLURALS = {noun: noun.replace("drift", "drifts") if "drift" in noun else f"{noun}s" for noun in NOUNS.values()}
MOST = 12  # findings of one group that Markdown lists


def groups_of(findings: Iterable[FlaggedScore]) -> list[list[FlaggedScore]]:
    """Findings of one method, kind and verdict together, alarming ones first; in each the clearest first."""
    groups: dict[tuple[str, str, str], list[FlaggedScore]] = {}
    for finding in findings:
        groups.setdefault((finding.method, finding.kind, finding.verdict), []).append(finding)
    ordered = [sorted(group, key=lambda one: (one.attribute != ALL, one.p)) for group in groups.values()]
    return sorted(ordered, key=lambda group: (not group[0].alarming, group[0].kind, group[0].method))


def verdict(result: GateResult) -> str:
    """The night in a few words, for a subject line."""
    if not result.since:
        return "first night of its series"
    counts: dict[str, int] = {}
    for group in groups_of(result.findings):
        noun = NOUNS[group[0].kind, group[0].verdict]
        counts[noun] = counts.get(noun, 0) + len(group)
    words = [f"{count} {noun if count == 1 else PLURALS[noun]}" for noun, count in counts.items()]
    return ", ".join(words) or "quiet"


def paragraph(night: Night, note: Note, result: GateResult) -> str:
    """The night in one paragraph."""
    domain, profile, _ = night.series
    sentences = [f"Night {night.date} of {domain}, profile {profile}: {verdict(result)}.", *_compared(note, result)]
    for group in groups_of(result.findings):
        sentences.append(_of_group(group, domain))
    if result.gone:
        sentences.append(f"Not there any more: {', '.join(result.gone)}.")
    if result.lost:
        sentences.append(f"Scores without a number that had one: {result.lost}.")
    return " ".join(sentences)


def _compared(note: Note, result: GateResult) -> list[str]:
    """What was compared with what."""
    if not result.since:
        return [f"{result.scores:,} scores, none before to compare with."]
    again = ""
    if note.recompute_from:
        again = f" Stages measured again from {note.recompute_from}: {note.same} to the same bits, {note.other} not."
    if not result.measured:
        return [f"All {result.scores:,} scores are equal to {result.since}'s, to the bit.{again}"]
    some = ", ".join(result.measured) if len(result.measured) < 5 else f"{len(result.measured)} methods"
    tested = f"{result.tested:,} scores and {result.drifts_tested:,} trends tested, {result.moved:,} scores moved"
    sentences = [f"Measured since {result.since}: {some}; {tested}.{again}"]
    if result.moved and result.least_p > result.level / 2:
        sentences.append(f"So few faces can give no p below {result.least_p:g}: a step between two nights cannot show.")
    return sentences


def _of_group(group: Sequence[FlaggedScore], domain: str) -> str:
    first = group[0]
    noun = NOUNS[first.kind, first.verdict]
    count = f"{len(group)} scores" if len(group) > 1 else "1 score"
    return (
        f"{first.method}, {noun} of {count} since {first.since}, the clearest {score_in_words(first, domain)} "
        f"{first.before:.4g} -> {first.after:.4g} (p {first.p:.2g}); likely cause: {in_a_sentence(first.causes)}."
    )


def score_in_words(finding: FlaggedScore, domain: str) -> str:
    """What names the score of a finding."""
    level = "" if finding.level is None else f" at {finding.level:g}"
    attribute = "" if finding.attribute == ALL else f" of {finding.attribute}"
    return f"{finding.metric}{attribute}{level} by {short(finding.network, domain)}"


def markdown(night: Night, note: Note, result: GateResult) -> str:
    """The night as Markdown: its paragraph, and a table for each group of findings."""
    lines = [f"# Night {inert(night.date)}: {verdict(result)}", "", inert(paragraph(night, note, result)), ""]
    for group in groups_of(result.findings):
        first = group[0]
        lines += [f"## {inert(first.method)}: {NOUNS[first.kind, first.verdict]} since {inert(first.since)}", ""]
        lines += [f"Likely cause: {inert(in_a_sentence(first.causes))}.", ""]
        lines += ["| protocol | metric | attribute | level | network | before | tonight | p | tested on |"]
        lines += ["|---|---|---|---|---|---:|---:|---:|---|"]
        lines += [_row(finding) for finding in group[:MOST]]
        more = len(group) - MOST
        lines += [f"\nand {more} more, in `scores.parquet` of the run.\n" if more > 0 else ""]
    lines += [f"Run {inert(night.run_id)}, commit {inert(str(night.manifest.get('commit', 'unknown')))}."]
    return "\n".join(lines) + "\n"


def inert(text: str) -> str:
    r"""Text from outside as one line of Markdown that is no tag, link, picture, code or cell.

    >>> print(inert("<b>a|b</b> ![x](http://x)"))
    \<b>a\|b\</b> !\[x](http://x)
    """
    return re.sub(r"([\\<|`\[])", r"\\\1", " ".join(text.split()))


def _row(finding: FlaggedScore) -> str:
    tested = {STEP: f"{finding.n} faces" if finding.n else "two intervals", DRIFT: f"{finding.n} measurements"}
    level = "" if finding.level is None else f"{finding.level:g}"
    cells = [finding.protocol, finding.metric, finding.attribute, level, finding.network]
    numbers = [f"{finding.before:.4g}", f"{finding.after:.4g}", f"{finding.p:.2g}", tested[finding.kind]]
    return f"| {' | '.join([*map(inert, cells), *numbers])} |"
