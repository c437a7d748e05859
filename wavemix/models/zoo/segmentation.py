"""The segmenters of the WaveMix paper (arXiv 2205.14375, tables 1 and 6), and the one of the published weights."""

from collections.abc import Mapping
from functools import partial
from typing import Final

from wavemix.models.wavemix import WaveMixSegmenter
from wavemix.models.zoo.benchmarks import CITYSCAPES_256, CITYSCAPES_512, CITYSCAPES_1024
from wavemix.models.zoo.entry import Entry, Result, Weights


def _network(
    dim: int, depth: int, *results: Result, levels: int = 1, mult: int = 2, ff_dim: int | None = None
) -> Entry:
    """A row of table 6, or several rows of one network."""
    network = partial(WaveMixSegmenter, num_classes=20, dim=dim, depth=depth, levels=levels, mult=mult, ff_dim=ff_dim)
    return Entry(network, results)


def _at_256(parameters: str, score: float, mismatch: str = "") -> Result:
    return Result("table 6", CITYSCAPES_256, parameters, score, mismatch)


def _at_512(parameters: str, score: float, mismatch: str = "") -> Result:
    return Result("table 6", CITYSCAPES_512, parameters, score, mismatch)


def _at_1024(parameters: str, score: float, mismatch: str = "", *, where: str = "table 6") -> Result:
    return Result(where, CITYSCAPES_1024, parameters, score, mismatch)


NOT_FOUND: Final = "no reading of the arguments gives the printed one"
THIRD_CONV: Final = "72,064 more, by a stem of three 3x3 convolutions, would give the printed one"

# Table 6 has 39 rows and 35 networks.
SEGMENTATION: Final[Mapping[str, Entry]] = {
    "wavemix_lite_128_8_seg": _network(128, 8, _at_512("2.9 M", 67.55), _at_256("2.9 M", 63.33)),
    "wavemix_lite_128_20_m3_seg": _network(128, 20, _at_256("7.5 M", 67.76), mult=3),
    "wavemix_lite_160_12_seg": _network(160, 12, _at_256("6.6 M", 65.08)),
    "wavemix_lite_192_12_seg": _network(192, 12, _at_256("9.5 M", 65.92)),
    "wavemix_lite_224_12_seg": _network(224, 12, _at_256("12.9 M", 66.67)),
    "wavemix_lite_256_7_seg": _network(256, 7, _at_512("10.2 M", 70.43)),
    "wavemix_lite_256_7_ff160_seg": _network(256, 7, _at_256("7.2 M", 65.30), ff_dim=160),
    "wavemix_lite_256_7_ff160_m3_seg": _network(256, 7, _at_256("7.9 M", 64.34), ff_dim=160, mult=3),
    "wavemix_lite_256_7_ff192_m3_seg": _network(256, 7, _at_256("8.9 M", 65.27), ff_dim=192, mult=3),
    "wavemix_lite_256_12_ff160_seg": _network(256, 12, _at_256("11.5 M", 67.11), ff_dim=160),
    "wavemix_lite_256_12_ff192_seg": _network(256, 12, _at_256("13.3 M", 65.46), ff_dim=192),
    "wavemix_lite_256_12_ff224_seg": _network(
        256, 12, _at_256("15.0 M", 66.75, f"15,130,196 here: {NOT_FOUND}"), ff_dim=224
    ),
    "wavemix_lite_256_12_seg": _network(256, 12, _at_256("16.9 M", 67.46)),
    "wavemix_lite_256_12_ff1024_m3_seg": _network(
        256, 12, _at_256("63.2 M", 62.39, f"63,311,828 here: {NOT_FOUND}"), ff_dim=1024, mult=3
    ),
    "wavemix_lite_256_14_seg": _network(256, 14, _at_512("19.5 M", 73.86)),
    "wavemix_lite_256_16_seg": _network(
        256,
        16,
        _at_512("22.2 M", 76.79),
        _at_1024("22.3 M", 75.32, f"22,214,868 here: 22.2 M in the same table at 512x1024; {THIRD_CONV}"),
    ),
    "wavemix_lite_256_16_ff272_m3_seg": _network(256, 16, _at_256("25.5 M", 67.46), ff_dim=272, mult=3),
    "wavemix_lite_256_16_ff512_m3_seg": _network(256, 16, _at_256("44.2 M", 71.75), ff_dim=512, mult=3),
    "wavemix_lite_256_16_ff512_m4_seg": _network(256, 16, _at_256("47.3 M", 67.17), ff_dim=512, mult=4),
    "wavemix_lite_256_16_ff1024_m3_seg": _network(256, 16, _at_256("84 M", 69.94), ff_dim=1024, mult=3),
    "wavemix_lite_256_17_seg": _network(256, 17, _at_512("23.5 M", 74.26)),
    "wavemix_lite_256_18_seg": _network(256, 18, _at_512("24.9 M", 74.67)),
    "wavemix_lite_256_18_ff512_m3_seg": _network(256, 18, _at_256("49.6 M", 65.16), ff_dim=512, mult=3),
    "wavemix_lite_256_20_m3_seg": _network(256, 20, _at_256("30.1 M", 67.65), mult=3),
    "wavemix_lite_256_20_ff512_m3_seg": _network(256, 20, _at_256("55.0 M", 67.80), ff_dim=512, mult=3),
    "wavemix_lite_272_16_seg": _network(272, 16, _at_512("25.1 M", 73.21), _at_256("25.0 M", 67.48)),
    "wavemix_lite_288_16_seg": _network(
        288,
        16,
        _at_512("28.1 M", 73.06),
        _at_256("28.0 M", 67.90, "28,111,340 here: 28.1 M in the same table at 512x1024"),
    ),
    "wavemix_lite_304_16_seg": _network(304, 16, _at_256("31.2 M", 67.76, f"31,319,544 here: {NOT_FOUND}")),
    "wavemix_lite_320_16_ff512_m3_seg": _network(
        320, 16, _at_256("56.5 M", 67.94, f"56,663,812 here: {NOT_FOUND}"), ff_dim=512, mult=3
    ),
    "wavemix_lite_512_12_ff1024_m3_seg": _network(
        512, 12, _at_256("133.2 M", 65.09, f"133,623,700 here: {NOT_FOUND}"), ff_dim=1024, mult=3
    ),
    "wavemix_256_16_l2_seg": _network(256, 16, _at_1024("35.9 M", 75.92), levels=2),
    "wavemix_256_16_l3_seg": _network(256, 16, _at_1024("49.6 M", 76.54, f"49,514,708 here: {THIRD_CONV}"), levels=3),
    "wavemix_256_15_l4_seg": _network(256, 15, _at_1024("59.4 M", 77.18, f"59,276,564 here: {NOT_FOUND}"), levels=4),
    "wavemix_256_16_l4_seg": _network(
        256,
        16,
        _at_1024("63.2 M", 78.64, where="tables 1, 6"),
        _at_1024("63.2 M", 82.60, where="table 1, pretrained on ImageNet"),
        levels=4,
    ),
    "wavemix_256_17_l4_seg": _network(256, 17, _at_1024("67.1 M", 77.68), levels=4),
    # In no table, but published: the classifier's trunk with a decoder of its own
    "wavemix_192_16_l3_patches_seg": Entry(
        partial(WaveMixSegmenter, num_classes=20, dim=192, depth=16, levels=3, stem="patchify", decoder_dims=(128, 64)),
        weights=(
            Weights(
                "https://huggingface.co/cloudwalker/wavemix/resolve/main/Saved_Models_Weights/cityscapes_83.04.pth",
                CITYSCAPES_1024,
                83.04,
            ),
        ),
    ),
}
