"""The networks that give images back: WaveMixSR (arXiv 2307.00430), its second version (2409.10582), and WavePaint
(2307.00407)."""

from collections.abc import Mapping
from functools import partial
from typing import Final

from wavemix.models.wavemix_sr import WaveMixSR, WaveMixSRV2
from wavemix.models.wavepaint import WavePaint
from wavemix.models.zoo.benchmarks import BSD100, CELEBA_HQ, IMAGENET_HOLES, PLACES256
from wavemix.models.zoo.entry import Benchmark, Entry, Result, Weights

MULTIPLY_ADDS: Final = (
    "The paper's 25.8 G multiply-adds are torchinfo's for x2 at 64x64 pixels, which count a transposed convolution "
    "four times."
)
ONE_FOR_ALL: Final = "The scale is in the interpolation alone: the network is that of x2."
V2: Final = (
    "The pixel-shuffle blocks of WaveMixSRV2.py with four times dim before the shuffle: that file defines them, "
    "but builds its network from others, and does not run."
)

WAVEPAINT_2023: Final = "https://github.com/pranavphoenix/WavePaint/raw/main/wavepaint/weights/WavePaint_blocks4_dim128"
WAVEPAINT_2024: Final = "https://huggingface.co/cloudwalker/wavemix/resolve/main/Weights/WavePaint"
FOLDER: Final = "May lie in wavepaint/CelebHQ of that repository instead of wavepaint/weights."

MODEL_2023: Final = Result("wavepaint/model.py", CELEBA_HQ)
MODEL_2024: Final = Result("model.py of 2024", CELEBA_HQ)


def _sr_weights(name: str, score: float, interpolation: str) -> Weights:
    return Weights(
        f"https://github.com/pranavphoenix/WaveMixSR/raw/main/saved_model_weights/bsd100_2x_y_{name}.pth",
        BSD100,
        score,
        {"interpolation": interpolation},
        note="The interpolation is that of the script which trains on these data; the file does not hold it.",
    )


def _of_2023(name: str, benchmark: Benchmark = CELEBA_HQ) -> Weights:
    return Weights(f"{WAVEPAINT_2023}_modules{name}.pth", benchmark, note=FOLDER)


def _of_2024(name: str, benchmark: Benchmark) -> Weights:
    return Weights(
        f"{WAVEPAINT_2024}_{name}_mask.pth",
        benchmark,
        note="Should they not fit: the authors say to try mult=2 as well.",
    )


SUPER_RESOLUTION: Final[Mapping[str, Entry]] = {
    "wavemix_sr_x2": Entry(
        partial(WaveMixSR, scale=2),
        (Result("results", BSD100, "1.7 M", 33.08),),
        (_sr_weights("df2k_33.2", 33.2, "bicubic"), _sr_weights("div2k_33.08", 33.08, "bilinear")),
        MULTIPLY_ADDS,
    ),
    "wavemix_sr_x3": Entry(partial(WaveMixSR, scale=3), (Result("results", BSD100, "1.7 M"),), reading=ONE_FOR_ALL),
    "wavemix_sr_x4": Entry(partial(WaveMixSR, scale=4), (Result("results", BSD100, "1.7 M"),), reading=ONE_FOR_ALL),
    "wavemix_sr_v2_x2": Entry(partial(WaveMixSRV2, scale=2), (Result("WaveMixSRV2.py", BSD100),), reading=V2),
    "wavemix_sr_v2_x4": Entry(partial(WaveMixSRV2, scale=4), (Result("WaveMixSRV2.py", BSD100),), reading=V2),
}

# The paper says 3-10 M for what lies between two modules and six.
INPAINTING: Final[Mapping[str, Entry]] = {
    "wavepaint_2": Entry(
        partial(WavePaint, num_modules=2),
        (Result("results", CELEBA_HQ, "3 M"),),
        (_of_2023("2_depthconv_celebhq"), _of_2023("2imagenet_depthconv", IMAGENET_HOLES)),
    ),
    "wavepaint_3": Entry(partial(WavePaint, num_modules=3), (MODEL_2023,), (_of_2023("3_depthconv_celebhq"),)),
    "wavepaint_3_l2": Entry(
        partial(WavePaint, num_modules=3, levels=2), (MODEL_2023,), (_of_2023("3level2_depthconv_celebhq"),)
    ),
    "wavepaint_3_l3": Entry(
        partial(WavePaint, num_modules=3, levels=3),
        (MODEL_2023,),
        (_of_2023("3level3_depthconv_celebhq"),),
        "wavepaint/model.py imports its block of three levels from no known place: that of WaveMix stands here.",
    ),
    "wavepaint_5": Entry(partial(WavePaint, num_modules=5), (MODEL_2023,), (_of_2023("5_depthconv_celebhq"),)),
    "wavepaint_6": Entry(
        partial(WavePaint, num_modules=6),
        (Result("results", CELEBA_HQ, "10 M"),),
        (_of_2023("6_depthconv_celebhq"),),
    ),
    "wavepaint_8": Entry(partial(WavePaint, num_modules=8), (MODEL_2023,)),
    "wavepaint_8_blind_m4": Entry(
        partial(WavePaint, num_modules=8, mult=4, mask_input=False),
        (MODEL_2024,),
        (
            _of_2024("blocks4_dim128_modules8_celebhq_medium", CELEBA_HQ),
            _of_2024("blocks4_dim128_modules8_celebhq_thick", CELEBA_HQ),
            _of_2024("_blocks4_dim128_modules8_places256_medium", PLACES256),
            _of_2024("_blocks4_dim128_modules8_places256_thick", PLACES256),
        ),
    ),
}
