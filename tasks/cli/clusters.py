"""`latentbench methods llf-clusters`: the number of clusters of LLF."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table

from pipeline.errors import ConfigError
from tasks.cli import options
from tasks.cli.consoles import err, out
from tasks.paths import at_home

MOST_CLUSTERS = 40


def llf_clusters(
    folder: Annotated[
        Path, typer.Option(help="Where choice.png, masks.png and clusters.json go.", callback=at_home)
    ] = Path("outputs/llf-clusters"),
    tap: Annotated[str, typer.Option(help="Block of the generator; empty: as [method.llf] has it.")] = "",
    images: Annotated[int, typer.Option(min=4, max=10_000, help="Faces whose features are clustered.")] = 64,
    ks: Annotated[str, typer.Option(metavar="LOW-HIGH", help="Numbers of clusters that are tried.")] = "2-10",
    shown: Annotated[
        int | None, typer.Option("--k", min=2, max=MOST_CLUSTERS, help="Clusters whose masks are drawn.")
    ] = None,
    domain: options.Domain = "",
    device: options.Device = "",
) -> None:
    """Choose the number of clusters of LLF: elbow, silhouette and canopies over k, and masks drawn over faces.

    In the embedded domain the masks are also scored against the true parts: purity and intersection over union.

    Example:

        latentbench methods llf-clusters --tap b32 --k 9
    """
    from pipeline.methods import registry
    from pipeline.methods.contrastive.llf_clusters import ClusterReport, report_clusters

    settings = options.request(domain=domain, device=device, methods=["llf"]).settings
    configured = registry.unfitted("llf", settings.method_parameters("llf"), settings.source_of("llf")).parameters()
    report: ClusterReport = report_clusters(
        settings,
        folder,
        tap=tap or configured["tap"],
        images=images,
        ks=_span(ks),
        shown=shown or configured["clusters"],
        progress=lambda text: err.print(text, highlight=False),
    )
    _print_choices(report.as_json())


def _span(text: str) -> range:
    low, dash, high = text.partition("-")
    if not (dash and low.isdigit() and high.isdigit() and 2 <= int(low) < int(high) <= MOST_CLUSTERS):
        raise ConfigError(f"--ks {text}: expected LOW-HIGH, two numbers from 2 to {MOST_CLUSTERS}, such as 2-10.")
    return range(int(low), int(high) + 1)


def _print_choices(report: dict[str, Any]) -> None:
    titles = {"explained": "variance explained", "iou": "mean IoU"}
    regions = [{"IoU" if key == "iou" else key: value for key, value in row.items()} for row in report["regions"]]
    for rows, title in ((report["choices"], "Number of clusters"), (regions, f"k = {report['shown']}")):
        table = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False)
        shown = [key for key, value in rows[0].items() if value is not None]
        for key in shown:
            table.add_column(titles.get(key, key))
        for row in rows:
            table.add_row(*(f"{row[key]:.4g}" if isinstance(row[key], float) else str(row[key]) for key in shown))
        out.print(table)
    chosen = ", ".join(f"{rule} {k}" for rule, k in report["k_by"].items())
    out.print(f"k by rule: {chosen}. Feature maps of {report['images']} faces after {report['tap']}.", highlight=False)
    if report["one_cluster"] is not None:
        out.print(f"Purity of a single cluster: {report['one_cluster']:.3f}.", highlight=False)
    out.print("\n".join(report["files"]), highlight=False, soft_wrap=True)
