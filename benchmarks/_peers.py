"""Decides which networks stand beside ours in the papers' tables, and how each is made; knows not what is measured.

All have random weights. Where the papers leave a size open, it is the one that gives the printed number of parameters.
"""

import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from wavemix.models.zoo import build_model

Make = Callable[[], nn.Module]


@dataclass(frozen=True)
class Comparison:
    """Networks for one size of input; batches are for a CPU and for a GPU. Ratios are those to ``baseline``."""

    title: str
    input_shape: tuple[int, int, int]
    cpu_batch: int
    gpu_batch: int
    ours: tuple[str, ...]  # in the zoo
    peers: Mapping[str, tuple[str, Make]]  # by name: the library that makes it, and how
    baseline: str

    def networks(self, missing: Mapping[str, str]) -> Iterator[tuple[str, Make]]:
        """All by name, without those of missing libraries."""
        yield from ((name, partial(build_model, name)) for name in self.ours)
        yield from ((name, make) for name, (library, make) in self.peers.items() if library not in missing)


def missing_libraries() -> dict[str, str]:
    """Those of timm and transformers that cannot be imported here, with the reason."""
    declare_operators()
    missing = {}
    for library in ("timm", "transformers"):
        try:
            importlib.import_module(library)
        except (ImportError, RuntimeError) as error:
            missing[library] = str(error).splitlines()[0]
    return missing


def declare_operators() -> None:
    """Make a torchvision that was built for CUDA importable beside a torch for CPUs.

    Its compiled operators need CUDA's libraries and do not load; then it stops where it describes two that it takes for
    present. They are declared here and stay without an implementation: no network below calls them. All else is
    torchvision's own.
    """
    if importlib.util.find_spec("torchvision") is None:
        return
    try:
        importlib.import_module("torchvision")
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            return  # missing_libraries() tells
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        for name in ("nms", "qnms"):
            torch.library.define(f"torchvision::{name}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")


def timm_model(name: str, **arguments: object) -> nn.Module:
    """A network of timm by its name there."""
    model: nn.Module = importlib.import_module("timm").create_model(name, **arguments)
    return model


def convmixer(dim: int, depth: int) -> nn.Module:
    """ConvMixer-dim/depth with the kernel and patches of table 9's numbers of parameters."""
    model: nn.Module = importlib.import_module("timm.models.convmixer").ConvMixer(
        dim, depth, kernel_size=8, patch_size=7
    )
    return model


def mlp_mixer() -> nn.Module:
    """MLP-Mixer-512/8 of table 10."""
    model: nn.Module = importlib.import_module("timm.models.mlp_mixer").MlpMixer(
        num_classes=10, img_size=32, patch_size=4, num_blocks=8, embed_dim=512, mlp_ratio=(0.5, 0.5)
    )
    return model


class FullSize(nn.Module):
    """A segmenter of transformers whose answer is resized to the picture, as ours are that large."""

    def __init__(self, segmenter: nn.Module) -> None:
        super().__init__()
        self.segmenter = segmenter

    def forward(self, x_bchw: Tensor) -> Tensor:
        return F.interpolate(self.segmenter(x_bchw).logits, size=x_bchw.shape[2:], mode="bilinear")


def segformer(depths: tuple[int, ...], dims: tuple[int, ...], decoder_dim: int) -> nn.Module:
    """SegFormer for 20 classes, as our segmenters of the zoo."""
    library = importlib.import_module("transformers")
    config = library.SegformerConfig(
        depths=list(depths), hidden_sizes=list(dims), decoder_hidden_size=decoder_dim, num_labels=20
    )
    return FullSize(library.SegformerForSemanticSegmentation(config))


B0 = partial(segformer, (2, 2, 2, 2), (32, 64, 160, 256), 256)
B4 = partial(segformer, (3, 8, 27, 3), (64, 128, 320, 512), 768)

SEGMENTATION = Comparison(
    "table 6, 256x512",
    (3, 256, 512),
    cpu_batch=1,
    gpu_batch=16,
    ours=("wavemix_lite_128_8_seg", "wavemix_lite_256_16_seg", "wavemix_256_16_l4_seg"),
    peers={"SegFormer-B0": ("transformers", B0), "SegFormer-B4": ("transformers", B4)},
    baseline="SegFormer-B4",
)

COMPARISONS = {
    "imagenet": Comparison(
        "table 9, 224x224",
        (3, 224, 224),
        cpu_batch=8,
        gpu_batch=64,
        ours=("wavemix_lite_128_8", "wavemix_224_12_l2", "wavemix_240_12_l3"),
        peers={
            "ResNet-18": ("timm", partial(timm_model, "resnet18")),
            "ResNet-34": ("timm", partial(timm_model, "resnet34")),
            "ResNet-50": ("timm", partial(timm_model, "resnet50")),
            "MobileNetV3-small": ("timm", partial(timm_model, "mobilenetv3_small_100")),
            "MobileNetV3-large": ("timm", partial(timm_model, "mobilenetv3_large_100")),
            "ViT-B-16": ("timm", partial(timm_model, "vit_base_patch16_224")),
            "ViT-B-32": ("timm", partial(timm_model, "vit_base_patch32_224")),
            "ConvMixer-512/12": ("timm", partial(convmixer, 512, 12)),
            "ConvMixer-512/16": ("timm", partial(convmixer, 512, 16)),
            "ConvMixer-1024/12": ("timm", partial(convmixer, 1024, 12)),
            "PoolFormer-S12": ("timm", partial(timm_model, "poolformer_s12")),  # this and the next are of table 2
            "MLP-Mixer-B-16": ("timm", partial(timm_model, "mixer_b16_224")),
        },
        baseline="ResNet-50",
    ),
    "cifar": Comparison(
        "table 10, 32x32",
        (3, 32, 32),
        cpu_batch=16,
        gpu_batch=64,
        ours=("wavemix_lite_16_7", "wavemix_lite_64_7", "wavemix_lite_128_7", "wavemix_lite_256_7"),
        peers={
            "ResNet-18": ("timm", partial(timm_model, "resnet18", num_classes=10)),
            "ResNet-34": ("timm", partial(timm_model, "resnet34", num_classes=10)),
            "ResNet-50": ("timm", partial(timm_model, "resnet50", num_classes=10)),
            "MLP-Mixer-512/8": ("timm", mlp_mixer),
        },
        baseline="ResNet-18",
    ),
    "segmentation": SEGMENTATION,
    "cityscapes": replace(SEGMENTATION, title="table 1, 1024x2048", input_shape=(3, 1024, 2048), gpu_batch=1),
}
