"""The verbs of `latentbench`: where each is, and what the list of verbs says of it."""

from __future__ import annotations

from tasks.cli.verbs import Verb

RUNS, RESULTS, NAMES, UPKEEP = "Runs", "Results", "What can be named", "Upkeep"

VERBS = (
    Verb(
        "run",
        "tasks.cli.running:run",
        "Run the evaluation: compute every stage that is missing, publish tables and page, print the scores.",
        RUNS,
    ),
    Verb(
        "nightly",
        "tasks.cli.nightly:nightly",
        "Publish a night's evaluation, compare it with the nights before, and send a message if it should be looked "
        "at.",
        RUNS,
    ),
    Verb(
        "plan",
        "tasks.cli.planning:show",
        "Show every stage of a run: what exists, what would be computed, and estimates of time, disk and memory.",
        RUNS,
    ),
    Verb(
        "status",
        "tasks.cli.status:status",
        "Show what lies under the outputs folder: reports, finished stages, what is running, what failed.",
        RUNS,
    ),
    Verb(
        "invalidate",
        "tasks.cli.planning:forget",
        "Remove a stage and everything made from it, so that the next run computes them again. Reports stay.",
        RUNS,
    ),
    Verb(
        "gc",
        "tasks.cli.cleaning:gc",
        "Remove what no published run needs and no profile of luigi.cfg names: says first what, how much and why.",
        UPKEEP,
    ),
    Verb(
        "invert",
        "tasks.cli.inverting:invert",
        "Align photographs as FFHQ does and find the codes whose images come closest (docs/howto/photographs.md).",
        RUNS,
    ),
    Verb(
        "report",
        "tasks.cli.results:report",
        "Print a published run: the leaderboard, what is flagged and why, the page's path; or one of its tables.",
        RESULTS,
        command="tasks.cli.results:ReportCommand",
    ),
    Verb(
        "show",
        "tasks.cli.showing:show",
        "Draw one face edited for one attribute, with strengths and scores below each picture (docs/howto/look.md).",
        RESULTS,
    ),
    Verb(
        "demo",
        "tasks.cli.showing:demo",
        "Edit random faces with sliders, on a page that only this machine can open (docs/howto/look.md).",
        RESULTS,
    ),
    Verb(
        "compare",
        "tasks.cli.results:compare",
        "Compare two published runs score by score, and say which differences are outside noise.",
        RESULTS,
    ),
    Verb(
        "query",
        "tasks.cli.querying:query",
        "Query the published tables by SQL (DuckDB's), reading only; docs/reference/tables.md lists the columns.",
        RESULTS,
    ),
    Verb(
        "export",
        "tasks.cli.querying:export",
        "Write the tables of every published run into one DuckDB file, with the meaning of each column as its comment.",
        RESULTS,
    ),
    Verb(
        "methods",
        "tasks.cli.listing:methods_app",
        "List the editing methods, with paper, unit of strength and what they learn from.",
        NAMES,
    ),
    Verb(
        "attributes",
        "tasks.cli.listing:attributes",
        "List the 35 attributes, and which of them the evaluation edits under which name.",
        NAMES,
    ),
    Verb(
        "protocols",
        "tasks.cli.listing:protocols",
        "List the protocols: question, source, size settings and metrics of each.",
        NAMES,
    ),
    Verb(
        "metrics",
        "tasks.cli.listing:metrics",
        "List the metrics, with unit, which way is better, whose edits they judge, and what they mean.",
        NAMES,
    ),
    Verb(
        "domains",
        "tasks.cli.listing:domains",
        "List the domains: a generator and the networks that judge its images.",
        NAMES,
    ),
    Verb(
        "doctor",
        "tasks.cli.health:doctor",
        "Check packages, weights (sha256), device, cores, disk and file locks. Exits with 1 if a run would fail.",
        UPKEEP,
    ),
    Verb(
        "synthface",
        "tasks.cli.synthface:app",
        "The embedded domain: train its networks from rendered faces, and measure them against the truth.",
        UPKEEP,
    ),
    Verb(
        "scorer",
        "tasks.cli.scorer:app",
        "Scorers of photographs: train one of the two that a domain needs from labelled faces. "
        "docs/howto/own-labels.md says more.",
        UPKEEP,
    ),
    Verb(
        "weights",
        "tasks.cli.weights:app",
        "Weight files of other people: list, fetch, check and import them. docs/howto/weight-files.md and "
        "docs/howto/own-checkpoint.md say more.",
        UPKEEP,
    ),
)

OF_METHODS = (
    Verb(
        "llf-clusters",
        "tasks.cli.clusters:llf_clusters",
        "Choose the number of clusters of LLF: elbow, silhouette and canopies over k, and masks drawn over faces.",
    ),
    Verb(
        "ablate",
        "tasks.cli.ablation:ablate",
        "Run a method with one thing changed at a time, and publish a table and a page of what that does to every "
        "score.",
    ),
    Verb(
        "directions",
        "tasks.cli.directions:directions",
        "Write the directions of a trained method as .npy files: 512 numbers for an attribute, or layers x 512.",
    ),
)
