"""Labels of generated faces by looking: one row for each face and labelling."""

from __future__ import annotations

from pipeline.tables.fields import index, schema, whole, word

BY_EYE = schema(
    "labels_by_eye",
    [
        word("role", "a or b: the scorer that learns from the face, or is measured on it"),
        whole("k", "id", "the face; its latent id is the role's first id plus k"),
        index("labelling", "1, or 2 for the second, by another labeller who did not see the first"),
        word("glasses", "0 none, r clear, s dark"),
        word("beard", "0 none, 1 stubble, short or only on the chin, 2 full"),
        word("moustache", "0 none, 1 stubble or thin, 2 clear"),
        word("sideburns", "0 none, 1 short or stubble, 2 clear"),
        word("baldness", "0 full hair, 1 receding or thin, 2 bald or nearly, x hidden"),
        word("headwear", "0 none, 1 something on the head"),
        word("hair", "n brown, l blond, k black, r red, g grey or white, o another colour, x not seen"),
        word("eye_makeup", "0 none, 1 visible"),
        word("lip_makeup", "0 none, 1 visible"),
        word("forehead", "1: more than half of the forehead is covered"),
        word("eye", "1: an eye is covered"),
        word("mouth", "1: the mouth is covered"),
    ],
)
