"""The number of clusters for LLF: elbow, silhouette and canopies, as a table, a plot and masks over faces.

The authors' reference list has all three rules; their code applies none of them to feature maps. Where the true part of
every pixel is known, in the embedded domain, the masks are scored against it too.

The inertia falls steeply up to three clusters:

>>> from pipeline.methods.contrastive.llf_clusters import elbow
>>> elbow([2, 3, 4, 5], [100.0, 20.0, 15.0, 10.0])
3
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.methods.contrastive.llf_masks import enlarge, fit_clusters, label_maps, mask_sheet, points_of

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from pipeline.settings.settings import Settings

SAMPLE = 2000  # points for silhouette and canopies, which compare every pair
SMALLEST_CANOPY = 0.01  # share of the points; smaller canopies count as noise
TIGHT = 0.5  # McCallum's inner distance T2 in units of the outer one T1
SHOWN = 8  # faces with masks
INK, LINES = "#333333", ("#2f7ed8", "#e07b00")


@dataclass(frozen=True)
class Clustering:
    """The figures of one k. `explained`: share of the variance between clusters. Purity and IoU: None without truth."""

    k: int
    inertia: float
    explained: float
    silhouette: float
    purity: float | None = None
    iou: float | None = None


@dataclass(frozen=True)
class Overlap:
    """Clusters against true parts. `counts` (K, P) pixels; `iou` (K, P); `best` (K,) the part of the highest IoU.

    `purity`: share of pixels whose part is the most common one of their cluster. `mean_iou`: over the parts that occur,
    of the cluster with the highest IoU. `one_cluster`: the purity of a single cluster, the smallest possible.
    """

    counts: np.ndarray
    iou: np.ndarray
    best: np.ndarray
    purity: float
    mean_iou: float
    one_cluster: float


@dataclass
class ClusterReport:
    """The choice of k on a domain's feature maps: `k_by` is what each rule says, `regions` the `shown` clusters."""

    tap: str
    images: int
    choices: list[Clustering]
    k_by: dict[str, int]
    shown: int
    one_cluster: float | None = None
    regions: list[dict[str, Any]] = field(default_factory=list)
    files: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """The report, JSON-compatible."""
        return asdict(self)


def overlap(labels: np.ndarray, parts: np.ndarray, clusters: int, kinds: int) -> Overlap:
    """Clusters (N,) of pixels against their true parts (N,): whole numbers below `clusters` and `kinds`.

    >>> import numpy as np
    >>> overlap(np.array([0, 0, 1, 1]), np.array([0, 0, 0, 1]), clusters=2, kinds=2).purity
    0.75
    """
    import numpy as np

    counts = np.bincount(labels * kinds + parts, minlength=clusters * kinds).reshape(clusters, kinds)
    sizes, totals = counts.sum(axis=1, keepdims=True), counts.sum(axis=0, keepdims=True)
    union = sizes + totals - counts
    iou = np.divide(counts, union, out=np.zeros(counts.shape), where=union > 0)
    occurring = totals[0] > 0
    pixels = max(1, int(counts.sum()))
    return Overlap(
        counts=counts,
        iou=iou,
        best=iou.argmax(axis=1),
        purity=float(counts.max(axis=1).sum() / pixels),
        mean_iou=float(iou.max(axis=0)[occurring].mean()) if occurring.any() else 0.0,
        one_cluster=float(totals.max() / pixels),
    )


def elbow(ks: Sequence[int], inertias: Sequence[float]) -> int:
    """Thorndike's elbow (1953): the k whose inertia lies farthest below the line from the first to the last.

    Both axes are scaled to [0, 1] first.
    """
    import numpy as np

    x = (np.array(ks, float) - ks[0]) / max(1, ks[-1] - ks[0])
    span = inertias[0] - inertias[-1]
    y = (np.array(inertias, float) - inertias[-1]) / (span if span > 0 else 1.0)
    return int(ks[int(np.argmax(1 - x - y))])


def canopies(points: np.ndarray, rng: np.random.Generator) -> int:
    """How many canopies cover points (N, C): McCallum, Nigam & Ungar, KDD 2000.

    A centre is drawn from the remaining points; points within T1 of it are its canopy, and points within T2 of it are
    removed. T1 is the mean distance of two points, T2 = TIGHT T1. Canopies whose inner part holds less than
    SMALLEST_CANOPY of the points are noise and do not count.
    """
    import numpy as np

    first, second = rng.integers(len(points), size=(2, 20_000))
    apart = first != second
    outer = float(np.linalg.norm(points[first[apart]] - points[second[apart]], axis=1).mean())
    left, found = rng.permutation(len(points)), 0
    while len(left):
        near = np.linalg.norm(points[left] - points[left[0]], axis=1) <= TIGHT * outer
        found += int(near.sum()) >= SMALLEST_CANOPY * len(points)
        left = left[~near]
    return found


def choose_k(
    maps: Tensor, ks: Sequence[int], seed: int, parts: Tensor | None = None
) -> tuple[list[Clustering], dict[str, int]]:
    """A row per k of `ks`, ascending, for feature maps (N, C, h, w), and the k of each rule.

    parts: (N, H, H) int64 true parts, of another resolution if need be.
    """
    import numpy as np
    from sklearn.metrics import silhouette_score

    points = points_of(maps)
    rng = np.random.default_rng([seed, 0])
    sample = rng.choice(len(points), min(SAMPLE, len(points)), replace=False)
    total = float(np.square(points - points.mean(axis=0, dtype=np.float64)).sum())
    choices = []
    for k in ks:
        centres = fit_clusters(maps, k, seed)
        found = label_maps(maps, centres)
        labels = found.flatten().cpu().numpy()
        inertia = float(np.square(points - centres.cpu().numpy()[labels]).sum(dtype=np.float64))
        several = len(np.unique(labels[sample])) > 1
        scores: dict[str, float] = {}
        if parts is not None:
            against = overlap_with_parts(found, parts, k)
            scores = {"purity": against.purity, "iou": against.mean_iou}
        choices.append(
            Clustering(
                k=k,
                inertia=inertia,
                explained=1 - inertia / max(total, 1e-30),
                silhouette=float(silhouette_score(points[sample], labels[sample])) if several else 0.0,
                **scores,
            )
        )
    k_by = {
        "elbow": elbow(ks, [choice.inertia for choice in choices]),
        "silhouette": max(choices, key=lambda choice: choice.silhouette).k,
        "canopy": canopies(points[sample], rng),
    }
    return choices, k_by


def overlap_with_parts(labels: Tensor, parts: Tensor, clusters: int) -> Overlap:
    """Label maps (N, h, w), enlarged to the resolution of the true parts (N, H, H), against these parts."""
    grown = enlarge(labels.cpu(), parts.shape[1]).flatten().numpy()
    flat = parts.cpu().flatten().numpy()
    return overlap(grown, flat, clusters, int(flat.max()) + 1)


def draw_choice(report: ClusterReport, path: Path) -> None:
    """Inertia with its elbow and silhouette with its peak over k, and the number of canopies as a line; as PNG."""
    import altair as alt
    import pandas as pd

    rows = pd.DataFrame([{"k": one.k, "inertia": one.inertia, "silhouette": one.silhouette} for one in report.choices])
    panels = []
    for (rule, key, title), colour in zip(
        (("elbow", "inertia", "inertia, by elbow"), ("silhouette", "silhouette", "mean silhouette")), LINES, strict=True
    ):
        chosen = report.k_by[rule]
        base = alt.Chart(rows, title=alt.Title(f"{title}: k = {chosen}", anchor="start")).encode(
            x=alt.X("k:Q", title="clusters k (dotted: canopies)", axis=alt.Axis(tickMinStep=1)),
            y=alt.Y(f"{key}:Q", title=None, scale=alt.Scale(zero=False)),
        )
        canopy = alt.Chart(pd.DataFrame({"k": [report.k_by["canopy"]]})).mark_rule(strokeDash=[2, 2], color=INK)
        layers = [
            base.mark_line(point=True, color=colour),
            base.transform_filter(alt.datum.k == chosen).mark_point(size=220, color=INK),
            canopy.encode(x="k:Q"),
        ]
        panels.append(alt.layer(*layers).properties(width=330, height=210))
    drawing = alt.hconcat(*panels).configure(background="white", line=alt.LineConfig(strokeWidth=1.6))
    drawing.save(str(path), format="png", ppi=120)


def report_clusters(
    settings: Settings,
    folder: Path,
    *,
    tap: str,
    images: int,
    ks: Sequence[int],
    shown: int,
    progress: Callable[[str], None] = print,
) -> ClusterReport:
    """Choose k on a domain's feature maps; writes choice.png, masks.png and clusters.json into `folder`.

    The codes are the first training ids at the domain's truncation; `shown` is the k of the masks. Raises ConfigError
    for a tap that the generator does not have.
    """
    import json

    import numpy as np
    import torch

    from pipeline.domains import base
    from pipeline.errors import ConfigError
    from pipeline.images import save_png
    from stylegan.sampling import draw_z

    domain = base.load(settings.domain, settings.machine.device, settings.experiment.precision, settings.sources)
    generator, seed = domain.generator, settings.experiment.seed
    known = generator.synthesis.block_names
    if tap not in known:
        raise ConfigError(f"--tap: expected one of {', '.join(known)}, found {tap!r}.")
    progress(f"Feature maps of {images} faces after block {tap}")
    with torch.inference_mode():
        w = generator.map_to_w(torch.from_numpy(draw_z(seed, np.arange(images))).to(domain.device))
        w = torch.lerp(generator.mapping.w_avg.to(w), w, settings.experiment.truncation_psi)
        ws = generator.mapping.broadcast(w)
        maps = torch.cat([generator.synthesis.features(part, tap) for part in ws.split(64)])
        faces = generator.synthesis(ws[:SHOWN])
    parts, names = base.true_parts(settings.domain, w, generator.resolution)
    progress(f"K-means for k = {', '.join(str(k) for k in ks)}")
    choices, k_by = choose_k(maps, ks, seed, parts)
    report = ClusterReport(tap, images, choices, k_by, shown)
    labels = label_maps(maps, fit_clusters(maps, shown, seed))
    shares = torch.bincount(labels.flatten(), minlength=shown) / labels.numel()
    report.regions = [{"region": region, "share": round(float(share), 4)} for region, share in enumerate(shares)]
    if parts is not None:
        against = overlap_with_parts(labels, parts, shown)
        report.one_cluster = against.one_cluster
        for entry, part, row, counts in zip(report.regions, against.best, against.iou, against.counts, strict=True):
            purest = int(counts.argmax())
            entry |= {"part": names[part], "iou": round(float(row[part]), 4)}
            entry |= {"mostly": names[purest], "purity": round(float(counts[purest] / max(1, counts.sum())), 4)}
    folder.mkdir(parents=True, exist_ok=True)
    captions = [", ".join(f"{key} {value}" for key, value in entry.items()) for entry in report.regions]
    save_png(mask_sheet(faces.cpu(), labels[:SHOWN].cpu(), captions), folder / "masks.png")
    draw_choice(report, folder / "choice.png")
    report.files = [str(folder / name) for name in ("choice.png", "masks.png", "clusters.json")]
    (folder / "clusters.json").write_text(json.dumps(report.as_json(), indent=1) + "\n")
    return report
