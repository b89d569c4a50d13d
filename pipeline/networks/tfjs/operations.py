"""The operations of the graphs of @vladmandic/human, each as a torch module; others are refused by name.

Maps are (N, H, W, C), as in TensorFlow, so that axes, padding and reshaping keep their meaning. Convolutions see them
as (N, C, H, W) without a copy. Each means the same as TensorFlow's operation of its name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.errors import WeightsError
from pipeline.networks.tfjs.nodes import Node
from pipeline.networks.tfjs.padding import max_pool_same, same_convolution

Constants = Mapping[str, Tensor]
Built = tuple[nn.Module, tuple[str, ...]]  # a module, and the nodes whose values it takes
MOST_PADDING = 4096  # positions added to an axis


class Function(nn.Module):
    """A function of one or two values."""

    def __init__(self, function: Callable[..., Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *values: Tensor) -> Tensor:
        return self.function(*values)


class WithConstant(nn.Module):
    """A symmetric function of a value and a constant."""

    constant: Tensor

    def __init__(self, function: Callable[[Tensor, Tensor], Tensor], constant: Tensor) -> None:
        super().__init__()
        self.function = function
        self.register_buffer("constant", constant)

    def forward(self, value: Tensor) -> Tensor:
        return self.function(value, self.constant)


def prelu(value: Tensor, slope: Tensor) -> Tensor:
    """The value where it is not negative, `slope` times it elsewhere."""
    return torch.where(value < 0, slope * value, value)


class Convolution(nn.Module):
    """A convolution of maps (N, H, W, C) with an optional bias and activation; `weight` is in torch's order."""

    weight: Tensor
    bias: Tensor | None
    slope: Tensor | None

    def __init__(
        self,
        weight: Tensor,
        stride: tuple[int, int],
        same: bool,
        groups: int = 1,
        bias: Tensor | None = None,
        activation: str = "",
        slope: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.stride, self.same, self.groups, self.activation = stride, same, groups, activation
        self.register_buffer("weight", weight.contiguous())
        self.register_buffer("bias", bias)
        self.register_buffer("slope", slope)

    def forward(self, maps: Tensor) -> Tensor:
        seen = maps.permute(0, 3, 1, 2)
        if self.same:
            kernel = (self.weight.shape[2], self.weight.shape[3])
            result = same_convolution(seen, self.weight, self.bias, kernel, self.stride, self.groups)
        else:
            result = functional.conv2d(seen, self.weight, self.bias, self.stride, groups=self.groups)
        return activated(result.permute(0, 2, 3, 1), self.activation, self.slope)


class MaxPool(nn.Module):
    """Maxima over windows of maps (N, H, W, C)."""

    def __init__(self, window: tuple[int, int], stride: tuple[int, int], same: bool) -> None:
        super().__init__()
        self.window, self.stride, self.same = window, stride, same

    def forward(self, maps: Tensor) -> Tensor:
        pool = max_pool_same if self.same else functional.max_pool2d
        return pool(maps.permute(0, 3, 1, 2), self.window, self.stride).permute(0, 2, 3, 1)


class Linear(nn.Module):
    """Rows (N, K) times a matrix (K, M), plus a bias (M,), with an optional activation."""

    matrix: Tensor
    bias: Tensor
    slope: Tensor | None

    def __init__(self, matrix: Tensor, bias: Tensor, activation: str, slope: Tensor | None) -> None:
        super().__init__()
        self.activation = activation
        self.register_buffer("matrix", matrix)
        self.register_buffer("bias", bias)
        self.register_buffer("slope", slope)

    def forward(self, rows: Tensor) -> Tensor:
        return activated(torch.addmm(self.bias, rows, self.matrix), self.activation, self.slope)


def activated(values: Tensor, activation: str, slope: Tensor | None) -> Tensor:
    """Values after "Relu", "Prelu" with its slope, or nothing."""
    if activation == "Relu":
        return values.relu()
    return prelu(values, slope) if activation == "Prelu" and slope is not None else values


def build(node: Node, constants: Constants) -> Built:
    """The module of a node. Raises WeightsError for an operation or a form of it that is not known."""
    if node.op not in BUILDERS:
        raise WeightsError(
            f"{node.path} uses the operation {node.op!r:.80}, which this reader does not know. "
            f"Known: {', '.join(sorted(BUILDERS))}."
        )
    return BUILDERS[node.op](node, constants)


def _function(function: Callable[[Tensor], Tensor]) -> Callable[[Node, Constants], Built]:
    def builder(node: Node, constants: Constants) -> Built:
        return Function(function), _values(node, constants, 1)

    return builder


def _symmetric(function: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Node, Constants], Built]:
    def builder(node: Node, constants: Constants) -> Built:
        values = [name for name in node.inputs if name not in constants]
        if len(node.inputs) != 2 or not values:
            raise node.refuse(f"has the inputs {list(node.inputs)!r:.200}; expected two, not both constant.")
        held = [constants[name] for name in node.inputs if name in constants]
        module = WithConstant(function, _float(node, held[0])) if held else Function(function)
        return module, tuple(values)

    return builder


def _prelu(node: Node, constants: Constants) -> Built:
    value, slope = _parts(node, constants, 1)
    return WithConstant(prelu, _float(node, slope[0])), value


def _convolution(node: Node, constants: Constants) -> Built:
    value, held = _parts(node, constants, len(node.inputs) - 1)
    same = _same(node)
    weight = _kernel(node, held[0]).permute(3, 2, 0, 1)
    activation, slope = _fused(node, held[1:]) if node.op == "_FusedConv2D" else ("", None)
    bias = held[1] if node.op == "_FusedConv2D" else None
    return Convolution(weight, node.window("strides"), same, 1, bias, activation, slope), value


def _depthwise(node: Node, constants: Constants) -> Built:
    value, held = _parts(node, constants, 1)
    kernel = _kernel(node, held[0])
    height, width, channels, times = kernel.shape
    weight = kernel.permute(2, 3, 0, 1).reshape(channels * times, 1, height, width)
    return Convolution(weight, node.window("strides"), _same(node), channels), value


def _max_pool(node: Node, constants: Constants) -> Built:
    return MaxPool(node.window("ksize"), node.window("strides"), _same(node)), _values(node, constants, 1)


def _matrix_product(node: Node, constants: Constants) -> Built:
    value, held = _parts(node, constants, len(node.inputs) - 1)
    if node.flag("transpose_a") or node.flag("transpose_b") or held[0].ndim != 2:
        raise node.refuse(f"has a matrix {tuple(held[0].shape)}, or transposes one; expected plain matrices.")
    activation, slope = _fused(node, held[1:])
    return Linear(_float(node, held[0]), _float(node, held[1]), activation, slope), value


def _mean(node: Node, constants: Constants) -> Built:
    value, held = _parts(node, constants, 1)
    axes, keep = _whole(node, held[0].flatten()), node.flag("keep_dims")
    if sorted(axes) != [1, 2]:
        raise node.refuse(f"is over the axes {axes}; expected [1, 2].")
    return Function(lambda maps: maps.mean(dim=(1, 2), keepdim=keep)), value


def _pad(node: Node, constants: Constants) -> Built:
    value, held = _parts(node, constants, 1)
    amounts = _whole(node, held[0].flatten())
    if held[0].shape != (4, 2) or min(amounts) < 0 or max(amounts) > MOST_PADDING:
        raise node.refuse(f"adds {amounts!r:.80}; expected 4 x 2 numbers from 0 to {MOST_PADDING}.")
    # Torch counts from the last axis.
    backward = [amount for axis in reversed(range(4)) for amount in amounts[2 * axis : 2 * axis + 2]]
    return Function(lambda maps: functional.pad(maps, backward)), value


def _reshape(node: Node, constants: Constants) -> Built:
    value, held = _parts(node, constants, 1)
    shape = _whole(node, held[0].flatten())
    if not shape or shape[0] != -1 or min(shape[1:], default=1) < 1:
        raise node.refuse(f"makes the shape {shape!r:.80}; expected -1 for the images and positive sizes.")
    return Function(lambda values: values.reshape(shape)), value


BUILDERS: dict[str, Callable[[Node, Constants], Built]] = {
    "Add": _symmetric(torch.add),
    "AddV2": _symmetric(torch.add),
    "Conv2D": _convolution,
    "DepthwiseConv2dNative": _depthwise,
    "Identity": _function(lambda value: value),
    "MaxPool": _max_pool,
    "Maximum": _symmetric(torch.maximum),
    "Mean": _mean,
    "Minimum": _symmetric(torch.minimum),
    "Mul": _symmetric(torch.mul),
    "Pad": _pad,
    "Prelu": _prelu,
    "Relu": _function(torch.relu),
    "Reshape": _reshape,
    "Sigmoid": _function(torch.sigmoid),
    "Softmax": _function(lambda values: values.softmax(dim=-1)),
    "_FusedConv2D": _convolution,
    "_FusedMatMul": _matrix_product,
}


def _values(node: Node, constants: Constants, count: int) -> tuple[str, ...]:
    """The inputs of a node without constants."""
    if len(node.inputs) != count or any(name in constants for name in node.inputs):
        raise node.refuse(f"has the inputs {list(node.inputs)!r:.200}; expected {count}, none of them constant.")
    return node.inputs


def _parts(node: Node, constants: Constants, count: int) -> tuple[tuple[str, ...], list[Tensor]]:
    """The one computed input of a node, and its `count` constants."""
    names = node.inputs[1:]
    if len(names) != count or not names or node.inputs[0] in constants or any(name not in constants for name in names):
        raise node.refuse(f"has the inputs {list(node.inputs)!r:.200}; expected one value and {count} constants.")
    return node.inputs[:1], [constants[name] for name in names]


def _fused(node: Node, held: list[Tensor]) -> tuple[str, Tensor | None]:
    """The activation of a fused operation and its slope; `held` is its bias and, for Prelu, its slope."""
    fused = node.texts("fused_ops")
    if fused not in (["BiasAdd"], ["BiasAdd", "Relu"], ["BiasAdd", "Prelu"]):
        raise node.refuse(f"fuses {fused!r:.80}; expected BiasAdd, then Relu, Prelu or nothing.")
    activation = fused[1] if len(fused) == 2 else ""
    if len(held) != 1 + (activation == "Prelu") or held[0].ndim != 1:
        raise node.refuse(
            f"has {len(held)} constants after its weight; expected a bias of one axis, a slope for Prelu."
        )
    return activation, _float(node, held[1]) if activation == "Prelu" else None


def _same(node: Node) -> bool:
    """Whether the padding is SAME rather than VALID; layout and dilations are checked too."""
    padding, layout = node.text("padding"), node.text("data_format", "NHWC")
    if padding not in ("SAME", "VALID") or layout != "NHWC":
        raise node.refuse(f"has padding {padding!r:.40} and layout {layout!r:.40}; expected SAME or VALID, and NHWC.")
    if "dilations" in node.attributes and node.window("dilations") != (1, 1):
        raise node.refuse("is dilated; expected dilations of 1.")
    return padding == "SAME"


def _kernel(node: Node, kernel: Tensor) -> Tensor:
    if kernel.ndim != 4:
        raise node.refuse(f"has a kernel {tuple(kernel.shape)}; expected four axes.")
    return _float(node, kernel)


def _float(node: Node, constant: Tensor) -> Tensor:
    if constant.dtype != torch.float32:
        raise node.refuse(f"has a constant of {constant.dtype}; expected float32.")
    return constant


def _whole(node: Node, constant: Tensor) -> list[int]:
    if constant.dtype != torch.int32:
        raise node.refuse(f"has a constant of {constant.dtype}; expected int32.")
    return [int(value) for value in constant.tolist()]
