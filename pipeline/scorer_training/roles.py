"""The two roles of a scorer: A labels and trains, B only judges. Their architectures and seeds."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.errors import ConfigError, UnknownNameError


@dataclass(frozen=True)
class Role:
    """`trunks`: architecture -> width, the default first. The two roles share no trunk and no default seed."""

    trunks: dict[str, int]
    seed: int


ROLES = {
    "a": Role({"resnet18": 64, "residual": 32}, 41),
    "b": Role({"mobilenet_v3_large": 16, "plain": 28}, 42),
}


def choose(role: str, architecture: str, seed: int | None) -> tuple[str, int, int]:
    """Architecture, width and seed of a role; an empty architecture or a seed of None means the role's default.

    Raises UnknownNameError, and ConfigError for an architecture or the seed of the other role.

    >>> choose("a", "", None)
    ('resnet18', 64, 41)
    """
    if role not in ROLES:
        raise UnknownNameError("role", role, ROLES)
    trunks, default_seed = ROLES[role].trunks, ROLES[role].seed
    chosen = architecture or next(iter(trunks))
    if chosen not in trunks:
        role_of = {name: key for key, any_role in ROLES.items() for name in any_role.trunks}
        if chosen not in role_of:
            raise UnknownNameError("architecture", chosen, role_of)
        raise ConfigError(
            f"--architecture {chosen} is of role {role_of[chosen]}: A and B must not share their errors. "
            f"Expected one of {', '.join(trunks)} for role {role}."
        )
    taken = {any_role.seed: key for key, any_role in ROLES.items() if key != role}
    if seed in taken:
        raise ConfigError(f"--seed {seed} is the seed of role {taken[seed]}; choose another for role {role}.")
    return chosen, trunks[chosen], default_seed if seed is None else seed
