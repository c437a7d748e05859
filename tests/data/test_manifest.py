"""A manifest that is missing, damaged, of another version or not ours is told in a line that says what to do."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from wavemix.data import Manifest, check_present, read_manifest
from wavemix.errors import DataError

Written = Callable[..., Manifest]


def test_reading_gives_what_was_written(written: Written) -> None:
    manifest = written()
    assert read_manifest(manifest.folder) == manifest


def test_its_digest_follows_the_content(written: Written) -> None:
    assert written(train=10).sha256 == written(train=10).sha256 != written(train=11).sha256


def test_a_missing_manifest_says_who_writes_it(tmp_path) -> None:
    with pytest.raises(
        DataError, match=rf"manifest\.json: no such file; `dvc repro prepare@{tmp_path.name}` writes it"
    ):
        read_manifest(tmp_path)


DAMAGE: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "another format": (lambda tree: tree.update(format=1), "found format 1, this version reads 2; prepare"),
    "no format": (lambda tree: tree.pop("format"), "found format None, this version reads 2; prepare"),
    "no splits": (lambda tree: tree.pop("splits"), "damaged, 'splits'; prepare the data again"),
    "splits of other names": (
        lambda tree: tree.update(splits={"eval": {}}),
        "damaged, no split; prepare the data again",
    ),
    "a field is missing": (lambda tree: tree["splits"]["val"]["shards"][0].pop("sha256"), "damaged, .*sha256"),
    "a field too many": (lambda tree: tree["splits"]["val"]["shards"][0].update(x=1), "damaged, .*'x'"),
    "shards are no list": (lambda tree: tree["splits"]["val"].update(shards=3), "damaged, "),
    "a shard above its folder": (
        lambda tree: tree["splits"]["val"]["shards"][0].update(name="../../x.tar"),
        r"shard name '\.\./\.\./x\.tar' leaves its folder",
    ),
    "a shard anywhere": (
        lambda tree: tree["splits"]["test"]["shards"][0].update(name="/x.tar"),
        "shard name '/x.tar' leaves its folder",
    ),
}


@pytest.mark.parametrize(("change", "words"), DAMAGE.values(), ids=DAMAGE.keys())
def test_damage_is_one_line(written: Written, change: Callable[[dict[str, Any]], object], words: str) -> None:
    folder = written().folder
    path = folder / "manifest.json"
    tree = json.loads(path.read_text())
    change(tree)
    path.write_text(json.dumps(tree))
    with pytest.raises(DataError, match=words) as caught:
        read_manifest(folder)
    assert str(caught.value).startswith(f"{path}: ")
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"format": 1, ', "not readable as JSON"),
        (b"\xff\xfe", "not readable as JSON"),
        (b"[]", "found format 'list'"),
    ],
)
def test_a_file_that_is_no_manifest_is_told(tmp_path, content: bytes, words: str) -> None:
    (tmp_path / "manifest.json").write_bytes(content)
    with pytest.raises(DataError, match=words):
        read_manifest(tmp_path)


def test_a_shard_of_another_size_or_gone_is_seen_before_training(written: Written) -> None:
    manifest = written()
    check_present(manifest)
    path = manifest.folder / manifest.splits["val"][0].name
    promised = path.stat().st_size
    with path.open("ab") as file:
        file.write(b"x")
    with pytest.raises(DataError, match=f"{path}: found {promised + 1} bytes, the manifest promises {promised}"):
        check_present(manifest)
    path.unlink()
    with pytest.raises(DataError, match=f"{path}: found None bytes, the manifest promises {promised}"):
        check_present(manifest)
