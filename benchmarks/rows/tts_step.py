"""A training step of FastSpeech 2: 8 utterances of 5 s and 60 tokens, Adam, fp32."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import inputs
import models
from work import Case, Row, Setting, Work

UTTERANCES, SECONDS, TOKENS, VOCABULARY = 8, 5, 60, 80
HOP, MELS = 256, 80
FRAMES = SECONDS * 16_000 // HOP
GIVEN = "durations, pitch, energy and spectrogram given"
AUDIO = "ours from audio, aligner included; the peer as before"


def _batch() -> dict[str, Any]:
    """Random tokens and spectrograms; durations of 1 frame at least, which fill the utterance."""
    import torch

    draw = torch.Generator().manual_seed(1)
    rows = (
        torch.randperm(FRAMES - 1, generator=draw)[: TOKENS - 1].sort().values + 1 for _ in range(UTTERANCES)
    )
    starts = torch.nn.functional.pad(torch.stack(list(rows)), (1, 0))
    return {
        "text": torch.randint(2, VOCABULARY - 1, (UTTERANCES, TOKENS), generator=draw),
        "text_lengths": torch.full((UTTERANCES,), TOKENS),
        "durations": torch.diff(starts, append=torch.full((UTTERANCES, 1), FRAMES)),
        "pitch": torch.randn(UTTERANCES, TOKENS, generator=draw),
        "energy": torch.randn(UTTERANCES, TOKENS, generator=draw),
        "mel": torch.randn(UTTERANCES, FRAMES, MELS, generator=draw),
    }


def _work(model: Any, loss_of: Callable[[], Any], optimizer: Any) -> Work:
    def step() -> float:
        loss = loss_of()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    return Work(step, UTTERANCES, "utterances", {"parameters": models.parameters(model)})


def ours(case: str, setting: Setting) -> Work:
    """The defaults of ``tts/fastspeech2``: 4 and 4 blocks of 256, kernels 9 and 1."""
    import torch
    from espnet3_core.build import build
    from espnet3_core.train.config import AdamConfig
    from espnet3_core.train.optimizers import adam

    torch.manual_seed(0)
    needs = {"vocab_size": VOCABULARY, "sample_rate": 16_000, "stats": None, "tokenizer": None}
    model: Any = build({"name": "tts/fastspeech2"}, needs, kind="model", path="benchmark").train()
    batch = _batch()
    optimizer = adam(AdamConfig(lr=1e-4), parameters=[{"params": list(model.parameters())}])
    text, lengths = batch["text"], batch["text_lengths"]
    if case == AUDIO:
        speech = torch.from_numpy(inputs.batch(UTTERANCES, SECONDS))
        samples = torch.full((UTTERANCES,), speech.shape[1])
        return _work(model, lambda: model(speech, samples, text, lengths)["loss"], optimizer)
    given = [batch[name] for name in ("durations", "pitch", "energy", "mel")]

    def loss() -> Any:
        return sum(model.spoken_losses(model.embedding(text), lengths, *given).values())

    return _work(model, loss, optimizer)


def espnet(case: str, setting: Setting) -> Work:
    """ESPnet2's class with the same sizes, without a postnet; it gets a token less, as it adds the last."""
    import logging

    logging.disable(logging.INFO)
    import torch
    from espnet2.tts.fastspeech2 import FastSpeech2

    torch.manual_seed(0)
    model = FastSpeech2(
        idim=VOCABULARY, odim=MELS, adim=256, aheads=2, elayers=4, eunits=1024, dlayers=4, dunits=1024,
        positionwise_layer_type="conv1d-linear", positionwise_conv_kernel_size=9, postnet_layers=0,
        duration_predictor_chans=256, duration_predictor_dropout_rate=0.5, energy_predictor_chans=256,
        energy_embed_kernel_size=3, energy_embed_dropout=0.0, pitch_predictor_chans=256,
        pitch_embed_kernel_size=3, pitch_embed_dropout=0.0, transformer_enc_positional_dropout_rate=0.0,
        transformer_dec_positional_dropout_rate=0.0, use_masking=True,
    ).train()  # fmt: skip
    batch = _batch()
    frames = torch.full((UTTERANCES,), FRAMES)
    fields = {
        "text": batch["text"][:, :-1], "text_lengths": batch["text_lengths"] - 1,
        "feats": batch["mel"], "feats_lengths": frames,
        "durations": batch["durations"], "durations_lengths": batch["text_lengths"],
        "pitch": batch["pitch"].unsqueeze(2), "pitch_lengths": batch["text_lengths"],
        "energy": batch["energy"].unsqueeze(2), "energy_lengths": batch["text_lengths"],
    }  # fmt: skip
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)
    return _work(model, lambda: model(**fields)[0], optimizer)


ROW = Row(
    title="training step, FastSpeech 2 with blocks of 256, 8 x 5 s, Adam, fp32",
    cases=(Case(GIVEN, bar=1.0, repeats=9), Case(AUDIO, repeats=5)),
    sides={"ours": ours, "espnet": espnet},
)
