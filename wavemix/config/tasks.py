"""The section ``task`` of an experiment: what is learnt, and by which network. It builds nothing: the tasks do.

A class per task, chosen by ``name``, with the class of its network before it.
"""

from typing import Annotated, Literal

from pydantic import Field

from wavemix.config.section import PositiveFloat, PositiveInt, Prob, Section


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


class Augment(Section):
    """Random changes of training pictures (albumentations); all zero is the paper's plain recipe."""

    shift: Prob = 0.0
    scale: Annotated[float, Field(ge=0, lt=1)] = 0.0
    rotate: Annotated[float, Field(ge=0, le=180)] = 0.0
    horizontal_flip_prob: Prob = 0.0


class Classification(Section):
    """One class per picture."""

    name: Literal["classification"]
    model: WaveMixModel
    image_size: PositiveInt
    mean: tuple[float, ...]
    std: tuple[PositiveFloat, ...]
    augment: Augment = Augment()
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0

    def mistake(self) -> str | None:
        """What does not fit together, behind its path below this section."""
        return _per_channel(self.model.in_channels, mean=self.mean, std=self.std)


def _per_channel(channels: int, **numbers: tuple[float, ...]) -> str | None:
    for name, values in numbers.items():
        if len(values) != channels:
            return f"{name}: found {len(values)} numbers, one for each of the {channels} model.in_channels is needed"
    return None


Task = Classification
"""A discriminated union on ``name`` as soon as there are two."""
