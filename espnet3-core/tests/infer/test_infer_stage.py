from __future__ import annotations

import json
import os

import pytest
from espnet3_core.errors import Interrupted, UserError
from espnet3_core.infer.executors import WorkerLost
from espnet3_core.recipe.run import run

SHORT = ["0x100", "1x300", "2x200", "3x100", "4x300"]


def results(recipe, test_set="short", stem="inference"):
    file = recipe / "exp/training" / stem / test_set / "results.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()]


def texts(recipe, test_set="short"):
    return [record.get("text") for record in results(recipe, test_set)]


def seen(recipe):
    lines = (recipe / "seen.txt").read_text().splitlines()
    return [line.split()[1:] for line in lines]


def test_results_stand_in_the_order_of_the_data(make_recipe):
    recipe = make_recipe()
    run(recipe)
    assert results(recipe)[0] == {"id": "u000", "text": "0x100", "score": [None], "duration": 1.0}
    assert [record["id"] for record in results(recipe)] == ["u000", "u001", "u002", "u003", "u004"]
    assert texts(recipe) == SHORT
    assert texts(recipe, "long") == ["0x500", "1x50"]
    folder = recipe / "exp/training/inference/short"
    assert (folder / "text.scp").read_text().splitlines()[1] == "u001 1x300"
    assert sorted(path.name for path in folder.iterdir()) == ["results.jsonl", "summary.json", "text.scp"]


def test_batches_are_longest_first_and_hold_their_limit(make_recipe):
    recipe = make_recipe()
    run(recipe)
    assert seen(recipe) == [["u001", "u004"], ["u002", "u000", "u003"], ["u000"], ["u001"]]


def test_a_model_that_is_not_batch_invariant_decodes_utterances_alone(make_recipe):
    recipe = make_recipe(model="odd: alone")
    run(recipe)
    assert all(len(batch) == 1 for batch in seen(recipe))
    assert len(seen(recipe)) == 7
    assert texts(recipe) == ["0x100", "1x300", "2x200", "3x100", "4x300"]


def test_the_summary_has_totals(make_recipe, caplog):
    recipe = make_recipe()
    run(recipe)
    summary = json.loads((recipe / "exp/training/inference/short/summary.json").read_text())
    assert summary["utterances"] == 5
    assert summary["failed"] == 0
    assert summary["duration"] == 10.0
    assert 0 < summary["rtf"] == pytest.approx(summary["decoding_seconds"] / 10.0, abs=1e-4)
    assert summary["checkpoint"].endswith("weights.safetensors")
    assert "short: 5 utterances, 10 s of speech, RTF" in caplog.text


def test_newlines_are_escaped(make_recipe):
    recipe = make_recipe(model="odd: newline")
    run(recipe)
    assert results(recipe)[0]["text"] == "a\nb\\"
    assert (recipe / "exp/training/inference/short/text.scp").read_text().splitlines()[0] == r"u000 a\nb\\"


def test_a_batch_that_is_too_large_for_the_memory_is_halved(make_recipe):
    recipe = make_recipe(model="most: 1")
    run(recipe)
    assert texts(recipe) == SHORT
    assert ["u001", "u004"] in seen(recipe)
    assert ["u001"] in seen(recipe)


def test_an_utterance_that_is_too_large_alone_is_named(make_recipe):
    recipe = make_recipe(model="most: 0")
    with pytest.raises(UserError, match=r"utterance 'u00\d' alone needs more memory"):
        run(recipe)


def with_broken(make_recipe, on_error, **options):
    recipe = make_recipe(**options)
    file = recipe / "conf/inference.yaml"
    file.write_text(
        "checkpoint: weights.safetensors\n"
        f"on_error: {on_error}\n"
        "test_sets:\n  bad: {_target_: src.data.Tones, seconds: [1.0, 1.0, 1.0], broken: [1]}\n"
    )
    return recipe


def test_a_broken_utterance_stops_the_stage(make_recipe):
    recipe = with_broken(make_recipe, "stop")
    with pytest.raises(UserError, match=r"u001.wav: not audio") as caught:
        run(recipe)
    assert "on_error=skip" in str(caught.value)


def test_or_is_recorded_and_tried_again(make_recipe):
    recipe = with_broken(make_recipe, "skip\nmax_errors: 2", model="refuse: u002")
    run(recipe)
    records = results(recipe, "bad")
    assert [record["id"] for record in records] == ["u000", "u001", "u002"]
    assert records[0]["text"] == "0x100"
    assert "u001.wav: not audio" in records[1]["error"]
    assert records[2]["error"] == "no hypothesis"
    assert set(records[1]) == {"id", "error"}
    (recipe / "seen.txt").unlink()
    assert run(recipe).ran == ("infer",)
    assert seen(recipe) == [["u002"]]  # and nothing else
    assert results(recipe, "bad") == records


def test_or_is_put_in_quarantine(make_recipe):
    recipe = with_broken(make_recipe, "quarantine\nmax_errors: 2", model="refuse: u002")
    run(recipe)
    records = results(recipe, "bad")
    listed = (recipe / "exp/training/inference/bad/bad_data.jsonl").read_text().splitlines()
    assert [json.loads(line)["id"] for line in listed] == ["u001", "u002"]
    assert run(recipe).ran == ()
    (recipe / "seen.txt").unlink()
    run(recipe, force=True)
    assert "u002" not in (recipe / "seen.txt").read_text()
    assert [record["id"] for record in results(recipe, "bad") if "error" in record] == ["u001", "u002"]
    assert results(recipe, "bad")[0] == records[0]


def test_too_many_failures_stop_the_stage_with_their_list(make_recipe):
    recipe = with_broken(make_recipe, "skip\nmax_errors: 1", model="refuse: u002")
    with pytest.raises(UserError, match=r"bad: 2 of 3 utterances cannot be used(.|\n)*u001(.|\n)*u002"):
        run(recipe)


def test_an_interrupted_stage_does_the_rest(make_recipe):
    recipe = make_recipe()
    (recipe / "stop_after").touch()
    with pytest.raises(Interrupted):
        run(recipe)
    assert not (recipe / "exp/training/inference/short/results.jsonl").exists()
    (recipe / "stop_after").unlink()
    (recipe / "seen.txt").unlink()
    run(recipe)
    assert seen(recipe) == [["u000"], ["u001"]]
    assert texts(recipe) == SHORT
    assert not (recipe / "exp/training/inference/short/parts").exists()


def test_records_of_other_weights_are_not_taken_over(make_recipe):
    import torch
    from espnet3_core.train.checkpoints import save_weights

    recipe = make_recipe()
    (recipe / "stop_after").touch()
    with pytest.raises(Interrupted):
        run(recipe)
    (recipe / "stop_after").unlink()
    file = recipe / "exp/training/checkpoints/weights.safetensors"
    save_weights(file, {"gain": torch.tensor([2.0])}, {})
    run(recipe)
    assert texts(recipe) == ["0x100", "2x300", "4x200", "6x100", "8x300"]


@pytest.mark.parametrize(
    ("model", "inference", "message"),
    [
        ("odd: short", "", "1 results for 2 utterances"),
        ("", "device: cuda:7\n", "device cuda:7: this machine has"),
        ("", "device: cuda:x\n", "device 'cuda:x': there is none"),
        ("", "device: quantum\n", "device 'quantum': there is none"),
    ],
)
def test_mistakes_are_told(make_recipe, model, inference, message):
    recipe = make_recipe(model=model, inference=inference)
    with pytest.raises(UserError, match=message):
        run(recipe)


def test_a_checkpoint_of_another_model_is_refused(make_recipe):
    import torch
    from espnet3_core.train.checkpoints import save_weights

    recipe = make_recipe()
    file = recipe / "exp/training/checkpoints/weights.safetensors"
    save_weights(file, {"volume": torch.tensor([2.0])}, {})
    with pytest.raises(UserError, match="checkpoint of another model"):
        run(recipe)


def test_a_missing_checkpoint_is_told(make_recipe):
    recipe = make_recipe()
    with pytest.raises(UserError, match="nothing has been trained here"):
        run(recipe, overrides=["inference.checkpoint=best"])


PROCESSES = "executor: {name: core/processes, workers: 1}\n"


def test_workers_give_the_same_results_and_a_lost_one_costs_nothing(make_recipe):
    recipe = make_recipe(inference=PROCESSES)
    (recipe / "exp/training/config/training.yaml").unlink()  # weights from elsewhere
    (recipe / "kill_once").touch()
    run(recipe)
    assert texts(recipe) == SHORT
    assert texts(recipe, "long") == ["0x500", "1x50"]
    processes = {int(line.split()[0]) for line in (recipe / "seen.txt").read_text().splitlines()}
    assert os.getpid() not in processes


class Lossy:
    """An executor that loses the first shard."""

    def run(self, setup, shards):
        handle = setup()
        for index, shard in enumerate(shards):
            yield (
                index,
                WorkerLost("the worker process was killed by SIGKILL") if index == 0 else handle(shard),
            )


def test_a_shard_that_kills_its_worker_is_recorded_or_stops(make_recipe, monkeypatch):
    recipe = make_recipe()
    monkeypatch.setattr("espnet3_core.infer.executors.InProcess.run", Lossy.run)
    with pytest.raises(
        UserError, match="short: the worker process was killed by SIGKILL while decoding u001"
    ):
        run(recipe, overrides=["inference.batch.size=1"])
    run(recipe, overrides=["inference.batch.size=1", "inference.on_error=skip"])
    records = results(recipe)
    assert [record["id"] for record in records] == ["u000", "u001", "u002", "u003", "u004"]
    assert records[1] == {"id": "u001", "error": "the worker process was killed by SIGKILL"}
    assert texts(recipe) == ["0x100", None, "2x200", "3x100", "4x300"]
