"""Raw files are found in trees and in archives alike; what leaves its folder, or is damaged, is refused by name."""

import gzip
import io
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest

from factories.pack import as_folder, as_tar, as_zip
from wavemix.data.raw.archives import RawFile, RawFolder
from wavemix.errors import DataError

TREE = {"data/a/1.jpg": b"one", "data/b/2.jpg": b"", "data/b/sub/3.jpg": bytes(3000), "lists.txt": b"1\n2\n"}
JUNK = {"data/.DS_Store": b"x", "__MACOSX/data/._1.jpg": b"x", "data/a/._1.jpg": b"x"}
PACKED = {
    "tree": lambda root: as_folder(root, {**TREE, **JUNK}),
    "all.tar": lambda root: as_folder(root, {"all.tar": as_tar({**TREE, **JUNK})}),
    "dotted.tar": lambda root: as_folder(root, {"all.tar": as_tar({f"./{path}": one for path, one in TREE.items()})}),
    "all.tar.gz": lambda root: as_folder(root, {"all.tar.gz": as_tar({**TREE, **JUNK}, gz=True)}),
    "all.zip": lambda root: as_folder(root, {"all.zip": as_zip({**TREE, **JUNK})}),
}
ARCHIVES = ("all.tar", "all.tar.gz", "all.zip")


@pytest.fixture
def folder(tmp_path: Path) -> RawFolder:
    (tmp_path / "raw").mkdir()
    return RawFolder(tmp_path / "raw", tmp_path / "scratch")


@pytest.mark.parametrize("packed", PACKED)
def test_a_folder_is_the_same_however_it_is_packed(folder: RawFolder, packed: str) -> None:
    PACKED[packed](folder.path)
    files = folder.under("data", *ARCHIVES)
    assert {file.name: file.read() for file in files} == {
        "a/1.jpg": b"one",
        "b/2.jpg": b"",
        "b/sub/3.jpg": bytes(3000),
    }
    assert [file.name for file in files] == sorted(file.name for file in files)
    assert [file.size for file in files] == [3, 0, 3000]
    assert folder.file("lists.txt", *ARCHIVES).read() == b"1\n2\n"
    assert folder.under("data/b", *ARCHIVES)[1].name == "sub/3.jpg"


def test_an_archive_may_hold_the_content_without_the_folder(folder: RawFolder) -> None:
    as_folder(folder.path, {"train.tar": as_tar({"n01/1.jpg": b"one"})})
    assert [file.name for file in folder.under("train", "train.tar", bare=True)] == ["n01/1.jpg"]


def test_tars_in_a_tar_are_read_where_they_lie(folder: RawFolder) -> None:
    inner = {f"n0{n}.tar": as_tar({f"n0{n}_{k}.JPEG": f"{n} {k}".encode() for k in range(3)}) for n in range(3)}
    long = {"n09.tar": as_tar({"x" * 150 + ".JPEG": b"long name"})}
    as_folder(folder.path, {"train.tar": as_tar({**inner, **long, "readme.txt": b"hello"})})
    files = {file.name: file for file in folder.under("train", "train.tar", bare=True)}
    assert len(files) == 11
    assert files["n02/n02_1.JPEG"].read() == b"2 1"
    assert files["n09/" + "x" * 150 + ".JPEG"].read() == b"long name"
    assert list(folder.path.iterdir()) == [folder.path / "train.tar"]


def test_a_gzipped_tar_is_inflated_once_and_whole_or_not_at_all(folder: RawFolder) -> None:
    archive = as_folder(folder.path, {"all.tar.gz": as_tar(TREE, gz=True)}) / "all.tar.gz"
    folder.under("data", *ARCHIVES)
    (made,) = folder.scratch.iterdir()
    before = made.stat().st_mtime_ns
    folder.under("data", *ARCHIVES)
    assert made.stat().st_mtime_ns == before
    whole = archive.read_bytes()
    archive.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=rf"^{archive}: cannot be inflated into {folder.scratch} \(\d+ MiB free\): "):
        folder.under("data", *ARCHIVES)
    assert list(folder.scratch.iterdir()) == [made]


def evil_tar(name: str, kind: bytes = tarfile.REGTYPE) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, "/etc/passwd"
        tar.addfile(info)
    return buffer.getvalue()


def zip_with_link() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        info = zipfile.ZipInfo("a.jpg")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("all.tar", evil_tar("/etc/passwd"), "'/etc/passwd' leaves its folder"),
        ("all.tar", evil_tar("data/../../x.jpg"), "'data/../../x.jpg' leaves its folder"),
        ("all.tar", evil_tar("data/x.jpg", tarfile.SYMTYPE), "'data/x.jpg' is a link or a device"),
        ("all.tar", evil_tar("data/x.jpg", tarfile.LNKTYPE), "'data/x.jpg' is a link or a device"),
        ("all.tar", evil_tar("data/x.jpg", tarfile.CHRTYPE), "'data/x.jpg' is a link or a device"),
        ("all.tar", as_tar({"n01.tar": evil_tar("../x.jpg")}), "'../x.jpg' leaves its folder"),
        ("all.tar.gz", gzip.compress(evil_tar("../x.jpg")), "'../x.jpg' leaves its folder"),
        ("all.zip", as_zip({"../x.jpg": b""}), "'../x.jpg' leaves its folder"),
        ("all.zip", as_zip({"/x.jpg": b""}), "'/x.jpg' leaves its folder"),
        ("all.zip", as_zip({"..\\x.jpg": b""}), "leaves its folder"),
        ("all.zip", as_zip({"C:\\x.jpg": b""}), "leaves its folder"),
        ("all.zip", zip_with_link(), "'a.jpg' is a link or a device"),
    ],
)
def test_archives_that_leave_their_folder_or_hold_links_are_refused(
    folder: RawFolder, name: str, content: bytes, told: str
) -> None:
    as_folder(folder.path, {name: content})
    with pytest.raises(DataError) as caught:
        folder.under("data", name)
    assert str(caught.value).startswith(str(folder.path / name))
    assert "refused, its member '" in str(caught.value)
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("all.tar", as_tar(TREE)[:2000]),
        ("all.tar", b"no tar" * 200),
        ("all.tar", as_tar({"n01.tar": as_tar(TREE)[:2048]})),
        ("all.zip", as_zip(TREE)[:-30]),
        ("all.tar.gz", b"no gzip"),
    ],
)
def test_a_damaged_archive_is_named(folder: RawFolder, name: str, content: bytes) -> None:
    path = as_folder(folder.path, {name: content}) / name
    with pytest.raises(DataError, match=rf"^{path}: "):
        folder.under("data", name, bare=True)


def test_a_wrong_checksum_in_a_zip_is_an_error(folder: RawFolder) -> None:
    content = as_zip({"data/a.bin": bytes(100)})
    at = content.index(b"data/a.bin") + len("data/a.bin") + 2
    path = as_folder(folder.path, {"all.zip": content[:at] + b"\xff" + content[at + 1 :]}) / "all.zip"
    (file,) = folder.under("data", "all.zip")
    with pytest.raises(DataError, match=rf"^{path}: cannot read (data/)?a\.bin: "):
        file.read()


def test_a_file_that_changed_since_it_was_listed_is_an_error(folder: RawFolder) -> None:
    as_folder(folder.path, TREE)
    first = folder.under("data")[0]
    Path(first.holder).write_bytes(b"something else")
    with pytest.raises(DataError, match=r"1\.jpg has 14 bytes, 3 were there before"):
        first.read()
    Path(first.holder).unlink()
    with pytest.raises(DataError, match=r"cannot read a/1\.jpg: "):
        first.read()


def test_what_is_missing_is_told_with_what_is_there(folder: RawFolder) -> None:
    as_folder(folder.path, {f"{n:02d}.txt": b"" for n in range(12)})
    told = rf"^looked for data/ or data\.tar in {folder.path}, found 00\.txt, .*, 09\.txt and 2 more$"
    with pytest.raises(DataError, match=told):
        folder.under("data", "data.tar")
    with pytest.raises(DataError, match=r"looked for labels\.txt in"):
        folder.file("labels.txt")
    nowhere = RawFolder(folder.path / "nowhere", folder.scratch)
    with pytest.raises(DataError, match="nowhere, which is no folder"):
        nowhere.under("data")
    assert folder.first("a", "03.txt", "04.txt") == "03.txt"


def test_long_work_is_told(tmp_path: Path) -> None:
    told: list[tuple[str, int]] = []
    folder = RawFolder(tmp_path / "raw", tmp_path / "scratch", lambda what, count: told.append((what, count)))
    many = {f"{n:04d}.jpg": b"" for n in range(2500)}
    as_folder(folder.path, {"all.tar.gz": as_tar(many, gz=True)})
    assert len(folder.under("many", "all.tar.gz", bare=True)) == 2500
    assert [one for one in told if one[0].startswith("reading")] == [
        ("reading the index of all.tar.gz", 1000),
        ("reading the index of all.tar.gz", 2000),
    ]
    assert told[0][0] == "inflating all.tar.gz, MiB"


def test_a_raw_file_is_small_to_send() -> None:
    import pickle  # noqa: PLC0415

    file = RawFile("n01440764/n01440764_10026.JPEG", 100_000, "/data/ILSVRC2012_img_train.tar", 123_456_789)
    assert pickle.loads(pickle.dumps(file)) == file  # noqa: S301
    assert len(pickle.dumps([file] * 1000)) < 10_000
