"""Names that become parts of paths: of methods, profiles and whatever else a settings file or a package can bring."""

from __future__ import annotations

import re

RULE = "1 to 64 letters of A to Z, digits and . _ + -, not beginning with a dot"
_FITS = re.compile(r"(?!\.)[A-Za-z0-9._+-]{1,64}", re.ASCII)


def fits(name: str) -> bool:
    """Whether a name may stand in a path: `RULE`."""
    return _FITS.fullmatch(name) is not None


def in_path(text: str) -> str:
    """A text of any kind as a part of a path: every other character becomes `_`, and what is too long is cut.

    A name that `fits` is left as it is.
    """
    cleaned = re.sub(r"[^A-Za-z0-9._+-]", "_", text)[:100]
    return re.sub(r"^\.+", lambda dots: "_" * len(dots[0]), cleaned)
