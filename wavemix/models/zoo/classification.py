"""The classifiers of the WaveMix paper (arXiv 2205.14375, tables 2 and 7-12), and those of the published weights.

Tables 3 and 4 name data sets and scores, but no networks. Table 4 and SVHN of table 3 repeat what tables 7 and 12 have;
the networks behind the other rows of table 3 (97.29 on CIFAR-10, 85.09 on CIFAR-100, 77.47 on Tiny ImageNet, 99.75 on
MNIST, 94.32 on Fashion-MNIST) are not known.
"""

from collections.abc import Mapping
from functools import partial
from typing import Final

from wavemix.models.wavemix import WaveMixClassifier
from wavemix.models.zoo.benchmarks import (
    CIFAR10,
    CIFAR100,
    EMNIST_BALANCED,
    EMNIST_BYCLASS,
    EMNIST_BYMERGE,
    EMNIST_DIGITS,
    EMNIST_LETTERS,
    GALAXY10,
    IMAGENET,
    INAT_MINI,
    PLACES365,
    SVHN,
    TINY_IMAGENET,
    TINY_IMAGENET_128,
)
from wavemix.models.zoo.entry import Benchmark, Entry, Result, Weights

# Small images keep their size; large ones become patches. head_dim is that of the authors' WaveMix_Version2.py: all
# counts printed for ImageNet need it, and no published weights have it.
SMALL: Final = partial(WaveMixClassifier, num_classes=10, stem="strided", stride=1)
PATCHES: Final = partial(WaveMixClassifier, num_classes=1000, stem="patchify", patch_size=4)
STRIDED: Final = partial(WaveMixClassifier, num_classes=1000, stem="strided", stride=2)
PATCHES_1024: Final = partial(PATCHES, head_dim=1024)
STRIDED_1024: Final = partial(STRIDED, head_dim=1024)

HEAD: Final = "The printed count needs the head of WaveMix_Version2.py (head_dim=1024), which the paper leaves out."
NO_COUNT: Final = "The paper prints no count: the patches of 4 and the plain head are the released class's defaults."
OF_100_CLASSES: Final = "table 10 prints one count for three data sets, here that of 100 classes"
OF_10_CLASSES: Final = "table 10 prints one count for three data sets, here that of 10 classes"
NOT_FOUND: Final = "no reading of the arguments gives 3.01 M"

HUGGING_FACE: Final = "https://huggingface.co/cloudwalker/wavemix/resolve/main/Saved_Models_Weights"


def _weights(path: str, benchmark: Benchmark, score: float, note: str = "") -> Weights:
    return Weights(f"{HUGGING_FACE}/{path}.pth", benchmark, score, note=note)


def _weights_with_plain_head(path: str, benchmark: Benchmark, score: float) -> Weights:
    return Weights(f"{HUGGING_FACE}/{path}.pth", benchmark, score, {"head_dim": None})


CLASSIFICATION: Final[Mapping[str, Entry]] = {
    # ImageNet-1k and other large images
    "wavemix_128_8_l3": Entry(
        partial(PATCHES_1024, dim=128, depth=8, levels=3),
        (Result("table 2", IMAGENET, "7.3 M", 62.14),),
        reading=HEAD,
    ),
    "wavemix_192_16_l3": Entry(
        partial(PATCHES_1024, dim=192, depth=16, levels=3),
        (Result("table 2", IMAGENET, "28.9 M", 74.93), Result("table 8", IMAGENET, "28.9 M", 68.85)),
        (
            _weights_with_plain_head("ImageNet/wavemix_192_16_75.06", IMAGENET, 75.06),
            _weights_with_plain_head("ImageNet/imagenet_71.49", IMAGENET, 71.49),
            _weights_with_plain_head("tinyimagenet/tiny_71.69", TINY_IMAGENET, 71.69),
            _weights_with_plain_head("tinyimagenet/tiny_78.76", TINY_IMAGENET_128, 78.76),
            _weights_with_plain_head("galaxy10/galaxy_95.42", GALAXY10, 95.42),
        ),
        HEAD,
    ),
    "wavemix_lite_192_12": Entry(
        partial(PATCHES_1024, dim=192, depth=12, patch_size=5),
        (Result("table 8", IMAGENET, "10.7 M", 64.05),),
        reading=HEAD,
    ),
    "wavemix_lite_256_16": Entry(
        partial(PATCHES_1024, dim=256, depth=16, patch_size=5),
        (Result("table 8", IMAGENET, "23.4 M", 65.88), Result("appendix C.2", IMAGENET, "", 69.93)),
        reading=HEAD,
    ),
    "wavemix_224_12_l2": Entry(
        partial(PATCHES_1024, dim=224, depth=12, levels=2, patch_size=7),
        (Result("tables 8, 9", IMAGENET, "22.6 M", 65.90),),
        reading=f"{HEAD} It also needs patches of 7, where the paper says 4.",
    ),
    "wavemix_240_12_l2": Entry(
        partial(PATCHES_1024, dim=240, depth=12, levels=2, patch_size=7),
        (Result("tables 8, 11", IMAGENET, "25.8 M", 66.44),),
        reading=f"{HEAD} It also needs patches of 7, where the paper says 4.",
    ),
    "wavemix_240_12_l2_strided": Entry(
        partial(STRIDED_1024, dim=240, depth=12, levels=2),
        (Result("table 11", IMAGENET, "", 64.75),),
        reading="The paper prints no count: the head is that of its other networks for ImageNet.",
    ),
    "wavemix_208_12_l3": Entry(
        partial(PATCHES_1024, dim=208, depth=12, levels=3),
        (Result("table 8", IMAGENET, "25.7 M", 68.24),),
        reading=HEAD,
    ),
    "wavemix_224_12_l3": Entry(
        partial(STRIDED_1024, dim=224, depth=12, levels=3),
        (Result("table 8", IMAGENET, "29.4 M", 69.56),),
        reading=f"{HEAD} It also needs the strided stem, where the paper says patches of 4.",
    ),
    "wavemix_240_12_l3": Entry(
        partial(PATCHES_1024, dim=240, depth=12, levels=3),
        (Result("tables 8, 9, 11", IMAGENET, "33.8 M", 70.02),),
        reading=HEAD,
    ),
    "wavemix_240_12_l3_strided": Entry(
        partial(STRIDED_1024, dim=240, depth=12, levels=3),
        (Result("table 11", IMAGENET, "", 67.97),),
        reading="The paper prints no count: the head is that of its other networks for ImageNet.",
    ),
    "wavemix_lite_128_8": Entry(
        partial(STRIDED_1024, dim=128, depth=8),
        (Result("table 9", IMAGENET, "3.9 M", 54.12),),
        reading=f"{HEAD} It also needs the strided stem; table 9 names none.",
    ),
    "wavemix_lite_224_20": Entry(
        partial(PATCHES_1024, dim=224, depth=20),
        (Result("table 11", IMAGENET, "", 67.91),),
        reading="The paper prints no count: the head is that of its other networks for ImageNet.",
    ),
    "wavemix_lite_224_20_strided": Entry(
        partial(STRIDED_1024, dim=224, depth=20),
        (Result("table 11", IMAGENET, "", 62.79),),
        reading="The paper prints no count: the head is that of its other networks for ImageNet.",
    ),
    "wavemix_240_12_l4": Entry(
        partial(PATCHES, num_classes=365, dim=240, depth=12, levels=4),
        (Result("table 7", PLACES365, "", 56.45),),
        reading=f"{NO_COUNT} With them the blocks get 56x56, which the released one of four levels refuses; ours pads.",
    ),
    "wavemix_256_16_l2": Entry(
        partial(PATCHES, num_classes=10_000, dim=256, depth=16, levels=2),
        (Result("table 7", INAT_MINI, "", 61.75),),
        reading=NO_COUNT,
    ),
    # Large images: in no table, but published
    "wavemix_lite_192_16": Entry(
        partial(PATCHES, dim=192, depth=16),
        weights=(
            _weights("ImageNet/wavemixlite_71.18", IMAGENET, 71.18),
            _weights("galaxy10/galaxy_90.23", GALAXY10, 90.23),
        ),
    ),
    "wavemix_256_16_l3": Entry(
        partial(PATCHES, dim=256, depth=16, levels=3),
        weights=(
            _weights(
                "ImageNet/ImageNet73.03", IMAGENET, 73.03, "The authors' wavemix_73.py names the page of this file."
            ),
        ),
    ),
    "wavemix_256_16_l4": Entry(
        partial(STRIDED, dim=256, depth=16, levels=4),
        weights=(_weights("ImageNet/imagenet4level_70.42", IMAGENET, 70.42),),
    ),
    "wavemix_256_12_l2": Entry(
        partial(PATCHES, num_classes=365, dim=256, depth=12, levels=2, patch_size=8),
        weights=(
            _weights(
                "Places365/places365_54.94", PLACES365, 54.94, "Users get one answer for every image (WaveMix#2, #3)."
            ),
        ),
    ),
    # Small images
    "wavemix_lite_16_7": Entry(
        partial(SMALL, dim=16, depth=7),
        (
            Result("table 10", CIFAR10, "0.04 M", 64.98),
            Result("table 10", CIFAR100, "0.04 M", 23.03),
            Result("table 10", TINY_IMAGENET, "0.04 M", 19.15),
        ),
    ),
    "wavemix_lite_32_7": Entry(
        partial(SMALL, dim=32, depth=7),
        (
            Result("table 10", CIFAR10, "0.15 M", 84.67),
            Result("table 10", CIFAR100, "0.15 M", 46.89),
            Result("table 10", TINY_IMAGENET, "0.15 M", 34.34),
        ),
    ),
    "wavemix_lite_64_7": Entry(
        partial(SMALL, dim=64, depth=7),
        (
            Result("table 10", CIFAR10, "0.60 M", 87.81),
            Result("table 10", CIFAR100, "0.60 M", 62.72),
            Result("table 10", TINY_IMAGENET, "0.60 M", 46.31, f"615,800 here: {OF_10_CLASSES}"),
        ),
    ),
    "wavemix_lite_128_7": Entry(
        partial(SMALL, dim=128, depth=7),
        (
            Result("table 10", CIFAR10, "2.42 M", 91.08, f"2,404,970 here: {OF_100_CLASSES}"),
            Result("table 10", CIFAR100, "2.42 M", 68.40),
            Result("table 10", TINY_IMAGENET, "2.42 M", 52.03),
            Result("table 12", EMNIST_BYCLASS, "", 88.43),
            Result("table 12", EMNIST_BALANCED, "", 91.06),
        ),
    ),
    "wavemix_lite_144_7": Entry(
        partial(SMALL, dim=144, depth=7),
        (
            Result("table 10", CIFAR10, "3.01 M", 92.97, f"3,042,550 here: {NOT_FOUND}"),
            Result("table 10", CIFAR100, "3.01 M", 68.86, f"3,055,600 here: {NOT_FOUND}"),
            Result("table 10", TINY_IMAGENET, "3.01 M", 52.38, f"3,070,100 here: {NOT_FOUND}"),
            Result("table 14", CIFAR10, "3 M", 91.61),
        ),
        (_weights("cifar10/cifar10_94.58", CIFAR10, 94.58),),
    ),
    "wavemix_lite_160_13": Entry(
        partial(SMALL, num_classes=200, dim=160, depth=13),
        (Result("table 10", TINY_IMAGENET, "6.90 M", 54.76),),
    ),
    "wavemix_lite_256_7": Entry(
        partial(SMALL, dim=256, depth=7),
        (
            Result("table 10", CIFAR10, "9.62 M", 90.72, f"9,602,250 here: {OF_100_CLASSES}"),
            Result("table 10", CIFAR100, "9.62 M", 70.20),
            Result("table 10", TINY_IMAGENET, "9.62 M", 51.37, f"9,651,080 here: {OF_100_CLASSES}"),
            Result("table 13", CIFAR10, "", 91.15),
        ),
    ),
    "wavemix_lite_144_15": Entry(
        partial(SMALL, dim=144, depth=15),
        (Result("table 7", SVHN, "", 98.73),),
    ),
    "wavemix_lite_112_16": Entry(
        partial(SMALL, dim=112, depth=16, in_channels=1),
        (Result("table 12", EMNIST_DIGITS, "", 99.82), Result("table 12", EMNIST_LETTERS, "", 95.96)),
    ),
    "wavemix_lite_128_16": Entry(
        partial(SMALL, num_classes=47, dim=128, depth=16, in_channels=1),
        (Result("table 12", EMNIST_BYMERGE, "", 91.80),),
    ),
    # Small images: in no table, but published
    "wavemix_lite_320_8": Entry(
        partial(SMALL, dim=320, depth=8),
        weights=(_weights("cifar10/cifar10_95.37", CIFAR10, 95.37),),
    ),
    "wavemix_lite_256_8": Entry(
        partial(SMALL, num_classes=100, dim=256, depth=8),
        weights=(_weights("cifar100/cifar100_77.82", CIFAR100, 77.82),),
    ),
    "wavemix_lite_256_10": Entry(
        partial(SMALL, num_classes=100, dim=256, depth=10),
        weights=(_weights("cifar100/cifar100_78.81", CIFAR100, 78.81),),
    ),
    "wavemix_lite_256_12": Entry(
        partial(SMALL, num_classes=200, dim=256, depth=12),
        weights=(_weights("tinyimagenet/tinyimagenet_62.51", TINY_IMAGENET, 62.51),),
    ),
}
