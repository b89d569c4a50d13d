"""How two answers are compared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

RELATIVE = "of the largest"
COSINE = "1 - cosine"


def largest(found: Any, expected: Any) -> float:
    """The largest absolute difference of two arrays or tensors of one shape, in float64."""
    import numpy as np

    one, other = array(found), array(expected)
    if one.shape != other.shape:
        raise ValueError(f"Shapes differ: ours {one.shape}, theirs {other.shape}.")
    return float(np.abs(one - other).max()) if one.size else 0.0


def relative(found: Any, expected: Any) -> float:
    """The largest absolute difference, over the largest absolute value that is expected."""
    import numpy as np

    return largest(found, expected) / float(np.abs(array(expected)).max())


def cosine_gap(found: Any, expected: Any) -> float:
    """1 less the smallest |cosine| of two rows that belong together; (K, D) each."""
    return 1.0 - float(cosines(found, expected).min())


def cosines(found: Any, expected: Any) -> np.ndarray:
    """|cosine| of every two rows that belong together, (K,)."""
    import numpy as np

    one, other = array(found), array(expected)
    lengths = np.linalg.norm(one, axis=-1) * np.linalg.norm(other, axis=-1)
    return np.asarray(np.abs((one * other).sum(axis=-1)) / lengths)


def array(values: Any) -> np.ndarray:
    """Numbers, an array or a tensor as float64."""
    import numpy as np

    if hasattr(values, "detach"):
        values = values.detach().cpu().numpy()
    return np.asarray(values, dtype=np.float64)
