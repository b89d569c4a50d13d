"""FFHQ pictures with the JSON files of ffhq-features-dataset (Microsoft Face API, `faceAttributes`).

`json/00000.json` has the labels of the picture `00000.png` in any folder below --images. A file is a list of faces.
Without a face there is no label; of several faces, the one with the largest rectangle is used.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.attributes import INDEX, get
from pipeline.errors import LabelsError
from pipeline.progress import Display
from pipeline.scorer_training.folders import by_stem, pictures_in
from pipeline.scorer_training.labels import (
    BROKEN_LABEL,
    NO_FACE,
    NO_LABEL,
    NO_PICTURE,
    Face,
    Labels,
    Problems,
    collect,
    unknown_values,
)
from pipeline.settings.paths import open_regular
from pipeline.storage.fingerprint import bytes_sha256

FEMALE_TO_MALE = {"female": 0.0, "male": 1.0}
GLASSES = {  # class -> reading_glasses, sunglasses, glasses
    "noglasses": (0.0, 0.0, 0.0),
    "readingglasses": (1.0, 0.0, 1.0),
    "sunglasses": (0.0, 1.0, 1.0),
    "swimminggoggles": (0.0, 0.0, 1.0),
}
HAIR = {colour: f"hair_{colour}" for colour in ("brown", "blond", "black", "red", "other")} | {"gray": "hair_grey"}
OTHER_HAIR = ("unknown", "white")  # in the service's list, but not in the 70,000 files
LARGEST = 1e6  # far above every number in the files; comparison with it also excludes NaN and infinity
ACCESSORIES = ("headwear", "glasses", "mask")
# Our attribute -> the keys of its number in the JSON.
NUMBERS: dict[str, tuple[str, ...]] = {
    "smile": ("smile",),
    **{name: ("headPose", name) for name in ("pitch", "roll", "yaw")},
    "age": ("age",),
    **{name: ("facialHair", name) for name in ("moustache", "beard", "sideburns")},
    **{name: ("emotion", name) for name in ("anger", "contempt", "disgust", "fear", "neutral", "sadness", "surprise")},
    **{name: (name, "value") for name in ("blur", "exposure", "noise")},
    "baldness": ("hair", "bald"),
}
BOOLEANS: dict[str, tuple[str, ...]] = {
    "eye_makeup": ("makeup", "eyeMakeup"),
    "lip_makeup": ("makeup", "lipMakeup"),
    "forehead_occluded": ("occlusion", "foreheadOccluded"),
    "eye_occluded": ("occlusion", "eyeOccluded"),
    "mouth_occluded": ("occlusion", "mouthOccluded"),
}


class _BrokenError(ValueError):
    """One file is not as expected; the text states the fault."""


def read_ffhq(images: Path, labels: Path) -> Labels:
    """The labels of the JSON files below the folder `labels` with a picture below `images`. Raises LabelsError."""
    if not labels.is_dir():
        raise LabelsError(f"--labels {labels}: expected the folder of JSON files 00000.json and so on.")
    files = sorted(file for file in labels.rglob("*.json") if not file.name.startswith("."))  # macOS: ._00000.json
    if not files:
        raise LabelsError(f"--labels {labels}: expected JSON files such as 00000.json in it or below it, found none.")
    pictures, problems, faces = by_stem(pictures_in(images)), Problems(), []
    content: list[str] = []
    seen = set()
    with Display("reading labels", len(files), "files") as display:
        for done, file in enumerate(files, start=1):
            display.update(done)
            if file.stem in seen:
                raise LabelsError(f"--labels {labels}: two files are named {file.name}; expected one for each picture.")
            seen.add(file.stem)
            try:
                with open_regular(file) as reading:
                    data = reading.read()
                content.append(f"{file.relative_to(labels).as_posix()} {bytes_sha256(data)}\n")
                values = values_of(data)
            except (OSError, _BrokenError) as error:
                problems.note(BROKEN_LABEL, file.name, str(error))
                continue
            if values is None:
                problems.note(NO_FACE, file.name)
            elif file.stem not in pictures:
                problems.note(NO_PICTURE, file.name)
            else:
                faces.append(Face(pictures[file.stem], values, file.stem))
    for stem in sorted(set(pictures) - seen):
        problems.note(NO_LABEL, pictures[stem])
    sha256 = bytes_sha256("".join(content).encode(errors="surrogateescape"))
    return collect("ffhq", faces, "picture", {f"{labels.name}/*.json": sha256}, problems)


def values_of(data: bytes) -> np.ndarray | None:
    """The values (35,) in [0, 1] of one JSON file, NaN where unknown; None for a file without faces.

    Raises ValueError, with the fault, for any other content.
    """
    try:
        faces = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise _BrokenError(f"no JSON ({error})") from error
    if not isinstance(faces, list) or not all(isinstance(face, dict) for face in faces):
        raise _BrokenError("expected a list of faces")
    if not faces:
        return None
    face = faces[0] if len(faces) == 1 else max(faces, key=_area)
    answer = face.get("faceAttributes")
    if not isinstance(answer, dict):
        raise _BrokenError("no faceAttributes")
    values = unknown_values()
    for name, value in _known(answer):
        values[INDEX[name]] = value
    if np.isnan(values).all():
        raise _BrokenError("faceAttributes has none of the known attributes")
    return values


def _area(face: dict[str, Any]) -> float:
    width, height = (_at(face, ("faceRectangle", side), _number) for side in ("width", "height"))
    if width is None or height is None:
        raise _BrokenError("several faces, and one without a rectangle")
    return float(width * height)


def _known(answer: dict[str, Any]) -> Iterator[tuple[str, float]]:
    """Pairs of attribute and value in [0, 1], for every attribute in the service's answer."""
    for name, keys in NUMBERS.items():
        number = _at(answer, keys, _number)
        if number is not None:
            yield name, _scaled(name, number)
    for name, keys in BOOLEANS.items():
        flag = _at(answer, keys, _boolean)
        if flag is not None:
            yield name, flag
    gender = _at(answer, ("gender",), _one_of(FEMALE_TO_MALE))
    if gender is not None:
        yield "gender", FEMALE_TO_MALE[gender]
    glasses = _at(answer, ("glasses",), _one_of(GLASSES))
    if glasses is not None:
        yield from zip(("reading_glasses", "sunglasses", "glasses"), GLASSES[glasses], strict=True)
    worn = _confidences(answer, ("accessories",), "type", ACCESSORIES)
    if worn is not None:
        yield "headwear", worn.get("headwear", 0.0)
    colours = _confidences(answer, ("hair", "hairColor"), "color", (*HAIR, *OTHER_HAIR))
    if colours and not _at(answer, ("hair", "invisible"), _boolean):
        yield from ((name, colours.get(colour, 0.0)) for colour, name in HAIR.items())


def _scaled(name: str, number: float) -> float:
    """A number in the attribute's unit, scaled to [0, 1] and clipped. Raises _BrokenError if it is impossible."""
    attribute = get(name)
    if attribute.unit == "1" and not 0 <= number <= 1:
        raise _BrokenError(f"{name} is {number}, expected 0 to 1")
    if attribute.unit == "degree" and abs(number) > 180 or attribute.unit == "year" and not 0 <= number <= 150:
        raise _BrokenError(f"{name} is {number} {attribute.unit}s")
    return min(1.0, max(0.0, (number - attribute.low) / (attribute.high - attribute.low)))


def _at(answer: Any, keys: tuple[str, ...], read: Callable[[Any, str], Any]) -> Any:
    """`read` applied to the value under nested `keys`; None if a key is missing or null."""
    for depth, key in enumerate(keys):
        if not isinstance(answer, dict):
            raise _BrokenError(f"{'.'.join(keys[:depth])} is {repr(answer):.40}, expected an object")
        answer = answer.get(key)
        if answer is None:
            return None
    return read(answer, ".".join(keys))


def _number(value: Any, where: str) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < LARGEST:
        return float(value)
    raise _BrokenError(f"{where} is {repr(value):.40}, expected a number")


def _boolean(value: Any, where: str) -> float:
    if not isinstance(value, bool):
        raise _BrokenError(f"{where} is {repr(value):.40}, expected true or false")
    return float(value)


def _one_of(known: dict[str, Any]) -> Callable[[Any, str], str]:
    def read(value: Any, where: str) -> str:
        if not isinstance(value, str) or value.lower() not in known:
            raise _BrokenError(f"{where} is {repr(value):.40}, expected one of {', '.join(known)}")
        return value.lower()

    return read


def _confidences(
    answer: dict[str, Any], keys: tuple[str, ...], key: str, known: tuple[str, ...]
) -> dict[str, float] | None:
    """A list of {key: name, confidence: number} as a mapping; None if the answer has no such list."""

    def read(entries: Any, where: str) -> dict[str, float]:
        if not isinstance(entries, list):
            raise _BrokenError(f"{where} is {repr(entries):.40}, expected a list")
        mapping = {}
        for entry in entries:
            name = _at(entry, (key,), _one_of(dict.fromkeys(known)))
            confidence = _at(entry, ("confidence",), _number)
            if name is None or confidence is None or not 0 <= confidence <= 1:
                raise _BrokenError(f"{where} has {repr(entry):.60}, expected {key} and a confidence of 0 to 1")
            mapping[name] = confidence
        return mapping

    return _at(answer, keys, read)
