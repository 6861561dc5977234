"""With named optimizers, too, a batch that does not fit is split and counts as one."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from espnet3_core.errors import UserError
from toy_gan import DISCRIMINATOR_FIRST, GENERATOR_FIRST, Batches, Loop, ToyGan, gan_config
from toy_training import ToyContext, run_toy


class Failing(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, loss: torch.Tensor) -> torch.Tensor:
        return loss.clone()

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory")


class Limited(ToyGan):
    """No memory for many utterances in some turns; without dropout, which parts would draw otherwise."""

    def __init__(
        self, most: int, turns: tuple[str, ...], where: str = "forward", reuse: bool = False
    ) -> None:
        super().__init__(reuse)
        self.generator[2].p = 0.0
        self.most, self.turns, self.where = most, turns, where
        self.sizes: list[tuple[str, int]] = []

    def forward(self, inputs: torch.Tensor, turn: str, shared: dict[str, Any]) -> dict[str, Any]:
        output = super().forward(inputs, turn, shared)
        if len(inputs) > self.most and turn in self.turns:
            if self.where == "forward":
                raise torch.OutOfMemoryError("CUDA out of memory")
            if torch.is_grad_enabled():
                return {**output, "loss": Failing.apply(output["loss"])}
        self.sizes.append((turn, len(inputs)))
        return output


BOTH = ("generator", "discriminator")
UNEQUAL = {"generator": {"accumulate": 3, "clip": 0.1}, "discriminator": {"accumulate": 2}}


@pytest.mark.parametrize(
    ("order", "reuse", "turns", "where", "most", "settings"),
    [
        (DISCRIMINATOR_FIRST, True, ("generator",), "forward", 2, {}),
        (DISCRIMINATOR_FIRST, True, BOTH, "forward", 1, {"generator": {"accumulate": 2}}),
        (DISCRIMINATOR_FIRST, False, BOTH, "forward", 2, UNEQUAL),
        (GENERATOR_FIRST, False, ("discriminator",), "forward", 2, UNEQUAL),
        (GENERATOR_FIRST, False, ("generator",), "forward", 2, {"generator": {"accumulate": 8}}),
        (DISCRIMINATOR_FIRST, True, ("generator",), "backward", 2, {"discriminator": {"accumulate": 2}}),
        (GENERATOR_FIRST, False, BOTH, "backward", 1, {}),
    ],
)
def test_turns_of_a_split_batch_have_the_gradients_of_the_whole(
    tmp_path: Path, order: Any, reuse: bool, turns: Any, where: str, most: int, settings: Any
) -> None:
    config = gan_config(order, **copy.deepcopy(settings), trainer={"max_epochs": 2})
    torch.manual_seed(1)
    model = Limited(most, turns, where, reuse)
    whole = copy.deepcopy(model)
    whole.most = 10**9
    reference = Loop(whole, config)
    seen = Batches()
    module = run_toy(ToyContext(tmp_path, config), model, more=[seen])
    reference.run(seen.epochs)
    assert module.memory.split > 0
    if where == "forward":
        assert all(size <= most for turn, size in model.sizes if turn in turns)
    expected = whole.state_dict()
    for name, value in model.state_dict().items():
        torch.testing.assert_close(value, expected[name], rtol=0, atol=1e-12)
    assert {turn.name: turn.updates for turn in module.turns} == reference.steps


def test_a_part_shares_nothing_with_the_whole(tmp_path: Path) -> None:
    """The generator steps first; what the discriminator's parts need is computed anew, with new weights."""
    config = gan_config(GENERATOR_FIRST, trainer={"max_epochs": 1})
    torch.manual_seed(1)
    model = Limited(2, ("discriminator",), reuse=True)
    anew = copy.deepcopy(model)
    anew.most, anew.reuse = 10**9, False
    seen = Batches()
    run_toy(ToyContext(tmp_path, config), model, more=[seen])
    Loop(anew, config).run(seen.epochs)
    for name, value in model.state_dict().items():
        torch.testing.assert_close(value, anew.state_dict()[name], rtol=0, atol=1e-12)


def test_the_backward_pass_cannot_be_repeated_while_gradients_of_its_turn_wait(tmp_path: Path) -> None:
    config = gan_config(generator={"accumulate": 2}, trainer={"num_sanity_val_steps": 0})
    model = Limited(10**9, ("generator",), "backward")

    class Later(Batches):
        def on_train_batch_start(self, trainer: Any, module: Any, batch: Any, batch_idx: int) -> None:
            module.model.most = 1 if batch_idx else 10**9

    with pytest.raises(UserError, match="out of memory with 4 utterances.*gradients of other micro-batches"):
        run_toy(ToyContext(tmp_path, config), model, more=[Later()])


def test_an_utterance_that_does_not_fit_alone_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"out of memory with 1 utterances.*\(utt\d+\), alone"):
        run_toy(ToyContext(tmp_path, gan_config()), Limited(0, ("generator",)))
