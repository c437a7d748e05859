"""Colours and label ids of classes, by their names."""

import numpy as np
import pytest

from wavemix.data.palettes import colours_of, label_ids_of, of_cityscapes
from wavemix.data.sources.cityscapes import CLASSES, TRAIN_IDS

CITYSCAPES = tuple(CLASSES.values())


def test_cityscapes_has_its_official_colours() -> None:
    colours = dict(zip(CITYSCAPES, colours_of(CITYSCAPES).tolist(), strict=True))
    assert colours["road"] == [128, 64, 128]
    assert colours["sky"] == [70, 130, 180]
    assert colours["bicycle"] == [119, 11, 32]


def test_label_ids_are_what_train_ids_were_made_of() -> None:
    label_ids = label_ids_of(CITYSCAPES)
    assert label_ids.dtype == np.uint8
    np.testing.assert_array_equal(TRAIN_IDS[label_ids], np.arange(19))


def test_equals_the_official_table() -> None:
    table = pytest.importorskip("cityscapesscripts.helpers.labels", reason="needs cityscapesscripts")
    official = [table.trainId2label[index] for index in range(19)]
    assert [label.name for label in official] == list(CITYSCAPES)
    assert [label.color for label in official] == [tuple(colour) for colour in colours_of(CITYSCAPES).tolist()]
    assert [label.id for label in official] == label_ids_of(CITYSCAPES).tolist()


def test_other_classes_have_their_index_and_colours_of_their_own() -> None:
    names = [f"class {index}" for index in range(30)]
    assert label_ids_of(names).tolist() == list(range(30))
    colours = colours_of(names)
    assert (colours.shape, colours.dtype) == ((30, 3), np.uint8)
    assert len({tuple(colour) for colour in colours.tolist()}) == 30
    assert colours.any(axis=1).all()  # black is for what is ignored
    np.testing.assert_array_equal(colours_of(names[:5]), colours[:5])


def test_cityscapes_is_known_by_all_its_classes_in_their_order() -> None:
    assert of_cityscapes(list(CITYSCAPES))
    assert not of_cityscapes(CITYSCAPES[:-1])
    assert not of_cityscapes(CITYSCAPES[::-1])
