import torch
from espnet3_core.component import Component, Slot
from toy_training import ToyContext, ToyModel, run_toy, toy_config


def test_a_fused_optimizer_is_clipped_under_bf16(tmp_path):
    """A step of SGD at rate 1 is as long as the gradient, so its length shows the clipping."""
    torch.manual_seed(0)
    model = ToyModel()
    before = torch.nn.utils.parameters_to_vector(model.parameters()).detach().clone()
    config = toy_config(
        optimizer=Component(
            name="core/sgd",
            options={"lr": 1.0, "momentum": 0.0, "fused": True},
            slot=Slot("optimizer"),
        ),
        trainer={
            "max_epochs": 1,
            "limit_train_batches": 1,
            "precision": "bf16-mixed",
            "gradient_clip_val": 1e-3,
        },
    )
    module = run_toy(ToyContext(tmp_path, config), model)
    assert module.trainer.global_step == 1
    moved = torch.nn.utils.parameters_to_vector(module.model.parameters()).detach().cpu() - before
    torch.testing.assert_close(moved.norm().item(), 1e-3, rtol=1e-2, atol=0)
