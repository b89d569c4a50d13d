"""The pictures of matched change: one face edited by several methods until each attribute has moved equally far.

    python -m benchmarks.matched_picture outputs docs/img/matched.jpg
    python -m benchmarks.matched_picture outputs docs/edits.jpg --method interfacegan --method l2l --method random

draws the published run that `outputs/latest` names: a row per method, a column per attribute. Strengths and the
distances below the images are those of the run's table `matched`; the codes are edited and drawn again with the
trained methods that the run kept. A cell without an image is an edit that the method cannot make within its range.
The scores of the same level are printed as a Markdown table.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image, ImageDraw, ImageFont

import latentbench
from pipeline.attributes import NAMES, index_of
from pipeline.chain.links import Chain
from pipeline.chain.work import Work

if TYPE_CHECKING:
    import pandas as pd

METHODS = ("l2l", "interfacegan", "higan", "rfm", "styleflow", "random")
COLUMNS = {  # attribute -> direction and words for it
    "age": (1, "older"),
    "baldness": (1, "balder"),
    "beard": (1, "more beard"),
    "expression": (-1, "less smile"),
    "glasses": (-1, "no glasses"),
    "pitch": (1, "chin up"),
    "yaw": (1, "turned"),
}
SIZE, MARGIN, TITLE = 112, 6, 22
PROTOCOL = "matched-change-1"
SCORES = {
    "unreached_share": "edits not reached ↓",
    "identity_distance": "identity distance ↓",
    "attribute_dependency_mean": "change of other attributes ↓",
}


class Run:
    """A published run with its trained methods: what an edited image needs to be drawn again."""

    def __init__(self, outputs: Path, profile: str, methods: Sequence[str]) -> None:
        from pipeline.chain.inputs import read_faces
        from pipeline.domains import base

        self.methods = methods
        self.settings = latentbench.settings(profile=profile, methods=methods, outputs=outputs)
        self.domain = base.load(self.settings.domain, "cpu")
        self.report = latentbench.report("latest", outputs)
        self.ids, self.faces = read_faces(self.work(methods[0]), self.domain, which="matched")

    def work(self, method: str) -> Work:
        """Stage `matched` of a method, which reads the faces and the trained method."""
        chain = Chain(self.settings)
        return Work(self.settings, chain.stage("matched", method), chain.card, (method,))

    def image(self, method: str, face: int, attribute: str, strength: float) -> Image.Image:
        """The face edited by one method; strength 0 leaves it as it is."""
        import torch

        from pipeline.chain.inputs import load_method
        from pipeline.chain.views import synthesise
        from pipeline.images import to_pil

        faces = self.faces[face : face + 1]
        ws = faces.ws
        with torch.inference_mode():
            if strength:
                strengths = torch.zeros(1, len(NAMES))
                strengths[0, index_of(attribute)] = strength
                ws = load_method(self.work(method)).edit_faces(faces, strengths)
            return to_pil(synthesise(self.domain, ws)[0]).resize((SIZE, SIZE), Image.Resampling.BICUBIC)


def cell(table: pd.DataFrame, method: str, attribute: str, level: float, face_id: int) -> dict[str, Any]:
    """The row of `matched` of one edit."""
    rows = table[(table["method"] == method) & (table["attribute"] == attribute) & (table["level"] == level)]
    rows = rows[(rows["direction"] == COLUMNS[attribute][0]) & (rows["face_id"] == face_id)]
    (row,) = rows.to_dict("records")
    return row


def draw(run: Run, face: int, level: float) -> Image.Image:
    """Rows of methods, columns of attributes, the unedited face first."""
    font, small = ImageFont.load_default(14), ImageFont.load_default(12)
    step, height = SIZE + MARGIN, SIZE + TITLE
    picture = Image.new("RGB", ((len(COLUMNS) + 1) * step, TITLE + len(run.methods) * height), "white")
    canvas, table = ImageDraw.Draw(picture), run.report.frame("matched")
    for column, title in enumerate(("unedited", *(words for _, words in COLUMNS.values()))):
        canvas.text((column * step + SIZE / 2, 2), title, "black", font, anchor="ma")
    for row, method in enumerate(run.methods):
        top = TITLE + row * height
        picture.paste(run.image(method, face, "age", 0.0), (0, top))
        canvas.text((SIZE / 2, top + SIZE + 2), method, "black", font, anchor="ma")
        for column, attribute in enumerate(COLUMNS, start=1):
            edit = cell(table, method, attribute, level, run.ids[face])
            middle = column * step + SIZE / 2
            if not edit["reached"]:
                canvas.rectangle((column * step, top, column * step + SIZE - 1, top + SIZE - 1), "#eeeeee")
                canvas.text((middle, top + SIZE / 2), "not reached", "#555555", small, anchor="mm")
                continue
            picture.paste(run.image(method, face, attribute, edit["strength"]), (column * step, top))
            canvas.text((middle, top + SIZE + 2), f"{edit['identity_recognizer_b']:.2f}", "#333333", small, anchor="ma")
    return picture


def scores(run: Run, level: float) -> str:
    """The scores of the level, as Markdown: a mean with its 95 % interval."""
    table = run.report.frame("scores")
    table = table[(table["protocol"] == PROTOCOL) & (table["level"] == level) & (table["attribute"] == "all")]
    lines = ["| method | " + " | ".join(SCORES.values()) + " |", "|---|" + "---|" * len(SCORES)]
    for method in run.methods:
        rows = table[table["method"] == method]
        texts = []
        for metric in SCORES:
            scored = rows[rows["metric"] == metric]
            named = scored[scored["network"].str.contains("-(?:recognizer_b|scorer_[ab])-")].to_dict("records")
            texts += [f"{r['value']:.2f} [{r['ci_low']:.2f}, {r['ci_high']:.2f}]" for r in named[:1]] or ["–"]
        lines.append(f"| {method} | " + " | ".join(texts) + " |")
    return "\n".join(lines)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("outputs", type=Path)
    parser.add_argument("picture", type=Path, help="the image to write")
    parser.add_argument("--profile", default="smoke", help="the run's profile")
    parser.add_argument("--face", type=int, default=0, help="which of the matched faces, from 0")
    parser.add_argument("--level", type=float, default=1.0, help="standard deviations that the attribute's logit moves")
    parser.add_argument("--method", action="append", help=f"a row; by default {', '.join(METHODS)}")
    given = parser.parse_args()
    run = Run(given.outputs, given.profile, given.method or METHODS)
    draw(run, given.face, given.level).save(given.picture, quality=90)
    print(scores(run, given.level))


if __name__ == "__main__":
    main()
