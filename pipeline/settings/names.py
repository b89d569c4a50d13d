"""Names that become parts of paths: names of methods, profiles and other things of a settings file or a package."""

from __future__ import annotations

import re

RULE = "1 to 64 letters of A to Z, digits and . _ + -, not beginning with a dot"
_FITS = re.compile(r"(?!\.)[A-Za-z0-9._+-]{1,64}", re.ASCII)


def fits(name: str) -> bool:
    """Whether a name may stand in a path: `RULE`."""
    return _FITS.fullmatch(name) is not None


def in_path(text: str) -> str:
    """A text of any kind as a part of a path: every other character becomes `_`, and a long text is cut at 100.

    A name that `fits` is left as it is.
    """
    cleaned = re.sub(r"[^A-Za-z0-9._+-]", "_", text)[:100]
    return re.sub(r"^\.+", lambda dots: "_" * len(dots[0]), cleaned)
