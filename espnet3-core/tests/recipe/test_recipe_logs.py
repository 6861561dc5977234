from __future__ import annotations

import logging
import os

import pytest
from espnet3_core.errors import UserError
from espnet3_core.recipe import launch, logs
from espnet3_core.recipe.launch import process_count
from espnet3_core.recipe.progress import progress


@pytest.mark.parametrize("name", ["WANDB_API_KEY", "HF_TOKEN", "hub_token", "db.password", "AUTH_HEADER"])
def test_secrets_are_known_by_their_names(name):
    assert logs.is_secret(name)


@pytest.mark.parametrize("name", ["training.tokenizer", "training.tokenizer.size", "max_tokens", "seed"])
def test_tokenizers_are_no_secrets(name):
    assert not logs.is_secret(name)


def test_secrets_are_hidden_in_command_lines_and_the_environment(monkeypatch):
    words = ["run", "hub_token=abc", "a.b=https://me:pw@host/x", "training.tokenizer.size=3"]
    assert logs.hide_secrets(words) == [
        "run", "hub_token=<hidden>", "a.b=https://<hidden>@host/x", "training.tokenizer.size=3"
    ]  # fmt: skip
    monkeypatch.setenv("SLURM_JWT_TOKEN", "abc")
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("UNRELATED", "x")
    found = logs.environment()
    assert found["SLURM_JOB_ID"] == "7"
    assert found["SLURM_JWT_TOKEN"] == "<hidden>"
    assert "UNRELATED" not in found


def test_a_stage_s_log_grows_run_by_run(tmp_path):
    file = tmp_path / "logs" / "train.log"
    with logs.console() as logger:
        for number in range(2):
            with logs.log_file(file, logs.header(["espnet3", "run"], {"run": number})):
                logger.info("message %d", number)
                logging.getLogger("another.package").warning("careful")
    lines = file.read_text().splitlines()
    assert "command: espnet3 run" in lines
    assert [line for line in lines if line.startswith("run:")] == ["run: 0", "run: 1"]
    assert sum("INFO espnet3: message" in line for line in lines) == 2
    assert sum("WARNING another.package: careful" in line for line in lines) == 2


def test_a_log_on_a_full_disk_hides_nothing(tmp_path, capsys):
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full here")
    handler = logs._LogFile("/dev/full")
    handler.emit(logging.makeLogRecord({"msg": "lost"}))
    handler.close()
    assert capsys.readouterr().err == ""
    (tmp_path / "train.log").symlink_to("/dev/full")
    with (
        pytest.raises(UserError, match=r"cannot write .*train.log: the disk is full"),
        logs.log_file(tmp_path / "train.log", "head"),
    ):
        pass


def test_the_console_shows_core_s_lines_and_others_warnings(capsys):
    with logs.console() as logger:
        logger.info("shown")
        logging.getLogger("another.package").info("not shown")
        logging.getLogger("another.package").warning("careful")
    assert capsys.readouterr() == ("", "shown\nwarning: careful\n")


def test_git_state(tmp_path):
    assert logs.git_state(tmp_path) == {}


def test_progress_counts_without_a_terminal(monkeypatch, capsys):
    monkeypatch.setattr("espnet3_core.recipe.progress._LINE_EVERY", 0.0)
    with logs.console(), progress("infer", 10, "s of speech") as advance:
        advance(4)
    assert capsys.readouterr().err.startswith("infer: 4 of 10 s of speech, about")


@pytest.mark.parametrize(
    ("trainer", "count"),
    [
        ({}, 1), ({"devices": 2}, 2), ({"devices": "2", "num_nodes": 2}, 4), ({"devices": [0, 1]}, 2),
        ({"devices": "0,1"}, 2), ({"devices": "auto", "accelerator": "cpu"}, 1), ({"devices": 1}, 1),
        ({"devices": [0]}, 1), ({"devices": "0,"}, 1),
    ],
)  # fmt: skip
def test_processes_of_a_trainer(trainer, count, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert process_count(trainer) == count


@pytest.mark.parametrize(
    ("variables", "number", "launched"),
    [
        ({}, 0, False),
        ({"LOCAL_RANK": "3"}, 3, True),
        ({"RANK": "0", "WORLD_SIZE": "2"}, 0, True),
        ({"LOCAL_RANK": "0", "NODE_RANK": "1"}, 1, True),
        ({"SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "4"}, 0, True),  # srun
        ({"SLURM_PROCID": "0", "SLURM_NTASKS": "4"}, 0, False),  # a batch script itself
        ({"OMPI_COMM_WORLD_RANK": "0", "OMPI_COMM_WORLD_SIZE": "2"}, 0, True),
        ({"RANK": "none"}, 0, False),
    ],
)
def test_ranks_come_from_the_launcher(variables, number, launched, monkeypatch):
    for name in (*launch._RANKS, *launch._SIZES):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert (launch.rank(), launch.is_launched()) == (number, launched)
