"""Classification, one class per picture: joins the classifier, cross-entropy and top-k. It knows no loop or launcher.

Shapes: b = batch, c = channels, h, w = height, width, k = classes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from torch import Tensor, nn

from wavemix import config, losses, metrics
from wavemix.data.augment import (
    rand_augment,
    random_erasing,
    random_resized_crop,
    side_for_crops,
    trivial_augment_wide,
)
from wavemix.data.mixing import mix
from wavemix.data.schema import LabelledImage, Record
from wavemix.data.transforms import augmenter, resize_and_crop, to_channels
from wavemix.metrics import Tally
from wavemix.models import WaveMixClassifier
from wavemix.tasks.base import Batch, Goal, Predict, Rendered

MOST_CLASSES = 1000
"""Of which a confusion matrix is kept: with the 10,000 of iNaturalist it would have 800 MB."""

LOSSES = {"cross_entropy": losses.cross_entropy, "binary_cross_entropy": losses.binary_cross_entropy}


@dataclass(frozen=True)
class Classification:
    """A picture in, a score per class out; normalised with ``mean`` and ``std`` per channel."""

    classes: tuple[str, ...]
    model: Mapping[str, Any]  # keyword arguments of WaveMixClassifier
    image_size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    augment: config.Augment
    loss_name: str
    label_smoothing: float

    schema = LabelledImage.schema
    goal = Goal("top1", "max")

    def decode(self, record: Record, *, exact: bool) -> LabelledImage:
        crop = self.augment.random_resized_crop
        side = side_for_crops(self.image_size, scale=crop.scale, ratio=crop.ratio) if crop else self.image_size
        return LabelledImage.decode(record, min_side=0 if exact else side)

    def train_transform(self, sample: LabelledImage, generator: np.random.Generator) -> LabelledImage:
        augment = self.augment
        if crop := augment.random_resized_crop:
            image = random_resized_crop(
                sample.image, generator, size=self.image_size, scale=crop.scale, ratio=crop.ratio
            )
        else:
            image = resize_and_crop(sample.image, self.image_size, exact=False)
        affine = augment.model_dump(include={"shift", "scale", "rotate", "horizontal_flip_prob"})
        if any(affine.values()):
            image = augmenter(**affine)(image, generator)
        if augment.trivial_augment:
            image = trivial_augment_wide(image, generator)
        if augment.rand_augment:
            image = rand_augment(image, generator, fill=_colour(self.mean), **augment.rand_augment.model_dump())
        image = to_channels(image, len(self.mean))
        if augment.erase_prob:
            image = random_erasing(image, generator, prob=augment.erase_prob, mean=self.mean, std=self.std)
        return replace(sample, image=image)

    def eval_transform(self, sample: LabelledImage) -> LabelledImage:
        image = resize_and_crop(sample.image, self.image_size, exact=True)
        return replace(sample, image=to_channels(image, len(self.mean)))

    def train_batch(self, batch: Batch, generator: np.random.Generator) -> Batch:
        if self.augment.mix is None:
            return batch
        image_bchw, share = mix(batch["image"], generator, **self.augment.mix.model_dump())
        label_b = batch["label"]
        share_b = image_bchw.new_full((len(label_b),), share)
        return {**batch, "image": image_bchw, "other_label": label_b.flip(0), "share": share_b}

    def build_model(self) -> nn.Module:
        return WaveMixClassifier(num_classes=len(self.classes), **self.model)

    def predict(self, model: nn.Module, batch: Batch) -> Tensor:
        image_bchw = batch["image"]
        mean_c11 = image_bchw.new_tensor(self.mean)[:, None, None]
        std_c11 = image_bchw.new_tensor(self.std)[:, None, None]
        logits_bk: Tensor = model((image_bchw - mean_c11) / std_c11)
        return logits_bk

    def loss(self, prediction: Tensor, batch: Batch) -> Tensor:
        target = batch["label"]
        if "share" in batch:  # of a mixed batch
            target = losses.mixed_targets(target, batch["other_label"], batch["share"], num_classes=len(self.classes))
        return LOSSES[self.loss_name](prediction, target, label_smoothing=self.label_smoothing)

    def metrics(self, prediction: Tensor, batch: Batch, *, full: bool) -> Mapping[str, Tally]:
        label_b = batch["label"]
        tallies: dict[str, Tally] = {
            "top1": metrics.top_k(prediction, label_b, k=1),
            "top5": metrics.top_k(prediction, label_b, k=5),
        }
        if full:
            tallies["class_accuracy"] = metrics.class_accuracy(prediction, label_b)
            if len(self.classes) <= MOST_CLASSES:
                tallies["confusion"] = metrics.confusion(
                    prediction.argmax(dim=1), label_b, num_classes=len(self.classes)
                )
        return tallies

    def summary(self, tallies: Mapping[str, Tally]) -> dict[str, float]:
        return metrics.scalars(tallies)

    def variants(self) -> Mapping[str, Predict]:
        return {}

    def render(self, prediction: Tensor, batch: Batch) -> list[Rendered]:
        prob_b, answer_b = prediction.float().softmax(dim=1).max(dim=1)
        images_b3hw = batch["image"].expand(-1, 3, -1, -1) if batch["image"].shape[1] == 1 else batch["image"]
        return [
            Rendered(image, self.classes[truth], self.classes[answer], prob, truth == answer)
            for image, truth, answer, prob in zip(
                images_b3hw.cpu(), batch["label"].tolist(), answer_b.tolist(), prob_b.tolist(), strict=True
            )
        ]

    def encode(self, prediction: Tensor, batch: Batch) -> list[bytes]:  # noqa: ARG002
        return []


def _colour(mean: tuple[float, ...]) -> tuple[int, int, int]:
    """RGB in 0..255 of one to three channels in 0..1."""
    red, green, blue = (min(255, round(255 * level)) for level in (mean if len(mean) == 3 else mean * 3))
    return red, green, blue


def build(task: config.Classification, classes: tuple[str, ...]) -> Classification:
    """The task that a section of params.yaml describes, for the classes of its data set."""
    return Classification(
        classes=classes,
        model=task.model.model_dump(),
        image_size=task.image_size,
        mean=task.mean,
        std=task.std,
        augment=task.augment,
        loss_name=task.loss,
        label_smoothing=task.label_smoothing,
    )
