"""Files are whole or absent."""

from pathlib import Path

import pytest

from wavemix.files import write_aside, written_aside


def test_a_file_gets_its_name_when_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "file"
    with written_aside(path) as file:
        file.write(b"half")
        assert not path.exists()
        file.write(b" and half")
    assert path.read_bytes() == b"half and half"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_an_exception_leaves_the_old_file_and_no_part_of_the_new_one(
    tmp_path: Path, error: type[BaseException]
) -> None:
    path = tmp_path / "file"
    write_aside(path, b"old")
    with pytest.raises(error), written_aside(path) as file:  # noqa: PT012
        file.write(b"new")
        raise error
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_exception_before_there_was_a_file_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="no"), written_aside(tmp_path / "file"):
        raise OSError("no")
    assert list(tmp_path.iterdir()) == []


def test_a_reader_sees_the_old_file_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_aside(path, b"old")
    with path.open("rb") as reader, written_aside(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"
        assert reader.read() == b"old"
    assert path.read_bytes() == b"new"
