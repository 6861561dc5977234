"""Token ids to audio, sentence by sentence."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from espnet3_core.errors import UserError
from espnet3_core.infer.audio import Audio
from numpy.typing import NDArray

from espnet3_tts.models.contract import Controls, makes_audio
from espnet3_tts.synthesis.config import SynthesizerConfig, griffin_lim
from espnet3_tts.synthesis.pieces import pieces


@dataclass
class _Spoken:
    """A piece: which utterance it is of, its tokens, the pause after it, and what became of it."""

    row: int
    ids: list[int]
    pause: float
    samples: NDArray[np.float32]
    durations: list[int]


class Synthesizer:
    """Speaks with an acoustic model and a vocoder, or with a model that makes audio itself.

    Args:
        config: Options.
        model: A model as :mod:`espnet3_tts.models.contract` has it.
        tokenizer: The text frontend, which knows marks and boundaries.
        device: Where to compute; None for where the model is.
        recipe_dir: Folder that the vocoder's path is relative to.

    Raises:
        UserError: There is no text frontend, or a vocoder for a model that needs none.
    """

    def __init__(
        self,
        config: SynthesizerConfig,
        *,
        model: Any,
        tokenizer: Any,
        device: Any = None,
        recipe_dir: Path | None = None,
    ) -> None:
        if tokenizer is None:
            raise UserError("tts/synthesizer needs a text frontend", hint="set training.tokenizer")
        self.config = config
        self.model = model.eval()
        self.tokenizer = tokenizer
        self.controls = Controls(
            config.speed, config.pitch, config.energy, config.seed, config.steps, config.temperature
        )
        self.device = next(model.parameters()).device if device is None else device
        self.vocoder = self._make_vocoder(recipe_dir)

    def _make_vocoder(self, recipe_dir: Path | None) -> Any:
        """The vocoder; None where the model makes audio itself."""
        chosen = self.config.vocoder
        if makes_audio(self.model):
            if chosen is not None:
                raise UserError(
                    f"{type(self.model).__name__} makes audio itself, and a vocoder is chosen",
                    hint="leave the vocoder out (inference.search.vocoder, or --vocoder)",
                )
            return None
        vocoder = (chosen or griffin_lim()).build(
            features=self.model.features,
            sample_rate=self.model.sample_rate,
            input_size=self.model.features.output_size,
            seed=self.config.seed,
            recipe_dir=recipe_dir,
        )
        return vocoder.eval().to(self.device)

    @torch.inference_mode()
    def infer(self, batch: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Speak the texts of a batch.

        Returns:
            For each, ``audio``, ``tokens``, ``durations`` (frames of each token, boundaries included) and
            ``rtf``: its share of the time that the batch took, by its frames, over its duration.

        Raises:
            UserError: There is nothing to say, or a speaker is unknown.
        """
        began = time.perf_counter()
        texts, lengths = batch.get("text"), batch.get("text_lengths")
        if texts is None or lengths is None:
            raise UserError("there is no text to speak", hint="give the data a text column")
        spoken = self._pieces(texts.cpu(), lengths.cpu())
        speakers = batch.get("speaker")
        for group in self._groups(spoken):
            self._speak(group, None if speakers is None else [speakers[entry.row] for entry in group])
        results = [self._result([entry for entry in spoken if entry.row == row]) for row in range(len(texts))]
        total = sum(result["audio"].seconds for result in results)
        rtf = (time.perf_counter() - began) / total if total else None
        return [{**result, "rtf": rtf} for result in results]

    def _pieces(self, texts: torch.Tensor, lengths: torch.Tensor) -> list[_Spoken]:
        found = []
        for row, count in enumerate(lengths.tolist()):
            ids = self.tokenizer.unwrap(texts[row, :count].tolist())
            tokens = [self.tokenizer.tokens[index] for index in ids]
            for piece in pieces(tokens, self.config.max_tokens):
                if not any(map(self.tokenizer.is_spoken, tokens[piece.start : piece.end])):
                    continue
                pause = self.config.sentence_pause if piece.ends_sentence else self.config.piece_pause
                wrapped = self.tokenizer.wrap(ids[piece.start : piece.end])
                found.append(_Spoken(row, wrapped, pause, np.zeros(0, np.float32), []))
        return found

    def _groups(self, spoken: Sequence[_Spoken]) -> Iterator[list[_Spoken]]:
        """Pieces of similar length together, longest first."""
        group: list[_Spoken] = []
        for entry in sorted(spoken, key=lambda entry: -len(entry.ids)):
            if group and (len(group) + 1) * len(group[0].ids) > self.config.batch_tokens:
                yield group
                group = []
            group.append(entry)
        if group:
            yield group

    def _speak(self, group: Sequence[_Spoken], speakers: list[str] | None) -> None:
        lengths = torch.tensor([len(entry.ids) for entry in group], device=self.device)
        rows = [torch.tensor(entry.ids, device=self.device) for entry in group]
        text = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=-1)
        said = self.model.speak(text, lengths, speaker=speakers, controls=self.controls)
        made = said.audio if self.vocoder is None else self.vocoder(said.mel, said.lengths)
        audio = made.float().cpu().numpy()
        for row, entry in enumerate(group):
            entry.samples = audio[row, : int(said.lengths[row]) * self.model.features.hop]
            entry.durations = said.durations[row, : len(entry.ids)].tolist()

    def _result(self, spoken: Sequence[_Spoken]) -> dict[str, Any]:
        rate = self.model.sample_rate
        parts: list[NDArray[np.float32]] = []
        for number, entry in enumerate(spoken):
            parts.append(entry.samples)
            if number + 1 < len(spoken):
                parts.append(np.zeros(round(entry.pause * rate), np.float32))
        samples = np.concatenate(parts) if parts else np.zeros(0, np.float32)
        return {
            "audio": Audio(samples, rate),
            "tokens": [self.tokenizer.tokens[index] for entry in spoken for index in entry.ids],
            "durations": [frames for entry in spoken for frames in entry.durations],
        }
