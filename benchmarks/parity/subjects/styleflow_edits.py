"""StyleFlow's edits, alone, one after another and undone: ours beside their interface's steps by their flow."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from benchmarks.parity.comparison import Comparison, Measured
from benchmarks.parity.measures import relative

if TYPE_CHECKING:
    from torch import Tensor

    from pipeline.methods.interface import Faces

# The order of their sliders, and the first and last of 18 layers that keep an edit of each (main_attribute.py).
ORDER = ("gender", "glasses", "yaw", "pitch", "baldness", "beard", "age", "expression")
KEPT = ((0, 7), (2, 3), (0, 3), (0, 3), (0, 5), (5, 9), (4, 7), (4, 5))
DEPTH = 18
STEPS = (("age", 0.3), ("beard", -0.25), ("yaw", 0.2))  # attribute and wanted change, one after another


def comparisons(flows: Callable[[int], tuple[Any, Any]]) -> tuple[Comparison, ...]:
    """The rows of edits, by the flows of a number of conditions."""

    def chained(steps: tuple[tuple[str, float], ...]) -> Measured:
        """The change of the codes after all steps."""
        method, faces, known = scene(flows)
        start = faces.ws
        for name, change in steps:
            faces = method.edited(faces, strengths(faces, name, change))
        return Measured(relative(faces.ws - start, known(steps) - start))

    def undone() -> Measured:
        """How far edits that are undone, the last one first, end from where they began, over how far they went."""
        method, faces, known = scene(flows)
        start = faces.ws
        back = tuple((name, -change) for name, change in reversed(STEPS))
        farthest = 0.0
        for name, change in STEPS + back:
            faces = method.edited(faces, strengths(faces, name, change))
            farthest = max(farthest, float((faces.ws - start).abs().max()))
        theirs = float((known(STEPS + back) - start).abs().max()) / farthest
        own = float((faces.ws - start).abs().max()) / farthest
        return Measured(max(own, theirs), f"{own:.1e}", f"{theirs:.1e}")

    return (
        Comparison(
            "edit",
            "an edit of one attribute: encode, change by gain times the wish, decode, copy back",
            "4 faces",
            lambda: chained(STEPS[:1]),
            2e-3,
            "of the change",
            formula=True,
        ),
        Comparison(
            "chained_edits",
            "three edits one after another, each encoded again by the wanted attributes",
            "4 faces",
            lambda: chained(STEPS),
            2e-3,
            "of the change",
            formula=True,
        ),
        Comparison(
            "undo",
            "three edits and the same undone, the last one first: distance to the start",
            "4 faces",
            undone,
            2e-3,
            "of the way",
            formula=True,
        ),
    )


def scene(flows: Callable[[int], tuple[Any, Any]]) -> tuple[Any, Faces, Callable[[Any], Tensor]]:
    """Our method with a flow of the eight attributes, faces of 18 layers, and their steps from the same faces."""
    import torch

    from pipeline.attributes import EVALUATED, NAMES
    from pipeline.methods.interface import Faces
    from pipeline.methods.styleflow.method import StyleFlow

    own, known = flows(len(ORDER))
    names = [EVALUATED[name] for name in ORDER]
    method = StyleFlow(standardise=False)
    centre, scale = method.scaling(tuple(names), torch.zeros(1, len(names)))
    method.restore({**own.state_dict(), "centre": centre, "scale": scale}, {"conditions": names})
    rng = torch.Generator().manual_seed(27)
    values = torch.rand(4, len(NAMES), generator=rng)
    faces = Faces(
        (own.first.mean + own.first.variance.sqrt() * torch.randn(4, 512, generator=rng))[:, None].repeat(1, DEPTH, 1),
        values,
    )
    return method, faces, lambda steps: walked(known, faces.ws, method.condition(values), scale, steps)


def strengths(faces: Faces, name: str, change: float) -> Tensor:
    """Strengths (N, 35) that ask for one attribute's change."""
    import torch

    from pipeline.attributes import EVALUATED, NAMES, index_of

    wanted = torch.zeros(len(faces.ws), len(NAMES))
    wanted[:, index_of(EVALUATED[name])] = change
    return wanted


def walked(known: Any, ws: Tensor, condition: Tensor, scale: Tensor, steps: tuple[tuple[str, float], ...]) -> Tensor:
    """Codes (N, 18, 512) after the steps, as their interface takes them.

    It encodes the codes by the attributes, sets one attribute to its value plus gain times change, decodes, puts back
    the layers that the attribute does not keep, and encodes what came of it by the attributes that were asked for.
    """
    import torch

    from pipeline.methods.styleflow.method import GAINS

    padding, target = torch.zeros(len(ws), DEPTH, 1), condition.clone()
    with torch.no_grad():
        z = known(ws, target[:, :, None, None], padding)[0]
        for name, change in steps:
            place = ORDER.index(name)
            target[:, place] += GAINS.get(name, 1.0) * change / scale[place]
            moved = known(z, target[:, :, None, None], padding, True)[0]
            first, last = KEPT[place]
            moved[:, :first], moved[:, last + 1 :] = ws[:, :first], ws[:, last + 1 :]
            ws = moved
            z = known(ws, target[:, :, None, None], padding)[0]
    return ws
