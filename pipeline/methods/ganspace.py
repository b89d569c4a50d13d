"""GANSpace: principal components of W, each in a range of layers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from pipeline.methods import validation
from pipeline.methods.base import FitData, Paper
from pipeline.methods.contrastive.candidates import layer_groups, parse_groups
from pipeline.methods.cost import Cost, layers_of, linear_cost
from pipeline.methods.naming import LinearCandidates, Unnamed

if TYPE_CHECKING:
    from torch import Tensor

    from pipeline.domains.base import DomainCard

NOUN = "component"
BATCH = 4096  # codes in memory at once
SPREAD_SAMPLES = 5000  # fresh codes that the standard deviations come from, the authors' number
# Purposes of random streams; batch k draws from FIRST_BATCH + k.
SPREAD, FIRST_BATCH = 0, 1000


class GANSpace(Unnamed):
    """w'_l = w_l + s sigma_k v_k for the layers l of a half-open range, v_k the k-th principal component of W.

    Haerkoenen et al., "GANSpace: Discovering Interpretable GAN Controls", NeurIPS 2020, for a StyleGAN's W: codes
    w = M(z) of `samples` fresh z are decomposed; the components v_k are unit vectors, sorted by variance, and sigma_k
    is the standard deviation of w . v_k over 5,000 other fresh codes. The strength s counts standard deviations; other
    layers stay as they are. Codes are never truncated here, whatever the labelled ones are. No label is read.

    The rule that all methods share (`naming.py`) tries each of the first `components` in every one of the `groups`,
    whose notation includes both ends: the authors' half-open (2, 5) is 2-4. Indices are those of the generator's codes,
    which stand for the same size of feature map at any depth; what lies beyond the last layer is left out.

    Departures from the authors' code:

    - the covariance matrix is summed up in double precision over batches of 4,096 codes, none of which is kept, and
      decomposed: the components of all codes, exactly. Theirs is scikit-learn's IncrementalPCA, which after each batch
      keeps the components asked for alone, so that the last ones depend on the batches: called as they call it, for 80,
      its first 20 are these to five digits, its 80th has a cosine of .57. They also hold every code, 2 GB for a
      million;
    - 300,000 codes, the default of their settings; their README's command for FFHQ asks for 1,000,000, which takes
      three to four times as long. In the embedded generator's W the first 16 components of the two have cosines of .984
      or more, those up to the 80th of .932 or more, where neighbours have nearly equal variances: the span of 80 is the
      same to .9996. 20,000 codes (profile smoke) do not settle the order even of the first 16 (.08);
    - names come from the shared rule, theirs from somebody who looked at strips, sometimes with the code's own
      component removed first ("centred"), which no edit here does;
    - a component's largest entry is positive.
    """

    name: ClassVar[str] = "ganspace"
    version: ClassVar[int] = 1
    paper: ClassVar[Paper] = Paper(
        "GANSpace: Discovering Interpretable GAN Controls", "NeurIPS 2020", "https://arxiv.org/abs/2004.02546"
    )
    unit: ClassVar[str] = "standard deviation of its component, in the layers of its group"
    exact_undo: ClassVar[bool] = True

    found_: dict[str, Any]

    def __init__(
        self, *, components: int = 80, samples: int = 300_000, groups: str | int = "all, 0-2, 3-5, 4-7, 8-11"
    ) -> None:
        self.components = validation.whole(self.name, "components", components, 1, 512)
        self.samples = validation.whole(self.name, "samples", samples, 2, 10**9)
        self.groups = ", ".join(parse_groups(self.name, "groups", groups))

    def cost(self, card: DomainCard) -> Cost:
        """Every component in every layer group."""
        layers = layers_of(card)
        return linear_cost(self.components * len(layer_groups(self.name, "groups", self.groups, layers, layers)))

    def find(self, data: FitData) -> LinearCandidates:
        """Decompose fresh codes; every component in every layer group is a candidate."""
        import torch

        _, covariance = moments(self.batches(data))
        variances, components = principal(covariance)
        kept = min(self.components, len(components))
        spread = self.spread(data, components[:kept])
        shares = variances[:kept] / variances.sum().clamp(min=1e-300)
        self.found_ = {"variance_shares": shares.tolist(), "standard_deviations": spread.tolist()}
        spans = layer_groups(self.name, "groups", self.groups, data.generator.num_ws, data.generator.num_ws)
        scaled = (spread[:, None] * components[:kept]).float()
        ranges = torch.tensor(spans).reshape(-1, 2).repeat(kept, 1)
        vectors = scaled.repeat_interleave(len(spans), dim=0).to(data.device)
        return LinearCandidates(vectors, ranges, NOUN, numbered(kept, len(spans)))

    def batches(self, data: FitData) -> Iterator[Tensor]:
        """Fresh codes (batch, 512) on the device, `samples` in all; batch k depends on (seed, k) alone."""
        for number, start in enumerate(range(0, self.samples, BATCH)):
            data.progress(start, self.samples, "codes decomposed")
            yield draw(data, min(BATCH, self.samples - start), FIRST_BATCH + number)

    def spread(self, data: FitData, components: Tensor) -> Tensor:
        """Standard deviations (K,) float64 of fresh codes along unit components (K, 512)."""
        codes = draw(data, SPREAD_SAMPLES, SPREAD).double().cpu()
        return (codes @ components.T).std(dim=0, correction=0)

    def rebuild(self, state: dict[str, Tensor], facts: dict[str, Any]) -> LinearCandidates:
        """The candidates of which `state` and `facts` were kept."""
        self.found_ = {key: facts[key] for key in ("variance_shares", "standard_deviations")}
        kept = len(self.found_["variance_shares"])
        numbers = numbered(kept, len(state["ranges"]) // kept)
        return LinearCandidates(state["vectors"], state["ranges"], NOUN, numbers)

    def facts(self) -> dict[str, Any]:
        """`variance_shares`: of each component, in all of W; `standard_deviations`: its unit; and the naming's."""
        return {**self.found_, **super().facts()}


def draw(data: FitData, count: int, purpose: int) -> Tensor:
    """Fresh codes (count, 512), never truncated, on the device."""
    import torch

    z = torch.randn(count, data.generator.z_dim, generator=data.rng(purpose))
    with torch.no_grad():
        return data.generator.map_to_w(z.to(data.device))


def moments(batches: Iterable[Tensor]) -> tuple[Tensor, Tensor]:
    """Mean (D,) and covariance (D, D), over N, of batches (n, D), in float64 on the CPU; one batch in memory at a time.

    Sums are taken about the first batch's mean, so that a mean far from 0 costs no digits.
    """
    import torch

    count, centre = 0, torch.zeros(1)
    total = products = torch.zeros(1, dtype=torch.float64)
    for batch in batches:
        codes = batch.double().cpu()
        if not count:
            centre = codes.mean(dim=0)
        codes = codes - centre
        count += len(codes)
        total = total + codes.sum(dim=0)
        products = products + codes.T @ codes
    mean = total / count
    return centre + mean, products / count - torch.outer(mean, mean)


def principal(covariance: Tensor) -> tuple[Tensor, Tensor]:
    """Variances (D,), falling, and unit components (D, D), as rows, whose largest entry is positive."""
    import torch

    variances, columns = torch.linalg.eigh(covariance)
    components = columns.flip(1).T
    peaks = components.gather(1, components.abs().argmax(dim=1, keepdim=True))
    return variances.flip(0).clamp(min=0.0), components * peaks.sign()


def numbered(components: int, spans: int) -> list[int]:
    """Each component's number, once per layer group."""
    return [number for number in range(components) for _ in range(spans)]
