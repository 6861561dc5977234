"""Inputs that every side of a benchmark gets: made from seeds, equal in every environment."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

RATE = 16_000
COMMON = """
the of and to in a is that for it as was with be by on not he his but at are this have from or had an
they which one you were her all she there would their we him been has when who will more no if out so
said what up its about into than them can only other new some could time these two may then do first any
my now such like our over man me even most made after also did many before must through back years where
much your way well down should because each just those people how too little state good very make world
"""
WORDS = COMMON.split()


def speechlike(samples: int, seed: int) -> Any:
    """Float32 noise like that of a one-pole low-pass, with an envelope of 4 Hz, peak 0.5: (samples,)."""
    import numpy as np

    noise = np.fft.rfft(np.random.RandomState(seed).randn(samples))
    turns = np.exp(-2j * np.pi * np.arange(len(noise)) / samples)
    signal = np.fft.irfft(noise / (1 - 0.95 * turns), samples)
    signal *= 0.55 + 0.45 * np.sin(2 * np.pi * 4 * np.arange(samples) / RATE + seed)
    return (0.5 * signal / np.abs(signal).max()).astype(np.float32)


def batch(utterances: int, seconds: float) -> Any:
    """``(utterances, samples)`` of such noise."""
    import numpy as np

    return np.stack([speechlike(int(seconds * RATE), seed) for seed in range(utterances)])


def pairs(count: int) -> tuple[list[str], list[str]]:
    """References of 5 to 30 words, and hypotheses in which about a tenth of the words is wrong."""
    draw = random.Random(7)
    references, hypotheses = [], []
    for _ in range(count):
        words = [draw.choice(WORDS) for _ in range(draw.randint(5, 30))]
        heard: list[str] = []
        for word in words:
            luck = draw.random()
            if luck < 0.05:
                heard.append(draw.choice(WORDS))
            elif luck >= 0.075:
                heard += [word, draw.choice(WORDS)] if luck < 0.1 else [word]
        references.append(" ".join(words))
        hypotheses.append(" ".join(heard) or "x")
    return references, hypotheses


def corpus(folder: Path, utterances: int = 2000, seconds: float = 3.0) -> Path:
    """A folder of FLAC files (16 kHz, 16 bit) with ``manifest.tsv``: id, path, text. Made once."""
    manifest = folder / "manifest.tsv"
    if manifest.exists():
        return manifest
    import soundfile

    (folder / "flac").mkdir(parents=True, exist_ok=True)
    draw, rows = random.Random(0), ["id\tpath\ttext"]
    for number in range(utterances):
        path = folder / "flac" / f"u{number:05d}.flac"
        soundfile.write(path, speechlike(int(seconds * RATE), number), RATE, subtype="PCM_16")
        text = " ".join(draw.choice(WORDS) for _ in range(draw.randint(6, 10)))
        rows.append(f"u{number:05d}\t{path.resolve()}\t{text}")
    partial = folder / f"manifest.{os.getpid()}"
    partial.write_text("\n".join(rows) + "\n")
    partial.replace(manifest)
    return manifest


def pieces(folder: Path) -> Path:
    """A SentencePiece model of 200 pieces for the texts of :func:`corpus`, with ``tokens.txt``. Made once."""
    model = folder / "sentencepiece.model"
    if model.exists() and (folder / "tokens.txt").exists():
        return model
    from sentencepiece import SentencePieceProcessor, SentencePieceTrainer

    draw = random.Random(1)
    SentencePieceTrainer.train(
        sentence_iterator=iter([" ".join(draw.choice(WORDS) for _ in range(12)) for _ in range(5000)]),
        model_prefix=str(folder / "sentencepiece"), vocab_size=200, model_type="bpe", hard_vocab_limit=False,
        unk_id=0, bos_id=-1, eos_id=-1, pad_id=-1, num_threads=1, minloglevel=2,
    )  # fmt: skip
    processor = SentencePieceProcessor(model_file=str(model))
    names = [processor.id_to_piece(number) for number in range(1, processor.get_piece_size())]
    (folder / "tokens.txt").write_text("\n".join(["<blank>", "<unk>", *names, "<sos/eos>"]) + "\n")
    return model


def rows_of(manifest: Path) -> list[dict[str, str]]:
    """The lines of a manifest."""
    header, *lines = manifest.read_text().splitlines()
    return [dict(zip(header.split("\t"), line.split("\t"), strict=True)) for line in lines]
