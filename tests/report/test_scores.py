"""What a metric's name says: its parts, its protocol, and its baseline."""

import pytest

from wavemix.report.scores import PROTOCOLS, UNKNOWN, VARIANTS, baseline_of, glossary, parse_metric, protocol


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("top1", ("top1", None, None)),
        ("psnr_y_authors", ("psnr_y_authors", None, None)),
        ("psnr_y_authors_x8", ("psnr_y_authors", None, "x8")),
        ("miou_ms_flip", ("miou", None, "ms_flip")),
        ("miou_sliding_flip", ("miou", None, "sliding_flip")),
        ("l1_hole_10_20", ("l1_hole", (10, 20), None)),
        ("lpips_alex_90_100_mean_fill", ("lpips_alex", (90, 100), "mean_fill")),
        ("something_new", ("something_new", None, None)),
        ("", ("", None, None)),
    ],
)
def test_a_name_comes_apart(name, parts):
    assert parse_metric(name) == parts


def test_no_metric_of_the_list_ends_like_a_variant():
    assert [name for name in PROTOCOLS if parse_metric(name).base != name] == []


def test_variants_and_shares_have_the_protocol_of_their_metric():
    assert protocol("psnr_y_bicubic") is PROTOCOLS["psnr_y"]
    assert protocol("l1_hole_10_20_mean_fill") is PROTOCOLS["l1_hole"]
    assert protocol("something_new_flip") is UNKNOWN


def test_what_the_authors_score_otherwise_compares_with_their_scripts_alone():
    assert [name for name, one in PROTOCOLS.items() if "the authors' scripts" in one.compare] == [
        "miou_authors",
        "psnr_y_authors",
        "ssim_y_authors",
    ]


def test_only_an_answer_without_the_model_is_a_baseline():
    assert baseline_of("psnr_y", {"psnr_y": 1, "psnr_y_x8": 1, "psnr_y_bicubic": 1}) == "bicubic"
    assert baseline_of("psnr_y", {"psnr_y": 1, "psnr_y_x8": 1, "psnr_y_authors_bicubic": 1}) is None
    assert baseline_of("l1_hole_0_10", {"l1_hole_0_10_mean_fill": 1}) == "mean_fill"
    assert baseline_of("masks_digest", {"masks_digest": 1, "masks_digest_mean_fill": 1}) is None


def test_the_glossary_names_each_metric_once_and_then_the_suffixes():
    terms = glossary(["something_new", "l1_hole_0_10_mean_fill", "l1_hole", "psnr_y", "l1_hole"])
    suffix = "\N{HORIZONTAL ELLIPSIS}_mean_fill"
    assert [term for term, _ in terms] == ["psnr_y", "l1_hole", "something_new", "by share of hole", suffix]
    assert dict(terms)["l1_hole"] == f"{PROTOCOLS['l1_hole'].text}. {PROTOCOLS['l1_hole'].compare}"
    assert dict(terms)[suffix] == VARIANTS["mean_fill"].text
