"""Where a data set's raw files are and how they are read: a section for each source, with the arguments of its reader.

``root`` is the folder with what was downloaded: archives as published, unpacked trees, or both. ``subset: true`` allows
fewer samples than the whole set has, and is kept in the manifest.
"""

from typing import Annotated, Literal

from pydantic import Field

from wavemix.config.section import NonNegativeFloat, PositiveInt, Prob, Section

Seed = Annotated[int, Field(ge=0)]
Tile = Annotated[int, Field(ge=16)]
Scale = Literal[2, 3, 4]
Scales = Annotated[tuple[Scale, ...], Field(min_length=1)]


# --- shipped with libraries: nothing to download ------------------------------------------------------------------


class DigitsSource(Section):
    """The 1,797 handwritten digits of 8x8 pixels that scikit-learn ships; a seeded, stratified three-way split."""

    name: Literal["digits"]
    val_fraction: Prob
    test_fraction: Prob
    seed: Seed


class PhotographsSource(Section):
    """The colour photographs that scikit-image ships, cut into tiles; the split is by photograph.

    With ``scales`` the tiles have low resolutions too, and are for super-resolution.
    """

    name: Literal["photographs"]
    tile: Tile
    scales: tuple[Scale, ...] = ()


class ScenesSource(Section):
    """Digits of scikit-learn pasted on photographs, with exact masks: synthetic, drawn from ``seed``."""

    name: Literal["scenes"]
    side: Annotated[int, Field(ge=32, le=128, multiple_of=2)]
    num_train: Annotated[int, Field(ge=1)]
    num_val: Annotated[int, Field(ge=1)]
    num_test: Annotated[int, Field(ge=1)]
    seed: Seed


# --- a user's own pictures ----------------------------------------------------------------------------------------


class ImageFolderSource(Section):
    """A class per folder: ``<root>/<split>/<class>/<picture>`` with train and at least one of val and test.

    Without a folder val a part of train can be drawn for it.
    """

    name: Literal["image_folder"]
    root: str
    val_fraction: Prob = 0.0
    seed: Seed = 0


class MaskFolderSource(Section):
    """A mask for each picture: ``<root>/<split>/{images,masks}/<same name>``; a mask holds class numbers, 255 ignored.

    ``void`` are class numbers that are ignored as well.
    """

    name: Literal["mask_folder"]
    root: str
    classes: Annotated[tuple[str, ...], Field(min_length=2)]
    void: tuple[Annotated[int, Field(ge=0, le=255)], ...] = ()


class FlatFolderSource(Section):
    """Pictures alone, in one folder or below it: a seeded split.

    With ``tile`` each is cut into squares of this side, in pixels. One whose shorter side is longer than
    ``shortest_side`` is made smaller before. Squares in which neighbouring pixels differ by less than ``min_detail`` of
    255, in the mean, are left out. With ``scales`` there are low resolutions too, for super-resolution.
    """

    name: Literal["flat_folder"]
    root: str
    val_fraction: Prob
    test_fraction: Prob
    seed: Seed
    tile: Tile | None = None
    scales: tuple[Scale, ...] = ()
    shortest_side: PositiveInt | None = None
    min_detail: NonNegativeFloat = 0.0


# --- published sets -----------------------------------------------------------------------------------------------


class ImageNetSource(Section):
    """ImageNet-1k (ILSVRC2012): the tars of image-net.org, their unpacked tree, or Kaggle's layout."""

    name: Literal["imagenet"]
    root: str
    subset: bool = False


class PlacesSource(Section):
    """Places365-Standard, of 256x256 pixels or as large as published."""

    name: Literal["places365"]
    root: str
    size: Literal["256", "large"] = "256"
    subset: bool = False


class INaturalistSource(Section):
    """iNaturalist 2021, the mini training set: 10,000 species."""

    name: Literal["inaturalist"]
    root: str
    subset: bool = False


class TinyImageNetSource(Section):
    """Tiny ImageNet: 200 classes of 64x64 pixels."""

    name: Literal["tiny_imagenet"]
    root: str
    subset: bool = False


class CityscapesSource(Section):
    """Cityscapes with fine annotations, in 19 train ids; everything else is 255."""

    name: Literal["cityscapes"]
    root: str
    subset: bool = False


class Div2kSource(Section):
    """DIV2K: high resolution, and the low one as published or made here by MATLAB's bicubic."""

    name: Literal["div2k"]
    root: str
    scales: Scales
    low: Literal["published", "made"] = "published"
    subset: bool = False


class CelebAHQSource(Section):
    """CelebA-HQ in any of its four published forms; split as in CelebA or as in LaMa."""

    name: Literal["celeba_hq"]
    root: str
    split: Literal["celeba", "lama"]
    subset: bool = False


class BenchmarkSource(Section):
    """Set5, Set14, BSD100 or Urban100, for evaluation alone."""

    name: Literal["sr_benchmark"]
    root: str
    benchmark: Literal["Set5", "Set14", "BSD100", "Urban100"]
    scales: Scales
    low: Literal["published", "made"] = "published"


class MnistSource(Section):
    """MNIST or Fashion-MNIST in their IDX files; ``val`` is drawn from the training set."""

    name: Literal["mnist", "fashion_mnist"]
    root: str
    val_fraction: Prob
    seed: Seed = 0
    subset: bool = False


class EmnistSource(Section):
    """One of five subsets of EMNIST in its IDX files; ``val`` is drawn from the training set."""

    name: Literal["emnist"]
    root: str
    part: Literal["balanced", "byclass", "bymerge", "digits", "letters"]
    val_fraction: Prob
    seed: Seed = 0
    subset: bool = False


class CifarSource(Section):
    """CIFAR-10 or CIFAR-100 (fine classes), binary or pickled; ``val`` is drawn from the training set."""

    name: Literal["cifar10", "cifar100"]
    root: str
    val_fraction: Prob
    seed: Seed = 0
    subset: bool = False


class SvhnSource(Section):
    """Street View House Numbers, cropped digits; ``extra`` adds the easy ones to the training set."""

    name: Literal["svhn"]
    root: str
    extra: bool
    val_fraction: Prob
    seed: Seed = 0
    subset: bool = False


class Galaxy10Source(Section):
    """Galaxy10 DECals: 17,736 galaxies in ten classes; it has no split of its own."""

    name: Literal["galaxy10"]
    root: str
    val_fraction: Prob
    test_fraction: Prob
    seed: Seed = 0
    subset: bool = False


Source = Annotated[
    DigitsSource
    | PhotographsSource
    | ScenesSource
    | ImageFolderSource
    | MaskFolderSource
    | FlatFolderSource
    | ImageNetSource
    | PlacesSource
    | INaturalistSource
    | TinyImageNetSource
    | CityscapesSource
    | Div2kSource
    | CelebAHQSource
    | BenchmarkSource
    | MnistSource
    | EmnistSource
    | CifarSource
    | SvhnSource
    | Galaxy10Source,
    Field(discriminator="name"),
]
