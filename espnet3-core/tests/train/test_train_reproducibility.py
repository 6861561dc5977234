"""``trainer.deterministic: true`` where an operation has no deterministic implementation."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from espnet3_core.errors import UserError
from espnet3_core.train.reproducibility import only_deterministic
from torch import Tensor
from toy_training import ToyContext, ToyModel, run_toy, toy_config

CUBLAS = (
    "Deterministic behavior was enabled with either `torch.use_deterministic_algorithms(True)` or "
    "`at::Context::setDeterministicAlgorithms(true)`, but this operation is not deterministic because it "
    "uses CuBLAS and you have CUDA >= 10.2."
)


@pytest.fixture(autouse=True)
def _usual_algorithms() -> Iterator[None]:
    yield
    torch.use_deterministic_algorithms(False)


class Scattering(ToyModel):
    """Uses the one operation of torch that is refused on the CPU."""

    def forward(self, inputs: Tensor, targets: Tensor) -> dict[str, Any]:
        torch.zeros(4).put_(torch.tensor([0, 1]), torch.ones(2))
        return super().forward(inputs, targets)


def test_the_operation_and_its_place_are_named(tmp_path: Path) -> None:
    context = ToyContext(tmp_path, toy_config(trainer={"deterministic": True, "max_epochs": 1}))
    with pytest.raises(UserError) as caught:
        run_toy(context, Scattering())
    line = Scattering.forward.__code__.co_firstlineno + 1
    assert "the operation put_ has no deterministic implementation" in caught.value.message
    assert f"(at {__file__}:{line})" in caught.value.message
    assert "deterministic: warn" in str(caught.value.hint)


@pytest.mark.parametrize("deterministic", [False, "warn"])
def test_it_is_refused_only_when_asked(tmp_path: Path, deterministic: Any) -> None:
    context = ToyContext(tmp_path, toy_config(trainer={"deterministic": deterministic, "max_epochs": 1}))
    assert run_toy(context, Scattering()) is not None


def test_cublas_has_a_mend_of_its_own() -> None:
    with pytest.raises(UserError) as caught, only_deterministic():
        raise RuntimeError(CUBLAS)
    assert "CUBLAS_WORKSPACE_CONFIG=:4096:8" in str(caught.value.hint)


def test_other_errors_stay_what_they_are() -> None:
    with pytest.raises(RuntimeError, match="mat1 and mat2"), only_deterministic():
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")
