"""What the papers claim of their methods, put to this run; and how far the protocols agree on who is best.

A claim is judged where its method and all its rivals were run. It holds if the scores say so; how surely they do is
said with it: by the paired tests of `differences` where the metric is a mean, otherwise by whether intervals overlap.
A score with a flag supports no claim and takes no rank, such as one at matched change that few edits reached.
A claim about FFHQ that fails in another domain is not refuted: it did not carry over.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from pipeline.metrics.base import ALL, LOCALITY, MATCHED, PAPER, RATES, noise_of
from pipeline.report.contents import Contents
from pipeline.report.grids import IDENTITY, label, short
from pipeline.report.matched_level import shown_level
from pipeline.report.sections import PageSection, TextTable

L2L_PAPER = "Khodadadeh et al., WACV 2022"
LLF_PAPER = "LLF, CAAI TRIT 2026"
L2L_RIVALS = ("interfacegan", "styleflow", "ganspace")
# The paper's FID and KID are of few faces edited many times, which mostly tell which faces they are.
QUALITY_CLAIM = "keeps the image quality best, by KID against the same codes unedited (the paper: best FID, best KID)"
TRAINED_ON = "recognizer_a"  # the judge that some losses contain
LLF_RIVALS = ("ganspace", "sefa", "latentclr")


@dataclass(frozen=True)
class Verdict:
    """One claim, its source, by whose scores it was judged, what was found.

    holds: whether it holds here; None where it cannot be tested. sure: whether every rival differs significantly.
    refuted: whether a rival is significantly better. doubt: why nothing can be said, where nothing can.
    """

    claim: str
    source: str
    judged_by: str
    found: str
    holds: bool | None
    sure: bool = True
    refuted: bool = False
    doubt: str = ""

    @property
    def tested(self) -> str:
        """What the tests allow to say of it: holds, does not hold, or cannot be said."""
        if self.holds and self.sure:
            return "holds"
        return "does not hold" if self.holds is False and self.refuted else "cannot be said"

    @property
    def verdict(self) -> str:
        """In words."""
        if self.holds is None:
            return "not testable"
        return "does not hold" if not self.holds else "holds" if self.sure else "holds, but not surely"


@dataclass(frozen=True)
class Order:
    """The ranks of methods by one score of one protocol, 1 the best, None without a score that counts.

    `scores`: the rows of SCORES that were ranked, by method.
    """

    title: str
    ranks: tuple[int | None, ...]
    scores: pd.DataFrame = field(repr=False, compare=False)


def verdicts(contents: Contents) -> list[Verdict]:
    """Every claim that the methods of this run allow to judge."""
    level = shown_level(contents)
    found = [
        *_most_attributes(contents, PAPER, None, "on most attributes"),
        *_most_attributes(contents, MATCHED, level, f"on most attributes, at a matched change of {level:g}"),
        *_best(contents, "l2l", L2L_RIVALS, PAPER, IDENTITY, "keeps the identity best over all attributes", L2L_PAPER),
        *_best(contents, "l2l", L2L_RIVALS, PAPER, "kid_same_codes", QUALITY_CLAIM, L2L_PAPER),
        *_best(contents, "l2l", ("styleflow",), PAPER, "seconds_per_edit", "edits faster than StyleFlow", L2L_PAPER),
        *_best(contents, "llf", LLF_RIVALS, LOCALITY, "locality", "edits more locally than its relatives", LLF_PAPER),
    ]
    return found


def orders(contents: Contents) -> list[Order]:
    """How the protocols rank the competitors: the paper's first, then protocols that equalise the change."""
    level = shown_level(contents)
    wanted: list[tuple[str, str, str, float | None]] = [
        (PAPER, IDENTITY, "paper's grid", None),
        (MATCHED, IDENTITY, f"matched change {level:g}", level),
        (MATCHED, "attribute_dependency_mean", f"matched change {level:g}", level),
        (RATES, "acceptance_area", "rate curves", None),
        (RATES, "preservation_area", "rate curves", None),
    ]
    methods = [name for name in contents.methods if name not in contents.controls]
    found = []
    for protocol, metric, where, at in wanted:
        scores = _of(contents, protocol, metric, at)
        scores = scores[(scores["attribute"] == ALL) & scores["method"].isin(methods)]
        for network in _independent(contents, scores):
            own = scores[scores["network"] == network].set_index("method")
            values = own["value"].where(own["flag"].isna()) * (1 if own["better"].iloc[0] == "lower" else -1)
            ranks = _places(values, noise_of(metric)).reindex(methods)
            judge = "" if network == "none" else f", {short(network, contents.run.domain)}"
            places = tuple(None if pd.isna(rank) else int(rank) for rank in ranks)
            found.append(Order(f"{label(metric)}, {where}{judge}", places, own.reindex(methods)))
    return found


def _places(values: pd.Series, noise: float) -> pd.Series:
    """1 + how many are smaller by more than the noise, for each value; NaN where there is none."""
    smaller = (values.to_numpy()[None, :] < values.to_numpy()[:, None] - noise).sum(axis=1)
    return pd.Series(smaller + 1.0, values.index).where(values.notna())


def _lowest(table: pd.DataFrame, noise: float) -> pd.Series:
    """The method with the lowest score of each row, of those rows in which it is lowest by more than the noise."""
    known = table.dropna()
    ties = known.le(known.min(axis=1) + noise, axis=0).sum(axis=1)
    return known[ties == 1].idxmin(axis=1)


def _of(contents: Contents, protocol: str, metric: str, level: float | None) -> pd.DataFrame:
    scores = contents.scores
    chosen = scores[(scores["protocol"] == protocol) & (scores["metric"] == metric)]
    return chosen[chosen["level"].isna()] if level is None else chosen[chosen["level"] == level]


def _independent(contents: Contents, scores: pd.DataFrame) -> list[str]:
    """The networks that judged, without the recognizer that a loss contains."""
    return [name for name in dict.fromkeys(scores["network"]) if not contents.has_role(name, TRAINED_ON)]


def _most_attributes(contents: Contents, protocol: str, level: float | None, where: str) -> list[Verdict]:
    """L2L keeps the identity best on more attributes than any rival."""
    scores = _of(contents, protocol, IDENTITY, level)
    scores = scores[(scores["attribute"] != ALL) & scores["method"].isin(["l2l", *L2L_RIVALS])]
    found = []
    for network in _independent(contents, scores):
        own_scores = scores[scores["network"] == network]
        if set(own_scores["method"]) != {"l2l", *L2L_RIVALS}:
            continue
        counting = own_scores[own_scores["flag"].isna()]
        table = counting.pivot_table(index="attribute", columns="method", values="value")
        table = table.reindex(columns=["l2l", *L2L_RIVALS])
        lowest_on = _lowest(table, noise_of(IDENTITY))
        wins = lowest_on.value_counts().reindex(["l2l", *L2L_RIVALS], fill_value=0)
        own, rival = int(wins["l2l"]), int(wins[list(L2L_RIVALS)].max())
        key = (contents, protocol, IDENTITY, network)
        surely = sum(
            all(_told_apart(*key, attribute, "l2l", other) for other in L2L_RIVALS)
            for attribute, best in lowest_on.items()
            if best == "l2l"
        )
        beaten = sum(
            any(row[other] < row["l2l"] and _told_apart(*key, attribute, "l2l", other) for other in L2L_RIVALS)
            for attribute, row in table.dropna().iterrows()
        )
        apart = "" if protocol == MATCHED else f", significantly below every rival on {surely}"
        others = ", ".join(f"{name} on {int(wins[name])}" for name in L2L_RIVALS)
        claim = f"l2l keeps the identity best {where}"
        compared, judge = len(table.dropna()), short(network, contents.run.domain)
        lowest = f"lowest on {own} of {compared}{apart}; {others}"
        left = own_scores["attribute"].nunique() - compared
        if left:
            lowest += f"; {left} more cannot be compared, since a score is missing or flagged"
        testable = 2 * compared > own_scores["attribute"].nunique()
        sure = 2 * surely > compared
        doubt = f"significantly below every rival on {surely} of {compared}"
        if not testable:
            doubt = _flags(own_scores) or f"without a score of every method on {left} attributes"
        holds = own > rival if testable else None
        found.append(Verdict(claim, L2L_PAPER, judge, lowest, holds, sure, 2 * beaten > compared, doubt))
    return found


def _best(
    contents: Contents, method: str, rivals: Sequence[str], protocol: str, metric: str, claim: str, source: str
) -> list[Verdict]:
    """The method has a better score over all attributes than each rival."""
    scores = _of(contents, protocol, metric, None)
    scores = scores[(scores["attribute"] == ALL) & scores["method"].isin([method, *rivals])]
    found = []
    for network in _independent(contents, scores):
        own = scores[scores["network"] == network].set_index("method")
        if set(own.index) != {method, *rivals}:
            continue
        sign = 1 if own.loc[method, "better"] == "lower" else -1
        margin = {name: sign * (own.loc[name, "value"] - own.loc[method, "value"]) for name in rivals}
        beaten = [name for name in rivals if margin[name] > noise_of(metric)]
        apart = _sure(contents, own, protocol, metric, network, method)
        parts = [f"{method} {_shown(own.loc[method])}"]
        parts += [f"{name} {_shown(own.loc[name])}{'' if apart(name) else ' (not significant)'}" for name in rivals]
        judge = "no network" if network == "none" else short(network, contents.run.domain)
        holds = len(beaten) == len(rivals) if own["flag"].isna().all() else None
        sure = all(apart(name) for name in rivals)
        refuted = any(apart(name) and margin[name] < -noise_of(metric) for name in rivals)
        near = ", ".join(name for name in rivals if not apart(name))
        doubt = _flags(own.reset_index()) if holds is None else f"not significantly different from {near}"
        found.append(Verdict(f"{method} {claim}", source, judge, "; ".join(parts), holds, sure, refuted, doubt))
    return found


def _sure(
    contents: Contents, own: pd.DataFrame, protocol: str, metric: str, network: str, method: str
) -> Callable[[str], bool]:
    """Whether a rival's score differs from the method's: by the paired test, otherwise by disjoint intervals."""
    key = (protocol, metric, network, ALL, method)

    def apart(rival: str) -> bool:
        if (*key, rival) in contents.told_apart:
            return contents.told_apart[*key, rival]
        one, other = own.loc[method], own.loc[rival]
        return bool(one["ci_high"] < other["ci_low"] or other["ci_high"] < one["ci_low"])

    return apart


def _told_apart(
    contents: Contents, protocol: str, metric: str, network: str, attribute: object, method: str, other: str
) -> bool:
    return contents.told_apart.get((protocol, metric, network, str(attribute), method, other), False)


def _flags(scores: pd.DataFrame) -> str:
    """Why scores do not count: each flag once, with its methods."""
    flagged = scores.dropna(subset=["flag"])
    reasons = flagged.groupby("flag", sort=False)["method"].unique()
    return "; ".join(f"{', '.join(methods)}: {flag}" for flag, methods in reasons.items())


def _shown(row: pd.Series) -> str:
    value = f"{row['value']:.4g}"
    flagged = " ⚑" if isinstance(row["flag"], str) and row["flag"] else ""
    if pd.isna(row["ci_low"]):
        return value + flagged
    return f"{value} [{row['ci_low']:.4g}, {row['ci_high']:.4g}]{flagged}"


def _values(contents: Contents) -> dict[str, Any]:
    found = {"verdicts": verdicts(contents), "orders": orders(contents)}
    competitors = [name for name in contents.methods if name not in contents.controls]
    return {**found, "competitors": competitors} if any(found.values()) else {}


def _lists(contents: Contents) -> list[TextTable]:
    judged = [(one.claim, one.source, one.judged_by, one.found, one.verdict) for one in verdicts(contents)]
    ranked, competitors = orders(contents), [name for name in contents.methods if name not in contents.controls]
    ranks = [
        (name, *("–" if order.ranks[place] is None else str(order.ranks[place]) for order in ranked))
        for place, name in enumerate(competitors)
    ]
    return [
        TextTable("What the papers claim", ("claim", "source", "judged by", "found here", ""), tuple(judged)),
        TextTable("Ranks by protocol", ("method", *(order.title for order in ranked)), tuple(ranks if ranked else ())),
    ]


SECTION = PageSection(
    key="claims",
    title="Claims and rankings",
    order=70,
    template="claims.html.j2",
    values=_values,
    lists=_lists,
)
