"""The two roles of a scorer, and how a training is named: A labels and trains, B only judges."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.errors import ConfigError, UnknownNameError


@dataclass(frozen=True)
class Role:
    """`trunks`: architecture -> width, the default first. No trunk serves both roles, and neither does a seed."""

    trunks: dict[str, int]
    seed: int


ROLES = {
    "a": Role({"resnet18": 64, "residual": 32}, 41),
    "b": Role({"mobilenet_v3_large": 16, "plain": 28}, 42),
}


def choose(role: str, architecture: str, seed: int | None) -> tuple[str, int, int]:
    """Architecture, width and seed of a role; an empty or missing one is the role's default.

    Raises UnknownNameError, or ConfigError for the architecture or the seed of the other role.
    """
    if role not in ROLES:
        raise UnknownNameError("role", role, ROLES)
    own = ROLES[role]
    chosen = architecture or next(iter(own.trunks))
    if chosen not in own.trunks:
        others = {name: key for key, other in ROLES.items() for name in other.trunks}
        if chosen not in others:
            raise UnknownNameError("architecture", chosen, others)
        raise ConfigError(
            f"--architecture {chosen} is of role {others[chosen]}: A and B must not share their mistakes. "
            f"Expected one of {', '.join(own.trunks)} for role {role}."
        )
    taken = {other.seed: key for key, other in ROLES.items() if key != role}
    if seed in taken:
        raise ConfigError(f"--seed {seed} is the seed of role {taken[seed]}; choose another for role {role}.")
    return chosen, own.trunks[chosen], own.seed if seed is None else seed
