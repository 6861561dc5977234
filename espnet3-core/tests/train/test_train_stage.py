import json
import logging
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from espnet3_core.component import Component
from espnet3_core.config.roles import BatchConfig, DatasetsConfig, InitConfig, TrainingConfig
from espnet3_core.errors import UserError
from espnet3_core.train.checkpoints import load_weights, resolve_checkpoint
from espnet3_core.train.stage import train
from hugging_face_parts import Tones
from toy_training import ToyContext, ToyDataset, ToyModel


class Context(ToyContext):
    """Builds what the configuration names, as the context of a stage does."""

    @property
    def recipe(self):
        return SimpleNamespace(directory=self.directory)

    def build_dataset(self, component):
        return component.build(**self.needs())

    def build_tokenizer(self):
        return None

    def build_model(self, stats=None, tokenizer=None):
        return self.training.model.build(**self.needs(), stats=stats)


def toy(tmp_path, **changes):
    config = TrainingConfig(
        dataset=DatasetsConfig(
            train=Component(target="toy_training.ToyDataset"),
            valid=Component(target="toy_training.ToyDataset", options={"count": 8}),
        ),
        model=changes.pop("model", Component(target="toy_training.ToyModel")),
        optimizer=Component(target="torch.optim.SGD", options={"lr": 0.01}),
        collator=Component(target="espnet3_core.data.collate.PadCollator"),
        batch=BatchConfig(size=8),
        **{"trainer": {"max_epochs": 1, "accelerator": "cpu", "log_every_n_steps": 1}, **changes},
    )
    return Context(tmp_path, config)


def test_a_transformers_ctc_model_trains_from_targets_alone(tmp_path):
    pytest.importorskip("transformers")
    model = Component(
        target="transformers.Wav2Vec2ForCTC",
        options={
            "config": {
                "_target_": "transformers.Wav2Vec2Config",
                "vocab_size": 5,
                "hidden_size": 16,
                "num_hidden_layers": 1,
                "num_attention_heads": 2,
                "intermediate_size": 16,
                "conv_dim": [8, 8],
                "conv_kernel": [20, 8],
                "conv_stride": [10, 4],
                "num_conv_pos_embeddings": 4,
                "num_conv_pos_embedding_groups": 2,
                "mask_time_prob": 0.0,
                "ctc_loss_reduction": "mean",
            }
        },
    )
    config = TrainingConfig(
        dataset=DatasetsConfig(
            train=Component(target="hugging_face_parts.Tones"),
            valid=Component(target="hugging_face_parts.Tones", options={"count": 4, "draw": 1}),
        ),
        model=model,
        optimizer=Component(target="torch.optim.AdamW", options={"lr": 3e-3}),
        collator=Component(target="hugging_face_parts.Collator"),
        batch=BatchConfig(size=4),
        trainer={"max_epochs": 4, "accelerator": "cpu"},
    )
    context = Context(tmp_path, config)
    train(context)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    losses = [line["train/loss"] for line in lines if line["kind"] == "epoch"]
    assert len(losses) == 4
    assert losses[-1] < losses[0]
    fresh = context.build_model()
    load_weights(fresh, resolve_checkpoint(tmp_path, "average"))
    fresh.eval()
    with torch.no_grad():
        assert fresh(torch.as_tensor(Tones().rows[0]["input_values"])[None]).logits.shape[-1] == 5


def test_own_module_and_trainer_are_used(tmp_path, caplog):
    module = Component(target="own_parts.OwnModule", options={"scale": 0.0})
    context = toy(tmp_path, module=module, trainer_class="own_parts.OwnTrainer")
    torch.manual_seed(0)
    train(context)
    weights, untrained = ToyModel(), ToyModel()
    load_weights(weights, resolve_checkpoint(tmp_path, "last"))
    from espnet3_core.train.randomness import seed_everything

    seed_everything(0, "model")
    untrained = ToyModel()
    for first, second in zip(weights.parameters(), untrained.parameters(), strict=True):
        assert torch.equal(first, second)  # the scale of 0 reached the module
    assert context.facts["steps"] == 3
    from own_parts import OwnTrainer

    assert OwnTrainer.made == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"module": Component(target="torch.nn.Identity")}, "Identity is not a TrainingModule"),
        ({"trainer_class": "torch.nn.Identity"}, "torch.nn.Identity is not a lightning Trainer"),
        ({"trainer_class": "torch.nn.Identty"}, "did you mean 'Identity'"),
    ],
)
def test_what_is_neither(tmp_path, changes, message):
    with pytest.raises(UserError, match=message):
        train(toy(tmp_path, **changes))


def toy_from(path):
    return Component(target="toy_training.ToyModel", init_from=InitConfig(source=path))


def test_weights_to_start_from(tmp_path):
    train(toy(tmp_path / "first"))
    still = Component(target="torch.optim.SGD", options={"lr": 0.0})
    path = str(resolve_checkpoint(tmp_path / "first", "best"))
    context = toy(tmp_path / "second", model=toy_from(path))
    context.training.optimizer = still
    train(context)
    first, second = ToyModel(), ToyModel()
    load_weights(first, Path(path))
    load_weights(second, resolve_checkpoint(tmp_path / "second", "last"))
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    context = toy(tmp_path / "third", model=toy_from("nowhere.safetensors"))
    with pytest.raises(UserError, match=r"nowhere\.safetensors: no such checkpoint"):
        train(context)


def test_a_finished_training_says_so(tmp_path, caplog):
    train(toy(tmp_path))
    with caplog.at_level(logging.INFO):
        train(toy(tmp_path))
    assert "training is finished (epoch 1, step 3); raise training.trainer.max_epochs to go on" in caplog.text


def test_the_banner_has_the_figures(tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        train(toy(tmp_path, trainer={"max_epochs": 2, "accelerator": "cpu", "accumulate_grad_batches": 2}))
    assert "model: ToyModel, 129 parameters" in caplog.text
    assert "batch: at most 8 utterances (per device); 16.0 utterances per update on average" in caplog.text
    assert "updates: 2 per epoch, 4 in all, each of 2 batches" in caplog.text
    assert "devices: 1 x cpu, precision 32-true" in caplog.text


def test_training_without_validation(tmp_path):
    context = toy(tmp_path)
    context.training.dataset.valid = None
    context.training.checkpoint.best[0].monitor = "train/loss"
    train(context)
    assert resolve_checkpoint(tmp_path, "best").exists()
    assert len(ToyDataset()) == 24


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"trainer": {"max_epochs": 1, "precison": 16}}, r"training\.trainer: .*precison"),
        ({"trainer": {"max_epochs": 1, "precision": "12-mixed"}}, r"training\.trainer: .*12-mixed"),
        ({"trainer": {"max_epochs": 1, "accelerator": "tpu"}}, r"training\.trainer: "),
    ],
)
def test_what_lightning_refuses(tmp_path, changes, message):
    with pytest.raises(UserError, match=message):
        train(toy(tmp_path, **changes))


@pytest.mark.parametrize(
    ("monitor", "message"),
    [("loss", "did you mean 'valid/loss'"), ("valid/loss", "there is no validation set")],
)
def test_a_monitor_that_cannot_be(tmp_path, monitor, message):
    context = toy(tmp_path)
    context.training.dataset.valid = None
    context.training.checkpoint.best[0].monitor = monitor
    with pytest.raises(UserError, match=message):
        train(context)


def test_checkpoints_that_cannot_be_written(tmp_path):
    (tmp_path / "checkpoints").write_text("in the way")
    with pytest.raises(UserError, match=r"cannot write .*checkpoints"):
        train(toy(tmp_path))


def test_a_broken_last_checkpoint_is_not_overwritten(tmp_path):
    train(toy(tmp_path))
    last = tmp_path / "checkpoints" / "last.ckpt"
    last.write_bytes(last.read_bytes()[:500])
    with pytest.raises(UserError, match=r"last\.ckpt: cannot be resumed from.*\n.*another --tag"):
        train(toy(tmp_path, trainer={"max_epochs": 2, "accelerator": "cpu"}))
    assert last.stat().st_size == 500
