"""The memory and disk that a method declares to take."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Cost:
    """Bytes of a trained method and its training, without the domain's networks and the table of training latents.

    trained_bytes: of the files that `Method.save` writes.
    checkpoint_bytes: of the checkpoint of an unfinished training, which takes as much in memory.
    images_per_step: images that a step of optimisation generates and keeps for the gradient.
    image_bytes: of each of these images on the device.
    codes_at_once: number of training codes that `fit` copies at once, for a solver.
    """

    trained_bytes: int
    checkpoint_bytes: int = 0
    images_per_step: int = 0
    image_bytes: int = 0
    codes_at_once: int = 0

    @property
    def step_bytes(self) -> int:
        """Bytes of a step's images on the device."""
        return self.images_per_step * self.image_bytes
