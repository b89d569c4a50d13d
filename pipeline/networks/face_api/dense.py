"""face-api's networks of emotions and of 68 landmarks: four dense blocks of separable convolutions, for 112 px.

Source of the architecture: src/faceFeatureExtractor, src/faceExpressionNet and src/faceLandmarkNet of the package.
"""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn

from pipeline.networks.face_api.layers import Input, Separable, read_network
from pipeline.networks.tfjs.padding import SameConv2d
from pipeline.networks.trunks import averaged

SIZE = 112
FEATURES = 256
EMOTIONS = ("neutral", "happy", "sad", "angry", "fearful", "disgusted", "surprised")  # order of the outputs
LANDMARKS = 68


class Dense(nn.Module):
    """A strided convolution, then three more, each of which sees the sum of all before it."""

    def __init__(self, inputs: int, outputs: int, first: bool = False) -> None:
        super().__init__()
        self.conv0 = SameConv2d(inputs, outputs, 3, 2) if first else Separable(inputs, outputs, 2)
        self.conv1 = Separable(outputs, outputs)
        self.conv2 = Separable(outputs, outputs)
        self.conv3 = Separable(outputs, outputs)

    def forward(self, maps: Tensor) -> Tensor:
        first: Tensor = self.conv0(maps).relu()
        total = first + self.conv1(first)
        total = total + self.conv2(total.relu())
        return (total + self.conv3(total.relu())).relu()


class DenseTrunk(nn.Module):
    """Faces (N, 3, H, H) in [-1, 1] -> `outputs` numbers (N, outputs)."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.input = Input(SIZE)
        self.dense0 = Dense(3, 32, first=True)
        self.dense1 = Dense(32, 64)
        self.dense2 = Dense(64, 128)
        self.dense3 = Dense(128, FEATURES)
        self.fc = nn.Linear(FEATURES, outputs)

    def numbers(self, faces: Tensor) -> Tensor:
        """The outputs of the last layer, (N, outputs)."""
        maps = self.dense3(self.dense2(self.dense1(self.dense0(self.input(faces)))))
        numbers: Tensor = self.fc(averaged(maps))
        return numbers


class Emotions(DenseTrunk):
    """Faces (N, 3, H, H) in [-1, 1] -> probabilities (N, 7), columns as EMOTIONS; differentiable."""

    def __init__(self) -> None:
        super().__init__(len(EMOTIONS))

    def forward(self, faces: Tensor) -> Tensor:
        return self.numbers(faces).softmax(dim=1)


class Landmarks68(DenseTrunk):
    """Faces (N, 3, H, H) in [-1, 1] -> landmarks (N, 68, 2): x and y as shares of the side, from the top left corner.

    The order is dlib's: jaw 0 to 16 from the left of the picture, brows 17 to 26, nose 27 to 35 (27 to 30 its bridge,
    33 below its tip), eyes 36 to 47, mouth 48 to 67. Differentiable.
    """

    def __init__(self) -> None:
        super().__init__(2 * LANDMARKS)

    def forward(self, faces: Tensor) -> Tensor:
        return self.numbers(faces).view(-1, LANDMARKS, 2)


def read_emotions(manifest: Path, data: Path) -> Emotions:
    """The package's face_expression_model from its manifest and .bin. Raises WeightsError."""
    return read_network(Emotions(), manifest, data)


def read_landmarks(manifest: Path, data: Path) -> Landmarks68:
    """The package's face_landmark_68_model from its manifest and .bin. Raises WeightsError."""
    return read_network(Landmarks68(), manifest, data)
