"""The Fréchet distance between the features of answers and of truths, as sums that add up. It knows no network.

Shapes: b = batch, h, w = height, width, d = features.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Moments:
    """Count, sum ``[d]`` and sum of outer products ``[d, d]`` of feature vectors, float64 on the CPU."""

    count: int
    total_d: Tensor
    outer_dd: Tensor

    def __add__(self, other: "Moments") -> "Moments":
        return Moments(self.count + other.count, self.total_d + other.total_d, self.outer_dd + other.outer_dd)

    @property
    def mean_d(self) -> Tensor:
        return self.total_d / self.count

    @property
    def covariance_dd(self) -> Tensor:
        """Unbiased; not finite of fewer than two vectors."""
        centred_dd = self.outer_dd - torch.outer(self.total_d, self.mean_d)
        return centred_dd / (self.count - 1)


@dataclass(frozen=True)
class FrechetDistance:
    """The features of answers and truths so far, as two Gaussians."""

    answers: Moments
    truths: Moments

    def __add__(self, other: "FrechetDistance") -> "FrechetDistance":
        return FrechetDistance(self.answers + other.answers, self.truths + other.truths)

    @property
    def value(self) -> float:
        """``|m1 - m2|^2 + tr(C1 + C2 - 2 sqrt(C1 C2))``; nan of fewer than two pictures.

        The root's trace is that of ``sqrt(sqrt(C1) C2 sqrt(C1))``, which is symmetric: so it is real however few
        pictures there are, where others add to the diagonal or drop imaginary parts.

        Source: Heusel et al. 2017 (arXiv 1706.08500), equation 6.
        """
        one_dd, two_dd = self.answers.covariance_dd, self.truths.covariance_dd
        if not (one_dd + two_dd).isfinite().all():
            return float("nan")
        root_dd = _square_root(one_dd)
        root_trace = torch.linalg.eigvalsh(root_dd @ two_dd @ root_dd).clamp_min(0).sqrt().sum()
        apart = (self.answers.mean_d - self.truths.mean_d).square().sum()
        return float(apart + one_dd.trace() + two_dd.trace() - 2 * root_trace)


def frechet_distance(features: Callable[[Tensor], Tensor], answer_b3hw: Tensor, truth_b3hw: Tensor) -> FrechetDistance:
    """The features of a batch of answers and truths; FID if they are ``Networks.inception``'s.

    Args:
        features: uint8 pictures ``[b, 3, h, w]`` -> ``[b, d]``.
        answer_b3hw: In [0, 1]; rounded to 8 bits, as FID compares saved pictures.
        truth_b3hw: The same.

    Source: torch-fidelity, whose resizing is TensorFlow's as in the original; LaMa's copy of pytorch-fid has torch's.
    """
    answers, truths = (
        _moments(features((picture_b3hw.clamp(0, 1) * 255).round().to(torch.uint8)))
        for picture_b3hw in (answer_b3hw, truth_b3hw)
    )
    return FrechetDistance(answers, truths)


def _moments(feature_bd: Tensor) -> Moments:
    feature_bd = feature_bd.detach().to("cpu", torch.float64)
    return Moments(len(feature_bd), feature_bd.sum(dim=0), feature_bd.T @ feature_bd)


def _square_root(symmetric_dd: Tensor) -> Tensor:
    value_d, vector_dd = torch.linalg.eigh(symmetric_dd)
    root_dd: Tensor = vector_dd * value_d.clamp_min(0).sqrt() @ vector_dd.T
    return root_dd
