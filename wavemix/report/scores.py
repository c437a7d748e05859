"""Decides what a metric's name promises: its protocol in words, its unit, and what its numbers compare with.

It does not know where the numbers come from, nor how they are written.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

LITERATURE: Final = "Comparable with the literature on the same test set."
SAME_MASKS: Final = "Comparable with the literature on the same pictures under the same masks."
AUTHORS: Final = "Comparable with what the authors' scripts print, and with nothing else."


@dataclass(frozen=True)
class Protocol:
    """What a metric's name promises; a share of independent samples has a sampling interval, another share has none."""

    text: str
    unit: Literal["", "%", "dB", "digest"] = ""
    lower_is_better: bool = False
    of_samples: bool = False
    compare: str = ""


PROTOCOLS: Final[Mapping[str, Protocol]] = {
    "top1": Protocol(
        "share of the held-out samples whose most probable class is the true one, each sample counted once",
        unit="%",
        of_samples=True,
        compare=LITERATURE,
    ),
    "top5": Protocol(
        "share of the held-out samples whose true class is among the five most probable ones, each sample counted once",
        unit="%",
        of_samples=True,
        compare=LITERATURE,
    ),
    "accuracy": Protocol("share of the class's samples whose most probable class is the true one", unit="%"),
    "miou": Protocol(
        "mean over the classes of intersection / union of answer and truth, from one int64 confusion matrix of the "
        "pixels of the whole set; pixels labelled 255 are ignored, classes absent from both truth and answer left out",
        unit="%",
        compare=LITERATURE + " The official script of Cityscapes counts the same.",
    ),
    "miou_authors": Protocol(
        "the authors' overlap: in each picture the bitwise AND of the class indices of answer and truth, divided by "
        "their OR, in ten steps from one half to one; the mean over the pictures. It is no intersection over union of "
        "classes",
        unit="%",
        compare=AUTHORS,
    ),
    "iou": Protocol(
        "intersection / union of the class's pixels in answer and truth, over the whole set; the pixels counted beside "
        "it are those of the union",
        unit="%",
    ),
    "pixel_accuracy": Protocol(
        "share of the labelled pixels of the whole set whose class is the true one; pixels labelled 255 are ignored",
        unit="%",
        compare=LITERATURE,
    ),
    "psnr_y": Protocol(
        "peak signal-to-noise ratio of the luma Y (BT.601, studio range 16 to 235, peak 255) of the answer clipped and "
        "rounded to 8 bits, without a border as wide as the scale; the mean over the pictures. A picture published in "
        "grey is taken by its own values",
        unit="dB",
        compare=LITERATURE,
    ),
    "ssim_y": Protocol(
        "structural similarity of the Y of psnr_y without the same border (Gaussian window of 11x11 pixels, sigma 1.5, "
        "whole windows only, dynamic range 255); the mean over the pictures",
        compare=LITERATURE,
    ),
    "psnr_y_authors": Protocol(
        "peak signal-to-noise ratio as WaveMixSR's authors score it: of Y over the full range, in floating point, "
        "neither clipped nor rounded, border included, the peak that of each true picture; the mean over the pictures",
        unit="dB",
        compare=AUTHORS,
    ),
    "ssim_y_authors": Protocol(
        "structural similarity as WaveMixSR's authors score it: of the Y of psnr_y_authors, the dynamic range "
        "that of each picture; the mean over the pictures",
        compare=AUTHORS,
    ),
    "l1_hole": Protocol(
        "mean absolute error of red, green and blue in [0, 1] within the hole; the mean over the pictures, which all "
        "count alike",
        lower_is_better=True,
        compare=SAME_MASKS,
    ),
    "psnr": Protocol(
        "peak signal-to-noise ratio of red, green and blue over the whole picture of 8 bits, the known part left as it "
        "was; the mean over the pictures",
        unit="dB",
        compare=SAME_MASKS,
    ),
    "ssim": Protocol(
        "structural similarity of red, green and blue over the whole picture of 8 bits (Gaussian window of 11x11 "
        "pixels, sigma 1.5, whole windows only), the known part left as it was; the mean over the pictures",
        compare=SAME_MASKS,
    ),
    "lpips_alex": Protocol(
        "learned perceptual distance (LPIPS 0.1) by the features of AlexNet, of the whole picture; the mean over the "
        "pictures",
        lower_is_better=True,
        compare=SAME_MASKS,
    ),
    "lpips_vgg": Protocol(
        "learned perceptual distance (LPIPS 0.1) by the features of VGG-16, of the whole picture; the mean over the "
        "pictures",
        lower_is_better=True,
        compare=SAME_MASKS,
    ),
    "fid": Protocol(
        "Fr\N{LATIN SMALL LETTER E WITH ACUTE}chet distance between the Inception features (2,048 of them) of all "
        "answers and of all true pictures",
        lower_is_better=True,
        compare="Comparable with the literature on the same pictures, as many of them, under the same masks.",
    ),
    "masks_digest": Protocol(
        "48 bits of the digest of all masks and the names of their pictures, in hexadecimal: where it is the same, so "
        "are the holes",
        unit="digest",
    ),
    "loss": Protocol(
        "the training loss, averaged over the held-out samples, each sample counted once",
        lower_is_better=True,
        compare="Comparable between runs of the same loss alone.",
    ),
}
UNKNOWN: Final = Protocol("as defined under this name in the wavemix.metrics module")


@dataclass(frozen=True)
class Variant:
    """Another way to an answer, scored beside the model's own; a baseline is one without the model."""

    text: str
    is_baseline: bool = False


VARIANTS: Final[Mapping[str, Variant]] = {
    "bicubic": Variant("bicubic interpolation in the model's place: the baseline", is_baseline=True),
    "mean_fill": Variant("the hole filled with the mean colour of the known pixels: the baseline", is_baseline=True),
    "x8": Variant("self-ensemble: the mean of the model's answers to the picture in its eight orientations"),
    "flip": Variant("the mean of the model's probabilities for the picture and its mirror image"),
    "sliding": Variant("the mean of the model's probabilities in overlapping windows, not one pass over the picture"),
    "sliding_flip": Variant("the same windows, each also mirrored"),
    "ms": Variant("the mean of the model's probabilities for the picture in several sizes"),
    "ms_flip": Variant("the same sizes, each also mirrored"),
}
SHARE_OF_HOLE: Final = (
    "the samples alone whose hole takes a share of the picture from the first number up to the second"
)
_NAME: Final = re.compile(rf"(.*?)(?:_(\d+)_(\d+))?(?:_({'|'.join(VARIANTS)}))?", re.DOTALL)


class MetricName(NamedTuple):
    """``l1_hole_10_20_mean_fill`` in its parts: metric, share of the picture in per cent, name of the variant."""

    base: str
    share: tuple[int, int] | None
    variant: str | None


def parse_metric(name: str) -> MetricName:
    """The parts of a metric's name; a name of no such form is a base alone."""
    found = _NAME.fullmatch(name)
    assert found is not None  # any text is a base
    base, low, high, variant = found.groups()
    return MetricName(base, (int(low), int(high)) if low else None, variant)


def protocol(metric: str) -> Protocol:
    """The protocol of a metric, also of its variants; one without words here points to its definition."""
    return PROTOCOLS.get(parse_metric(metric).base, UNKNOWN)


def baseline_of(metric: str, metrics: Mapping[str, float]) -> str | None:
    """The name of the variant that is the metric's baseline, where it was measured."""
    if protocol(metric).unit == "digest":  # it is no score
        return None
    return next((name for name, one in VARIANTS.items() if one.is_baseline and f"{metric}_{name}" in metrics), None)


def glossary(metrics: Iterable[str]) -> list[tuple[str, str]]:
    """Term and meaning of every metric in the order of ``PROTOCOLS``, then of the suffixes that their names have."""
    names = {parse_metric(metric) for metric in metrics}
    used = {name.base for name in names}
    bases = [base for base in PROTOCOLS if base in used] + sorted(used - set(PROTOCOLS))
    terms = [(base, ". ".join(filter(None, (protocol(base).text, protocol(base).compare)))) for base in bases]
    if any(name.share for name in names):
        terms.append(("by share of hole", SHARE_OF_HOLE))
    variants = {name.variant for name in names}
    return terms + [(f"\N{HORIZONTAL ELLIPSIS}_{name}", one.text) for name, one in VARIANTS.items() if name in variants]
