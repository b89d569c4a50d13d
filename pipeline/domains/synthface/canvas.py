"""Named access to the factors of faces, and the canvas on which the parts are painted."""

import torch
from torch import Tensor

from pipeline.domains.synthface.factors import FACTOR_NAMES, PARTS

PART_INDEX = {part: place for place, part in enumerate(PARTS)}


class FactorPlanes:
    """The factors of N faces by name: `faces("smile")` is (N, 1, 1), which broadcasts with planes (N, H, W)."""

    def __init__(self, factors: Tensor) -> None:
        columns = factors.to(torch.float32).T.contiguous()
        self._columns = {n: c[:, None, None] for n, c in zip(FACTOR_NAMES, columns, strict=True)}
        self.count = factors.shape[0]

    def __call__(self, name: str) -> Tensor:
        """A factor in [0, 1], shape (N, 1, 1)."""
        return self._columns[name]

    def signed(self, name: str) -> Tensor:
        """A factor scaled to [-1, 1], shape (N, 1, 1)."""
        return self._columns[name] * 2 - 1

    def colour(self, stem: str) -> Tensor:
        """The factors stem_red, stem_green and stem_blue as a colour (N, 3, 1, 1)."""
        return torch.stack([self(f"{stem}_{c}") for c in ("red", "green", "blue")], dim=1)


def rgb(red: float, green: float, blue: float) -> Tensor:
    """A constant colour, (1, 3, 1, 1), channels in [0, 1]."""
    return torch.tensor([red, green, blue])[None, :, None, None]


def palette(place: Tensor, colours: tuple[tuple[float, float, float], ...]) -> Tensor:
    """Colours (N, 3, 1, 1), interpolated at a position (N, 1, 1) in [0, 1] along a row of colours."""
    stops = torch.tensor(colours)
    along = place[:, 0, 0] * (len(colours) - 1)
    low = along.floor().long().clamp(0, len(colours) - 2)
    mixed = torch.lerp(stops[low], stops[low + 1], (along - low)[:, None])
    return mixed[:, :, None, None]


class Canvas:
    """A picture (N, 3, H, W) in [0, 1] and, with `masks`, the share of each part in each pixel."""

    def __init__(self, picture: Tensor, part: str, masks: bool) -> None:
        self.picture = picture
        self.masks: Tensor | None = None
        if masks:
            count, _, height, width = picture.shape
            self.masks = torch.zeros(count, len(PARTS), height, width)
            self.masks[:, PART_INDEX[part]] = 1

    def paint(self, part: str | None, colour: Tensor, alpha: Tensor) -> None:
        """Blend in `colour` (N or 1, 3, H or 1, W or 1) with the opacity alpha (N, H, W)."""
        self.picture.lerp_(colour.expand_as(self.picture), alpha[:, None])
        if part is not None:
            self.claim(part, alpha)

    def tint(self, factor: Tensor) -> None:
        """Multiply the picture by (N, H, W) or (N, 3, H, W)."""
        self.picture.mul_(factor if factor.dim() == 4 else factor[:, None])

    def claim(self, part: str, alpha: Tensor) -> None:
        """Assign pixels to a part without changing their colour."""
        if self.masks is not None:
            self.masks *= (1 - alpha)[:, None]
            self.masks[:, PART_INDEX[part]] += alpha

    def lay(self, other: "Canvas", alpha: Tensor) -> None:
        """Blend another canvas over this one."""
        self.picture.lerp_(other.picture, alpha[:, None])
        if self.masks is not None and other.masks is not None:
            self.masks.lerp_(other.masks, alpha[:, None])


def cloth_colour(faces: FactorPlanes) -> Tensor:
    """(N, 3, 1, 1): the colour of hats and masks, once round the hues."""
    turn = faces("cloth_hue")[:, None] * 5.2 - torch.tensor([0.0, 2.09, 4.19])[None, :, None, None]
    return 0.42 + 0.30 * torch.cos(turn)
