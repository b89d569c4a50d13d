"""A package with two methods: `stepping`, whose version 2 forgets signs, and `drifting`, which leaks ever more.

Its files lie in a folder of the simulation, which is on Python's path as an installed package's would be.
"""

from __future__ import annotations

from pathlib import Path

MODULE, PACKAGE = "thirty_nights_methods", "thirty_nights_methods-1.0.dist-info"
STEPPING, DRIFTING = "stepping", "drifting"
NIGHTS = "nights"  # the setting of DRIFTING: nights since it began to drift
CODE = '''
"""Directions of least squares that leak into the direction of glasses."""

import hashlib

from latentbench import Cost, FitData, Method, Paper

LEAK = 0.5  # into the direction of glasses


class LeastSquares(Method):
    """w' = w + s (n + leak m), with n the unit gradient of the attribute and m the one of glasses."""

    paper = Paper("Thirty nights", "benchmarks/thirty_nights")
    unit = "length in W"
    supervision = "labels"

    def cost(self, card):
        return Cost(trained_bytes=36 * 512 * 4, codes_at_once=10**9)

    def fit(self, data: FitData) -> None:
        import torch

        w, values = (part.double() - part.double().mean(0) for part in (data.w, data.values))
        gram = w.T @ w + 10.0 * torch.eye(w.shape[1], dtype=w.dtype)
        slopes = torch.linalg.solve(gram, w.T @ values).T
        directions = torch.nn.functional.normalize(slopes, dim=1).float().to(data.device)
        self.directions_ = torch.cat([directions, directions[[data.attributes.index("glasses")]]])

    def leaks(self, ws):
        raise NotImplementedError

    def edit(self, ws, strengths, values):
        import torch

        directions = self.directions_.to(ws)
        moved = strengths.to(ws) @ directions[:-1]
        length = strengths.to(ws).sum(dim=1)
        leaked = torch.tensor(self.leaks(ws)).to(ws) * length
        return ws + (moved + leaked[:, None] * directions[-1])[:, None]

    def state(self):
        return {"directions": self.directions_}

    def restore(self, state, facts):
        self.directions_ = state["directions"]


class Stepping(LeastSquares):
    """Forgets the sign of the strengths from version 2 on."""

    name, version = "stepping", VERSION

    def edit(self, ws, strengths, values):
        return super().edit(ws, strengths if self.version == 1 else strengths.abs(), values)

    def leaks(self, ws):
        return [LEAK] * len(ws)


class Drifting(LeastSquares):
    """Every face leaks by chance, another chance each night, and all of them more from night to night."""

    name, version = "drifting", 1

    def __init__(self, *, nights: int = 0) -> None:
        self.nights = nights

    def parameters(self):
        return {"nights": self.nights}

    def leaks(self, ws):
        import numpy as np

        codes = ws[:, 0, :8].float().cpu().numpy()
        keys = [hashlib.sha256(code.tobytes() + bytes([self.nights])).digest() for code in codes]
        chance = [np.random.default_rng(list(key)).normal() for key in keys]
        return [LEAK + SCATTER * each + SLOPE * self.nights for each in chance]
'''
SCATTER, SLOPE = 0.3, 0.1  # of the leak: deviation over faces, and what each night adds


def write(folder: Path, version: int) -> None:
    """Write the package, with that version of STEPPING."""
    info = folder / PACKAGE
    info.mkdir(parents=True, exist_ok=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: thirty-nights-methods\nVersion: 1.0\n")
    names = {STEPPING: "Stepping", DRIFTING: "Drifting"}
    lines = [f"{name} = {MODULE}:{kind}" for name, kind in names.items()]
    (info / "entry_points.txt").write_text("\n".join(["[latentbench.methods]", *lines]) + "\n")
    values = {"VERSION": version, "SCATTER": SCATTER, "SLOPE": SLOPE}
    head = "".join(f"{name} = {value}\n" for name, value in values.items())
    docstring, rest = CODE.lstrip().split("\n\n", 1)
    imports, body = rest.split("\nLEAK", 1)
    (folder / f"{MODULE}.py").write_text(f"{docstring}\n\n{imports}\n{head}LEAK{body}")
