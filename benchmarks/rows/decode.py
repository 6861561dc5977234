"""Decoding with the benchmark model: same random weights on both sides, 10 s utterances."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import inputs
import models
from work import Case, Row, Setting, Work

SECONDS, STEPS = 10, 40
BEAM, GREEDY = "beam 10 with CTC 0.3, 40 tokens, batch 4", "greedy CTC, batch 8"
ENOUGH = 0.75
"""Share of equal texts: with random weights many hypotheses are nearly as good as the best one."""


def _speech(case: str) -> Any:
    import torch

    return torch.from_numpy(inputs.batch(4 if case == BEAM else 8, SECONDS))


def ours(case: str, setting: Setting) -> Work:
    """The searches as a recipe's inference configuration builds them, without times of words."""
    import torch
    from espnet3_asr.searches.config import CTCGreedyConfig, JointBeamConfig
    from espnet3_asr.searches.ctc_greedy import CTCGreedy
    from espnet3_asr.searches.joint_beam import JointBeam

    model = models.ours(0.1)
    models.load_espnet(model, setting.exchange)
    speech = _speech(case)
    batch = {"speech": speech, "speech_lengths": torch.full((len(speech),), speech.shape[1])}
    search: Any
    if case == GREEDY:
        search = CTCGreedy(CTCGreedyConfig(timestamps=False), model=model, tokenizer=models.Tokens())
    else:
        # The peer lets CTC score 15 tokens of each hypothesis, too.
        config = JointBeamConfig(
            beam_size=10, ctc_weight=0.3, pre_beam=15, max_length_ratio=-STEPS, min_length_ratio=1 - STEPS,
            timestamps=False,
        )  # fmt: skip
        search = JointBeam(config, model=model, tokenizer=models.Tokens())
    return Work(
        lambda: [found["tokens"] for found in search.infer(batch)], len(speech) * SECONDS, "seconds of audio"
    )


def espnet(case: str, setting: Setting) -> Work:
    """ESPnet's own inference class, and for greedy search the lines that its users write."""
    import torch

    torch.manual_seed(0)
    model, config = models.espnet(0.1)
    models.save_espnet(model, setting.exchange)
    model.eval()
    speech = _speech(case)
    lengths = torch.full((len(speech),), speech.shape[1])

    @torch.no_grad()
    def greedy() -> list[list[str]]:
        encoded, _ = model.encode(speech=speech, speech_lengths=lengths)
        paths = model.ctc.argmax(encoded).tolist()
        return [[models.TOKENS[k] for k, _ in itertools.groupby(path) if k] for path in paths]

    if case == GREEDY:
        return Work(greedy, len(speech) * SECONDS, "seconds of audio")
    search = _speech2text(model, config, setting)
    items = list(speech)
    return Work(
        lambda: [found[0][1] for found in search(items)],
        len(speech) * SECONDS,
        "seconds of audio",
        {"search": type(search.beam_search).__name__},
    )


def _speech2text(model: Any, config: dict[str, Any], setting: Setting) -> Any:
    import torch
    import yaml
    from espnet2.bin.asr_inference import Speech2Text
    from espnet2.tasks.asr import ASRTask

    arguments = {**ASRTask.get_default_config(), **config, "bpemodel": None}
    folder = setting.exchange / "espnet"
    folder.mkdir()
    plain = {key: value for key, value in arguments.items() if not callable(value)}
    (folder / "config.yaml").write_text(yaml.safe_dump(plain))
    torch.save(model.state_dict(), folder / "model.pth")
    # 0.16 of the 249 frames forbids an end before token 39.
    return Speech2Text(
        str(folder / "config.yaml"), str(folder / "model.pth"), token_type="word", beam_size=10,
        ctc_weight=0.3, maxlenratio=-STEPS, minlenratio=0.16, device="cpu",
    )  # fmt: skip


def check(case: str, values: Mapping[str, Any]) -> dict[str, Any] | None:
    """Whether both sides found the same texts."""
    if len(values) < 2:
        return None
    pairs = list(zip(values["ours"], values["espnet"], strict=True))
    same = sum(a == b for a, b in pairs) / len(pairs)
    return {"texts equal to the peer's": f"{same:.0%}", "ok": same >= ENOUGH}


ROW = Row(
    title="decoding, Conformer of 34.2 M parameters with random weights, utterances of 10 s",
    cases=(Case(BEAM, bar=0.33), Case(GREEDY, bar=0.67)),
    sides={"espnet": espnet, "ours": ours},
    check=check,
)
