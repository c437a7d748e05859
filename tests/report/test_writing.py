"""How numbers are written: by the unit of their metric, and with as many digits as they are worth."""

import math

import pytest

from wavemix.report.writing import (
    sampling_interval,
    write_bytes,
    write_gain,
    write_large,
    write_number,
    write_score,
)

NARROW_SPACE = "\N{NARROW NO-BREAK SPACE}"


def test_scores_are_written_by_their_protocol():
    plain = {value: write_number(value).replace("\N{NARROW NO-BREAK SPACE}", " ") for value in (72362, 0.5, 1234.5, 0)}
    assert plain == {72362: "72 362", 0.5: "0.5000", 1234.5: "1 234", 0: "0"}
    assert write_number(0.00042) == "4.2e-4"
    assert write_score("top1", 0.98125).startswith("98.12")
    assert write_score("top1", 0.98125, num_samples=360).startswith("98.1\N{NARROW NO-BREAK SPACE}")
    assert write_score("loss", float("inf")) == "inf"
    assert write_score("loss", None) == "\N{EN DASH}"


def test_the_interval_is_wilsons():
    # By hand for 9 of 10: (0.9 + 0.19208) / 1.38416 -+ 1.96 / 1.38416 * sqrt(0.009 + 0.009604).
    low, high = sampling_interval(0.9, 10)
    assert low == pytest.approx(0.59584, abs=1e-4)
    assert high == pytest.approx(0.98212, abs=1e-4)
    assert sampling_interval(1.0, 10)[1] == 1.0
    assert sampling_interval(0.0, 10)[0] == 0.0


@pytest.mark.parametrize(
    ("metric", "value", "written"),
    [
        ("psnr_y", 31.2449, "31.24 dB"),
        ("psnr_10_20_mean_fill", 24.5, "24.50 dB"),
        ("psnr", math.inf, "inf"),
        ("miou_ms_flip", 0.826, "82.60 %"),
        ("ssim_y", 0.92994, "0.9299"),
        ("l1_hole", 0.0431, "0.04310"),
        ("masks_digest", float(0x00AB_5F3A_1B2C), "00ab5f3a1b2c"),
    ],
)
def test_a_score_has_its_unit(metric, value, written):
    assert write_score(metric, value, num_samples=20).replace(NARROW_SPACE, " ") == written


@pytest.mark.parametrize(
    ("metric", "value", "baseline", "written"),
    [
        ("psnr_y", 31.24, 30.10, "+1.14 dB"),
        ("psnr_y", 29.96, 30.10, "\N{MINUS SIGN}0.14 dB"),
        ("ssim_y", 0.9299, 0.9187, "+0.0112"),
        ("l1_hole", 0.043, 0.081, "\N{MINUS SIGN}47 %"),
        ("fid", 68.5, 34.25, "+100 %"),
        ("l1_hole", 0.0999, 0.1, "+0 %"),  # and no minus before a zero
        ("psnr_y", math.inf, 30.1, "\N{EN DASH}"),
        ("l1_hole", math.nan, 0.1, "\N{EN DASH}"),
        ("l1_hole", 0.1, 0.0, "\N{EN DASH}"),
    ],
)
def test_an_error_gains_in_per_cent_and_all_else_by_a_difference(metric, value, baseline, written):
    assert write_gain(metric, value, baseline).replace(NARROW_SPACE, " ") == written


@pytest.mark.parametrize(
    ("count", "written"),
    [(0, "0"), (999, "999"), (1000, "1.00 k"), (999_499, "999 k"), (999_500, "1.00 M"), (18_234_567_890, "18.2 G")],
)
def test_large_counts_have_three_digits(count, written):
    assert write_large(count).replace(NARROW_SPACE, " ") == written


def test_bytes_are_counted_in_powers_of_two():
    assert [write_bytes(count).replace(NARROW_SPACE, " ") for count in (734_003_200, 3 * 2**29)] == [
        "700 MiB",
        "1.50 GiB",
    ]
