"""Pure functions (prediction, target) -> loss, a mean over samples. They know no task and no model.

Shapes: b = batch, k = classes.
"""

from torch import Tensor
from torch.nn import functional as F


def cross_entropy(logits_bk: Tensor, label_b: Tensor, *, label_smoothing: float = 0.0) -> Tensor:
    """Mean negative log-likelihood of the true class.

    Args:
        logits_bk: Scores before softmax.
        label_b: Class indices, int64.
        label_smoothing: Share of the target spread evenly over all classes, in [0, 1).

    Returns:
        A scalar in nats.

    Source: the loss of all the paper's classification runs (arXiv 2205.14375, section 4.2).
    """
    return F.cross_entropy(logits_bk, label_b, label_smoothing=label_smoothing)
