"""How much directions out of files change at each strength: the attribute, identity, faces found, and what else moves.

    python -m benchmarks.direction_strengths FOLDER --domain photoface --names "yaw: pose" --attributes age,expression

FOLDER is as `latentbench run --method file:NAME=FOLDER` takes it. Faces of the domain are edited at every strength, and
judges look at them. A row has means over the faces: the change of the attribute by scorer B and by scorer A, in the
attribute's unit; the identity distance by recognizer B; the share of faces that the detector finds; and the evaluated
attribute that changes most next to it by scorer B, as a share of its range. So one sees whether published directions
work on a generator, and at which strengths. `--picture FILE.png` has the first faces at every strength.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import latentbench
from pipeline.attributes import EVALUATED, get, index_of
from pipeline.chain.sets import z_of
from pipeline.chain.views import View, look_at_codes
from pipeline.domains.base import Domain, load
from pipeline.images import resize, save_png, sheet
from pipeline.methods import registry
from pipeline.methods.interface import Faces, FitData, Method
from pipeline.methods.subject import strengths
from pipeline.settings.settings import Settings

NAME = "given"
SHOWN, PIXELS = 2, 192  # faces of a picture, and their size
HEADER = "| attribute | strength | by scorer B | by scorer A | unit | identity distance | found | most other change |"


def main() -> None:
    """Edit, look, and print a table in Markdown."""
    arguments = parse_arguments()
    torch.set_num_threads(1)
    changes = {f"method.file.{NAME}.{key}": getattr(arguments, key) for key in ("names", "layers", "flip", "normalise")}
    settings = latentbench.settings(
        domain=arguments.domain,
        profile="smoke",
        methods=[f"file:{NAME}={arguments.folder}"],
        attributes=arguments.attributes.split(","),
        changes=changes,
    )
    domain = load(settings.domain, "cpu", sources=settings.sources)
    steps = [float(text) for text in arguments.strengths.split(",")]
    print(f"{HEADER}\n|{'---|' * 8}")
    with torch.inference_mode():
        method, faces = fitted(settings, domain), faces_of(settings, domain, arguments.faces)
        threshold = settings.experiment.detection_threshold
        unedited = look_at_codes(domain, faces.ws, threshold)
        pictures: list[Tensor] = []
        for attribute in settings.experiment.attributes:
            views = looks(domain, method, faces, attribute, steps, threshold)
            for strength, view in zip(steps, views, strict=True):
                print(row(domain, attribute, strength, view, unedited), flush=True)
                pictures.append(resize(view.images[:SHOWN], PIXELS))
    if arguments.picture:
        images = torch.stack(pictures).unflatten(0, (-1, len(steps))).transpose(1, 2).flatten(0, 2)
        save_png(sheet(images, columns=len(steps)), arguments.picture)


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", help="directions, as file:NAME=FOLDER takes them")
    parser.add_argument("--domain", default="photoface")
    parser.add_argument("--attributes", default=",".join(EVALUATED), help="evaluated attributes, separated by commas")
    parser.add_argument("--strengths", default="-4,-2,2,4", help="numbers, separated by commas")
    parser.add_argument("--faces", type=int, default=8)
    parser.add_argument("--picture", type=Path, help="where a picture of the first faces goes")
    for key, default in (("names", ""), ("layers", "all"), ("flip", ""), ("normalise", "false")):
        parser.add_argument(f"--{key}", default=default, help="as in [method.file.NAME] of luigi.cfg")
    return parser.parse_args()


def fitted(settings: Settings, domain: Domain) -> Method:
    """The directions as a method; without codes for naming, nothing is looked at."""
    method = registry.build(NAME, settings.method_parameters(NAME), settings.source_of(NAME))
    method.check(domain.card, settings.experiment.attributes)
    nothing = torch.zeros(0, 512)
    networks = {"generator": domain.generator, "scorer_a": domain.scorer_a, "recognizer_a": domain.recognizer_a}
    method.fit(FitData(w=nothing, values=nothing, seed=settings.experiment.seed, device=domain.device, **networks))
    return method


def faces_of(settings: Settings, domain: Domain, count: int) -> Faces:
    """The first faces that a run edits, truncated as the domain is."""
    z = torch.from_numpy(z_of(settings, "faces", np.arange(count)))
    ws = domain.generator.mapping(z, truncation_psi=settings.experiment.truncation_psi)
    return Faces(ws, values=torch.full((count, 35), 0.5))


def looks(
    domain: Domain, method: Method, faces: Faces, attribute: str, steps: list[float], threshold: float
) -> Iterator[View]:
    """What judges see in the faces at every strength."""
    for strength in steps:
        edited = method.edit_faces(faces, strengths(faces, **{EVALUATED[attribute]: strength}))
        yield look_at_codes(domain, edited, threshold)


def row(domain: Domain, attribute: str, strength: float, view: View, unedited: View) -> str:
    """A row of the table."""
    column, kind = index_of(attribute), get(attribute)
    span = kind.high - kind.low
    changes = (view.values - unedited.values).mean(dim=0)
    by_a = (domain.scorer_a(view.images) - domain.scorer_a(unedited.images)).mean(dim=0)
    others = {name: float(changes[index_of(name)]) for name in EVALUATED if name != attribute}
    others = {name: change for name, change in others.items() if EVALUATED[name] not in domain.card.left_out}
    most = max(others, key=lambda name: abs(others[name]))
    identity = 1 - (view.recognizer_b * unedited.recognizer_b).sum(dim=1).mean()
    return (
        f"| {attribute} | {strength:+g} | {span * float(changes[column]):+.2f} | {span * float(by_a[column]):+.2f} | "
        f"{kind.unit} | {float(identity):.3f} | {float(view.found.float().mean()):.2f} | {most} {others[most]:+.2f} |"
    )


if __name__ == "__main__":
    main()
