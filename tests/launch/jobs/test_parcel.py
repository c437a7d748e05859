"""Files travel by a place, whole or not at all, and nothing but files of their own folder is taken from there."""

import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from factories.s3 import s3_server
from wavemix.errors import DataError
from wavemix.launch.jobs.parcel import NOTE, fetch, leave

INSIDE = "experiments/digits/train"


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    contents = {"model.json": b"{}", "deeper/model.safetensors": bytes(range(256)) * 9000}
    found = {}
    for name, content in contents.items():
        path = tmp_path / "there" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        found[f"{INSIDE}/{name}"] = path
    return found


def test_what_is_left_is_fetched_as_it_was(files: dict[str, Path], tmp_path: Path) -> None:
    place, here = str(tmp_path / "jobs" / "one"), tmp_path / "here"
    assert not fetch(place, INSIDE, here)
    leave(files, place)
    assert fetch(place, INSIDE, here)
    assert {path for path in here.rglob("*") if path.is_file()} == {here / name for name in files}
    assert all((here / name).read_bytes() == path.read_bytes() for name, path in files.items())


def test_an_object_store_is_a_place_too_if_its_bucket_is_there(
    files: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with s3_server() as server:
        server.use(monkeypatch)
        place = f"{server.make_bucket()}/prefix/jobs/one"
        assert not fetch(place, INSIDE, tmp_path)
        leave(files, place)
        assert fetch(place, INSIDE, tmp_path)
        with pytest.raises(DataError, match=r"^s3://no-such-bucket/one: cannot be written: "):
            leave(files, "s3://no-such-bucket/one")
    with pytest.raises(DataError, match=r"^s3://.*: cannot be read: .*\n\(an object store's address and"):
        fetch(place, INSIDE, tmp_path)
    assert all((tmp_path / name).read_bytes() == path.read_bytes() for name, path in files.items())


def test_the_same_files_make_the_same_tar_and_another_one_takes_its_place(
    files: dict[str, Path], tmp_path: Path
) -> None:
    places = [tmp_path / "one", tmp_path / "two"]
    for place in places:
        leave(files, str(place))
        next(iter(files.values())).touch()
    assert places[0].joinpath(NOTE).read_bytes() == places[1].joinpath(NOTE).read_bytes()
    files[f"{INSIDE}/model.json"].write_bytes(b"[]")
    leave(files, str(places[0]))
    assert fetch(str(places[0]), INSIDE, tmp_path / "here")
    assert (tmp_path / "here" / INSIDE / "model.json").read_bytes() == b"[]"


def test_a_tar_that_was_changed_or_cut_off_is_not_taken(files: dict[str, Path], tmp_path: Path) -> None:
    leave(files, str(tmp_path / "jobs"))
    (tar,) = (tmp_path / "jobs").glob("*.tar")
    tar.write_bytes(tar.read_bytes()[:-512])
    with pytest.raises(
        DataError, match=r"has another digest than parcel\.json says; nothing was taken from it; remove"
    ):
        fetch(str(tmp_path / "jobs"), INSIDE, tmp_path / "here")
    tar.unlink()
    with pytest.raises(DataError, match=r"\.tar: cannot be read: "):
        fetch(str(tmp_path / "jobs"), INSIDE, tmp_path / "here")
    assert not (tmp_path / "here").exists()


def plain(name: str) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size = 1
    return member


def link(kind: bytes) -> tarfile.TarInfo:
    member = tarfile.TarInfo(f"{INSIDE}/model.json")
    member.type, member.linkname = kind, "../../../../secret"
    return member


STRANGE: dict[str, Callable[[], tarfile.TarInfo]] = {
    "above its folder": lambda: plain(f"{INSIDE}/../../../../outside"),
    "absolute": lambda: plain("/outside"),
    "another experiment's": lambda: plain("experiments/scenes/train/model.json"),
    "a symbolic link": lambda: link(tarfile.SYMTYPE),
    "a hard link": lambda: link(tarfile.LNKTYPE),
    "a device": lambda: link(tarfile.FIFOTYPE),
}


@pytest.mark.parametrize("strange", STRANGE.values(), ids=STRANGE)
def test_a_tar_with_anything_else_is_refused_as_a_whole(strange: Callable[[], tarfile.TarInfo], tmp_path: Path) -> None:
    place = tmp_path / "jobs"
    place.mkdir()
    with tarfile.open(place / "a.tar", "w") as archive:
        for member in (plain(f"{INSIDE}/curves.csv"), strange()):
            archive.addfile(member, io.BytesIO(b"x"))
    content = (place / "a.tar").read_bytes()
    note = {"tar": "a.tar", "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (place / NOTE).write_text(json.dumps(note))
    with pytest.raises(DataError, match=r"a\.tar: holds .*, and plain files in experiments/digits/train are all"):
        fetch(str(place), INSIDE, tmp_path / "here")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a.tar", "jobs", NOTE]


@pytest.mark.parametrize("note", ["", "[]", '{"tar": "../a.tar", "bytes": 1, "sha256": ""}', '{"tar": 1}'])
def test_a_note_that_is_not_ours_is_refused(note: str, tmp_path: Path) -> None:
    (tmp_path / NOTE).write_text(note)
    with pytest.raises(DataError, match=r"parcel\.json: is not ours: .*; nothing was taken from it; remove"):
        fetch(str(tmp_path), INSIDE, tmp_path / "here")
