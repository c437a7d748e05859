"""Folders for inpainting: pictures with masks as LaMa writes them, or pictures alone, on which masks are drawn.

Answers of others are whole RGB pictures, which are scored as they are: the known part is not put back.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from torch import Tensor

from wavemix import config
from wavemix.data.admit import Rejected
from wavemix.data.decode import decode_image, decode_mask, encode_png
from wavemix.data.raw import Item, Parts, RawFile, RawFolder, RawSet
from wavemix.data.raw.archives import read_image
from wavemix.data.raw.items import fingerprint_of
from wavemix.data.schema import MaskedImage, PlainImage, Record
from wavemix.errors import DataError
from wavemix.score.base import ANSWER, Answers, Field, Fields, Kind, Questions, Rules, fitting, pictures_below
from wavemix.tasks import Batch, Task, inpainting
from wavemix.tasks.inpainting import HoledImage, Inpainting

SIZE = 256
"""Side of the square that is scored where nobody says another one: LaMa's smaller one."""

MASK = re.compile(r"(.+)_mask\d*")
HOLE = 1
CLASSES = ("known", "hole")


def _questions(root: RawFolder, rules: Rules, own: Inpainting | None) -> Questions:
    pictures = pictures_below(root.path)
    task = _task(rules, own)
    if any(MASK.fullmatch(key) for key in pictures):
        if rules.masks or rules.size:
            raise DataError(f"{root.path}: its masks are scored as they are; leave --masks and --size out")
        return Questions(_with_masks(pictures, root), task, {"masks": "given"}, _holed)
    if not (rules.masks or own):
        raise DataError(f"{root.path}: it has no x_mask000.png; say what to draw with --masks: thin, medium or thick")
    items = {"test": [Item(key, None, file) for key, file in pictures.items()]}
    raw = RawSet("image", (), items, read_image, fingerprint_of((file.name, file.size) for file in pictures.values()))
    return Questions(raw, task, {"masks": task.eval_masks, "mask_seed": task.mask_seed, "size": task.image_size})


def _task(rules: Rules, own: Inpainting | None) -> Inpainting:
    """The model's task, or one that nobody trains by, with what the rules change of it."""
    section = {"model": {"num_modules": 1}, "image_size": SIZE, "train_masks": "thick", "eval_masks": "thick"}
    validated = config.Inpainting.model_validate({"name": "inpainting", "perceptual": "none", **section})
    task = own or inpainting.build(validated, ())
    return replace(
        task,
        eval_masks=rules.masks or task.eval_masks,
        image_size=rules.size or task.image_size,
        perceptual=rules.perceptual or task.perceptual,
        weights=rules.weights or task.weights,
    )


def _with_masks(pictures: Mapping[str, RawFile], root: RawFolder) -> RawSet:
    """A sample for each mask, under the mask's name: ``x_crop000_mask000.png`` is one of ``x_crop000.png``.

    Source: InpaintingDataset and PrecomputedInpaintingResultsDataset of LaMa (saicinpainting/evaluation/data.py).
    """
    masks = {key: found[1] for key in pictures if (found := MASK.fullmatch(key))}
    for key, picture in masks.items():
        if picture not in pictures:
            raise DataError(f"{root.path}: the mask {pictures[key].name} has no picture {picture}.*")
    if alone := sorted(pictures.keys() - masks.keys() - set(masks.values())):
        raise DataError(f"{root.path}: the picture {pictures[alone[0]].name} has no mask {alone[0]}_mask000.png")
    items = [Item(key, None, (pictures[picture], pictures[key])) for key, picture in masks.items()]
    told = ((file.name, file.size) for item in items for file in item.what)
    return RawSet("image_with_mask", CLASSES, {"test": items}, _read, fingerprint_of(told))


def _read(pair: tuple[RawFile, RawFile]) -> Parts:
    image, mask = pair
    try:
        values = decode_mask(mask.read())
    except ValueError as error:
        raise Rejected(f"mask: cannot be decoded: {error}") from None
    return {"image": image.read(), "mask": encode_png((values > 0).astype(np.uint8))}


def _holed(_task: Task, record: Record) -> HoledImage:
    sample = MaskedImage.decode(record)
    return HoledImage(PlainImage(sample.key, sample.image), sample.mask == HOLE)


def _answers(path: Path) -> Answers:
    return Answers(pictures_below(path), _picture)


def _picture(file: RawFile, fields: Fields) -> Field:
    return fitting(decode_image(file.read()).transpose(2, 0, 1), fields["image"])


def _predict(batch: Batch, _classes: tuple[str, ...]) -> Tensor:
    return batch[ANSWER]


KIND = Kind(_questions, _answers, _predict, baselines=("mean_fill",))
