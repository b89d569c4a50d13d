"""The face networks of the npm package @vladmandic/human 3.3.6 (MIT), as graphs of TensorFlow.js run in torch.

All take faces (N, 3, H, H) in [-1, 1], the part of the image that `pipeline.networks.crops` cuts for them, and resize
them to the graph's input. Inputs are as in the package's sources: src/face/faceres.ts (pixels of 255),
src/gear/emotion.ts (grey in [-1, 1], weights .2989, .587, .114), src/face/facemeshutil.ts (pixels of 1). The package
cuts every face at 192 px and resizes that bilinearly without antialiasing; here the face is resized once, with it.

The networks come from other people: faceres from A. Savchenko's HSE_FaceRec (MobileNet), emotion from O. Arriaga's
face_classification (mini Xception, FER-2013), facemesh from Google's MediaPipe.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.errors import WeightsError
from pipeline.networks.tfjs.graph import Graph, read_graph

EMOTIONS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")  # order of the outputs
GREY = (0.2989, 0.5870, 0.1140)  # of red, green, blue; they add up to 0.9999
AGES = 100  # classes of age, in years
DIMENSIONS = 1024
MESH_POINTS = 468


@dataclass(frozen=True)
class Description:
    """What the package's network says of faces: `ages` (N, 100) probabilities of years, `male` (N,), `descriptor`.

    `descriptor` (N, 1024) is not negative, and its norm is not 1.
    """

    ages: Tensor
    male: Tensor
    descriptor: Tensor

    @property
    def age(self) -> Tensor:
        """The mean of the ages by their probabilities, (N,) in years; the package prints the likeliest year."""
        return self.ages @ torch.arange(self.ages.shape[1], dtype=self.ages.dtype, device=self.ages.device)


class FaceDescription(nn.Module):
    """Faces (N, 3, H, H) in [-1, 1] -> `Description`; differentiable."""

    dimensions = DIMENSIONS

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self.graph = graph

    def forward(self, faces: Tensor) -> Description:
        male, ages, descriptor = self.graph((resized(faces, self.graph) + 1) * 127.5)
        return Description(ages, male[:, 0], descriptor)


class FaceDescriptor(nn.Module):
    """The descriptor alone: faces (N, 3, H, H) in [-1, 1] -> (N, 1024), not negative; differentiable."""

    dimensions = DIMENSIONS

    def __init__(self, description: FaceDescription) -> None:
        super().__init__()
        self.description = description

    def forward(self, faces: Tensor) -> Tensor:
        return self.description(faces).descriptor


class FaceEmotions(nn.Module):
    """Faces (N, 3, H, H) in [-1, 1] -> probabilities (N, 7), columns as EMOTIONS; differentiable."""

    grey: Tensor

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self.graph = graph
        self.register_buffer("grey", torch.tensor(GREY).view(1, 3, 1, 1), persistent=False)

    def forward(self, faces: Tensor) -> Tensor:
        shares = (resized(faces, self.graph) + 1) / 2
        grey = (shares * self.grey).sum(dim=1, keepdim=True)
        probabilities: Tensor = self.graph((grey - 0.5) * 2)[0]
        return probabilities


class FaceMesh(nn.Module):
    """Faces (N, 3, H, H) in [-1, 1] -> points (N, 468, 3) and the probability of a face (N,); differentiable.

    x and y are shares of the side, from the top left corner; z is in the same unit, smaller where nearer to the camera.
    """

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self.graph = graph

    def forward(self, faces: Tensor) -> tuple[Tensor, Tensor]:
        mesh, probability = self.graph((resized(faces, self.graph) + 1) / 2)
        return mesh.view(-1, MESH_POINTS, 3) / self.graph.shape[1], probability[:, 0]


def resized(faces: Tensor, graph: Graph) -> Tensor:
    """Faces at the graph's input size; bilinear, antialiased."""
    size = graph.shape[1:]
    if faces.shape[-2:] == size:
        return faces
    return functional.interpolate(faces, size=size, mode="bilinear", align_corners=False, antialias=True)


def read_description(path: Path, data: Path) -> FaceDescription:
    """The package's faceres from its .json and .bin. Raises WeightsError."""
    outputs: dict[str, tuple[int, ...]] = {
        "gender_pred/Sigmoid": (1,),
        "age_pred/Softmax": (AGES,),
        "global_pooling/Mean": (DIMENSIONS,),
    }
    return FaceDescription(_graph(path, data, outputs, channels=3))


def read_emotions(path: Path, data: Path) -> FaceEmotions:
    """The package's emotion from its .json and .bin. Raises WeightsError."""
    return FaceEmotions(_graph(path, data, {"Identity": (len(EMOTIONS),)}, channels=1))


def read_mesh(path: Path, data: Path) -> FaceMesh:
    """The package's facemesh from its .json and .bin. Raises WeightsError."""
    return FaceMesh(_graph(path, data, {"Identity_2": (3 * MESH_POINTS,), "Identity_1": (1,)}, channels=3))


def _graph(path: Path, data: Path, outputs: dict[str, tuple[int, ...]], channels: int) -> Graph:
    """A graph with the expected input and outputs."""
    graph = read_graph(path, data, list(outputs))
    found = graph.output_shapes
    if graph.shape[0] != channels or graph.shape[1] != graph.shape[2] or found != list(outputs.values()):
        raise WeightsError(
            f"{path} is another network: expected square images of {channels} channels and outputs "
            f"{list(outputs.values())}, found images {graph.shape} and outputs {found}. Fetch it again."
        )
    return graph
