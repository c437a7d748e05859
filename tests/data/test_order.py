"""Who reads what: arithmetic that must never change, for any number of ranks."""

import numpy as np
import pytest

from wavemix.data import Deal, LoaderState
from wavemix.data.order import epoch_order
from wavemix.errors import CheckpointError, ConfigError

WORLD_SIZES = (1, 2, 3, 8)


def test_the_order_is_the_one_of_earlier_versions() -> None:
    """A resumed run must go on in the order in which it began, whatever numpy is installed."""
    order = epoch_order([4, 4, 2], seed=0, epoch=0, window=4)
    assert order.tolist() == [2, 1, 0, 3, 4, 9, 5, 8, 6, 7]
    assert order.dtype == np.int64


@pytest.mark.parametrize("world_size", WORLD_SIZES)
@pytest.mark.parametrize(("num_samples", "global_batch"), [(37, 16), (100, 25), (64, 9)])
def test_weighted_means_of_ranks_average_to_the_mean_over_samples(
    world_size: int, num_samples: int, global_batch: int
) -> None:
    values = np.random.default_rng(0).normal(size=num_samples)
    deals = [Deal(num_samples, global_batch, rank, world_size) for rank in range(world_size)]
    for step in range(2 * deals[0].steps_per_epoch):
        parts = [values[deal.mine(step)].mean() * deal.weight(step) for deal in deals]
        assert np.mean(parts) == pytest.approx(values[deals[0].batch(step)].mean(), abs=1e-12)
        assert np.mean([deal.weight(step) for deal in deals]) == pytest.approx(1)


@pytest.mark.parametrize(("num_samples", "global_batch", "world_size"), [(100, 3, 4), (5, 100, 8), (37, 16, 13)])
def test_a_batch_too_small_for_the_ranks_is_told_before_anything_is_read(
    num_samples: int, global_batch: int, world_size: int
) -> None:
    with pytest.raises(ConfigError, match=rf"^recipe\.global_batch: {global_batch} of {num_samples} samples .*"):
        Deal(num_samples, global_batch, 0, world_size)


@pytest.mark.parametrize("tail", ["drop", "wrap"])
def test_a_batch_larger_than_the_data_is_told_where_batches_must_be_whole(tail: str) -> None:
    with pytest.raises(ConfigError, match=r"64 of 37 samples .* lower it"):
        Deal(37, 64, 0, 1, tail)  # type: ignore[arg-type]
    assert Deal(37, 64, 0, 1).steps_per_epoch == 1


@pytest.mark.parametrize("window", [1, 8, 16])
def test_the_window_limits_how_far_samples_move(window: int) -> None:
    sizes = [10] * 20
    order = epoch_order(sizes, seed=3, epoch=1, window=window)
    assert sorted(order) == list(range(200))
    if window == 1:
        shards = list(dict.fromkeys(order[::10] // 10))
        assert sorted(shards) == list(range(20))
        assert shards != list(range(20))
    for start in range(0, 200, window):
        # A window is a stretch of the shuffled shards: it touches as few of them as such a stretch can.
        assert len(set(order[start : start + window] // 10)) <= -(-(window - 1) // 10) + 1


def test_a_window_of_everything_mixes_all_shards() -> None:
    order = epoch_order([10] * 20, seed=0, epoch=0, window=1000)
    assert len(set(order[:20] // 10)) > 5


@pytest.mark.parametrize("tail", ["spread", "drop", "wrap"])
@pytest.mark.parametrize(("num_samples", "global_batch"), [(37, 8), (40, 8), (1000, 7), (3, 3)])
def test_a_state_gives_its_step_back_on_any_number_of_ranks(tail: str, num_samples: int, global_batch: int) -> None:
    written, read = (Deal(num_samples, global_batch, 0, world, tail) for world in (1, 2))  # type: ignore[arg-type]
    for step in range(3 * written.steps_per_epoch):
        state = written.state(step, seed=5, manifest_sha256="abc")
        assert state.epoch == step // written.steps_per_epoch
        assert state.samples_seen == written.batch(step).start
        assert read.step_of(state, seed=5, manifest_sha256="abc") == step


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"seed": 6}, "the seed was 6 and is now 5"),
        ({"global_batch": 16}, "the global batch was 16 and is now 8"),
        ({"manifest_sha256": "other"}, "the data was other and is now abc"),
        ({"samples_seen": 9}, "after 9 samples: no batch begins there"),
    ],
)
def test_a_state_of_another_order_is_refused(change: dict[str, object], told: str) -> None:
    right = {"seed": 5, "epoch": 1, "samples_seen": 8, "global_batch": 8, "manifest_sha256": "abc"}
    deal = Deal(40, 8, 0, 1)
    assert deal.step_of(LoaderState(**right), seed=5, manifest_sha256="abc") == 6  # type: ignore[arg-type]
    with pytest.raises(CheckpointError, match=told):
        deal.step_of(LoaderState(**{**right, **change}), seed=5, manifest_sha256="abc")  # type: ignore[arg-type]
