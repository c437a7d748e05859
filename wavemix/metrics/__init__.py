"""Pure functions (prediction, target) -> tally; tallies add up over batches and ranks, and then become numbers."""

from wavemix.metrics.classes import Confusion, class_accuracy, confusion, top_k
from wavemix.metrics.tally import Ratio, Tally, add_tallies, mean_of, over_ranks, ratio, scalars

__all__ = [
    "Confusion",
    "Ratio",
    "Tally",
    "add_tallies",
    "class_accuracy",
    "confusion",
    "mean_of",
    "over_ranks",
    "ratio",
    "scalars",
    "top_k",
]
