"""StyleFlow: the flow, its density and norms with the same weights, and the sliders' gains; see `styleflow_edits`."""

from __future__ import annotations

import ast
import math
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from benchmarks.parity.comparison import Checkout, Comparison, Measured, Subject
from benchmarks.parity.embedded import domain
from benchmarks.parity.loading import folder, theirs
from benchmarks.parity.measures import largest, relative
from benchmarks.parity.subjects import styleflow_edits

if TYPE_CHECKING:
    from torch import Tensor, nn

    from pipeline.methods.styleflow.flow import Flow

FACES, COPIES, CONDITIONS, WIDTH = 6, 18, 17, 512
HIDDEN = (512,) * 5
NORM = {"weight": "log_scale", "bias": "shift", "running_mean": "mean", "running_var": "variance"}
LAYER = {"_layer": "linear", "_hyper_gate": "gate", "_hyper_bias": "bias"}
TIGHT = 1e-8


@lru_cache(maxsize=4)
def flows(conditions: int = CONDITIONS, *, double: bool = False) -> tuple[Flow, nn.Module]:
    """Our flow and theirs with the same weights, of one seed, whose norms have the statistics of real codes."""
    import torch

    from pipeline.methods.styleflow.flow import Flow

    own = Flow(WIDTH, HIDDEN, conditions, rng=torch.Generator().manual_seed(21))
    rng = torch.Generator().manual_seed(22)
    with torch.no_grad():
        variance, mean = torch.var_mean(codes(512), dim=0)
        own.first.mean.copy_(mean)
        own.first.variance.copy_(variance)
        own.root_time.fill_(1.1)
        for norm in (own.first, own.last):
            norm.log_scale.copy_(0.1 * torch.randn(WIDTH, generator=rng))
            norm.shift.copy_(0.1 * torch.randn(WIDTH, generator=rng))
        own.last.mean.copy_(0.1 * torch.randn(WIDTH, generator=rng))
    known = theirs("module.flow").build_model(WIDTH, HIDDEN, conditions, 1, True)
    known.load_state_dict(renamed(own.state_dict(), known.state_dict()))
    if double:
        own, known = own.double(), known.double()
        known.chain[1].test_atol = known.chain[1].test_rtol = TIGHT
    return own.eval().requires_grad_(False), known.eval()


def renamed(own: dict[str, Tensor], known: dict[str, Tensor]) -> dict[str, Tensor]:
    """Our flow's weights under their names; their counters stay as they are."""
    state = dict(known)
    for place, norm in ((0, "first"), (2, "last")):
        for key, name in NORM.items():
            state[f"chain.{place}.{key}"] = own[f"{norm}.{name}"]
    for key in known:
        parts = key.split(".")
        if "layers" in parts:
            index, kind, tensor = parts[-3:]
            state[key] = own[f"field.layers.{index}.{LAYER[kind]}.{tensor}"]
    state["chain.1.sqrt_end_time"] = own["root_time"]
    return state


@lru_cache(maxsize=2)
def codes(count: int) -> Tensor:
    """w (count, 512) of the embedded generator."""
    import torch

    generator = domain().generator
    with torch.no_grad():
        return generator.map_to_w(torch.randn(count, generator.z_dim, generator=torch.Generator().manual_seed(23)))


def inputs(conditions: int = CONDITIONS) -> tuple[Tensor, Tensor, Tensor]:
    """Codes (6, 512), their conditions, and others (6, conditions) in which one is changed."""
    import torch

    before = torch.randn(FACES, conditions, generator=torch.Generator().manual_seed(24))
    after = before.clone()
    after[:, -1] += 1.5
    return codes(512)[:FACES], before, after


def through(known: nn.Module, x: Tensor, c: Tensor, *, reverse: bool = False, copies: int = COPIES) -> Tensor:
    """x (N, 512) through their flow as their interface sends it, copied for every layer; the first copy (N, 512)."""
    import torch

    padding = torch.zeros(len(x), copies, 1, dtype=x.dtype)
    wide = x[:, None].repeat(1, copies, 1)
    with torch.no_grad():
        answer: Tensor = known(wide, c[:, :, None, None], padding, reverse)[0]
    return answer[:, 0]


def encoded(*, double: bool, changed: bool) -> Measured:
    """w into z; or `changed`, z back into another w by a changed condition."""
    own, known = flows(double=double)
    w, before, after = (tensor.double() if double else tensor for tensor in inputs())
    tolerance = TIGHT if double else 1e-5
    z = through(known, w, before)
    if not changed:
        return Measured(largest(own.encode(w, before, tolerance), z))
    return Measured(largest(own.decode(z, after, tolerance), through(known, z, after, reverse=True)))


def densities(training: bool) -> tuple[float, float]:
    """-log p(w | a), mean over the codes, by our flow and by theirs with the same noise; the normal is written out."""
    import torch

    own, known = flows()
    w, before, _ = inputs()
    noise = torch.randn(FACES, WIDTH, generator=torch.Generator().manual_seed(25))
    field = known.chain[1].odefunc

    def fixed(e: Any = None) -> None:
        field._e = noise[:, None].clone().requires_grad_(True)

    field.before_odeint = fixed
    saved = {key: value.clone() for key, value in known.state_dict().items()}
    statistics = {key: value.clone() for key, value in own.state_dict().items()}
    own.train(training)
    known.train(training)
    try:
        found = -own.log_density(w, before, noise, 1e-5).mean()
        z, change = known(w[:, None].clone(), before[:, :, None, None], torch.zeros(FACES, 1, 1))
        normal = -0.5 * (z.square().sum(dim=(1, 2)) + WIDTH * math.log(2 * math.pi))
        expected = -(normal - change[:, 0, 0]).mean()
    finally:
        del field.before_odeint
        known.eval().load_state_dict(saved)
        own.eval().load_state_dict(statistics)
    return float(found), float(expected)


def density(training: bool) -> Measured:
    """Both of `densities`, and how far apart, over theirs."""
    found, expected = densities(training)
    return Measured(abs(found - expected) / abs(expected), f"{found:.2f}", f"{expected:.2f}")


def norm_in_training() -> Measured:
    """A norm's output on a batch in training, and its running statistics after it."""
    import torch

    from pipeline.methods.styleflow.flow import MovingNorm

    own, known = MovingNorm(WIDTH), theirs("module.normalization").MovingBatchNorm1d(WIDTH, bn_lag=0, sync=False)
    rng = torch.Generator().manual_seed(26)
    state = {key: torch.rand(WIDTH, generator=rng) + 0.5 for key in NORM}
    known.load_state_dict(state, strict=False)
    own.load_state_dict({NORM[key]: value for key, value in state.items()})
    x = torch.randn(64, WIDTH, generator=rng)
    known.train()
    own.train()
    expected, change = known(x[:, None], None, torch.zeros(64, 1, 1))
    found, slope = own(x)
    parts = [(found, expected[:, 0]), (slope, -change[0, 0, 0])]
    parts += [(getattr(own, NORM[key]), getattr(known, key)) for key in ("running_mean", "running_var")]
    return Measured(max(relative(one.detach(), other.detach()) for one, other in parts))


def gains() -> Measured:
    """The gains of their sliders, read off their interface's file without running it."""
    from pipeline.methods.styleflow.method import GAINS

    tree = ast.parse((folder() / "ui" / "ui2.py").read_text())
    lists = [
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "attr_degree_list"
    ]
    return Measured(largest([GAINS.get(name, 1.0) for name in styleflow_edits.ORDER], lists[0]))


SUBJECT = Subject(
    checkout=Checkout("StyleFlow", "RameenAbdal/StyleFlow", "53a8c54"),
    comparisons=(
        Comparison(
            "encode",
            "w into z, 17 conditions, float32, tolerance 1e-5",
            "6 x 18 copies",
            lambda: encoded(double=False, changed=False),
            2e-3,
        ),
        Comparison(
            "decode",
            "z into w by a changed condition, float32, tolerance 1e-5",
            "6 x 18 copies",
            lambda: encoded(double=False, changed=True),
            2e-3,
        ),
        Comparison(
            "encode_double",
            "w into z, float64, tolerance 1e-8",
            "6 x 18 copies",
            lambda: encoded(double=True, changed=False),
            1e-5,
        ),
        Comparison(
            "decode_double",
            "z into w by a changed condition, float64, tolerance 1e-8",
            "6 x 18 copies",
            lambda: encoded(double=True, changed=True),
            1e-5,
        ),
        Comparison(
            "density",
            "-log p(w | a) in evaluation, the same noise (their norms and trace; the normal's constant once)",
            "6",
            lambda: density(training=False),
            1e-4,
            "of theirs",
        ),
        Comparison(
            "training_loss",
            "the same in training, same weights",
            "6",
            lambda: density(training=True),
            1e-4,
            "of theirs",
        ),
        Comparison(
            "norm_in_training",
            "moving norm in training: output, log slope, running statistics after",
            "64 x 512",
            norm_in_training,
            1e-5,
            "of the largest",
        ),
        Comparison("gains", "gains of the sliders", "8", gains, 0.0),
        *styleflow_edits.comparisons(flows),
    ),
    shims=("the noise of their trace is set to ours where densities are compared",),
)
