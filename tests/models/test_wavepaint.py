"""Inpainting: what the mask means, what stays of the image, and what is refused."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from wavemix.models import WavePaint


def made(**others: Any) -> WavePaint:
    torch.manual_seed(0)
    return WavePaint(**{"num_modules": 2, "blocks_per_module": 1, "dim": 8, "dropout": 0.0} | others).eval()


def image_and_mask(*size: int, batch: int = 2) -> tuple[Tensor, Tensor]:
    """Half of all pixels missing."""
    generator = torch.Generator().manual_seed(0)
    mask_b1hw = (torch.rand(batch, 1, *size, generator=generator) < 0.5).float()
    return torch.rand(batch, 3, *size, generator=generator) * (1 - mask_b1hw), mask_b1hw


def count(**arguments: Any) -> int:
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in WavePaint(**arguments).parameters())


@pytest.mark.parametrize("num_modules", [1, 2, 3, 5, 6, 8])
def test_parameter_count(num_modules: int) -> None:
    assert count(num_modules=num_modules) == num_modules * 1_672_652


@pytest.mark.parametrize(
    ("arguments", "num_parameters"),
    [
        pytest.param({"num_modules": 8, "mult": 4, "mask_input": False}, 15_481_952, id="weights-of-2024"),
        pytest.param({"num_modules": 8, "mult": 2, "mask_input": False}, 13_376_608, id="blind-mult-2"),
        pytest.param({"num_modules": 8, "mult": 4}, 15_486_560, id="mult-4"),
        pytest.param({"num_modules": 3, "levels": 2}, 7_580_772, id="level-2"),
        pytest.param({"num_modules": 3, "levels": 3}, 10_143_588, id="level-3"),
    ],
)
def test_parameter_count_of_others(arguments: dict[str, Any], num_parameters: int) -> None:
    assert count(**arguments) == num_parameters


BOTH = pytest.mark.parametrize("mask_input", [True, False], ids=["mask-seen", "blind"])
SIZES = pytest.mark.parametrize("size", [(16, 20), (9, 14), (7, 7), (2, 2), (1, 1), (1, 11)], ids=str)


@SIZES
@BOTH
@pytest.mark.parametrize("levels", [1, 3])
def test_known_pixels_stay_bit_for_bit_and_missing_ones_are_filled(
    levels: int, mask_input: bool, size: tuple[int, int]
) -> None:
    model = made(mask_input=mask_input, levels=levels)
    image_b3hw, mask_b1hw = image_and_mask(*size)
    before = image_b3hw.clone(), mask_b1hw.clone()
    with torch.no_grad():
        filled_b3hw = model(image_b3hw, mask_b1hw)
    missing_b3hw = mask_b1hw.bool().expand_as(image_b3hw)
    assert filled_b3hw.shape == image_b3hw.shape
    assert filled_b3hw.isfinite().all()
    assert torch.equal(filled_b3hw[~missing_b3hw], image_b3hw[~missing_b3hw])
    assert (filled_b3hw[missing_b3hw] != 0).all()
    assert torch.equal(image_b3hw, before[0])
    assert torch.equal(mask_b1hw, before[1])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=["f16", "bf16"])
@BOTH
def test_known_pixels_stay_bit_for_bit_in_narrow_precisions(mask_input: bool, dtype: torch.dtype) -> None:
    model = made(mask_input=mask_input).to(dtype)
    image_b3hw, mask_b1hw = (tensor.to(dtype) for tensor in image_and_mask(8, 12))
    with torch.no_grad():
        filled_b3hw = model(image_b3hw, mask_b1hw)
    missing_b3hw = mask_b1hw.bool().expand_as(image_b3hw)
    assert torch.equal(filled_b3hw[~missing_b3hw], image_b3hw[~missing_b3hw])


@BOTH
def test_known_pixels_stay_bit_for_bit_under_autocast(mask_input: bool) -> None:
    model = made(mask_input=mask_input)
    image_b3hw, mask_b1hw = image_and_mask(8, 12)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        filled_b3hw = model(image_b3hw, mask_b1hw)
    missing_b3hw = mask_b1hw.bool().expand_as(image_b3hw)
    assert filled_b3hw.dtype == torch.float32
    assert torch.equal(filled_b3hw[~missing_b3hw], image_b3hw[~missing_b3hw])


@BOTH
def test_without_holes_the_image_comes_back(mask_input: bool) -> None:
    image_b3hw = torch.rand(2, 3, 8, 12)
    with torch.no_grad():
        assert torch.equal(made(mask_input=mask_input)(image_b3hw, torch.zeros(2, 1, 8, 12)), image_b3hw)


@BOTH
def test_only_a_network_that_reads_the_mask_depends_on_it(mask_input: bool) -> None:
    model = made(mask_input=mask_input)
    image_b3hw = torch.zeros(1, 3, 8, 8)
    one_hole, two_holes = torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 8, 8)
    one_hole[..., 2, 2] = two_holes[..., 2, 2] = two_holes[..., 3, 3] = 1
    with torch.no_grad():
        first, second = (model(image_b3hw, mask)[..., 2, 2] for mask in (one_hole, two_holes))
    assert torch.equal(first, second) != mask_input


@BOTH
def test_masks_between_0_and_1_blend(mask_input: bool) -> None:
    model = made(mask_input=mask_input, num_modules=1).double()
    image_b3hw, mask_b1hw = (tensor.double() for tensor in image_and_mask(8, 10))
    soft_b1hw = mask_b1hw * 0.25
    with torch.no_grad():
        seen = torch.cat((image_b3hw, soft_b1hw), dim=1) if mask_input else image_b3hw
        filled = image_b3hw + model.refiners[0](image_b3hw, seen)
        kept = 1 - soft_b1hw if mask_input else 1  # the blind one adds to the image, which is 0 in a hole
        torch.testing.assert_close(model(image_b3hw, soft_b1hw), filled * soft_b1hw + image_b3hw * kept)


@BOTH
def test_modules_refine_one_after_another(mask_input: bool) -> None:
    model = made(mask_input=mask_input, num_modules=3)
    image_b3hw, mask_b1hw = image_and_mask(8, 12)
    filled_b3hw = image_b3hw
    with torch.no_grad():
        for refiner in model.refiners:
            seen = torch.cat((filled_b3hw, mask_b1hw), dim=1) if mask_input else filled_b3hw
            filled_b3hw = filled_b3hw + refiner(filled_b3hw, seen)
        hole_b3hw = mask_b1hw.bool().expand_as(image_b3hw)
        torch.testing.assert_close(model(image_b3hw, mask_b1hw)[hole_b3hw], filled_b3hw[hole_b3hw])


@BOTH
def test_odd_sides_are_padded_with_zeros_and_cropped(mask_input: bool) -> None:
    model = made(mask_input=mask_input)
    image_b3hw, mask_b1hw = image_and_mask(7, 9)
    with torch.no_grad():
        expected = model(F.pad(image_b3hw, (0, 1, 0, 1)), F.pad(mask_b1hw, (0, 1, 0, 1)))[..., :7, :9]
        torch.testing.assert_close(model(image_b3hw, mask_b1hw), expected)


def test_gradients_come_through_the_holes_alone() -> None:
    model = made()
    image_b3hw, mask_b1hw = image_and_mask(8, 8)
    filled_b3hw = model(image_b3hw, mask_b1hw)
    (filled_b3hw * (1 - mask_b1hw)).sum().backward()
    assert not any(parameter.grad.any() for parameter in model.parameters())


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"num_modules": 0}, "num_modules must be at least 1, got 0"),
        ({"blocks_per_module": 0}, "blocks_per_module must be at least 1, got 0"),
        ({"dim": 10}, "multiple of 4.*got 10"),
        ({"levels": 5}, "1, 2, 3 or 4, got 5"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        WavePaint(**{"num_modules": 1} | changed)


def test_an_image_without_a_mask_is_refused() -> None:
    with pytest.raises(TypeError, match="mask"):
        made()(torch.rand(1, 3, 8, 8))


def test_modules_are_made_one_by_one() -> None:
    model = made(num_modules=3, blocks_per_module=2)
    assert isinstance(model, nn.Module)
    assert [len(refiner.blocks) for refiner in model.refiners] == [2, 2, 2]
    assert len({id(parameter) for parameter in model.parameters()}) == 3 * len(list(model.refiners[0].parameters()))
