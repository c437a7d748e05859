"""The section ``task`` of an experiment: what is learnt, and by which network. It builds nothing: the tasks do.

A class per task, chosen by ``name``, with the class of its network before it.
"""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from wavemix.config.section import NonNegativeFloat, PositiveFloat, PositiveInt, Prob, Section


class WaveMixModel(Section):
    """Constructor arguments of ``wavemix.models.WaveMixClassifier``, with its meaning of null; it checks what fits."""

    dim: Annotated[int, Field(gt=0, multiple_of=4)]
    depth: PositiveInt
    levels: Literal[1, 2, 3, 4] = 1
    mult: PositiveInt = 2
    ff_dim: PositiveInt | None = None
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    stem: Literal["strided", "patchify"] = "strided"
    stride: PositiveInt = 1
    patch_size: PositiveInt = 4
    in_channels: Literal[1, 3] = 3
    expand: Literal["deconv", "bilinear", "idwt", "pixel_shuffle"] = "deconv"
    wavelet: str = "haar"
    mixer: Literal["dwt", "none", "fourier", "random", "maxpool", "lifting"] = "dwt"
    head_dim: PositiveInt | None = None
    deepest_only: bool = False
    drop_path: Annotated[float, Field(ge=0, lt=1)] = 0.0


def _smaller_first(bounds: tuple[float, float]) -> tuple[float, float]:
    if bounds[0] > bounds[1]:
        raise ValueError("two numbers, the smaller one first")
    return bounds


_Share = Annotated[float, Field(gt=0, le=1)]


class RandomResizedCrop(Section):
    """A random part of a picture, by its share of the area and its width to height."""

    scale: Annotated[tuple[_Share, _Share], AfterValidator(_smaller_first)] = (0.08, 1.0)
    ratio: Annotated[tuple[PositiveFloat, PositiveFloat], AfterValidator(_smaller_first)] = (3 / 4, 4 / 3)


class RandAugment(Section):
    """Random operations on shape and colours, of a magnitude from 0 to 10."""

    num_ops: PositiveInt = 2
    magnitude: Annotated[float, Field(ge=0, le=10)] = 9.0
    magnitude_std: NonNegativeFloat = 0.5


class Mix(Section):
    """Mixup or CutMix of a batch: the parameters of their beta distributions, and how often which."""

    mixup_alpha: PositiveFloat = 0.8
    cutmix_alpha: PositiveFloat = 1.0
    prob: Prob = 1.0
    cutmix_prob: Prob = 0.5


class Augment(Section):
    """Random changes of training pictures, in the order in which they are done; none is the paper's plain recipe.

    What is null or zero is not done. ``{}`` asks for a section with its defaults: the numbers that are usual with timm.
    """

    random_resized_crop: RandomResizedCrop | None = None
    shift: Prob = 0.0
    scale: Annotated[float, Field(ge=0, lt=1)] = 0.0
    rotate: Annotated[float, Field(ge=0, le=180)] = 0.0
    horizontal_flip_prob: Prob = 0.0
    trivial_augment: bool = False
    rand_augment: RandAugment | None = None
    erase_prob: Prob = 0.0
    mix: Mix | None = None


class Classification(Section):
    """One class per picture."""

    name: Literal["classification"]
    model: WaveMixModel
    image_size: PositiveInt
    mean: tuple[float, ...]
    std: tuple[PositiveFloat, ...]
    augment: Augment = Augment()
    loss: Literal["cross_entropy", "binary_cross_entropy"] = "cross_entropy"
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0

    def mistake(self) -> str | None:
        """What does not fit together, behind its path below this section."""
        return _per_channel(self.model.in_channels, mean=self.mean, std=self.std)


class SegmenterModel(Section):
    """Constructor arguments of ``wavemix.models.WaveMixSegmenter``, with its meaning of null; it checks what fits."""

    dim: Annotated[int, Field(gt=0, multiple_of=4)]
    depth: PositiveInt
    levels: Literal[1, 2, 3, 4] = 4
    mult: PositiveInt = 2
    ff_dim: PositiveInt | None = None
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    stem: Literal["strided", "patchify"] = "strided"
    stride: PositiveInt = 2
    patch_size: PositiveInt = 4
    expand: Literal["deconv", "bilinear", "idwt", "pixel_shuffle"] = "deconv"
    wavelet: str = "haar"
    mixer: Literal["dwt", "none", "fourier", "random", "maxpool", "lifting"] = "dwt"
    decoder_dims: tuple[PositiveInt, PositiveInt] | None = None


class SegmentationAugment(Section):
    """Random changes of training pictures and their masks: a mirror image, and a size between two factors."""

    horizontal_flip_prob: Prob = 0.0
    scale: tuple[PositiveFloat, PositiveFloat] = (1.0, 1.0)


Size = tuple[PositiveInt, PositiveInt]
"""Height and width."""


class Segmentation(Section):
    """One class per pixel.

    Pictures are resized to ``image_size``, and for training then cropped to ``crop`` (null: ``image_size``). The scores
    of an answer are brought to the size that the mask has. ``focal_gamma: 0`` is cross-entropy. ``inference`` names
    what is scored beside the whole picture: mirror images (flip), windows, several scales (ms).
    """

    name: Literal["segmentation"]
    model: SegmenterModel
    image_size: Size
    crop: Size | None = None
    mean: tuple[float, float, float]
    std: tuple[PositiveFloat, PositiveFloat, PositiveFloat]
    augment: SegmentationAugment = SegmentationAugment()
    focal_gamma: NonNegativeFloat = 2.0
    inference: tuple[Literal["flip", "sliding", "sliding_flip", "ms", "ms_flip"], ...] = ()
    window: Size | None = None
    stride: Size | None = None
    scales: Annotated[tuple[PositiveFloat, ...], Field(min_length=1)] = (0.5, 0.75, 1.0, 1.25, 1.5, 1.75)

    def mistake(self) -> str | None:
        """What does not fit together, behind its path below this section."""
        smallest, largest = self.augment.scale
        if smallest > largest:
            return f"augment.scale: found {smallest} and {largest}, the smaller one comes first"
        if any(name.startswith("sliding") for name in self.inference) and not (self.window and self.stride):
            return "inference: sliding needs window and stride, each as [height, width]"
        if self.window and self.stride and (self.stride[0] > self.window[0] or self.stride[1] > self.window[1]):
            return f"stride: found {list(self.stride)}, at most the window {list(self.window)}, or pixels are left out"
        return None


class WaveMixSRModel(Section):
    """Constructor arguments of ``wavemix.models.WaveMixSR`` but for the scale, which is the task's."""

    name: Literal["wavemix_sr"]
    dim: Annotated[int, Field(gt=0, multiple_of=4)] = 144
    depth: PositiveInt = 4
    mult: PositiveInt = 1
    ff_dim: PositiveInt | None = None
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.3
    interpolation: Literal["bicubic", "bilinear"] = "bicubic"
    global_residual: bool = False


class WaveMixSRV2Model(Section):
    """Constructor arguments of ``wavemix.models.WaveMixSRV2`` but for the scale, which is the task's."""

    name: Literal["wavemix_sr_v2"]
    dim: Annotated[int, Field(gt=0, multiple_of=4)] = 144
    blocks: PositiveInt = 2
    mult: PositiveInt = 1
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.3
    interpolation: Literal["bicubic", "bilinear"] = "bicubic"
    global_residual: bool = False


class SuperResolution(Section):
    """A picture ``scale`` times as high and wide.

    ``crop`` is the side of what is trained on, in pixels of the high resolution (null: whole pictures, as the authors
    of WaveMixSR did; if these differ in size, ``recipe.global_batch`` must be 1), ``flip_and_turn`` shows it in one of
    eight ways. ``self_ensemble`` scores also the mean of the answers to all eight.
    """

    name: Literal["super_resolution"]
    model: Annotated[WaveMixSRModel | WaveMixSRV2Model, Field(discriminator="name")]
    scale: Literal[2, 3, 4]
    crop: PositiveInt | None = None
    flip_and_turn: bool = False
    self_ensemble: bool = False

    def mistake(self) -> str | None:
        """What does not fit together, behind its path below this section."""
        if self.crop and self.crop % self.scale:
            return f"crop: found {self.crop}, allowed: a multiple of the scale, {self.scale}"
        if self.scale == 3 and self.model.name == "wavemix_sr_v2":
            return "scale: found 3, allowed: 2 or 4 with model.name wavemix_sr_v2, which enlarges by 2 in each stage"
        return None


class WavePaintModel(Section):
    """Constructor arguments of ``wavemix.models.WavePaint``, with its meaning of null."""

    num_modules: PositiveInt
    blocks_per_module: PositiveInt = 4
    dim: Annotated[int, Field(gt=0, multiple_of=4)] = 128
    mult: PositiveInt = 2
    ff_dim: PositiveInt | None = None
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5
    levels: Literal[1, 2, 3, 4] = 1
    mask_input: bool = True
    checkpoint_blocks: bool = False


class Inpainting(Section):
    """A picture with a hole filled.

    Pictures are the centre squares of ``image_size`` pixels. The kinds of masks are those of ``wavemix.data.masks``;
    the masks of evaluation are a function of ``mask_seed`` and a sample's key. ``perceptual: published`` trains with
    LPIPS and scores LPIPS and FID, by the published weights: their files are in the folder ``weights``, or (null) where
    torch.hub keeps and downloads them. ``none`` leaves all of these out.
    """

    name: Literal["inpainting"]
    model: WavePaintModel
    image_size: Annotated[int, Field(ge=16)]
    train_masks: Literal["thin", "medium", "thick", "lama", "wavepaint_imagenet"]
    eval_masks: Literal["thin", "medium", "thick"]
    mask_seed: Annotated[int, Field(ge=0)] = 0
    horizontal_flip_prob: Prob = 0.0
    perceptual: Literal["none", "published"] = "published"
    weights: str | None = None

    def mistake(self) -> str | None:
        """What does not fit together, behind its path below this section."""
        if self.perceptual == "published" and self.image_size < 31:
            return f"image_size: found {self.image_size}, allowed: 31 and more with perceptual: published"
        return None


def _per_channel(channels: int, **numbers: tuple[float, ...]) -> str | None:
    for name, values in numbers.items():
        if len(values) != channels:
            return f"{name}: found {len(values)} numbers, one for each of the {channels} model.in_channels is needed"
    return None


Task = Annotated[Classification | SuperResolution | Segmentation | Inpainting, Field(discriminator="name")]
