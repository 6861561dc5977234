"""A training step of the benchmark model: 8 utterances of 10 s and 40 tokens, Adam, fp32."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import inputs
import models
from work import Case, Row, Setting, Work

UTTERANCES, SECONDS, LENGTH = 8, 10, 40
LOSSES = "losses of three steps, the peer's weights on both sides, dropout off"
STEP = "training step, dropout 0.1"
TOLERANCE = 1e-4


def _batch() -> dict[str, Any]:
    import torch

    speech = torch.from_numpy(inputs.batch(UTTERANCES, SECONDS))
    draw = torch.Generator().manual_seed(1)
    text = torch.randint(2, models.VOCABULARY - 1, (UTTERANCES, LENGTH), generator=draw)
    return {
        "speech": speech,
        "speech_lengths": torch.full((UTTERANCES,), speech.shape[1]),
        "text": text,
        "text_lengths": torch.full((UTTERANCES,), LENGTH),
    }


def _work(case: str, model: Any, loss_of: Callable[[], Any], optimizer: Any) -> Work:
    """Repeated steps; for the comparison of losses, three of them."""

    def step() -> float:
        loss = loss_of()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    run = (lambda: [step() for _ in range(3)]) if case == LOSSES else step
    return Work(run, UTTERANCES, "utterances", {"parameters": models.parameters(model)})


def ours(case: str, setting: Setting) -> Work:
    """Our model and optimizer as stage ``train`` builds them."""
    import torch
    from espnet3_core.memory import keep_freed_memory
    from espnet3_core.train.config import AdamConfig
    from espnet3_core.train.optimizers import adam

    keep_freed_memory()
    torch.manual_seed(0)
    model = models.ours(0.0 if case == LOSSES else 0.1).train()
    if case == LOSSES:
        models.load_espnet(model, setting.exchange)
    batch = _batch()
    optimizer = adam(AdamConfig(lr=1e-4), parameters=[{"params": list(model.parameters())}])
    return _work(case, model, lambda: model(**batch)["loss"], optimizer)


def espnet(case: str, setting: Setting) -> Work:
    """ESPnet's model with torch's Adam, as its recipes configure it."""
    import torch

    torch.manual_seed(0)
    model, _ = models.espnet(0.0 if case == LOSSES else 0.1)
    model.train()
    if case == LOSSES:
        models.save_espnet(model, setting.exchange)
    batch = _batch()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)
    return _work(case, model, lambda: model(**batch)[0], optimizer)


def check(case: str, values: Mapping[str, Any]) -> dict[str, Any] | None:
    """Largest relative difference of the losses."""
    if case != LOSSES or len(values) < 2:
        return None
    both = list(zip(values["ours"], values["espnet"], strict=True))
    differences = [abs(a - b) / abs(b) for a, b in both]
    return {
        "losses": "; ".join(f"{a:.6f} and {b:.6f}" for a, b in both),
        "largest relative difference": max(differences),
        "ok": max(differences) <= TOLERANCE,
    }


ROW = Row(
    title="training step, Conformer of 34.2 M parameters, 8 x 10 s, Adam, fp32",
    cases=(Case(LOSSES, repeats=0), Case(STEP, bar=0.65, repeats=7)),
    # The peer comes first: it leaves the weights that ours takes.
    sides={"espnet": espnet, "ours": ours},
    check=check,
    memory_bar=1.0,
)
