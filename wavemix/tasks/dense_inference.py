"""Ways to ask a network for the class of every pixel more than once: mirrored, in windows, at several scales.

It decides how answers are averaged: as probabilities. It knows neither the network nor where its pictures come from.

Shapes: b = batch, c = channels, k = classes, h, w = height, width.
"""

from collections.abc import Callable, Sequence
from functools import reduce

import torch
from torch import Tensor
from torch.nn import functional as F

Answer = Callable[[Tensor], Tensor]
"""Pictures ``[b, c, h, w]`` -> probabilities of classes ``[b, k, h, w]``."""

Size = tuple[int, int]


def resized(x_bchw: Tensor, size: tuple[int, ...]) -> Tensor:
    """Scores or pictures at another ``size`` (h, w): bilinear, pixels taken as areas; as they are if they have it."""
    if x_bchw.shape[2:] == size:
        return x_bchw
    return F.interpolate(x_bchw, size=size, mode="bilinear", align_corners=False)


def with_flip(answer: Answer) -> Answer:
    """The mean of the answers to a picture and to its mirror image."""

    def both(image_bchw: Tensor) -> Tensor:
        return (answer(image_bchw) + answer(image_bchw.flip(3)).flip(3)) / 2

    return both


def at_scales(answer: Answer, scales: Sequence[float]) -> Answer:
    """The mean of the answers to a picture resized by each scale."""

    def averaged(image_bchw: Tensor) -> Tensor:
        size = height, width = (image_bchw.shape[2], image_bchw.shape[3])
        sizes = [(max(1, round(height * scale)), max(1, round(width * scale))) for scale in scales]
        return reduce(torch.add, (resized(answer(resized(image_bchw, one)), size) for one in sizes)) / len(sizes)

    return averaged


def in_windows(answer: Answer, window: Size, stride: Size) -> Answer:
    """The answers to windows (h, w) a stride apart, averaged where they overlap.

    The last window of a row or a column is moved back to end with the picture; a picture that is smaller than a window
    is one.
    """

    def averaged(image_bchw: Tensor) -> Tensor:
        tops, lefts = (_starts(*sides) for sides in zip(image_bchw.shape[2:], window, stride, strict=True))
        parts = [(slice(top, top + window[0]), slice(left, left + window[1])) for top in tops for left in lefts]
        answers = [answer(image_bchw[..., rows, columns]) for rows, columns in parts]
        total_bkhw = answers[0].new_zeros((*answers[0].shape[:2], *image_bchw.shape[2:]))
        count_hw = answers[0].new_zeros(image_bchw.shape[2:])
        for (rows, columns), prob_bkuv in zip(parts, answers, strict=True):
            total_bkhw[..., rows, columns] += prob_bkuv
            count_hw[rows, columns] += 1
        return total_bkhw / count_hw

    return averaged


def _starts(side: int, window: int, stride: int) -> list[int]:
    last = max(0, side - window)
    return [*range(0, last, stride), last]
