"""`wavemix data` on a user's own folder: prepare, look, damage, verify, repair; and what goes wrong, in a line."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from factories.pack import as_folder, as_tar, noise, picture
from wavemix.config import Params, load_params
from wavemix.data import read_manifest
from wavemix.errors import DataError
from wavemix.launch import shards

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    tree = {
        f"{split}/{kind}/{number}.jpg": picture(60 * number, (40, 30))
        for split, count in {"train": 8, "val": 2}.items()
        for kind in ("cat", "dog")
        for number in range(count)
    }
    return as_folder(tmp_path / "raw", tree)


@pytest.fixture
def params(tmp_path: Path, raw: Path) -> Callable[..., Params]:
    def make(*more: str, source: str = "") -> Params:
        mine = f"data.mine={{source: {source or f'{{name: image_folder, root: {raw}}}'}, samples_per_shard: 5}}"
        return load_params(ROOT / "params.yaml", [f"storage.shards={tmp_path / 'shards'}", mine, *more])

    return make


def test_prepared_damaged_verified_and_repaired(
    params: Callable[..., Params], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shards.prepare(params(), "mine")
    folder = tmp_path / "shards" / "mine"
    manifest = read_manifest(folder)
    assert (manifest.num_samples("train"), manifest.num_samples("val")) == (16, 4)
    # Where it lay is nobody's business.
    assert manifest.source == {"name": "image_folder", "val_fraction": 0.0, "seed": 0}
    shards.verify(params(), "mine")
    assert capsys.readouterr().out == "mine: 5 shards, all as they were written\n"
    whole = (folder / "train-000001.tar").read_bytes()
    (folder / "train-000001.tar").write_bytes(whole[:-1])
    with pytest.raises(DataError, match=r"train-000001\.tar: its content .*\n1 bad shards; `wavemix data repair mine`"):
        shards.verify(params(), "mine")
    shards.repair(params(), "mine")
    assert capsys.readouterr().out == "mine: made again: train-000001.tar\n"
    assert (folder / "train-000001.tar").read_bytes() == whole
    shards.repair(params(), "mine")
    assert capsys.readouterr().out == "mine: nothing to repair\n"


def test_a_preview_is_a_picture_of_samples_of_the_whole_split(
    params: Callable[..., Params], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shards.prepare(params(), "mine")
    shards.preview(params(), "mine", split="val", count=40, out=tmp_path / "val.png")
    assert capsys.readouterr().out == f"{tmp_path / 'val.png'}: 4 of 4 samples of mine/val\n"
    with Image.open(tmp_path / "val.png") as sheet:
        assert sheet.mode == "RGB"
        assert len(np.unique(np.asarray(sheet).reshape(-1, 3), axis=0)) > 5
    with pytest.raises(DataError, match="no split 'test', only train, val"):
        shards.preview(params(), "mine", split="test", count=40, out=tmp_path / "test.png")


def test_pictures_that_are_too_large_are_resized_and_those_that_are_broken_named(
    params: Callable[..., Params], raw: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (raw / "train/dog/3.jpg").write_bytes(b"")
    as_folder(raw, {"train/cat/9.png": noise(0, (300, 200))})
    how = ["data.mine.shortest_side=100", "data.mine.max_rejected=0.1"]
    shards.prepare(params(*how), "mine")
    assert capsys.readouterr().err.splitlines()[-1] == "rejected: train/dog/3: image: empty"
    manifest = read_manifest(tmp_path / "shards" / "mine")
    assert manifest.num_samples("train") == 16
    assert [(one.key, one.reason) for one in manifest.rejected] == [("dog/3", "image: empty")]
    with pytest.raises(DataError, match="more than max_rejected"):
        shards.prepare(params("data.mine.max_rejected=0.0"), "mine")


def test_a_scratch_copy_is_gone_at_the_end(params: Callable[..., Params], tmp_path: Path) -> None:
    tree = {f"train_mini/00000_A/{n}.jpg": picture(n) for n in range(3)}
    info = b'{"categories": [{"id": 0, "image_dir_name": "00000_A"}], "images": [%s], "annotations": [%s]}'
    images = b",".join(b'{"id": %d, "file_name": "train_mini/00000_A/%d.jpg"}' % (n, n) for n in range(3))
    labels = b",".join(b'{"image_id": %d, "category_id": 0}' % n for n in range(3))
    as_folder(
        tmp_path / "inat",
        {
            "train_mini.tar.gz": as_tar(tree, gz=True),
            "val.tar.gz": as_tar({path.replace("train_mini", "val"): one for path, one in tree.items()}, gz=True),
            "train_mini.json": info % (images, labels),
            "val.json": info % (images.replace(b"train_mini", b"val"), labels),
        },
    )
    source = f"{{name: inaturalist, root: {tmp_path / 'inat'}}}"
    with pytest.raises(DataError, match=r"train 3 of 500,000, val 3 of 100,000\. .*`subset: true`"):
        shards.prepare(params(source=source), "mine")
    source = source.replace("}", ", subset: true}")
    shards.prepare(params(source=source), "mine")
    assert [path.name for path in (tmp_path / "shards").iterdir()] == ["mine"]
    assert read_manifest(tmp_path / "shards" / "mine").source == {"name": "inaturalist", "subset": True}


def test_get_says_what_a_person_has_to_do(params: Callable[..., Params], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(DataError, match=r"imagenet cannot be downloaded; to get it:\nregister at image-net\.org"):
        shards.get(params(), "imagenet")
    shards.get(params(), "digits")
    assert capsys.readouterr().out == "digits: nothing to download, a library brings it\n"


@pytest.mark.parametrize("name", ["imagenet", "cifar10"])
def test_raw_files_that_are_not_there_yet_say_how_to_get_them(params: Callable[..., Params], name: str) -> None:
    with pytest.raises(DataError, match=f"there is no folder nowhere; `wavemix data get {name}` fetches the raw files"):
        shards.prepare(params(f"data.{name}.source.root=nowhere"), name)


def wavemix(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "wavemix.cli", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_the_command_line_does_it_all_and_needs_no_torch(raw: Path, tmp_path: Path) -> None:
    mine = f"data.mine={{source: {{name: image_folder, root: {raw}}}, samples_per_shard: 5}}"
    given = ["--set", mine, "--set", f"storage.shards={tmp_path / 'shards'}", "data"]
    for action in (["prepare"], ["verify"], ["preview", "--out", str(tmp_path / "sheet.png")]):
        done = wavemix(*given, action[0], "mine", *action[1:])
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "sheet.png").stat().st_size > 1000
    done = wavemix("data", "prepare", "nothing")
    assert done.returncode == 1
    assert done.stderr.startswith("error: 'nothing' is not in the section data of params.yaml: digits, photographs")
    code = "import sys, wavemix.cli, wavemix.launch.shards; print(*{'torch', 'ray', 'mlflow'} & set(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert loaded.stdout.strip() == ""
