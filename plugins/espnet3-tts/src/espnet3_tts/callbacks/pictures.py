"""Pictures and samples of validation utterances, written beside the checkpoints."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from espnet3_core.errors import UserError
from espnet3_core.infer.audio import Audio, write_wav
from lightning.pytorch import Callback

from espnet3_tts.callbacks.config import PicturesConfig
from espnet3_tts.vocoders.config import GriffinLimConfig
from espnet3_tts.vocoders.griffin_lim import GriffinLim

FOLDER = "pictures"


class Pictures(Callback):
    """Writes ``pictures/epoch<N>_<id>.png`` (alignment, recorded and predicted spectrogram) and ``.wav``.

    Nothing is drawn at random, and the model is in evaluation mode anyway: training goes on as without it.

    Args:
        config: How many, how often.
        experiment: Folder of the experiment.

    Raises:
        UserError: matplotlib is not installed.
    """

    def __init__(self, config: PicturesConfig, *, experiment: Path) -> None:
        super().__init__()
        try:
            import matplotlib  # noqa: F401 - whether it is there, before hours of training
        except ImportError:
            raise UserError(
                "tts/pictures needs matplotlib, which is not installed",
                hint="pip install 'espnet3-tts[plots]'",
            ) from None
        self.config = config
        self.folder = Path(experiment) / FOLDER

    def on_validation_batch_end(
        self,
        trainer: Any,
        pl_module: Any,
        outputs: Any,
        batch: Mapping[str, Any],
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Write them after the first batch of every so many-th validation."""
        turn = (trainer.current_epoch + 1) % self.config.every == 0 and batch_idx == 0
        if trainer.sanity_checking or not trainer.is_global_zero or not turn or not batch["ids"]:
            return
        for row in range(min(self.config.utterances, len(batch["ids"]))):
            self.write(pl_module.model, batch, row, trainer.current_epoch, list(_boards(trainer)))

    @torch.inference_mode()
    def write(self, model: Any, batch: Mapping[str, Any], row: int, epoch: int, boards: list[Any]) -> None:
        """Picture and sample of one utterance."""
        samples, tokens = batch["speech_lengths"][row : row + 1], batch["text_lengths"][row : row + 1]
        speech, text = batch["speech"][row : row + 1, : samples[0]], batch["text"][row : row + 1, : tokens[0]]
        speaker = [batch["speaker"][row]] if "speaker" in batch else None
        durations, soft = model.align(speech, samples, text, tokens, speaker=speaker)
        recorded = model.features(speech, samples, pitch=False).mel[0]
        said = model.speak(text, tokens, speaker=speaker)
        mel = said.mel
        if mel is None:
            mel = model.features(said.audio, said.lengths * model.features.hop, pitch=False).mel
        name = f"epoch{epoch + 1:04d}_{batch['ids'][row].replace('/', '_')}"
        image = draw(soft.log_probs[0].exp(), durations[0], recorded, mel[0], batch["ids"][row])
        self.folder.mkdir(parents=True, exist_ok=True)
        image.savefig(self.folder / f"{name}.png")
        for board in boards:
            board.add_figure(f"valid/{batch['ids'][row]}", image, epoch + 1)
        if self.config.audio:
            made = said.audio
            if made is None:
                vocoder = GriffinLim(GriffinLimConfig(), features=model.features).to(mel.device)
                made = vocoder(mel, said.lengths)
            audio = made[0].float().cpu()
            write_wav(self.folder / f"{name}.wav", Audio(audio.numpy(), model.sample_rate))
            for board in boards:
                board.add_audio(f"valid/{batch['ids'][row]}", audio, epoch + 1, model.sample_rate)


def _boards(trainer: Any) -> Iterator[Any]:
    """TensorBoard's writers among the loggers."""
    for logger in trainer.loggers:
        with contextlib.suppress(AttributeError):
            if callable(logger.experiment.add_audio):
                yield logger.experiment


def draw(
    soft: torch.Tensor, durations: torch.Tensor, recorded: torch.Tensor, said: torch.Tensor, title: str
) -> Any:
    """A figure: soft alignment with the hard one as a line, recorded and predicted log-mel spectrogram.

    Args:
        soft: ``(frames, tokens)`` probabilities.
        durations: ``(tokens,)`` frames.
        recorded: ``(frames, n_mels)``.
        said: ``(other frames, n_mels)``.
        title: Heading.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 8), layout="constrained")
    alignment, above, below = figure.subplots(3, 1)
    alignment.imshow(soft.T.float().cpu().numpy(), origin="lower", aspect="auto", interpolation="nearest")
    path = np.repeat(np.arange(len(durations)), durations.cpu().numpy())
    alignment.plot(path, color="white", linewidth=0.8)
    alignment.set(title=title, xlabel="frame", ylabel="token")
    low, high = float(recorded.min()), float(recorded.max())
    for axes, mel, label in ((above, recorded, "recorded"), (below, said, "predicted")):
        axes.imshow(mel.T.float().cpu().numpy(), origin="lower", aspect="auto", vmin=low, vmax=high)
        axes.set(title=label, xlabel="frame", ylabel="mel band")
    return figure
