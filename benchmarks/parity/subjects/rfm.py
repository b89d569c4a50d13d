"""RFM: the regression of its script, which runs when it is imported, written out in our words on flattened codes."""

from __future__ import annotations

import ast
from functools import lru_cache
from typing import Any

from benchmarks.parity.comparison import Checkout, Comparison, Measured, Subject
from benchmarks.parity.embedded import labelled
from benchmarks.parity.loading import folder
from benchmarks.parity.measures import largest

CODES, LAYERS, ENOUGH = 300, 4, 10_000  # layers: copies of w; enough: iterations until both converge
NAMES = ("gender", "age", "yaw")
SETTINGS = {"penalty_l": "l1", "solver": "saga", "max_iter": 500}


def settings() -> Measured:
    """How many of their regression's settings are not those of ours; read off their script, which is not run."""
    from pipeline.methods.rfm import RFM

    tree = ast.parse((folder() / "wd_direction_ms.py").read_text())
    found = {
        node.targets[0].id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.targets[0], ast.Name)
    }
    own = SETTINGS | {"max_iter": RFM().iterations}
    return Measured(float(sum(found.get(key) != value for key, value in own.items())))


@lru_cache(maxsize=1)
def both() -> tuple[Any, Any]:
    """Our directions of one layer (3, 512), and the flattened regression's coefficients (3, LAYERS, 512)."""
    import numpy as np
    from sklearn.linear_model import LogisticRegression

    from pipeline.attributes import EVALUATED, index_of
    from pipeline.methods.rfm import RFM, divide

    data = labelled(CODES)
    method, own, known = RFM(iterations=ENOUGH), [], []
    w = data.w.numpy()
    flat = np.repeat(w[:, None], LAYERS, axis=1).reshape(len(w), -1)
    for name in NAMES:
        values = data.values[:, index_of(EVALUATED[name])].numpy()
        own.append(method._regression(w, values, 0)[0] / LAYERS)
        machine = LogisticRegression(l1_ratio=1.0, solver="saga", max_iter=ENOUGH, random_state=1)
        machine.fit(flat, divide(values)[1])
        known.append(machine.coef_[0].reshape(LAYERS, -1))
    return np.stack(own), np.stack(known)


def layers() -> Measured:
    """How far the layers' coefficients of the flattened regression are apart."""
    _, known = both()
    return Measured(largest(known, known[:, :1].repeat(LAYERS, axis=1)))


def directions() -> Measured:
    """1 less the smallest cosine of our direction of a layer and the flattened regression's."""
    import numpy as np

    own, known = both()
    first = known[:, 0]
    found = (own * first).sum(axis=1) / np.linalg.norm(own, axis=1) / np.linalg.norm(first, axis=1)
    return Measured(1 - float(found.min()), f"cosines {found.min():.4f} to {found.max():.4f}")


SUBJECT = Subject(
    checkout=Checkout("RFM", "disanda/RFM", "b09ea29"),
    comparisons=(
        Comparison("settings", "penalty, solver, iterations of their regression, read off their script", "3", settings),
        Comparison(
            "layers",
            f"coefficients of the {LAYERS} layers of flattened codes: are they equal",
            f"{CODES} codes",
            layers,
            1e-9,
            formula=True,
        ),
        Comparison(
            "directions",
            f"flattened regression ({LAYERS} copies of w), converged, beside ours on w / {LAYERS}",
            f"3 attributes, {CODES} codes",
            directions,
            0.02,
            "1 - cosine",
            formula=True,
        ),
    ),
)
