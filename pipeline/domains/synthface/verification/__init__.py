"""The requirements (bars) of synthface, measured on faces that no training used.

`latentbench synthface verify` measures the groups below, one file each, and prints one table. Imports no torch.
"""

from __future__ import annotations

from collections.abc import Iterable

from pipeline.errors import UnknownNameError

GROUPS: tuple[str, ...] = ("population", "renderer", "latent_space", "networks", "generator")


def chosen_groups(names: Iterable[str]) -> tuple[str, ...]:
    """The groups to measure, in their order; without names, all of them. Raises UnknownNameError."""
    wanted = list(names)
    for name in wanted:
        if name not in GROUPS:
            raise UnknownNameError("group of verification", name, GROUPS)
    return tuple(name for name in GROUPS if not wanted or name in wanted)
