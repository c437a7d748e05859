"""Metrics of holes against values worked out by hand and by NumPy, and however the pictures are split."""

import numpy as np
import pytest
import torch

from wavemix.metrics import DigestSum, Ratio, add_tallies, by_share_of_hole, digest_sum, l1_hole, psnr


def pictures(count: int = 12, side: int = 20) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Answers, truths and masks whose holes grow from picture to picture."""
    generator = torch.Generator().manual_seed(0)
    answer, truth = (torch.rand(count, 3, side, side, generator=generator) for _ in range(2))
    share = torch.linspace(0.02, 0.7, count)[:, None, None, None]
    mask = torch.rand(count, 1, side, side, generator=generator) < share
    return torch.where(mask, answer, truth), truth, mask


def test_l1_hole_by_hand() -> None:
    truth = torch.zeros(2, 3, 2, 2)
    answer = truth.clone()
    answer[0, :, 0, 0] = torch.tensor([0.3, 0.6, 0.9])  # 0.6 in a hole of one pixel
    answer[1, :, 0] = 0.2  # in a hole of four pixels, two of them right
    answer[0, :, 1, 1] = 1.0  # of a known pixel: does not count
    mask = torch.zeros(2, 1, 2, 2, dtype=torch.bool)
    mask[0, :, 0, 0] = mask[1] = True
    assert float(l1_hole(answer, truth, mask).value) == pytest.approx((0.6 + 0.1) / 2)


def test_l1_hole_equals_numpy() -> None:
    answer, truth, mask = pictures()
    expected = [
        np.abs(one - other)[:, hole[0]].mean()
        for one, other, hole in zip(answer.numpy(), truth.numpy(), mask.numpy(), strict=True)
    ]
    assert float(l1_hole(answer, truth, mask).value) == pytest.approx(np.mean(expected), rel=1e-6)


def test_shares_by_hand() -> None:
    """A tenth of the pixels is in the second bin, three tenths in the fourth, and the whole picture in the last."""
    mask = torch.zeros(4, 1, 10, 10, dtype=torch.bool)
    mask[0, :, 0, :9] = mask[1, :, 0] = mask[2, :, :3] = mask[3] = True
    answer, truth = torch.arange(1, 5)[:, None, None, None].expand(4, 3, 10, 10) / 10.0, torch.zeros(4, 3, 10, 10)
    binned = by_share_of_hole(l1_hole, answer, truth, mask)
    assert list(binned) == [f"{start}_{start + 10}" for start in range(0, 100, 10)]
    found = {name: round(float(part.value), 6) for name, part in binned.items() if part.count > 0}
    assert found == {"0_10": 0.1, "10_20": 0.2, "30_40": 0.3, "90_100": 0.4}


@pytest.mark.parametrize("measure", [l1_hole, lambda answer, truth, _mask: psnr(255 * answer, 255 * truth)])
def test_the_bins_add_up_to_the_whole(measure: object) -> None:
    answer, truth, mask = pictures()
    binned = by_share_of_hole(measure, answer, truth, mask)  # type: ignore[arg-type]
    total = sum(binned.values(), start=Ratio(torch.zeros(()), torch.zeros(())))
    whole = measure(answer, truth, mask)  # type: ignore[operator]
    assert sum(part.count > 0 for part in binned.values()) > 5
    assert float(total.count) == 12
    assert float(total.value) == pytest.approx(float(whole.value), rel=1e-12)


@pytest.mark.parametrize("sizes", [[1] * 12, [5, 7], [11, 1]])
def test_bins_do_not_depend_on_the_batches(sizes: list[int]) -> None:
    whole = by_share_of_hole(l1_hole, *pictures())
    total: dict[str, Ratio] = {}
    for part in zip(*(tensor.split(sizes) for tensor in pictures()), strict=True):
        total = add_tallies(total, by_share_of_hole(l1_hole, *part))
    for name, ratio in whole.items():
        torch.testing.assert_close(total[name].value, ratio.value, rtol=1e-12, atol=0, equal_nan=True)


def test_digests_add_up_in_any_order_and_split() -> None:
    digests = np.random.default_rng(0).integers(0, 2**64, 50, dtype=np.uint64)
    expected = sum(int(one) for one in digests) % 2**64
    signed_b = torch.from_numpy(digests.view(np.int64))
    assert digest_sum(signed_b) == DigestSum(expected)
    assert digest_sum(signed_b.flip(0)[:13]) + digest_sum(signed_b.flip(0)[13:]) == DigestSum(expected)
    assert digest_sum(signed_b[:49]) != DigestSum(expected)


def test_the_lower_bits_of_a_digest_are_a_float_that_lacks_none() -> None:
    total = DigestSum(0xFEDC_BA98_7654_3211)
    assert total.low_bits == 0xBA98_7654_3211
    assert DigestSum(total.total + 1).low_bits == total.low_bits + 1
