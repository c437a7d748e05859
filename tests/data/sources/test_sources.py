"""Every source that params.yaml can name is there, takes what its section gives it, and says its name in an error."""

import inspect
from pathlib import Path
from typing import get_args

import pytest

from factories.arrays import mnist
from factories.large import tiny_imagenet
from factories.reading import root
from wavemix.config.section import Section
from wavemix.config.sources import Source
from wavemix.data.sources import SOURCES, read_source
from wavemix.data.sources import mnist as reader
from wavemix.errors import DataError

SECTIONS: dict[str, type[Section]] = {
    name: section
    for section in get_args(get_args(Source)[0])
    for name in get_args(section.model_fields["name"].annotation)
}


def test_every_section_has_its_source() -> None:
    assert set(SOURCES) == set(SECTIONS)


@pytest.mark.parametrize("name", SECTIONS)
def test_a_source_takes_what_params_yaml_gives_it(name: str) -> None:
    taken = set(inspect.signature(SOURCES[name]).parameters)
    given = set(SECTIONS[name].model_fields) - {"name"}
    # Whether a subset is allowed is judged by the plan, from what is expected; not every source has use for it.
    assert taken in (given, given - {"subset"})


@pytest.mark.parametrize("subset", [False, True])
def test_a_reader_without_use_for_a_subset_is_not_told_of_one(tmp_path: Path, subset: bool) -> None:
    folder = root(tmp_path, mnist())
    raw = read_source("mnist", root=folder, val_fraction=0.0, seed=0, subset=subset)
    assert raw.items == reader.read(root=folder, val_fraction=0.0, seed=0).items


def test_a_reader_with_use_for_a_subset_is_told(tmp_path: Path) -> None:
    tree = {path: content for path, content in tiny_imagenet().items() if not path.endswith("val_0.JPEG")}
    folder = root(tmp_path, tree)
    assert [item.key for item in read_source("tiny_imagenet", root=folder, subset=True).items["val"]] == ["val_1"]
    with pytest.raises(DataError, match=r"^source tiny_imagenet: val/images/ and val_annotations\.txt disagree: "):
        read_source("tiny_imagenet", root=folder, subset=False)


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_an_error_says_which_source_it_is_from(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError) as caught:
        read_source(name, root=root(tmp_path, {"a": b""}), val_fraction=0.0, seed=0, subset=False)
    assert str(caught.value) == (f"source {name}: looked for train-images-idx3-ubyte.gz in {tmp_path / 'raw'}, found a")


def test_no_other_argument_is_left_out(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="tile"):
        read_source("mnist", root=root(tmp_path, mnist()), val_fraction=0.0, seed=0, tile=3)
