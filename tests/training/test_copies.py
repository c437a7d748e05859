"""Copies of checkpoints in a folder and on a real S3 server: whole, in the background, and found again."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from factories.s3 import PATIENCE_SECONDS, S3Server, s3_server
from wavemix.errors import CheckpointError
from wavemix.training import copies
from wavemix.training.checkpoint import (
    META,
    OPTIMIZER,
    WEIGHTS,
    checkpoints,
    folder_of,
    newest_checkpoint,
    save_checkpoint,
)
from wavemix.training.copies import HELD, Copies, check_place, fetch_newest
from wavemix.training.state import Best, TrainState
from wavemix.training.store import Store, open_store


@pytest.fixture(scope="module")
def running() -> Iterator[S3Server]:
    with s3_server() as server, pytest.MonkeyPatch.context() as monkeypatch:
        server.use(monkeypatch)
        yield server


@pytest.fixture
def server(running: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    """A server that this process uses, with tries that follow each other at once."""
    monkeypatch.setattr(copies, "PAUSES", (0.01,))
    running.asked.clear()
    return running


@pytest.fixture
def bucket(server: S3Server) -> str:
    """The URL of a place in a bucket of the test's own."""
    return f"{server.make_bucket()}/runs/0123"


@pytest.fixture(params=["folder", "s3"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "folder":
        return (tmp_path / "elsewhere" / "0123").as_uri()
    found: str = request.getfixturevalue("bucket")
    return found


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "checkpoints"


def save(root: Path, *steps: int, best: int | None = None, seed: int = 0) -> None:
    """Save checkpoints of these steps; the newest two and the best one are kept."""
    torch.manual_seed(seed)
    model = nn.Linear(3, 2)
    state = TrainState(model, model, torch.optim.AdamW(model.parameters()))
    for step in steps:
        state.step, state.best = step, Best(0.5, best, best) if best else None
        model.bias.data.fill_(step)
        save_checkpoint(state, root, loader={}, meter={})


def copied(root: Path, url: str) -> Copies:
    work = Copies(url)
    work.copy(root)
    work.wait(PATIENCE_SECONDS)
    return work


def here(root: Path) -> dict[str, bytes]:
    return {f"{path.parent.name}/{path.name}": path.read_bytes() for path in root.glob("step-*/*")}


def there(url: str) -> dict[str, bytes]:
    store = open_store(url)
    return {path.removeprefix(f"{store.root}/"): store.files.cat_file(path) for path in store.files.find(store.root)}


def steps(root: Path) -> list[int]:
    return [int(folder.name.removeprefix("step-")) for folder in checkpoints(root)]


def path_in(store: Store, step: int, file: str) -> str:
    return f"{store.root}/step-{step:08d}/{file}"


def damage(url: str, step: int, how: str) -> None:
    name, _, kind = how.partition(" ")
    store = open_store(url)
    path = path_in(store, step, name)
    if kind == "missing":
        return store.files.rm_file(path)
    content = bytearray(store.files.cat_file(path))
    content[len(content) // 2] ^= 1
    return store.files.pipe_file(path, bytes(content[:-5] if kind == "cut off" else content))


def test_the_place_holds_what_the_folder_holds(url: str, root: Path) -> None:
    work = Copies(url)
    for step in range(1, 6):
        save(root, step, best=min(step, 2))
        work.copy(root)
        work.wait(PATIENCE_SECONDS)
        assert there(url) == here(root)
    assert steps(root) == [2, 4, 5]
    assert list((root / HELD).iterdir()) == []


def test_what_is_there_is_not_sent_again(bucket: str, root: Path, server: S3Server) -> None:
    save(root, 1)
    copied(root, bucket)
    server.asked.clear()
    save(root, 2)
    copied(root, bucket)
    sent = [request.rpartition("/")[0] for request in server.asked if request.startswith("PUT")]
    assert sent
    assert all(request.endswith("step-00000002") for request in sent)


def test_meta_is_sent_last_and_deleted_first(bucket: str, root: Path, server: S3Server) -> None:
    save(root, 1)
    copied(root, bucket)
    save(root, 2, 3)
    copied(root, bucket)
    changes = [request for request in server.asked if not request.startswith(("GET", "HEAD"))]
    for step in (1, 2, 3):
        (*before, last) = [
            request for request in changes if request.startswith("PUT") and f"step-0000000{step}" in request
        ]
        assert last.endswith(META)
        assert [request.rpartition("/")[2] for request in before] == sorted([WEIGHTS, OPTIMIZER])
    deleted = [number for number, request in enumerate(changes) if request.startswith(("DELETE", "POST"))]
    assert changes[deleted[0]].endswith(f"step-00000001/{META}")
    assert max(number for number, request in enumerate(changes) if request.startswith("PUT")) < deleted[0]


def test_other_files_in_the_place_stay(url: str, root: Path) -> None:
    store = open_store(url)
    for stranger in ("notes.txt", "step-1/model", "step-00000000/more/deep.txt"):
        store.files.pipe_file(f"{store.root}/{stranger}", b"mine")
    save(root, 1, 2, 3)
    copied(root, url)
    assert there(url).items() >= {"notes.txt": b"mine", "step-1/model": b"mine"}.items()
    assert "step-00000000/more/deep.txt" in there(url)


def test_training_goes_on_while_the_server_is_slow(bucket: str, root: Path, server: S3Server) -> None:
    """The call comes back although nothing arrives, and what is being sent may be deleted meanwhile."""
    save(root, 1)
    expected = here(root)
    work = Copies(bucket)
    with server.holding(f"PUT /{bucket.split('/')[2]}") as arrived:
        work.copy(root)
        assert arrived.wait(PATIENCE_SECONDS), "nothing was sent"
        assert there(bucket) == {}
        shutil.rmtree(folder_of(1, root))
    work.wait(PATIENCE_SECONDS)
    assert there(bucket) == expected


def test_a_newer_set_takes_the_place_of_one_that_waits(bucket: str, root: Path, server: S3Server) -> None:
    work = Copies(bucket)
    save(root, 1)
    with server.holding(OPTIMIZER) as arrived:
        work.copy(root)
        assert arrived.wait(PATIENCE_SECONDS), "nothing was sent"
        save(root, 2, 3)
        work.copy(root)
        save(root, 4, 5)
        work.copy(root)
    work.wait(PATIENCE_SECONDS)
    assert there(bucket) == here(root)
    sent = "".join(server.asked)
    assert "step-00000001" in sent
    assert "step-00000002" not in sent
    assert "step-00000003" not in sent
    assert list((root / HELD).iterdir()) == []


def test_an_outage_is_told_once_and_the_next_copy_mends_all(
    bucket: str, root: Path, server: S3Server, caplog: pytest.LogCaptureFixture
) -> None:
    work = Copies(bucket)
    save(root, 1, 2)
    with server.holding(f"step-00000002/{OPTIMIZER}") as arrived:
        work.copy(root)
        assert arrived.wait(PATIENCE_SECONDS), "nothing was sent"
        server.stop()
    try:
        assert work._idle.wait(PATIENCE_SECONDS)
        assert "checkpoints cannot be copied, training goes on and the next one tries again" in caplog.text
        assert "Could not connect" in caplog.text
        for step in (3, 4):
            save(root, step)
            work.copy(root)
            assert work._idle.wait(PATIENCE_SECONDS)
        assert len(caplog.records) == 1
        work.wait(PATIENCE_SECONDS)
        assert f"{bucket} lacks checkpoints of this run" in caplog.text
    finally:
        server.start()
    assert f"step-00000001/{META}" in there(bucket)
    assert f"step-00000002/{META}" not in there(bucket)  # it had come half-way
    save(root, 5)
    caplog.clear()
    work.copy(root)
    work.wait(PATIENCE_SECONDS)
    assert there(bucket) == here(root)
    assert not caplog.records


def test_a_newer_set_does_not_wait_for_an_older_ones_next_try(
    bucket: str, root: Path, server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copies, "PAUSES", (3600.0,))
    work = Copies(bucket)
    save(root, 1)
    with server.knowing_nobody(), server.holding("GET") as arrived:
        work.copy(root)
        assert arrived.wait(PATIENCE_SECONDS), "nothing was asked"
    save(root, 2, 3)
    work.copy(root)
    work.wait(PATIENCE_SECONDS)
    assert there(bucket) == here(root)
    assert not any(request.startswith("PUT") and "step-00000001" in request for request in server.asked)


def test_a_file_that_arrived_cut_off_is_sent_again(bucket: str, root: Path, server: S3Server) -> None:
    save(root, 1)
    work = Copies(bucket)
    with server.holding(f"step-00000001/{OPTIMIZER}") as arrived:
        work.copy(root)
        assert arrived.wait(PATIENCE_SECONDS), "nothing was sent"
        damage(bucket, 1, f"{WEIGHTS} cut off")
    work.wait(PATIENCE_SECONDS)
    assert there(bucket) == here(root)
    assert sum(request.startswith("PUT") and request.endswith(WEIGHTS) for request in server.asked) == 3


def test_waiting_has_an_end(bucket: str, root: Path, server: S3Server, caplog: pytest.LogCaptureFixture) -> None:
    save(root, 1)
    work = Copies(bucket)
    with server.holding(WEIGHTS) as arrived:
        work.copy(root)
        assert arrived.wait(PATIENCE_SECONDS), "nothing was sent"
        work.wait(0.01)
        assert "lacks checkpoints of this run; they are where they were saved" in caplog.text
    work.wait(PATIENCE_SECONDS)


def test_what_a_killed_process_held_is_cleared_away(url: str, root: Path) -> None:
    save(root, 1)
    shutil.copytree(folder_of(1, root), root / HELD / "7" / "step-00000009")
    copied(root, url)
    assert there(url) == here(root)
    assert list((root / HELD).iterdir()) == []


def test_a_file_system_without_hard_links_will_do(url: str, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr("os.link", refuse)
    save(root, 1, 2)
    copied(root, url)
    assert there(url) == here(root)


@pytest.mark.parametrize("step", [1, 3])
def test_a_damaged_checkpoint_is_not_sent_and_harms_no_copy(url: str, root: Path, step: int) -> None:
    save(root, 1, 2, 3, best=1)
    copied(root, url)
    before = {name: content for name, content in there(url).items() if "step-00000002" not in name}
    (folder_of(step, root) / WEIGHTS).write_bytes(b"damaged")
    save(root, 4, best=1)
    (folder_of(4, root) / META).unlink()
    copied(root, url)
    found = there(url)
    assert found.items() >= before.items()
    assert not any("step-00000004" in name for name in found)


def test_another_checkpoint_of_the_same_step_takes_its_place(url: str, root: Path) -> None:
    save(root, 1, 2)
    copied(root, url)
    save(root, 2, seed=1)
    copied(root, url)
    assert there(url) == here(root)


def test_a_late_process_deletes_nothing_newer(url: str, root: Path, tmp_path: Path) -> None:
    save(tmp_path / "later", 5, 6)
    copied(tmp_path / "later", url)
    save(root, 2, 3)
    copied(root, url)
    assert there(url) == {**here(root), **here(tmp_path / "later")}


@pytest.fixture
def sent(url: str, tmp_path: Path) -> str:
    """A place with checkpoints of steps 3 and 6 of a machine that is lost."""
    save(tmp_path / "lost", 3, 6)
    copied(tmp_path / "lost", url)
    return url


@pytest.mark.parametrize("own", [[], [1, 3]])
def test_a_folder_with_nothing_as_new_gets_the_newest(sent: str, root: Path, own: list[int], tmp_path: Path) -> None:
    save(root, *own)
    assert fetch_newest(sent, root) == root / "step-00000006"
    assert newest_checkpoint(root) == root / "step-00000006"
    assert steps(root) == [*own, 6]
    assert here(root)[f"step-00000006/{OPTIMIZER}"] == here(tmp_path / "lost")[f"step-00000006/{OPTIMIZER}"]
    assert len(list(root.iterdir())) == len(own) + 1


@pytest.mark.parametrize("own", [6, 7])
def test_a_folder_with_one_as_new_stays_as_it_is(sent: str, root: Path, own: int) -> None:
    save(root, own, seed=1)
    before = here(root)
    assert fetch_newest(sent, root) is None
    assert here(root) == before


def test_a_damaged_one_of_the_same_step_is_replaced(sent: str, root: Path, tmp_path: Path) -> None:
    shutil.copytree(tmp_path / "lost", root, ignore=shutil.ignore_patterns(HELD))
    (root / "step-00000006" / WEIGHTS).write_bytes(b"damaged")
    assert fetch_newest(sent, root) == root / "step-00000006"
    assert here(root) == here(tmp_path / "lost")


@pytest.mark.parametrize("how", [f"{META} missing", f"{META} cut off", f"{WEIGHTS} flipped", f"{OPTIMIZER} missing"])
def test_a_damaged_copy_is_passed_over_with_a_warning(
    sent: str, root: Path, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    damage(sent, 6, how)
    assert fetch_newest(sent, root) == root / "step-00000003"
    assert steps(root) == [3]
    assert f"{sent}/step-00000006: " in caplog.text
    assert "going back to the one before it" in caplog.text
    assert ("it was not sent to its end" in caplog.text) == (how == f"{META} missing")
    assert [path.name for path in root.iterdir()] == ["step-00000003"]


def test_when_all_copies_are_damaged_somebody_must_decide(sent: str, root: Path) -> None:
    for step in (3, 6):
        damage(sent, step, f"{WEIGHTS} cut off")
    with pytest.raises(CheckpointError, match="all 2 checkpoints are damaged; delete them to start anew"):
        fetch_newest(sent, root)
    assert list(root.iterdir()) == []


def test_no_copies_are_no_error(url: str, root: Path) -> None:
    assert fetch_newest(url, root) is None
    save(root, 1)
    assert fetch_newest(url, root) is None


def test_a_first_copy_that_was_cut_off_is_no_copy(sent: str, root: Path, caplog: pytest.LogCaptureFixture) -> None:
    for step in (3, 6):
        damage(sent, step, f"{META} missing")
    assert fetch_newest(sent, root) is None
    assert caplog.text.count("it was not sent to its end") == 2
    assert checkpoints(root) == []


def test_the_best_one_comes_with_the_newest(url: str, root: Path, tmp_path: Path) -> None:
    save(tmp_path / "lost", 1, 2, 3, 4, best=1)
    copied(tmp_path / "lost", url)
    assert fetch_newest(url, root) == folder_of(4, root)
    assert steps(root) == [1, 4]


def test_a_best_one_that_is_lost_is_told(
    url: str, root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    save(tmp_path / "lost", 1, 2, 3, best=1)
    copied(tmp_path / "lost", url)
    damage(url, 1, f"{WEIGHTS} flipped")
    assert fetch_newest(url, root) == folder_of(3, root)
    assert steps(root) == [3]
    assert "step-00000001: the best one so far is lost: model.safetensors is damaged" in caplog.text


def test_keys_that_lead_out_of_the_folder_are_no_checkpoints(bucket: str, root: Path, tmp_path: Path) -> None:
    save(root, 1)
    copied(root, bucket)
    store = open_store(bucket)
    for key in ("step-00000001/../../../evil", "step-00000002/..", "../step-00000003/meta.json", "step-00000004/.evil"):
        store.files.pipe_file(f"{store.root}/{key}", b"evil")
    before = {path for path in tmp_path.rglob("*") if root not in path.parents}
    shutil.rmtree(root)
    assert fetch_newest(bucket, root) == folder_of(1, root)
    assert steps(root) == [1]
    assert {path for path in tmp_path.rglob("*") if root not in path.parents} == before
    assert not list(tmp_path.rglob("*evil*"))


def test_a_place_that_cannot_be_read_matters_to_who_has_nothing(
    bucket: str, root: Path, server: S3Server, caplog: pytest.LogCaptureFixture
) -> None:
    server.stop()
    try:
        with pytest.raises(CheckpointError, match=r"cannot be read: Could not connect(.|\n)*would start anew"):
            fetch_newest(bucket, root)
        save(root, 1)
        assert fetch_newest(bucket, root) is None
        assert f"going on from those in {root}" in caplog.text
    finally:
        server.start()


def test_a_good_place_is_left_as_it_was(url: str) -> None:
    check_place(url)
    assert there(url) == {}


def test_a_wrong_place_is_told_at_once(
    bucket: str, server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(
        CheckpointError, match=r"s3://not-there/x: copies .* The specified bucket does not exist\nS3 is known"
    ):
        check_place("s3://not-there/x")
    with pytest.raises(CheckpointError, match="s5://x: no place for copies of checkpoints: Protocol not known: s5"):
        check_place("s5://x")
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match=r"cannot be written there: .*Not a directory[^\n]*$"):
        check_place(str(tmp_path / "file" / "x"))
    with server.knowing_nobody(), pytest.raises(CheckpointError, match="Access Key Id you provided does not exist"):
        check_place(bucket)
    server.use(monkeypatch)
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    with pytest.raises(CheckpointError, match="Unable to locate credentials\nS3 is known by the environment"):
        check_place(bucket)
