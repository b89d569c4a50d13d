"""Labels by networks: age, sex, smile and emotions, pose; face-api's networks label for role A, human's for role B.

The two packages share no network, and a role's scorer learns from one of them alone. No network reads contempt.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline.attributes import INDEX, NAMES, get
from pipeline.weights.store import Store

if TYPE_CHECKING:
    from torch import Tensor

POSE = ("yaw", "pitch", "roll")  # order of pipeline.networks.head_pose
# A package's word for an emotion -> our attribute.
EMOTIONS = {
    "neutral": "neutral",
    "happy": "smile",
    "sad": "sadness",
    "angry": "anger",
    "fearful": "fear",
    "fear": "fear",
    "disgusted": "disgust",
    "disgust": "disgust",
    "surprised": "surprise",
    "surprise": "surprise",
}
READ = ("age", "gender", *POSE, *dict.fromkeys(EMOTIONS.values()))
Reader = Callable[["Tensor"], np.ndarray]


def reader(role: str, store: Store) -> Reader:
    """The reader of a role, a or b: images (N, 3, H, H) in [-1, 1] -> values (N, 35), NaN where it reads nothing.

    Raises WeightsError for a missing or wrong file.
    """
    return {"a": _face_api, "b": _human}[role](store)


def _face_api(store: Store) -> Reader:
    import torch

    from pipeline.networks.crops import ALIGNED, LANDMARKS, cut, on_image
    from pipeline.networks.face_api import dense
    from pipeline.networks.face_api.xception import read_age_sex
    from pipeline.networks.head_pose import of_landmarks

    age_sex = read_age_sex(*_pair(store, "face-api-age-gender"))
    emotions = dense.read_emotions(*_pair(store, "face-api-face-expression"))
    landmarks = dense.read_landmarks(*_pair(store, "face-api-face-landmark-68"))

    def read(images: Tensor) -> np.ndarray:
        with torch.inference_mode():
            faces = cut(images, ALIGNED)
            age, male = age_sex(faces)
            pose = of_landmarks(on_image(landmarks(cut(images, LANDMARKS)), LANDMARKS))
            return values(age, male, pose, emotions(faces), dense.EMOTIONS)

    return read


def _human(store: Store) -> Reader:
    import torch

    from pipeline.networks import human
    from pipeline.networks.crops import HUMAN, cut
    from pipeline.networks.head_pose import of_mesh

    description = human.read_description(*_pair(store, "human-faceres"))
    emotions = human.read_emotions(*_pair(store, "human-emotion"))
    mesh = human.read_mesh(*_pair(store, "human-facemesh"))

    def read(images: Tensor) -> np.ndarray:
        with torch.inference_mode():
            faces = cut(images, HUMAN)
            described = description(faces)
            return values(described.age, described.male, of_mesh(mesh(faces)[0]), emotions(faces), human.EMOTIONS)

    return read


def _pair(store: Store, name: str) -> tuple[Path, Path]:
    return store.require(f"{name}-json"), store.require(f"{name}-bin")


def values(age: Tensor, male: Tensor, pose: Tensor, emotions: Tensor, words: tuple[str, ...]) -> np.ndarray:
    """Readings as values (N, 35) in [0, 1]: years, degrees (N, 3) as POSE, probabilities (N, 7) as `words`."""
    result = np.full((len(age), len(NAMES)), np.nan, np.float32)
    columns = {"age": age, "gender": male} | {name: pose[:, index] for index, name in enumerate(POSE)}
    columns |= {EMOTIONS[word]: emotions[:, index] for index, word in enumerate(words)}
    for name, column in columns.items():
        limits = get(name)
        result[:, INDEX[name]] = np.clip((column.numpy() - limits.low) / (limits.high - limits.low), 0, 1)
    return result
