"""Seconds of each part, by hand; and signs of life."""

import pytest

from wavemix.training.clock import Clock


class Time:
    """Passes by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def perf_counter(self) -> float:
        return self.now

    monotonic = perf_counter


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    made = Time()
    monkeypatch.setattr("wavemix.training.clock.time", made)
    return made


def test_an_inner_part_is_not_counted_twice(time: Time) -> None:
    clock = Clock()
    time.now += 7  # nobody's
    with clock.on("compute"):
        time.now += 1
        with clock.on("communication"):
            time.now += 2
        time.now += 4
    with clock.on("input"):
        time.now += 8
    time.now += 16
    expected = {"input": 8.0, "compute": 5.0, "communication": 2.0, "checkpoint": 0.0, "evaluation": 0.0}
    assert clock.read() == expected
    assert set(clock.read().values()) == {0.0}


def test_a_reading_within_a_part_takes_what_has_passed_of_it(time: Time) -> None:
    clock = Clock()
    with clock.on("evaluation"):
        time.now += 3
        assert clock.read()["evaluation"] == 3
        time.now += 5
    assert clock.read()["evaluation"] == 5


def test_a_part_that_fails_ends_too(time: Time) -> None:
    clock = Clock()
    with pytest.raises(KeyError), clock.on("checkpoint"):  # noqa: PT012
        time.now += 1
        raise KeyError
    time.now += 1
    assert clock.read()["checkpoint"] == 1
    assert clock.doing == "start"


def test_every_item_is_a_sign_of_life(time: Time) -> None:
    clock = Clock()
    seen = []
    for _ in clock.each(range(3)):
        seen.append(clock.alive_at)
        time.now += 10
    assert seen == [100, 110, 120]
