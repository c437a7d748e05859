"""Decides which of the papers' networks are compared, and how each side makes them; does not know what is measured."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from benchmarks._authors import Authors, Inpainting, SuperResolution
from wavemix.models import WaveMixClassifier, WaveMixSegmenter, WaveMixSR, WavePaint


@dataclass(frozen=True)
class Network:
    """One of the papers' networks, as both sides make it; goals are ratios of time on a CPU."""

    title: str
    theirs: Callable[[Authors], nn.Module]
    ours: Callable[[], nn.Module]
    input_shapes: tuple[tuple[int, ...], ...]
    step_goal: float
    inference_goal: float


NETWORKS: Mapping[str, Network] = {
    "lite": Network(
        "Lite-128/8, 8 x 224x224",
        lambda authors: authors.classifier(
            depth=8, mult=2, ff_channel=128, final_dim=128, dropout=0.5, level=1, initial_conv="pachify"
        ),
        lambda: WaveMixClassifier(num_classes=1000, dim=128, depth=8, dropout=0.5, stem="patchify"),
        ((8, 3, 224, 224),),
        step_goal=1.8,
        inference_goal=1.9,
    ),
    "level3": Network(
        "192/16 level 3, 8 x 224x224",
        lambda authors: authors.classifier(dropout=0.5),  # all as the package has it
        lambda: WaveMixClassifier(num_classes=1000, dim=192, depth=16, levels=3, dropout=0.5, stem="patchify"),
        ((8, 3, 224, 224),),
        step_goal=1.35,
        inference_goal=1.4,
    ),
    "segmentation": Network(
        "segmentation 256/16 level 4, 256x512",
        lambda authors: authors.segmenter(),
        lambda: WaveMixSegmenter(num_classes=20, dim=256, depth=16),
        ((1, 3, 256, 512),),
        step_goal=1.1,
        inference_goal=1.15,
    ),
    "sr": Network(
        "WaveMixSR x2, 64x64 to 128x128",
        lambda authors: SuperResolution(authors.level1_block),
        WaveMixSR,
        ((1, 3, 64, 64),),
        step_goal=1.45,
        inference_goal=1.5,
    ),
    "wavepaint": Network(
        "WavePaint, 3 modules, 256x256",
        lambda authors: Inpainting(authors.level1_block),
        lambda: WavePaint(num_modules=3),
        ((1, 3, 256, 256), (1, 1, 256, 256)),
        step_goal=1.1,
        inference_goal=1.7,
    ),
}


def make_inputs(shapes: Sequence[Sequence[int]], device: str) -> tuple[Tensor, ...]:
    """Pictures in [0, 1]; of one channel, masks of 0 and 1."""
    pictures = (torch.rand(tuple(shape)) for shape in shapes)
    return tuple((x_bchw.round() if x_bchw.shape[1] == 1 else x_bchw).to(device) for x_bchw in pictures)
