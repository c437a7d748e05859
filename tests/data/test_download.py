"""Downloads from a server on this machine: whole, gone on with, checked; and one clear error where they fail."""

import errno
import fcntl
import hashlib
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pooch
import pytest

from factories.web import Site, serving
from wavemix.config.sources import Source
from wavemix.data import download as module
from wavemix.data.catalogue import BY_HAND, DOWNLOADS, Download, Remote
from wavemix.data.download import download
from wavemix.errors import DataError

CONTENT = bytes(range(256)) * 12_000  # three blocks
Get = Callable[..., list[tuple[str, int, int]]]


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("no_proxy", "*")
    with serving(Site({"/set/a.zip": CONTENT, "/set/b.txt": b"small"})) as site:
        yield site


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "raw"


@pytest.fixture
def get(site: Site, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Get:
    """Download the set and give what was told; ``waited`` collects the pauses."""

    def get_set(
        *paths: str,
        sha256: str = hashlib.sha256(CONTENT).hexdigest(),
        size: int | None = len(CONTENT),
        waited: list[float] | None = None,
    ) -> list[tuple[str, int, int]]:
        files = tuple(Remote(site.address + path, sha256, size) for path in paths or ["/set/a.zip"])
        monkeypatch.setattr(module, "DOWNLOADS", {"own": Download("", files)})
        told: list[tuple[str, int, int]] = []
        pauses = [] if waited is None else waited
        download("own", folder, told=lambda *what: told.append(what), pause=pauses.append)
        return told

    return get_set


def error(get: Get, **options: object) -> str:
    with pytest.raises(DataError) as caught:
        get(**options)
    assert 1 <= len(str(caught.value).splitlines()) <= 3
    return str(caught.value)


def left(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in folder.iterdir()}


def test_a_file_comes_whole_and_nothing_is_left_beside_it(get: Get, folder: Path, site: Site) -> None:
    get()
    assert (folder / "a.zip").read_bytes() == CONTENT
    assert left(folder) == {"a.zip": len(CONTENT)}
    assert site.asked == [("/set/a.zip", None)]


def test_progress_begins_with_what_was_there_and_ends_with_all(get: Get, folder: Path) -> None:
    folder.mkdir()
    (folder / "a.zip.part").write_bytes(CONTENT[:1000])
    told = get()
    total = len(CONTENT)
    coming = [done for what, done, of in told if what == "a.zip" and of == total]
    checked = [done for what, done, of in told if what == "checking a.zip" and of == total]
    assert coming[0] == 1000
    assert coming == sorted(coming)
    assert coming[-1] == checked[-1] == total
    assert len(coming) + len(checked) == len(told)


def test_a_file_that_is_there_is_checked_and_not_fetched(get: Get, site: Site) -> None:
    get()
    assert get()[-1] == ("checking a.zip", len(CONTENT), len(CONTENT))
    assert len(site.asked) == 1


def test_after_a_cut_only_the_rest_is_asked_for(get: Get, folder: Path, site: Site) -> None:
    site.cut_after = [100_000, 1_000_000]
    waited: list[float] = []
    get(waited=waited)
    assert (folder / "a.zip").read_bytes() == CONTENT
    assert [asked for _, asked in site.asked] == [None, "bytes=100000-", "bytes=1100000-"]
    assert waited == [1, 1]  # something new came each time


def test_a_later_call_goes_on_where_an_earlier_one_was_killed(get: Get, folder: Path, site: Site) -> None:
    folder.mkdir()
    (folder / "a.zip.part").write_bytes(CONTENT[:2_000_000])
    get()
    assert (folder / "a.zip").read_bytes() == CONTENT
    assert site.asked == [("/set/a.zip", "bytes=2000000-")]


@pytest.mark.parametrize("size", [len(CONTENT), None])
def test_a_part_that_is_whole_is_checked_and_named(get: Get, folder: Path, site: Site, size: int | None) -> None:
    folder.mkdir()
    (folder / "a.zip.part").write_bytes(CONTENT)
    get(size=size)
    assert left(folder) == {"a.zip": len(CONTENT)}
    assert len(site.asked) == (0 if size else 1)


def test_a_server_without_ranges_sends_all_of_it_again(get: Get, folder: Path, site: Site) -> None:
    site.ranges = False
    site.cut_after = [100_000]
    get()
    assert (folder / "a.zip").read_bytes() == CONTENT
    assert [asked for _, asked in site.asked] == [None, "bytes=100000-"]


def test_a_server_that_tells_no_length(get: Get, folder: Path, site: Site) -> None:
    site.length = False
    assert get(size=None)[0] == ("a.zip", 0, 0)
    assert (folder / "a.zip").read_bytes() == CONTENT


def test_a_line_that_stays_dead_is_given_up(get: Get, folder: Path, site: Site) -> None:
    site.cut_after = [100_000] + [0] * 20
    waited: list[float] = []
    told = error(get, waited=waited)
    assert told == (
        f"{site.address}/set/a.zip: cut off after 100000 of {len(CONTENT)} bytes, 6 times in a row\n"
        f"100000 bytes are kept in {folder}/a.zip.part; run it again to go on from there"
    )
    assert waited == [1, 2, 4, 8, 16]
    assert left(folder) == {"a.zip.part": 100_000}


def test_a_server_without_ranges_cannot_keep_us_for_ever(get: Get, site: Site) -> None:
    site.ranges = False
    site.cut_after = [100_000, 90_000] * 20
    assert "6 times in a row" in error(get)
    assert len(site.asked) == 6


def test_a_busy_server_is_asked_again_and_a_missing_file_is_not(get: Get, folder: Path, site: Site) -> None:
    site.busy = 2
    waited: list[float] = []
    get(waited=waited)
    assert waited == [1, 2]
    assert left(folder) == {"a.zip": len(CONTENT)}
    site.files.clear()
    (folder / "a.zip").unlink()
    assert error(get) == f"{site.address}/set/a.zip: the server says 404 Not Found"


def test_nobody_listening_is_one_error(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(module, "DOWNLOADS", {"own": Download("", (Remote("http://127.0.0.1:1/a", "0" * 64),))})
    with pytest.raises(DataError, match=r"^http://127\.0\.0\.1:1/a: .*refused.*, 6 times in a row\n0 bytes are kept"):
        download("own", folder, pause=lambda _seconds: None)


def test_a_wrong_digest_keeps_the_part_and_says_what_to_do(get: Get, folder: Path, site: Site) -> None:
    told = error(get, sha256="0" * 64)
    found = hashlib.sha256(CONTENT).hexdigest()
    assert told.startswith(
        f"{folder}/a.zip.part: not the published file; its {len(CONTENT)} bytes have sha256 {found},"
    )
    assert f"looked for\n{'0' * 64}; delete it and download again; " in told
    assert left(folder) == {"a.zip.part": len(CONTENT)}
    assert error(get, sha256="0" * 64) == told
    assert len(site.asked) == 1
    (folder / "a.zip.part").unlink()
    get()
    assert left(folder) == {"a.zip": len(CONTENT)}


def test_a_disk_without_second_names_keeps_the_part_too(
    get: Get, folder: Path, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refused)
    assert "a.zip.part: not the published file; " in error(get, sha256="0" * 64)
    assert left(folder) == {"a.zip.part": len(CONTENT)}
    get()
    assert left(folder) == {"a.zip": len(CONTENT)}
    assert len(site.asked) == 1


def test_pooch_says_nothing_of_its_own_here_and_elsewhere_what_it_did(
    get: Get, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    level = pooch.get_logger().level
    get()
    assert not caplog.records
    assert "a.zip" not in "".join(capfd.readouterr())
    assert pooch.get_logger().level == level


def test_without_pooch_it_says_what_to_install(get: Get, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pooch", None)
    assert error(get) == "pooch is not installed; pip install 'wavemix-train[pipeline]'"
    assert not folder.exists()


def test_a_wrong_file_under_the_final_name_is_left_alone(get: Get, folder: Path, site: Site) -> None:
    folder.mkdir()
    (folder / "a.zip").write_bytes(b"mine")
    assert error(get).startswith(f"{folder}/a.zip: not the published file; its 4 bytes have sha256 ")
    assert (folder / "a.zip").read_bytes() == b"mine"
    assert site.asked == []


def test_another_file_at_the_address_is_refused_before_it_comes(get: Get, folder: Path, site: Site) -> None:
    assert error(get, size=17) == f"{site.address}/set/a.zip: has {len(CONTENT)} bytes now, and had 17: another file"
    assert left(folder) == {"a.zip.part": 0}


def test_a_part_outlives_a_server_that_has_another_file(get: Get, folder: Path, site: Site) -> None:
    site.cut_after = [1000] + [0] * 5
    error(get)
    site.files["/set/a.zip"], site.ranges = CONTENT[:-1], False
    assert "has 3071999 bytes now, and had 3072000: another file" in error(get)
    assert left(folder) == {"a.zip.part": 1000}


def test_a_part_that_is_too_long_is_named(get: Get, folder: Path, site: Site) -> None:
    folder.mkdir()
    (folder / "a.zip.part").write_bytes(CONTENT + b"more")
    assert error(get) == f"{folder}/a.zip.part: longer than {site.address}/set/a.zip; delete it to begin anew"


def test_other_bytes_than_asked_for_are_refused(get: Get, folder: Path, site: Site) -> None:
    site.cut_after, site.shift = [1000], 1
    assert "sends other bytes than were asked for; delete " in error(get)
    assert left(folder) == {"a.zip.part": 1000}


def test_a_full_disk_is_told_before_it_is_full(get: Get, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=1_000_000))
    assert error(get) == f"{folder}/a.zip.part: {len(CONTENT)} bytes are to come, and 1000000 are free on the disk"


def test_a_folder_that_cannot_be_made_is_one_error(get: Get, folder: Path) -> None:
    folder.write_text("a file")
    assert error(get).startswith(f"{folder}/a.zip.part: cannot be written: ")


def test_two_processes_do_not_write_one_file(get: Get, folder: Path, site: Site) -> None:
    folder.mkdir()
    with (folder / "a.zip.part").open("ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert error(get) == f"{folder}/a.zip.part: another process is downloading it; wait for it, or stop it"
    assert site.asked == []


@pytest.mark.parametrize("path", ["/set/..", "/set/%2e%2e/..", "/", ""])
def test_no_address_leaves_the_folder(get: Get, folder: Path, site: Site, path: str) -> None:
    with pytest.raises(ValueError, match=r"names no file$"):
        get(path)
    assert site.asked == []
    assert not folder.exists()


def test_sets_that_need_a_person_say_what_to_do(folder: Path) -> None:
    with pytest.raises(DataError, match=r"^imagenet cannot be downloaded; to get it:\nregister at image-net\.org"):
        download("imagenet", folder)
    with pytest.raises(DataError, match=r"^nothing cannot be downloaded; there is mnist, fashion_mnist, "):
        download("nothing", folder)
    assert not folder.exists()


def test_the_catalogue_can_be_trusted() -> None:
    for name, one in DOWNLOADS.items():
        names = [remote.name for remote in one.files]
        assert len(set(names)) == len(names), name
        for remote in one.files:
            assert re.fullmatch(r"https?://[\w.-]+/[\w/.~-]+", remote.url)
            assert re.fullmatch(r"[\w.-]+\w", remote.name)
            assert re.fullmatch(r"[0-9a-f]{64}", remote.sha256), remote.name
            assert remote.size is None or remote.size > 0
    digests = {remote.sha256 for one in DOWNLOADS.values() for remote in one.files}
    assert len(digests) == len({remote.url for one in DOWNLOADS.values() for remote in one.files})


def test_every_published_set_is_in_one_of_both_lists() -> None:
    own = {"digits", "photographs", "scenes", "image_folder", "mask_folder", "flat_folder"}
    sections = Source.__args__[0].__args__  # type: ignore[attr-defined]
    sources = {name for section in sections for name in section.model_fields["name"].annotation.__args__}
    assert sources - own == {name for name in DOWNLOADS if not name.endswith(("_large", "_extra"))} | set(BY_HAND)
    assert not set(DOWNLOADS) & set(BY_HAND)
