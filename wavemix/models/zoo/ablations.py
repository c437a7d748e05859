"""The classifiers by which the WaveMix paper (arXiv 2205.14375) studies a part: tables 5, 13 and 14, section 4.6."""

from collections.abc import Mapping
from functools import partial
from typing import Final

from wavemix.models.wavemix import WaveMixClassifier
from wavemix.models.zoo.benchmarks import CIFAR10, FASHION_MNIST, MNIST
from wavemix.models.zoo.entry import Entry, Result

SMALL: Final = partial(WaveMixClassifier, num_classes=10, stem="strided", stride=1)
LITE_256_7: Final = partial(SMALL, dim=256, depth=7)
LITE_144_7: Final = partial(SMALL, dim=144, depth=7)

UPSAMPLING: Final = (
    "The count needs an upsampling without parameters that keeps the channels, so not the inverse transform; "
    "bilinear is one of the two kinds that section 4.5 names."
)
BASE: Final = "Section 4.6 does not name its base network: that of table 13 stands here."
SECTION_4_6: Final = (Result("section 4.6", CIFAR10),)


def _wavelet(name: str, score: float) -> Entry:
    return Entry(partial(LITE_256_7, wavelet=name), (Result("table 13", CIFAR10, "", score),))


def _level_alone(levels: int, parameters: str, score: float) -> Entry:
    return Entry(
        partial(LITE_144_7, levels=levels, deepest_only=True),
        (Result("table 14", CIFAR10, parameters, score),),
        reading="The count needs transposed convolutions of 2**l + 2, stride 2**l, as in WaveMix_Version1.py.",
    )


ABLATIONS: Final[Mapping[str, Entry]] = {
    # Table 5: the fewest parameters for a score; what is given as the score is the bar that was passed
    "wavemix_lite_8_10_bilinear": Entry(
        partial(SMALL, dim=8, depth=10, in_channels=1, expand="bilinear"),
        (Result("table 5", MNIST, "3,566", 99.0),),
        reading=UPSAMPLING,
    ),
    "wavemix_lite_8_5": Entry(
        partial(SMALL, dim=8, depth=5, in_channels=1), (Result("table 5", FASHION_MNIST, "7,156", 90.0),)
    ),
    "wavemix_lite_32_7_bilinear": Entry(
        partial(SMALL, dim=32, depth=7, expand="bilinear"),
        (Result("table 5", CIFAR10, "37,058", 80.0),),
        reading=UPSAMPLING,
    ),
    "wavemix_lite_64_6": Entry(partial(SMALL, dim=64, depth=6), (Result("table 5", CIFAR10, "520,106", 90.0),)),
    # Table 13: other wavelets than Haar's, which is wavemix_lite_256_7
    "wavemix_lite_256_7_db2": _wavelet("db2", 90.72),
    "wavemix_lite_256_7_db3": _wavelet("db3", 89.14),
    "wavemix_lite_256_7_db4": _wavelet("db4", 88.00),
    "wavemix_lite_256_7_db5": _wavelet("db5", 86.88),
    "wavemix_lite_256_7_bior13": _wavelet("bior1.3", 90.50),
    "wavemix_lite_256_7_bior15": _wavelet("bior1.5", 89.61),
    "wavemix_lite_256_7_rbio13": _wavelet("rbio1.3", 90.14),
    "wavemix_lite_256_7_coif1": _wavelet("coif1", 89.98),
    "wavemix_lite_256_7_coif2": _wavelet("coif2", 85.68),
    "wavemix_lite_256_7_sym2": _wavelet("sym2", 90.24),
    "wavemix_lite_256_7_sym3": _wavelet("sym3", 88.87),
    # Table 14: one deeper level in place of the first, which is wavemix_lite_144_7
    "wavemix_144_7_l2_only": _level_alone(2, "5.9 M", 87.39),
    "wavemix_144_7_l3_only": _level_alone(3, "15.2 M", 78.07),
    "wavemix_144_7_l4_only": _level_alone(4, "47.7 M", 65.40),
    # Section 4.6: something else in the place of the transform, or of the transposed convolution
    "wavemix_lite_256_7_none": Entry(
        partial(LITE_256_7, mixer="none"), SECTION_4_6, reading=f"5 points and 62 % of GPU memory worse. {BASE}"
    ),
    "wavemix_lite_256_7_fourier": Entry(
        partial(LITE_256_7, mixer="fourier"), SECTION_4_6, reading=f"12 points and 73 % of GPU memory worse. {BASE}"
    ),
    "wavemix_lite_256_7_random": Entry(
        partial(LITE_256_7, mixer="random"), SECTION_4_6, reading=f"6 points worse. {BASE}"
    ),
    "wavemix_lite_256_7_maxpool": Entry(
        partial(LITE_256_7, mixer="maxpool"), SECTION_4_6, reading=f"5 points and 8 % of GPU memory worse. {BASE}"
    ),
    "wavemix_lite_256_7_lifting": Entry(
        partial(LITE_256_7, mixer="lifting"), SECTION_4_6, reading=f"Worse, by how much is not said. {BASE}"
    ),
    "wavemix_lite_256_7_idwt": Entry(
        partial(LITE_256_7, expand="idwt"), SECTION_4_6, reading=f"Needs more blocks for the same score. {BASE}"
    ),
    "wavemix_lite_256_7_bilinear": Entry(
        partial(LITE_256_7, expand="bilinear"), SECTION_4_6, reading=f"Needs more blocks for the same score. {BASE}"
    ),
}
