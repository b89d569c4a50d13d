"""The 35 attributes of the benchmark, and the eight that it evaluates.

The list is ours and versioned, because the L2L paper prints none. It holds every scalar column of the Microsoft Face
API's response, with which the authors labelled, except exact duplicates and columns with almost no positives.
`docs/reference/attributes.md` explains how 40 columns became 35.
"""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.errors import UnknownNameError

LIST_VERSION = 1  # raise it when a name, its order or its limits change


@dataclass(frozen=True)
class Attribute:
    """A named property of a face; its value is (x - low) / (high - low), clipped to [0, 1].

    `kind` is "continuous" or "binary"; `unit` is the unit of x and of the fixed limits `low` and `high`.
    """

    name: str
    kind: str
    meaning: str
    low: float = 0.0
    high: float = 1.0
    unit: str = "1"


ATTRIBUTES: tuple[Attribute, ...] = (
    Attribute("smile", "continuous", "smiling; the evaluation calls it expression"),
    Attribute("pitch", "continuous", "head turned down (0) to up (1)", -40.0, 40.0, "degree"),
    Attribute("roll", "continuous", "head tilted in the picture plane", -30.0, 30.0, "degree"),
    Attribute("yaw", "continuous", "head turned to its right (0) to its left (1)", -90.0, 90.0, "degree"),
    Attribute("gender", "binary", "female (0) to male (1), as the labelling service called it"),
    Attribute("age", "continuous", "apparent age", 0.0, 75.0, "year"),
    Attribute("moustache", "continuous", "hair on the upper lip"),
    Attribute("beard", "continuous", "hair on chin and jaw"),
    Attribute("sideburns", "continuous", "hair in front of the ears"),
    Attribute("reading_glasses", "binary", "clear glasses"),
    Attribute("sunglasses", "binary", "dark glasses"),
    Attribute("anger", "continuous", "emotion: anger"),
    Attribute("contempt", "continuous", "emotion: contempt"),
    Attribute("disgust", "continuous", "emotion: disgust"),
    Attribute("fear", "continuous", "emotion: fear"),
    Attribute("neutral", "continuous", "emotion: none"),
    Attribute("sadness", "continuous", "emotion: sadness"),
    Attribute("surprise", "continuous", "emotion: surprise"),
    Attribute("blur", "continuous", "blur of the picture"),
    Attribute("exposure", "continuous", "under-exposed (0) to over-exposed (1)"),
    Attribute("noise", "continuous", "sensor noise of the picture"),
    Attribute("eye_makeup", "binary", "eye make-up"),
    Attribute("lip_makeup", "binary", "lip make-up"),
    Attribute("headwear", "binary", "a hat or cap"),
    Attribute("glasses", "binary", "any glasses"),
    Attribute("forehead_occluded", "binary", "the forehead is covered"),
    Attribute("eye_occluded", "binary", "an eye is covered"),
    Attribute("mouth_occluded", "binary", "the mouth is covered"),
    Attribute("baldness", "continuous", "missing hair on the head"),
    Attribute("hair_brown", "continuous", "confidence of brown hair"),
    Attribute("hair_blond", "continuous", "confidence of blond hair"),
    Attribute("hair_black", "continuous", "confidence of black hair"),
    Attribute("hair_red", "continuous", "confidence of red hair"),
    Attribute("hair_grey", "continuous", "confidence of grey hair"),
    Attribute("hair_other", "continuous", "confidence of hair of another colour"),
)

NAMES: tuple[str, ...] = tuple(attribute.name for attribute in ATTRIBUTES)
INDEX: dict[str, int] = {name: index for index, name in enumerate(NAMES)}

# The papers' name of an evaluated attribute -> our attribute.
EVALUATED: dict[str, str] = {
    "age": "age",
    "baldness": "baldness",
    "beard": "beard",
    "expression": "smile",
    "gender": "gender",
    "glasses": "glasses",
    "pitch": "pitch",
    "yaw": "yaw",
}


def get(name: str) -> Attribute:
    """The attribute of a name in NAMES or EVALUATED.

    Raises UnknownNameError, which suggests the closest known name.

    >>> get("age").unit, get("expression").name
    ('year', 'smile')
    >>> get("smlie")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    pipeline.errors.UnknownNameError: No attribute named 'smlie'. Did you mean 'smile'? Known: age, anger, ...
    """
    return ATTRIBUTES[index_of(name)]


def index_of(name: str) -> int:
    """The column, 0 to 34, of a name in NAMES or EVALUATED. Raises UnknownNameError."""
    column = EVALUATED.get(name, name)
    if column not in INDEX:
        raise UnknownNameError("attribute", name, known=(*EVALUATED, *NAMES))
    return INDEX[column]
