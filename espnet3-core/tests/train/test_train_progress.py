import io
import sys

import pytest
from espnet3_core.train.progress import _short_words, record_line
from toy_training import ToyContext, run_toy, toy_config


def test_a_bar_has_room_beside_its_words_on_80_columns():
    record = {"kind": "interval", "epoch": 100, "step": 9, "lr": 0.000123456, "train/loss": 123.456}
    words = _short_words(record | {"train/loss_ctc": 1.0, "utterances_per_second": 3.0, "data_wait": 0.1})
    assert words == "loss 123.5  lr 0.000123"
    rates = {"lr/generator": 0.1, "lr/generator/1": 0.5, "lr/discriminator": 0.2, "updates/generator": 7}
    named = {"kind": "interval", "epoch": 1, "step": 9, **rates}
    assert _short_words(named) == "lr generator 0.1 discriminator 0.2"


def test_lines_put_the_loss_first_and_say_how_fast():
    interval = {
        "kind": "interval",
        "epoch": 2,
        "step": 50,
        "lr": 0.00123,
        "train/acc": 0.5,
        "train/loss": 1.23456,
    }
    speed = {"utterances_per_second": 33.33, "step_time": 0.24, "data_wait": 0.25, "padding": 0.081}
    assert record_line(interval | speed) == (
        "epoch 2 step 50: train/loss 1.235, train/acc 0.5, lr 0.00123, 33.3 utt/s, "
        "padding 8 %, step 0.24 s, data wait 25 %"
    )
    epoch = {
        "kind": "epoch",
        "epoch": 2,
        "step": 50,
        "lr": 1.0,
        "seconds": 12.34,
        "valid/loss": 2.0,
        "train/loss": 1.0,
    }
    assert record_line(epoch) == "epoch 2 step 50 end: train/loss 1, valid/loss 2 (12.3 s)"
    assert record_line(epoch, ("valid/",)) == "epoch 2 step 50 end: train/loss 1 (12.3 s)"


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("bar", [True, False])
def test_a_terminal_gets_a_bar_unless_it_is_switched_off(tmp_path, monkeypatch, caplog, bar):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with caplog.at_level("INFO"):
        run_toy(ToyContext(tmp_path, toy_config(trainer={"enable_progress_bar": bar, "max_epochs": 1})))
    assert ("\x1b[" in terminal.getvalue()) == bar
    assert ("epoch 0" in terminal.getvalue()) == bar
    lines = [record.getMessage() for record in caplog.records if "epoch 0 step 6 end" in record.getMessage()]
    assert len(lines) == 1
    assert ("valid/loss" in lines[0]) == bar
