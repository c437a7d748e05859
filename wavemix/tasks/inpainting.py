"""Inpainting: joins pictures, LaMa's masks, WavePaint, the hybrid loss, and the errors of whole pictures and of holes.
It knows no loop or launcher.

Shapes: b = batch, h, w = height, width. Masks: True = hole.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from wavemix import config, losses, metrics
from wavemix.data.decode import encode_png
from wavemix.data.masks import Mask, draw_mask, eval_mask, mask_digest
from wavemix.data.schema import PlainImage, Record
from wavemix.data.transforms import resize_and_crop
from wavemix.metrics import DigestSum, FrechetDistance, Networks, Ratio, Tally
from wavemix.models import WavePaint
from wavemix.tasks.base import Batch, Goal, Predict, Rendered

Measure = Callable[[Tensor, Tensor, Tensor], Ratio]
"""(answers, truths, masks) -> a mean over pictures; pictures in [0, 1]."""


@dataclass(frozen=True)
class HoledImage:
    """A picture, and which of its pixels are to be filled."""

    plain: PlainImage
    mask: Mask

    def fields(self) -> Mapping[str, NDArray[np.generic]]:
        """``image``: uint8 ``[3, h, w]``; ``mask``: bool ``[1, h, w]``; ``digest``: of mask and key, int64 ``[]``."""
        digest = np.array(mask_digest(self.mask, self.plain.key), np.uint64).view(np.int64)
        return {**self.plain.fields(), "mask": self.mask[None], "digest": digest}


@dataclass(frozen=True)
class Inpainting:
    """A picture with a hole in, the picture with the hole filled out; nothing is normalised.

    Scored as LaMa does it, on pictures of 8 bits whose known pixels are the truth's, every picture counting alike.
    Deliberate differences: masks are drawn on the centre square (``eval_mask``), SSIM's window stays within the
    picture, and FID's Inception resizes as TensorFlow does.
    """

    model: Mapping[str, Any]  # keyword arguments of WavePaint
    image_size: int
    train_masks: str
    eval_masks: str
    mask_seed: int
    horizontal_flip_prob: float
    perceptual: bool
    weights: str | None  # the folder of the perceptual networks' weights

    schema = PlainImage.schema

    @property
    def goal(self) -> Goal:
        return Goal("lpips_alex" if self.perceptual else "l1_hole", "min")

    def decode(self, record: Record, *, exact: bool) -> PlainImage:  # noqa: ARG002
        return PlainImage.decode(record)

    def train_transform(self, sample: PlainImage, generator: np.random.Generator) -> HoledImage:
        image = resize_and_crop(sample.image, self.image_size, exact=False)
        if generator.random() < self.horizontal_flip_prob:
            image = image[:, ::-1]
        return HoledImage(replace(sample, image=image), draw_mask(self.train_masks, self.image_size, generator))

    def eval_transform(self, sample: PlainImage) -> HoledImage:
        image = resize_and_crop(sample.image, self.image_size, exact=True)
        mask = eval_mask(self.eval_masks, self.image_size, seed=self.mask_seed, key=sample.key)
        return HoledImage(replace(sample, image=image), mask)

    def train_batch(self, batch: Batch, generator: np.random.Generator) -> Batch:  # noqa: ARG002
        return batch

    def build_model(self) -> nn.Module:
        return WavePaint(**self.model)

    def predict(self, model: nn.Module, batch: Batch) -> Tensor:
        answer_b3hw: Tensor = model(batch["image"] * ~batch["mask"], batch["mask"])
        return answer_b3hw

    def loss(self, prediction: Tensor, batch: Batch) -> Tensor:
        perceptual = self._networks(prediction.device).alex if self.perceptual else None
        return losses.hybrid(prediction, batch["image"], perceptual=perceptual)

    def metrics(self, prediction: Tensor, batch: Batch, *, full: bool) -> Mapping[str, Tally]:
        pictures = (_in_8_bits(prediction), batch["image"])
        networks = self._networks(prediction.device) if self.perceptual else None
        tallies: dict[str, Tally] = {}
        for name, measure in _measures(networks, full=full).items():
            tallies[name] = measure(*pictures, batch["mask"])
            if full:
                binned = metrics.by_share_of_hole(measure, *pictures, batch["mask"])
                tallies |= {f"{name}_{share}": part for share, part in binned.items()}
        if full:
            tallies["masks_digest"] = metrics.digest_sum(batch["digest"])
            if networks:
                tallies["fid"] = metrics.frechet_distance(networks.inception, *pictures)
        return tallies

    def summary(self, tallies: Mapping[str, Tally]) -> dict[str, float]:
        """``masks_digest``: the lower 48 bits of the digest of all masks. Shares that no hole has are left out."""
        numbers = {}
        for name, tally in tallies.items():
            if isinstance(tally, DigestSum):
                numbers[name] = tally.low_bits
            elif isinstance(tally, FrechetDistance):
                numbers[name] = tally.value
            elif not isinstance(tally, Ratio) or tally.count > 0:
                numbers |= metrics.scalars({name: tally})
        return numbers

    def variants(self) -> Mapping[str, Predict]:
        return {"mean_fill": _mean_fill}

    def render(self, prediction: Tensor, batch: Batch) -> list[Rendered]:
        truth_b3hw, mask_b1hw = batch["image"], batch["mask"]
        answer_b3hw = _in_8_bits(prediction)
        shown_b3hw = torch.cat((truth_b3hw * ~mask_b1hw, answer_b3hw, truth_b3hw), dim=3).cpu()
        return [
            Rendered(shown_3hw, caption=f"l1_hole {float(metrics.l1_hole(*one).value):.3f}")
            for shown_3hw, *one in zip(
                shown_b3hw,
                *(part.tensor_split(len(part)) for part in (answer_b3hw, truth_b3hw, mask_b1hw)),
                strict=True,
            )
        ]

    def encode(self, prediction: Tensor, batch: Batch) -> list[bytes]:  # noqa: ARG002
        bytes_bhw3 = (_in_8_bits(prediction) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
        return [encode_png(np.ascontiguousarray(image)) for image in bytes_bhw3]

    def _networks(self, device: torch.device) -> Networks:
        return metrics.published_networks(self.weights, device)


def _measures(networks: Networks | None, *, full: bool) -> dict[str, Measure]:
    measures: dict[str, Measure] = {"l1_hole": metrics.l1_hole}
    if full:
        measures |= {"psnr": partial(_of_255, metrics.psnr), "ssim": partial(_of_255, metrics.ssim)}
    if networks:
        measures["lpips_alex"] = partial(_lpips, networks.alex)
        if full:
            measures["lpips_vgg"] = partial(_lpips, networks.vgg)
    return measures


def _of_255(measure: Callable[[Tensor, Tensor], Ratio], answer: Tensor, truth: Tensor, _mask: Tensor) -> Ratio:
    return measure(255 * answer, 255 * truth)


def _lpips(network: nn.Module, answer: Tensor, truth: Tensor, _mask: Tensor) -> Ratio:
    return metrics.lpips_distance(network, answer, truth)


def _in_8_bits(picture_b3hw: Tensor) -> Tensor:
    """As the picture comes back from a file, in [0, 1]."""
    return (picture_b3hw.float().clamp(0, 1) * 255).round() / 255


def _mean_fill(_model: nn.Module, batch: Batch) -> Tensor:
    """The hole in the mean colour of the known pixels: what can be had without a network."""
    image_b3hw, known_b1hw = batch["image"], ~batch["mask"]
    sum_b311 = (image_b3hw * known_b1hw).sum(dim=(2, 3), keepdim=True)
    mean_b311 = sum_b311 / known_b1hw.sum(dim=(2, 3), keepdim=True)
    return torch.where(known_b1hw, image_b3hw, mean_b311)


def build(task: config.Inpainting, classes: tuple[str, ...]) -> Inpainting:  # noqa: ARG001
    """The task that a section of params.yaml describes; pictures of any data set will do."""
    return Inpainting(
        model=task.model.model_dump(),
        image_size=task.image_size,
        train_masks=task.train_masks,
        eval_masks=task.eval_masks,
        mask_seed=task.mask_seed,
        horizontal_flip_prob=task.horizontal_flip_prob,
        perceptual=task.perceptual == "published",
        weights=task.weights,
    )
