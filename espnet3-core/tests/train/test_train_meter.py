"""Where the time went: measured on a training whose parts take known times, and said in words."""

import pytest
from espnet3_core.train import meter as meter_module
from espnet3_core.train.meter import Meter, Shares
from espnet3_core.train.summary import bound_words
from toy_training import ToyContext, run_toy, toy_config


class Clock:
    """Time that passes when it is told to."""

    def __init__(self):
        self.now = 100.0

    def monotonic(self):
        return self.now


class SlowLoader:
    waited = 5.0


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(meter_module, "time", clock)
    return clock


def drive(clock, meter, loader):
    """Two steps of 2 s, each after 3 s of waiting and 1 s of saving, and a validation of 7 s."""
    meter.restart(10, loader)
    for _ in range(2):
        clock.now += 3
        if loader is not None and hasattr(loader, "waited"):
            loader.waited += 3
        clock.now += 1
        meter.arrived()
        clock.now += 2
        meter.count(4, (90.0, 100.0))
    clock.now += 7
    meter.validated()


def test_intervals_leave_validation_out_and_count_only_the_loaders_time_as_wait(clock):
    meter, loader = Meter(), SlowLoader()
    drive(clock, meter, loader)
    assert meter.read(12) == {
        "utterances_per_second": round(8 / 12, 3), "step_time": 6.0, "data_wait": 0.5, "padding": 0.1,
    }  # fmt: skip
    assert meter.shares() == Shares(total=19, waiting=6, steps=4, validation=7)


def test_a_loader_that_does_not_measure_itself_is_measured_from_outside(clock):
    meter = Meter()
    drive(clock, meter, object())
    assert meter.shares() == Shares(total=19, waiting=8, steps=4, validation=7)


def test_validation_before_training_counts_nothing(clock):
    meter = Meter()
    clock.now += 50
    meter.validated()
    drive(clock, meter, object())
    assert meter.shares().total == 19


@pytest.mark.parametrize(
    ("shares", "workers", "words"),
    [
        ((100, 61, 30, 9), 0, "data-bound: 61 % of the time waiting, 30 % training, 9 % validation; "
                              "try training.batch.workers=2"),
        ((100, 61, 30, 9), 2, "try training.batch.workers=4"),
        ((100, 61, 30, 9), 4, "more workers than processors do not help"),
        ((100, 20, 70, 9), 0, "compute-bound: 20 % of the time waiting, 70 % training, 9 % validation; try"),
        ((100, 10, 30, 50), 2, "validation-bound: 10 % of the time waiting, 30 % training, 50 % validation"),
    ],
)  # fmt: skip
def test_words(shares, workers, words):
    assert words in bound_words(Shares(*shares), workers, cores=4)


def test_the_hint_names_the_option_that_is_in_use():
    words = bound_words(Shares(100, 61, 30, 9), 1, cores=4, way="threads")
    assert words.endswith("try training.batch.threads=2")


def test_no_hint_when_nothing_waits():
    assert bound_words(Shares(100, 2, 95, 3), 0, cores=4) == (
        "compute-bound: 2 % of the time waiting, 95 % training, 3 % validation"
    )


def test_the_last_line_of_a_training_says_what_bounded_it(tmp_path, caplog):
    with caplog.at_level("INFO"):
        run_toy(ToyContext(tmp_path, toy_config(trainer={"max_epochs": 2})))
    lines = [record.getMessage() for record in caplog.records]
    assert sum("-bound: " in line for line in lines) == 1
    assert any("step 1: " in line and " s, data wait " in line for line in lines)
