"""Rendered faces written out in the three layouts that scorers are trained from."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from pipeline.attributes import ATTRIBUTES, INDEX, NAMES, get
from pipeline.images import to_pil
from pipeline.scorer_training import celeba

CELEBA_NAMES = (
    "5_o_Clock_Shadow Arched_Eyebrows Attractive Bags_Under_Eyes Bald Bangs Big_Lips Big_Nose Black_Hair Blond_Hair "
    "Blurry Brown_Hair Bushy_Eyebrows Chubby Double_Chin Eyeglasses Goatee Gray_Hair Heavy_Makeup High_Cheekbones Male "
    "Mouth_Slightly_Open Mustache Narrow_Eyes No_Beard Oval_Face Pale_Skin Pointy_Nose Receding_Hairline Rosy_Cheeks "
    "Sideburns Smiling Straight_Hair Wavy_Hair Wearing_Earrings Wearing_Hat Wearing_Lipstick Wearing_Necklace "
    "Wearing_Necktie Young"
).split()


def in_unit(name: str, value: float) -> float:
    """A value in [0, 1] in degrees or years."""
    limits = get(name)
    return limits.low + value * (limits.high - limits.low)


def answer(values: np.ndarray) -> dict[str, Any]:
    """One face as the labelling service tells it."""
    value = {name: float(values[INDEX[name]]) for name in NAMES}
    glasses = "ReadingGlasses" if value["reading_glasses"] else "Sunglasses" if value["sunglasses"] else ""
    emotions = ("anger", "contempt", "disgust", "fear", "neutral", "sadness", "surprise")
    colours = {"brown": "brown", "blond": "blond", "black": "black", "red": "red", "gray": "grey", "other": "other"}
    return {
        "smile": value["smile"],
        "headPose": {name: in_unit(name, value[name]) for name in ("pitch", "roll", "yaw")},
        "gender": "male" if value["gender"] > 0.5 else "female",
        "age": in_unit("age", value["age"]),
        "facialHair": {name: value[name] for name in ("moustache", "beard", "sideburns")},
        "glasses": glasses or ("SwimmingGoggles" if value["glasses"] else "NoGlasses"),
        "emotion": {name: value[name] for name in emotions} | {"happiness": value["smile"]},
        "blur": {"blurLevel": "low", "value": value["blur"]},
        "exposure": {"exposureLevel": "goodExposure", "value": value["exposure"]},
        "noise": {"noiseLevel": "low", "value": value["noise"]},
        "makeup": {"eyeMakeup": value["eye_makeup"] > 0.5, "lipMakeup": value["lip_makeup"] > 0.5},
        "accessories": [{"type": "headwear", "confidence": value["headwear"]}] if value["headwear"] else [],
        "occlusion": {f"{part}Occluded": value[f"{part}_occluded"] > 0.5 for part in ("forehead", "eye", "mouth")},
        "hair": {
            "bald": value["baldness"],
            "invisible": value["headwear"] > 0.5,
            "hairColor": []
            if value["headwear"] > 0.5
            else [{"color": theirs, "confidence": value[f"hair_{ours}"]} for theirs, ours in colours.items()],
        },
    }


def face(attributes: dict[str, Any], width: int = 60, height: int = 60) -> dict[str, Any]:
    """An entry of a file's list."""
    rectangle = {"top": 40, "left": 30, "width": width, "height": height}
    return {"faceId": "0", "faceRectangle": rectangle, "faceAttributes": attributes}


def write_ffhq(folder: Path, images: Tensor, values: np.ndarray) -> tuple[Path, Path]:
    """PNGs in folders of a thousand and one JSON file each; answers both folders."""
    pictures, labels = folder / "images" / "00000", folder / "json"
    pictures.mkdir(parents=True)
    labels.mkdir()
    for row in range(len(images)):
        to_pil(images[row]).save(pictures / f"{row:05d}.png")
        (labels / f"{row:05d}.json").write_text(json.dumps([face(answer(values[row]))]))
    return pictures.parent, labels


def write_celeba(folder: Path, images: Tensor, values: np.ndarray) -> tuple[Path, Path]:
    """JPEGs, the attribute file and the pose file as CelebAMask-HQ has them; answers both folders."""
    pictures = folder / "CelebA-HQ-img"
    pictures.mkdir(parents=True)
    poses = []
    rows = {}
    for row in range(len(images)):
        to_pil(images[row]).save(pictures / f"{row}.jpg", quality=95)
        said = dict.fromkeys(CELEBA_NAMES, False)
        for ours, theirs in celeba.COUNTERPARTS.items():
            said[theirs] = bool(values[row, INDEX[ours]] > 0.5) != (ours in celeba.INVERTED)
        rows[f"{row}.jpg"] = said
        degrees = (in_unit(name, values[row, INDEX[name]]) for name in ("yaw", "pitch", "roll"))
        poses.append(f"{row}.jpg " + " ".join(f"{value:.4f}" for value in degrees))
    write_attributes(folder / "CelebAMask-HQ-attribute-anno.txt", rows)
    (folder / celeba.POSE).write_text("\n".join([str(len(images)), "Yaw Pitch Raw", *poses]) + "\n")
    return pictures, folder


def write_attributes(path: Path, rows: dict[str, dict[str, bool]]) -> None:
    """An attribute file: count, names, then -1 and 1 in columns of blanks."""
    lines = [f"{name}  " + " ".join(f"{1 if said[key] else -1:2d}" for key in said) for name, said in rows.items()]
    path.write_text("\n".join([str(len(rows)), " ".join(CELEBA_NAMES) + " ", *lines]) + "\n")


def write_table(folder: Path, images: Tensor, values: np.ndarray, names: tuple[str, ...]) -> tuple[Path, Path]:
    """PNGs and a CSV with some of the attributes; answers the folder of pictures and the file."""
    pictures = folder / "faces"
    pictures.mkdir(parents=True)
    with (folder / "faces.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["path", *names])
        for row in range(len(images)):
            to_pil(images[row]).save(pictures / f"{row}.png")
            rows.writerow([f"{row}.png", *(f"{values[row, INDEX[name]]:.6f}" for name in names)])
    return pictures, folder / "faces.csv"


assert len(CELEBA_NAMES) == 40 and len(ATTRIBUTES) == 35
