"""Segmentation, one class per pixel: joins segmenter, focal loss and overlap of regions. It knows no loop or launcher.

Shapes: b = batch, h, w = height, width of the mask, u, v = those of what the network sees, k = classes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from wavemix import config, losses, metrics
from wavemix.data.decode import UInt8Image, encode_png
from wavemix.data.palettes import colours_of, label_ids_of, of_cityscapes
from wavemix.data.schema import IGNORED, MaskedImage, Record
from wavemix.data.transforms import random_crop, resize, resize_mask
from wavemix.metrics import Confusion, Tally
from wavemix.models import WaveMixSegmenter
from wavemix.tasks.base import Batch, Goal, Predict, Rendered
from wavemix.tasks.dense_inference import Answer, Size, at_scales, in_windows, resized, with_flip

MOST_SHOWN_WIDTH = 256


@dataclass(frozen=True)
class Segmentation:
    """A picture in, a score per class and pixel out; normalised with ``mean`` and ``std`` per channel.

    The network sees pictures of ``image_size``; its scores are brought to the size of the mask, which is never resized
    in evaluation. So masks of unequal size need batches of one.
    """

    classes: tuple[str, ...]
    model: Mapping[str, Any]  # keyword arguments of WaveMixSegmenter
    image_size: Size
    crop: Size
    mean: tuple[float, ...]
    std: tuple[float, ...]
    horizontal_flip_prob: float
    scale: tuple[float, float]
    focal_gamma: float
    inference: tuple[str, ...]
    window: Size | None
    stride: Size | None
    scales: tuple[float, ...]

    schema = MaskedImage.schema
    goal = Goal("miou", "max")

    def decode(self, record: Record, *, exact: bool) -> MaskedImage:  # noqa: ARG002  (a mask has one size)
        return MaskedImage.decode(record)

    def train_transform(self, sample: MaskedImage, generator: np.random.Generator) -> MaskedImage:
        factor = generator.uniform(*self.scale)
        size = max(1, round(self.image_size[0] * factor)), max(1, round(self.image_size[1] * factor))
        image, mask = resize(sample.image, size, exact=False), resize_mask(sample.mask, size)
        colour = tuple(round(255 * channel) for channel in self.mean)
        image, mask = random_crop(image, mask, self.crop, generator, colour=colour, ignored=IGNORED)
        if generator.random() < self.horizontal_flip_prob:
            image, mask = image[:, ::-1], mask[:, ::-1]
        return replace(sample, image=image, mask=mask)

    def eval_transform(self, sample: MaskedImage) -> MaskedImage:
        return replace(sample, image=resize(sample.image, self.image_size, exact=True))

    def train_batch(self, batch: Batch, generator: np.random.Generator) -> Batch:  # noqa: ARG002
        return batch

    def build_model(self) -> nn.Module:
        return WaveMixSegmenter(num_classes=len(self.classes), **self.model)

    def predict(self, model: nn.Module, batch: Batch) -> Tensor:
        logits_bkuv: Tensor = model(self._normalised(batch))
        return resized(logits_bkuv.float(), batch["mask"].shape[1:])

    def loss(self, prediction: Tensor, batch: Batch) -> Tensor:
        return losses.focal(prediction, batch["mask"], gamma=self.focal_gamma, ignored=IGNORED)

    def metrics(self, prediction: Tensor, batch: Batch, *, full: bool) -> Mapping[str, Tally]:
        answer_bhw, mask_bhw = prediction.argmax(dim=1), batch["mask"]
        confusion = metrics.confusion(answer_bhw, mask_bhw, num_classes=len(self.classes))
        tallies: dict[str, Tally] = {"confusion": confusion}
        if full:
            tallies["class_iou"] = metrics.class_iou(confusion)
            if of_cityscapes(self.classes):  # counted as the authors do, from void = 0 on
                truth_bhw = torch.where(mask_bhw == IGNORED, 0, mask_bhw + 1)
                tallies["miou_authors"] = metrics.authors_overlap(answer_bhw + 1, truth_bhw)
        return tallies

    def summary(self, tallies: Mapping[str, Tally]) -> dict[str, float]:
        confusion = tallies["confusion"]
        assert isinstance(confusion, Confusion)
        overall = {"miou": metrics.mean_iou(confusion), "pixel_accuracy": metrics.pixel_accuracy(confusion)}
        return overall | metrics.scalars(tallies)

    def variants(self) -> Mapping[str, Predict]:
        def sliding(answer: Answer) -> Answer:
            assert self.window is not None
            assert self.stride is not None
            return in_windows(answer, self.window, self.stride)

        def multi_scale(answer: Answer) -> Answer:
            return at_scales(answer, self.scales)

        ways: Mapping[str, Callable[[Answer], Answer]] = {
            "flip": with_flip,
            "sliding": sliding,
            "sliding_flip": lambda answer: sliding(with_flip(answer)),
            "ms": multi_scale,
            "ms_flip": lambda answer: multi_scale(with_flip(answer)),
        }
        return {name: partial(self._predict_by, ways[name]) for name in self.inference}

    def render(self, prediction: Tensor, batch: Batch) -> list[Rendered]:
        colours = np.zeros((IGNORED + 1, 3), np.uint8)
        colours[: len(self.classes)] = colours_of(self.classes)
        shown = []
        for image_3uv, answer_hw, truth_hw in zip(
            batch["image"].cpu(), prediction.argmax(dim=1).cpu(), batch["mask"].cpu(), strict=True
        ):
            height, width = image_3uv.shape[1:]
            size = max(1, round(height * min(1.0, MOST_SHOWN_WIDTH / width))), min(width, MOST_SHOWN_WIDTH)
            picture_3uv = F.interpolate(image_3uv[None], size=size, mode="bilinear", antialias=True)[0]
            panels = [picture_3uv, *(_over(picture_3uv, classes_hw, colours) for classes_hw in (answer_hw, truth_hw))]
            confusion = metrics.confusion(answer_hw, truth_hw, num_classes=len(self.classes))
            shown.append(Rendered(torch.cat(panels, dim=2), caption=f"mIoU {metrics.mean_iou(confusion):.3f}"))
        return shown

    def encode(self, prediction: Tensor, batch: Batch) -> list[bytes]:  # noqa: ARG002
        label_ids = label_ids_of(self.classes)
        return [encode_png(label_ids[answer_hw]) for answer_hw in prediction.argmax(dim=1).cpu().numpy()]

    def _predict_by(self, way: Callable[[Answer], Answer], model: nn.Module, batch: Batch) -> Tensor:
        def whole(image_bchw: Tensor) -> Tensor:
            return resized(model(image_bchw).float(), image_bchw.shape[2:]).softmax(dim=1)

        prob_bkuv = way(whole)(self._normalised(batch))
        # As scores again, which are brought to another size like those of `predict`.
        return resized(prob_bkuv.clamp_min(torch.finfo(prob_bkuv.dtype).tiny).log(), batch["mask"].shape[1:])

    def _normalised(self, batch: Batch) -> Tensor:
        image_bchw = batch["image"]
        mean_c11 = image_bchw.new_tensor(self.mean)[:, None, None]
        std_c11 = image_bchw.new_tensor(self.std)[:, None, None]
        return (image_bchw - mean_c11) / std_c11


def _over(picture_3uv: Tensor, classes_hw: Tensor, colours: UInt8Image) -> Tensor:
    """The picture under the colours of its classes, half and half; black where they are ignored."""
    height, width = picture_3uv.shape[1:]
    classes_uv = resize_mask(classes_hw.numpy().astype(np.uint8), (height, width))
    colours_3uv = torch.from_numpy(colours[classes_uv]).permute(2, 0, 1) / 255
    return (picture_3uv + colours_3uv) / 2 * torch.from_numpy(classes_uv != IGNORED)


def build(task: config.Segmentation, classes: tuple[str, ...]) -> Segmentation:
    """The task that a section of params.yaml describes, for the classes of its data set."""
    return Segmentation(
        classes=classes,
        model=task.model.model_dump(),
        image_size=task.image_size,
        crop=task.crop or task.image_size,
        mean=task.mean,
        std=task.std,
        horizontal_flip_prob=task.augment.horizontal_flip_prob,
        scale=task.augment.scale,
        focal_gamma=task.focal_gamma,
        inference=task.inference,
        window=task.window,
        stride=task.stride,
        scales=task.scales,
    )
