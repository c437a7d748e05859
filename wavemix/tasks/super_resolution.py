"""Super-resolution: joins pairs of pictures, WaveMixSR, the Huber loss on Y, and PSNR and SSIM. It knows no loop or
launcher.

Shapes: b = batch, h, w = height, width of the high resolution, s = scale.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from wavemix import config, losses, metrics
from wavemix.color import luma, rgb_to_ycbcr, studio_luma, ycbcr_to_rgb
from wavemix.data.decode import encode_png
from wavemix.data.resize import imresize
from wavemix.data.schema import ImagePair, Record
from wavemix.errors import DataError
from wavemix.metrics import Tally
from wavemix.metrics.pictures import PEAK
from wavemix.models import WaveMixSR, WaveMixSRV2
from wavemix.tasks.base import Batch, Goal, Predict, Rendered

NETWORKS: Mapping[str, type[nn.Module]] = {"wavemix_sr": WaveMixSR, "wavemix_sr_v2": WaveMixSRV2}

MOST_SHOWN = 192
"""Side of the largest part of a picture that is shown, in pixels of the high resolution."""


@dataclass(frozen=True)
class SuperResolution:
    """A low resolution in, a picture ``scale`` times as high and wide out, as YCbCr ``[b, 3, h, w]``.

    Scored by the usual protocol, and with ``full`` also by that of WaveMixSR's authors (`_saved_luma`, `_as_authors`).
    """

    network: str
    model: Mapping[str, Any]  # keyword arguments of the network but for the scale
    scale: int
    crop: int | None  # side of what is trained on, in the high resolution; None: whole pictures
    flip_and_turn: bool
    self_ensemble: bool

    schema = ImagePair.schema
    goal = Goal("psnr_y", "max")

    def decode(self, record: Record, *, exact: bool) -> ImagePair:  # noqa: ARG002
        return ImagePair.decode(record, scale=self.scale)

    def train_transform(self, sample: ImagePair, generator: np.random.Generator) -> ImagePair:
        low, high = sample.low[self.scale], sample.high
        if self.crop:
            side, sides = self.crop // self.scale, low.shape[:2]
            if side > min(sides):
                height, width = high.shape[:2]
                raise DataError(
                    f"sample {sample.key}: no crop of {self.crop} fits into {width}x{height}; lower task.crop"
                )
            top, left = (int(generator.integers(of_low - side + 1)) for of_low in sides)
            low = low[top : top + side, left : left + side]
            top, left = top * self.scale, left * self.scale
            high = high[top : top + self.crop, left : left + self.crop]
        if self.flip_and_turn:
            turns, flip = int(generator.integers(4)), int(generator.integers(2))
            low, high = (np.rot90(image[:, :: 1 - 2 * flip], turns) for image in (low, high))
        return replace(sample, high=high, low={self.scale: low})

    def eval_transform(self, sample: ImagePair) -> ImagePair:
        return sample

    def train_batch(self, batch: Batch, generator: np.random.Generator) -> Batch:  # noqa: ARG002
        return batch

    def build_model(self) -> nn.Module:
        return NETWORKS[self.network](scale=self.scale, **self.model)

    def predict(self, model: nn.Module, batch: Batch) -> Tensor:
        answer_b3hw: Tensor = model(rgb_to_ycbcr(batch["low"]))
        return answer_b3hw

    def loss(self, prediction: Tensor, batch: Batch) -> Tensor:
        return losses.huber(prediction[:, :1], luma(batch["high"]))

    def metrics(self, prediction: Tensor, batch: Batch, *, full: bool) -> Mapping[str, Tally]:
        answer_b1hw = _saved_luma(ycbcr_to_rgb(prediction), batch["grey"])
        truth_b1hw = _saved_luma(batch["high"], batch["grey"])
        tallies: dict[str, Tally] = {
            "psnr_y": metrics.psnr(answer_b1hw, truth_b1hw, border=self.scale),
            "ssim_y": metrics.ssim(answer_b1hw, truth_b1hw, border=self.scale),
        }
        return tallies | _as_authors(prediction, batch) if full else tallies

    def summary(self, tallies: Mapping[str, Tally]) -> dict[str, float]:
        return metrics.scalars(tallies)

    def variants(self) -> Mapping[str, Predict]:
        bicubic: dict[str, Predict] = {"bicubic": partial(_bicubic, scale=self.scale)}
        return bicubic | {"x8": self._mean_of_eight} if self.self_ensemble else bicubic

    def render(self, prediction: Tensor, batch: Batch) -> list[Rendered]:
        rendered = []
        low_b3hw = batch["low"].repeat_interleave(self.scale, dim=2).repeat_interleave(self.scale, dim=3)
        for index, pictures in enumerate(zip(low_b3hw, ycbcr_to_rgb(prediction), batch["high"], strict=True)):
            one = {name: value[index : index + 1] for name, value in batch.items()}
            psnr_y = self.metrics(prediction[index : index + 1], one, full=False)["psnr_y"]
            shown = torch.cat([_middle(picture) for picture in pictures], dim=2).clamp(0, 1).cpu()
            rendered.append(Rendered(shown, caption=f"{metrics.scalars({'psnr_y': psnr_y})['psnr_y']:.2f} dB"))
        return rendered

    def encode(self, prediction: Tensor, batch: Batch) -> list[bytes]:  # noqa: ARG002
        return [encode_png(np.ascontiguousarray(image)) for image in _bytes(ycbcr_to_rgb(prediction))]

    def _mean_of_eight(self, model: nn.Module, batch: Batch) -> Tensor:
        """The mean of the answers to all flips and turns, each turned back ("x8", geometric self-ensemble).

        Source: Lim et al. 2017 (EDSR, arXiv 1707.02921), section 3.4.
        """
        total = torch.zeros((), device=batch["low"].device)
        for turns in range(4):
            for flip in ((), (3,)):
                turned = batch["low"].flip(flip).rot90(turns, (2, 3))
                total = total + self.predict(model, {"low": turned}).rot90(-turns, (2, 3)).flip(flip)
        return total / 8


def build(task: config.SuperResolution, classes: tuple[str, ...]) -> SuperResolution:  # noqa: ARG001
    """The task that a section of params.yaml describes; pairs of pictures have no classes."""
    return SuperResolution(
        network=task.model.name,
        model=task.model.model_dump(exclude={"name"}),
        scale=task.scale,
        crop=task.crop,
        flip_and_turn=task.flip_and_turn,
        self_ensemble=task.self_ensemble,
    )


def _bicubic(_model: nn.Module, batch: Batch, *, scale: int) -> Tensor:
    """The low resolution as MATLAB's imresize enlarges its 8-bit RGB: what papers print in the row Bicubic."""
    enlarged_bhw3 = np.stack([imresize(image, float(scale)) for image in _bytes(batch["low"])])
    enlarged_b3hw = torch.from_numpy(enlarged_bhw3).permute(0, 3, 1, 2).to(batch["low"].device)
    return rgb_to_ycbcr(enlarged_b3hw.float() / PEAK)


def _saved_luma(rgb_b3hw: Tensor, grey_b: Tensor) -> Tensor:
    """What protocols compare: Y in 16..235 of the picture as it would be saved, clipped and rounded to 8 bits of RGB.

    A picture that was published with one channel is compared in its own values, 0..255, as the literature does with one
    of Set14 ("bridge"): its Y would have 1.32 dB more. Another one there is grey too ("man"), but published in RGB, and
    is scored like a colour picture.

    Source: BasicSR's ``calculate_psnr`` with ``test_y_channel``; MATLAB scripts of SRCNN and later.
    """
    saved_b3hw = (rgb_b3hw.double().clamp(0, 1) * PEAK).round()
    return torch.where(grey_b[:, None, None, None], luma(saved_b3hw), studio_luma(saved_b3hw / PEAK))


def _as_authors(prediction: Tensor, batch: Batch) -> dict[str, Tally]:
    """The scores as WaveMixSR's scripts take them: full-range Y of floats, neither clipped, rounded nor cropped.

    Peaks are what torchmetrics 0.11.4 infers for each picture: for PSNR the span of the truth and 0, for SSIM the
    longer one of the spans of answer and truth. Not reproduced: where sides are odd or do not fit, those scripts resize
    the low resolution, and the truth too; here both are cropped. Their version of torchmetrics is inferred from their
    dates: from 1.0 on the defaults give other numbers.
    """
    answer_b1hw, truth_b1hw = prediction[:, :1].double(), luma(batch["high"]).double()
    span_b111 = truth_b1hw.amax((1, 2, 3), keepdim=True) - truth_b1hw.amin((1, 2, 3), keepdim=True).clamp(max=0)
    longer_b111 = torch.maximum(_span(answer_b1hw), _span(truth_b1hw))
    return {
        "psnr_y_authors": metrics.psnr(answer_b1hw * (PEAK / span_b111), truth_b1hw * (PEAK / span_b111)),
        "ssim_y_authors": metrics.ssim(answer_b1hw * (PEAK / longer_b111), truth_b1hw * (PEAK / longer_b111)),
    }


def _span(x_bchw: Tensor) -> Tensor:
    return x_bchw.amax((1, 2, 3), keepdim=True) - x_bchw.amin((1, 2, 3), keepdim=True)


def _bytes(rgb_b3hw: Tensor) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """``[b, h, w, 3]`` from RGB in [0, 1]."""
    return (rgb_b3hw.clamp(0, 1) * PEAK).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()


def _middle(image_3hw: Tensor) -> Tensor:
    height, width = image_3hw.shape[1:]
    top, left = max(0, height - MOST_SHOWN) // 2, max(0, width - MOST_SHOWN) // 2
    return image_3hw[:, top : top + MOST_SHOWN, left : left + MOST_SHOWN]
