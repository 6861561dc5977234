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
TOLERANCE = 1e-3
"""By which a score in float32 may differ from the definition."""


def _speech(case: str) -> Any:
    import torch

    return torch.from_numpy(inputs.batch(4 if case == BEAM else 8, SECONDS))


def ours(case: str, setting: Setting) -> Work:
    """The searches as stage ``infer`` builds them, without times of words."""
    import torch
    from espnet3_asr.searches.config import CTCGreedyConfig, JointBeamConfig
    from espnet3_asr.searches.ctc_greedy import CTCGreedy
    from espnet3_asr.searches.joint_beam import JointBeam
    from espnet3_core.memory import keep_freed_memory

    keep_freed_memory()
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

    def judge(values: Mapping[str, Any]) -> dict[str, Any]:
        mine, theirs = values["ours"], values["espnet"]
        if case == GREEDY:
            return {"texts": "equal to the peer's" if mine == theirs else "differ", "ok": mine == theirs}
        # The peer ends a text of the greatest length without scoring its end, so the two may choose
        # differently: the better text is the one with the higher score by the definition.
        margins = [
            a - b for a, b in zip(_scores(model, batch, mine), _scores(model, batch, theirs), strict=True)
        ]
        return {"score above the peer's texts, at least": min(margins), "ok": min(margins) >= -TOLERANCE}

    return Work(
        lambda: [found["tokens"] for found in search.infer(batch)],
        len(speech) * SECONDS,
        "seconds of audio",
        judge=judge,
    )


def _scores(model: Any, batch: Mapping[str, Any], texts: list[list[str]]) -> list[float]:
    """0.7 of the decoder's log-probability and 0.3 of torch's CTC log-likelihood of whole texts."""
    import torch

    eos = models.Tokens.eos_id
    with torch.no_grad():
        encoded = model.encode(batch["speech"], batch["speech_lengths"])
        ids = torch.tensor([[models.TOKENS.index(token) for token in text] for text in texts])
        counts = torch.full((len(ids),), ids.shape[1])
        end = torch.full((len(ids), 1), eos)
        outputs = model.decoder(torch.cat([end, ids], 1), counts + 1, encoded.features, encoded.lengths)
        steps = outputs.double().log_softmax(-1).gather(2, torch.cat([ids, end], 1).unsqueeze(2))
        ctc = torch.nn.functional.ctc_loss(
            model.ctc.log_probs(encoded.features).double().transpose(0, 1), ids, encoded.lengths, counts,
            reduction="none",
        )  # fmt: skip
    scores: list[float] = (0.7 * steps.sum((1, 2)) - 0.3 * ctc).tolist()
    return scores


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


ROW = Row(
    title="decoding, Conformer of 34.2 M parameters with random weights, utterances of 10 s",
    cases=(Case(BEAM, bar=0.33), Case(GREEDY, bar=0.67)),
    sides={"espnet": espnet, "ours": ours},
)
