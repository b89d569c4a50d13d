"""face-api's recognizer: dlib's ResNet with 29 convolutions (King, dlib_face_recognition_resnet_model_v1), for 150 px.

Source of the architecture: src/faceRecognitionNet of the package. dlib trained it so that descriptors of one person
lie within a Euclidean distance of 0.6; their norm is not 1. Each convolution is followed by a scale and a bias of its
channels, which are folded into it when the file is read: outputs change by float rounding.
"""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn
from torch.nn import functional

from pipeline.errors import WeightsError
from pipeline.networks.face_api.layers import Input, filled
from pipeline.networks.tfjs.weights import read_weights
from pipeline.networks.trunks import averaged

SIZE = 150
DIMENSIONS = 128
PARTS = ("conv/filters", "conv/bias", "scale/weights", "scale/biases")  # of a layer in the manifest
LAST = {64: 3, 128: 2, 256: 2}  # width -> the number of blocks after the one that halves the resolution


class Residual(nn.Module):
    """Two 3x3 convolutions with a shortcut, ReLU last. `down` halves the resolution."""

    def __init__(self, inputs: int, outputs: int, down: bool = False) -> None:
        super().__init__()
        self.down, self.added = down, outputs - inputs
        self.conv1 = nn.Conv2d(inputs, outputs, 3, 2 if down else 1, 0 if down else 1)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1)

    def forward(self, maps: Tensor) -> Tensor:
        result: Tensor = self.conv2(self.conv1(maps).relu())
        if not self.down:
            return (result + maps).relu()
        # The shortcut is an average with zeros as further channels. Where it is one position larger than the result,
        # zeros are added to the result, below and to the right.
        shortcut = functional.pad(functional.avg_pool2d(maps, 2), (0, 0, 0, 0, 0, self.added))
        rows, columns = (shortcut.shape[axis] - result.shape[axis] for axis in (2, 3))
        return (functional.pad(result, (0, columns, 0, rows)) + shortcut).relu()


class FaceResNet(nn.Module):
    """Faces (N, 3, H, H) in [-1, 1] -> descriptors (N, 128), of no fixed norm; differentiable."""

    dimensions = DIMENSIONS

    def __init__(self) -> None:
        super().__init__()
        self.input = Input(SIZE)
        self.conv32_down = nn.Conv2d(3, 32, 7, 2)
        self.blocks = nn.ModuleDict()
        for index in (1, 2, 3):
            self.blocks[f"conv32_{index}"] = Residual(32, 32)
        for width, last in LAST.items():
            self.blocks[f"conv{width}_down"] = Residual(width // 2, width, down=True)
            for index in range(1, last + 1):
                self.blocks[f"conv{width}_{index}"] = Residual(width, width)
        self.blocks["conv256_down_out"] = Residual(256, 256, down=True)
        self.fc = nn.Linear(256, DIMENSIONS, bias=False)

    def forward(self, faces: Tensor) -> Tensor:
        maps = functional.max_pool2d(self.conv32_down(self.input(faces)).relu(), 3, 2)
        for block in self.blocks.values():
            maps = block(maps)
        descriptors: Tensor = self.fc(averaged(maps))
        return descriptors


def read_recognizer(manifest: Path, data: Path) -> FaceResNet:
    """The package's face_recognition_model from its manifest and .bin. Raises WeightsError."""
    tensors = _folded(read_weights(manifest, data), data)
    return filled(FaceResNet(), tensors, data)


def _folded(tensors: dict[str, Tensor], path: Path) -> dict[str, Tensor]:
    """Convolutions with the scales and biases after them folded in; names as the network's."""
    layers = [name.removesuffix("/conv/filters") for name in tensors if name.endswith("/conv/filters")]
    known = {f"{layer}/{part}" for layer in layers for part in PARTS} | {"fc"}
    if known != tensors.keys():
        odd = sorted(known ^ tensors.keys())
        raise WeightsError(f"{path} does not hold the recognizer: {odd[0]!r} is missing, or belongs to no layer.")
    folded = {"fc": tensors["fc"]}
    for layer in layers:
        filters, bias, scale, shift = (tensors[f"{layer}/{part}"].double() for part in PARTS)
        if not bias.shape == scale.shape == shift.shape == filters.shape[-1:]:
            raise WeightsError(f"{path}: the shapes in layer {layer!r} of the recognizer do not fit together.")
        name = layer if layer == "conv32_down" else f"blocks/{layer}"
        folded |= {f"{name}/filters": (filters * scale).float(), f"{name}/bias": (bias * scale + shift).float()}
    return folded
