"""Fast implementations of the functions in `stylegan.mobile.layers`, with the same results up to rounding."""

from __future__ import annotations

from stylegan.mobile.layers import block as block
from stylegan.mobile.layers import convolution as convolution
from stylegan.mobile.layers import to_image as to_image
