"""Folders for segmentation: Cityscapes' val, or pictures and masks of one's own.

Answers of others are pictures of the classes' numbers as files have them: label ids for Cityscapes.

Shapes: b = batch, h, w = height, width of the mask, k = classes.
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from wavemix import config
from wavemix.data.decode import decode_mask
from wavemix.data.palettes import label_ids_of
from wavemix.data.raw import RawFile, RawFolder, RawSet
from wavemix.data.sources import cityscapes, mask_folder
from wavemix.errors import DataError
from wavemix.score.base import (
    ANSWER,
    Answers,
    Field,
    Fields,
    Kind,
    Questions,
    Rules,
    agreed,
    fitting,
    pictures_below,
)
from wavemix.tasks import Batch, segmentation
from wavemix.tasks.segmentation import Segmentation

CITYSCAPES = ("leftImg8bit", "leftImg8bit_trainvaltest.zip")


def _questions(root: RawFolder, rules: Rules, own: Segmentation | None) -> Questions:
    classes = agreed("the classes", rules.classes, own.classes) if own else rules.classes
    raw = _read(root, classes, rules.void)
    protocol = {"void": list(rules.void)} if rules.void else {}
    if own:
        agreed("the classes", raw.classes, own.classes)
        return Questions(raw, own, protocol)
    section = {"model": {"dim": 4, "depth": 1}, "image_size": (1, 1), "mean": (0.0,) * 3, "std": (1.0,) * 3}
    validated = config.Segmentation.model_validate({"name": "segmentation", **section})
    return Questions(raw, segmentation.build(validated, raw.classes), protocol)


def _read(root: RawFolder, classes: tuple[str, ...], void: tuple[int, ...]) -> RawSet:
    if root.first(*CITYSCAPES):
        if void:
            raise DataError(f"{root.path}: Cityscapes says itself what is void; leave --void out")
        return cityscapes.read_val(root=root)
    if not root.first("images"):
        raise DataError(root.missing("images/ beside masks/", *CITYSCAPES))
    if not classes:
        raise DataError(f"{root.path}: masks hold numbers; name them with --classes FILE, a class in each line")
    return mask_folder.read_folder(root=root, classes=classes, void=void)


def _answers(path: Path) -> Answers:
    return Answers(pictures_below(path), _numbers)


def _numbers(file: RawFile, fields: Fields) -> Field:
    return fitting(decode_mask(file.read()).astype(np.int64), fields["mask"])


def _predict(batch: Batch, classes: tuple[str, ...]) -> Tensor:
    """Scores ``[b, k, h, w]``: 1 for the class that the number stands for, 0 for all others.

    Raises:
        ValueError: A number stands for no class.
    """
    answer_bhw = batch[ANSWER]
    label_ids_k = torch.from_numpy(label_ids_of(classes)).to(answer_bhw)
    if not (known_bhw := torch.isin(answer_bhw, label_ids_k)).all():
        raise ValueError(f"the answer has the number {int(answer_bhw[~known_bhw][0])}, which is none of the classes'")
    return (answer_bhw[:, None] == label_ids_k[:, None, None]).float()


KIND = Kind(_questions, _answers, _predict)
