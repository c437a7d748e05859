"""The experiments of the papers: each builds to the printed size, and they are chosen, listed and run as asked."""

import json
import shutil
from collections.abc import Callable
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal
from pathlib import Path

import pytest
import torch

from wavemix.config import Params, load_params
from wavemix.errors import ConfigError, DataError
from wavemix.experiments import listing, selected
from wavemix.tasks import TASKS

SHIPPED = load_params(Path(__file__).parents[1] / "params.yaml")

NUM_CLASSES = {
    "imagenet": 1000,
    "places365": 365,
    "inaturalist": 10_000,
    "cifar100": 100,
    "tiny_imagenet": 200,
    "cityscapes": 19,
    "emnist_byclass": 62,
    "emnist_bymerge": 47,
    "emnist_balanced": 47,
    "emnist_letters": 26,
    "camvid": 11,
    "scenes": 11,
}
"""10 in all others that have classes."""

NOT_AS_PRINTED = {
    ("tiny_imagenet_lite_64_7", "0.60 M"),
    ("cifar10_lite_128_7", "2.42 M"),
    ("cifar10_lite_144_7", "3.01 M"),
    ("cifar100_lite_144_7", "3.01 M"),
    ("tiny_imagenet_lite_144_7", "3.01 M"),
    ("cifar10_lite_256_7", "9.62 M"),
    ("tiny_imagenet_lite_256_7", "9.62 M"),
    ("cityscapes_256_lite_256_12_ff224", "15.0 M"),
    ("cityscapes_256_lite_256_12_ff1024_m3", "63.2 M"),
    ("cityscapes_256_lite_288_16", "28.0 M"),
    ("cityscapes_256_lite_304_16", "31.2 M"),
    ("cityscapes_256_lite_320_16_ff512_m3", "56.5 M"),
    ("cityscapes_256_lite_512_12_ff1024_m3", "133.2 M"),
    ("cityscapes_1024_lite_256_16", "22.3 M"),
    ("cityscapes_1024_256_16_l3", "49.6 M"),
    ("cityscapes_1024_256_15_l4", "59.4 M"),
}
"""What no reading of the paper gives: the zoo (`wavemix info NAME`) says for each of them how far off it is."""


def count(name: str) -> int:
    experiment = SHIPPED.experiments[name]
    classes = tuple(str(n) for n in range(NUM_CLASSES.get(experiment.data, 10)))
    with torch.device("meta"):
        model = TASKS[experiment.task.name](experiment.task, classes).build_model()
    return sum(parameter.numel() for parameter in model.parameters())


def is_printed_as(number: int, printed: str) -> bool:
    """Whether the number rounds or truncates to the printed digits."""
    digits, million, _ = printed.replace(",", "").partition(" M")
    value, digits = Decimal(number) / (10**6 if million else 1), Decimal(digits)
    return any(value.quantize(digits, rounding) == digits for rounding in (ROUND_HALF_UP, ROUND_DOWN))


@pytest.mark.parametrize("name", SHIPPED.experiments)
def test_every_experiment_builds_to_the_printed_size(name: str) -> None:
    number = count(name)
    for printed in SHIPPED.experiments[name].paper:
        if printed.parameters:
            agrees = is_printed_as(number, printed.parameters)
            assert agrees != ((name, printed.parameters) in NOT_AS_PRINTED), f"{printed.parameters}; {number:,} here"


def test_every_table_of_the_papers_is_there() -> None:
    places = {printed.where for experiment in SHIPPED.experiments.values() for printed in experiment.paper}
    tables = {f"WaveMix, table {number}" for number in range(1, 15)}
    assert tables <= places
    assert {"WaveMix, section 4.6", "WaveMixSR, results", "WavePaint, results"} <= places


def test_experiments_are_chosen_by_name_pattern_and_place() -> None:
    assert selected(SHIPPED, ["digits"]) == ["digits"]
    assert selected(SHIPPED, []) == list(SHIPPED.experiments)
    wavelets = selected(SHIPPED, [], where="table 13")
    assert len(wavelets) == 12
    assert set(wavelets) < set(selected(SHIPPED, ["cifar10_*"]))
    assert "imagenet_192_16_l3" not in selected(SHIPPED, [], where="table 1")


def test_what_matches_nothing_is_an_error_that_names_what_is_near() -> None:
    with pytest.raises(ConfigError, match=r"no experiment is called 'digit'; near it: .*digits"):
        selected(SHIPPED, ["digit"])
    with pytest.raises(ConfigError, match=r"nothing is printed at 'table 99'; there are .*WaveMix, table 1,"):
        selected(SHIPPED, [], where="table 99")


@pytest.fixture
def params(tmp_path: Path) -> Params:
    storage = SHIPPED.storage.model_copy(update={"results": str(tmp_path)})
    return SHIPPED.model_copy(update={"storage": storage})


@pytest.fixture
def measured(tmp_path: Path) -> Callable[[str, str, float], Path]:
    def write(name: str, metric: str, score: float) -> Path:
        folder = tmp_path / "experiments" / name
        for part, content in (
            ("train/model", {"goal": [metric, "max"]}),
            ("evaluation/metrics", {"metrics": {metric: score}}),
        ):
            path = folder / f"{part}.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(content))
        return folder

    return write


def test_the_list_shows_what_was_measured_beside_what_is_printed(
    params: Params, measured: Callable[[str, str, float], Path]
) -> None:
    measured("cifar10_lite_144_7", "top1", 0.9251)
    folder = measured("div2k_x2", "psnr_y", 36.5)
    lines = list(listing(params, ["cifar10_lite_144_7", "div2k_x2", "digits"]))
    assert lines[1].split() == ["cifar10_lite_144_7", "cifar10", "92.51", "%", "92.97", "WaveMix,", "table", "10"]
    assert lines[2].split() == ["92.51", "%", "91.61", "WaveMix,", "table", "14"]
    assert lines[3].split()[:4] == ["div2k_x2", "div2k", "33.08", "[1]"]  # which is not of DIV2K's val
    assert lines[4].split()[:2] == ["0.9322", "[1]"]
    assert lines[5].split() == ["digits", "digits"]
    assert lines[6].startswith("[1] on BSD100, and of full-range Y")
    bsd100 = folder / "evaluation" / "others" / "bsd100_x2" / "metrics.json"
    bsd100.parent.mkdir(parents=True)
    bsd100.write_text(json.dumps({"metrics": {"psnr_y": 31.0, "psnr_y_authors": 32.12, "ssim_y_authors": 0.9}}))
    lines = list(listing(params, ["div2k_x2"]))
    assert lines[1].split()[:4] == ["div2k_x2", "div2k", "32.12", "33.08"]
    assert lines[2].split()[:2] == ["0.9", "0.9322"]


def test_a_damaged_result_is_an_error(params: Params, measured: Callable[[str, str, float], Path]) -> None:
    folder = measured("digits", "top1", 0.9)
    shutil.rmtree(folder / "train")
    with pytest.raises(DataError, match="not a whole result"):
        list(listing(params, ["digits"]))
