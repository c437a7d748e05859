"""The benchmarks of super-resolution in each of their layouts: the same pictures, or one clear error."""

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from factories import pictures
from factories.large import below
from factories.pack import Tree, as_folder, as_zip, noise
from factories.reading import Reader, contents_of, reader
from wavemix.data.decode import decode_image
from wavemix.data.raw.archives import RawFolder
from wavemix.data.resize import imresize
from wavemix.data.sources import sr_benchmark
from wavemix.errors import DataError

REFERENCE = Path(os.environ.get("WAVEMIX_REFERENCE_DATA", Path(__file__).parents[4] / "shared" / "data"))

LAYOUTS: Mapping[str, Tree] = {
    "EDSR": below("benchmark/Set5", pictures.edsr()),
    "EDSR without its upper folder": below("Set5", pictures.edsr()),
    "EDSR's tar": pictures.edsr_tar("Set5"),
    "BasicSR": below("Set5", {**pictures.basicsr(), **pictures.basicsr(high="original")}),
    "BasicSR without a crop": below("Set5", pictures.basicsr(high="original")),
    "BasicSR's zip": {"Set5.zip": as_zip(below("Set5", pictures.basicsr()))},
    "SelfExSR": below("Set5", pictures.selfexsr()),
    "SelfExSR's zip": {"Set5_SR.zip": as_zip(below("Set5", pictures.selfexsr()))},
}


@pytest.fixture
def read(tmp_path: Path) -> Reader:
    return reader(sr_benchmark.read, tmp_path, benchmark="Set5", scales=(2, 4), low="published")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_has_the_same_pictures(read: Reader, layout: str) -> None:
    raw = read(LAYOUTS[layout])
    assert (raw.schema, raw.classes, raw.expected) == ("image_pair", (), {"test": 5})
    assert contents_of(raw) == {
        "test": [
            (name, None, {"hr": high, "x2": pictures.LOW[name, 2], "x4": pictures.LOW[name, 4]})
            for name, high in pictures.HIGH.items()
        ]
    }


def test_tar_and_tree_have_one_fingerprint(read: Reader, tmp_path: Path) -> None:
    root = RawFolder(as_folder(tmp_path / "tree", LAYOUTS["EDSR"]), tmp_path)
    tree = sr_benchmark.read(root=root, benchmark="Set5", scales=(2, 4), low="published")
    assert read(LAYOUTS["EDSR's tar"]).fingerprint == tree.fingerprint
    assert read(LAYOUTS["EDSR's tar"], scales=(2,)).fingerprint != tree.fingerprint


@pytest.mark.parametrize("folder", ["B100", "BSD100", "BSDS100"])
def test_bsd100_is_found_under_each_of_its_names(read: Reader, folder: str) -> None:
    for tree in (below(f"benchmark/{folder}", pictures.edsr()), below(folder, pictures.selfexsr())):
        raw = read(tree, benchmark="BSD100")
        assert raw.expected == {"test": 100}
        assert [item.key for item in raw.items["test"]] == ["baby", "bird"]


@pytest.mark.parametrize(("benchmark", "count"), [("Set14", 14), ("Urban100", 100)])
def test_the_tar_holds_the_other_benchmarks_too(read: Reader, benchmark: str, count: int) -> None:
    assert read(pictures.edsr_tar(benchmark), benchmark=benchmark).expected == {"test": count}


@pytest.mark.parametrize("layout", ["EDSR", "BasicSR without a crop", "SelfExSR"])
def test_low_resolutions_are_made_of_the_high_ones(read: Reader, layout: str) -> None:
    high_alone = {path: content for path, content in LAYOUTS[layout].items() if "LR" not in path}
    raw = read(high_alone, low="made")
    parts = raw.read(raw.items["test"][1].what)
    assert parts["hr"] == pictures.HIGH["bird"]
    np.testing.assert_array_equal(decode_image(parts["x4"]), imresize(decode_image(parts["hr"]), 1 / 4))


def test_scales_with_different_crops_are_refused_together(read: Reader) -> None:
    tree = below("Set5", {**pictures.selfexsr((2, 3)), "image_SRF_3/bird_SRF_3_HR.png": noise(2, (21, 12))})
    told = (
        r"image_SRF_2/bird_SRF_2_HR.png is \(12, 24\), and image_SRF_3/bird_SRF_3_HR.png is \(12, 21\) \(h, w\): they "
        r"are cropped for x2 and x3, so prepare one scale at a time \(scales: \[2\]\)$"
    )
    with pytest.raises(DataError, match=f"^{told}"):
        read(tree, scales=(2, 3))
    raw = read(tree, scales=(3,))
    assert raw.read(raw.items["test"][1].what)["hr"] == noise(2, (21, 12))


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"Set14/HR/x.png": b""}, "looked for benchmark.tar or Set5/ or Set5.zip in .*, found Set14$"),
        (pictures.edsr_tar("Set14"), "looked for benchmark.tar or Set5/ or Set5.zip in .*, found benchmark.tar$"),
        ({"Set5/x.png": b""}, r"looked for HR/\*.png or GTmod12/\*.png or .* in .*/Set5, found x.png$"),
        (below("Set5", pictures.edsr((2,))), r"HR/baby.png has no LR_bicubic/X4/babyx4.png in .*/Set5"),
        (
            {**below("Set5", pictures.edsr()), "Set5/LR_bicubic/X2/headx2.png": b""},
            "LR_bicubic/X2/headx2.png has no HR/head.png in ",
        ),
        (below("Set5", pictures.selfexsr((2,))), "image_SRF_2/baby_SRF_2_HR.png has no image_SRF_4/baby_SRF_4_HR.png"),
    ],
    ids=["another benchmark", "another in the tar", "no layout", "no scale", "no high one", "no scale of SelfExSR"],
)
def test_what_is_missing_is_one_clear_error(read: Reader, wrong: Tree, told: str) -> None:
    with pytest.raises(DataError, match=f"^{told}"):
        read(wrong)


@pytest.mark.skipif(not (REFERENCE / "sr_benchmarks").is_dir(), reason="WAVEMIX_REFERENCE_DATA has no sr_benchmarks/")
@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("benchmark", ["Set5", "Set14"])
def test_true_benchmarks_are_whole(tmp_path: Path, benchmark: str, scale: int) -> None:
    root = RawFolder(REFERENCE / "sr_benchmarks", tmp_path)
    raw = sr_benchmark.read(root=root, benchmark=benchmark, scales=(scale,), low="published")
    assert {split: len(items) for split, items in raw.items.items()} == raw.expected
    assert raw.items["test"][0].key == "img_001"
    for item in raw.items["test"]:
        high, low = (decode_image(part) for part in raw.read(item.what).values())
        assert high.shape == (low.shape[0] * scale, low.shape[1] * scale, 3)
