"""Loading an epoch of 2,000 FLAC files of 3 s: decoding, 200 word pieces, batches of 16, shuffled."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import inputs
from work import Case, Row, Setting, Work

COUNT, SIZE = 2000, 16
ALONE, WORKERS, THREADS = "no workers", "2 workers", "2 threads, where peers have 2 workers"


def _epochs(batches_of: Callable[[int], Iterable[int]]) -> Work:
    """Work that draws one epoch after another; ``batches_of(epoch)`` yields sizes of batches."""
    epoch = 0

    def run() -> None:
        nonlocal epoch
        loaded = sum(batches_of(epoch))
        assert loaded == COUNT, loaded
        epoch += 1

    return Work(run, COUNT, "utterances")


def _workers(case: str) -> int:
    return 0 if case == ALONE else 2


def ours(case: str, setting: Setting) -> Work:
    """``core/manifest`` through the loader that training uses, as stage ``train`` sets up its process."""
    from espnet3_asr.tokenizers.config import SubwordTokenizerConfig
    from espnet3_asr.tokenizers.subword import BpeTokenizer
    from espnet3_core.config.roles import BatchConfig
    from espnet3_core.data.config import ManifestConfig
    from espnet3_core.data.dataset import PreparedDataset
    from espnet3_core.data.loader import build_loader
    from espnet3_core.data.manifest import Manifest
    from espnet3_core.memory import keep_freed_memory

    keep_freed_memory()
    path = inputs.corpus(setting.folder)
    tokenizer = BpeTokenizer(SubwordTokenizerConfig(vocab_size=200))
    tokenizer.load(inputs.pieces(setting.folder).parent)
    manifest = Manifest(ManifestConfig(path=str(path)), sample_rate=inputs.RATE, recipe_dir=path.parent)
    data = PreparedDataset(manifest, tokenizer=tokenizer, training=True)
    way = {"threads": 2} if case == THREADS else {"workers": _workers(case)}
    loader = build_loader(data, BatchConfig(size=SIZE, **way))

    def batches(epoch: int) -> Iterable[int]:
        loader.set_epoch(epoch)
        return (len(batch["ids"]) for batch in loader)

    return _epochs(batches)


def espnet(case: str, setting: Setting) -> Work:
    """ESPnet3's dataset with ESPnet2's preprocessor, iterator and collator."""
    import logging

    logging.disable(logging.INFO)
    import numpy as np
    import soundfile
    from espnet2.iterators.sequence_iter_factory import SequenceIterFactory
    from espnet2.train.collate_fn import CommonCollateFn
    from espnet2.train.preprocessor import CommonPreprocessor
    from espnet3.components.data.base_dataset import BaseDataset
    from espnet3.components.data.dataset import CombinedDataset
    from espnet3.contract import Field

    rows = inputs.rows_of(inputs.corpus(setting.folder))
    model = inputs.pieces(setting.folder)

    class Corpus(BaseDataset):
        fields = (Field("speech", "audio"), Field("text", "text"))

        def __len__(self) -> int:
            return len(rows)

        def __getitem__(self, index: Any) -> dict[str, Any]:
            row = rows[int(index)]
            return {"speech": np.asarray(soundfile.read(row["path"])[0], np.float32), "text": row["text"]}

    tokens = str(model.parent / "tokens.txt")
    preprocessor = CommonPreprocessor(
        train=True, token_type="bpe", token_list=tokens, bpemodel=str(model), fs=inputs.RATE
    )
    data = CombinedDataset([Corpus()], [(None, preprocessor)], use_espnet_preprocessor=True)
    data.use_espnet_collator = True
    plan = [[str(n) for n in range(first, min(first + SIZE, COUNT))] for first in range(0, COUNT, SIZE)]
    factory = SequenceIterFactory(
        data, plan, shuffle=True, num_workers=_workers(case), collate_fn=CommonCollateFn(int_pad_value=-1)
    )
    return _epochs(lambda epoch: (len(ids) for ids, _ in factory.build_iter(epoch + 1)))


def speechbrain(case: str, setting: Setting) -> Work:
    """SpeechBrain's dynamic items and padded batches."""
    import logging

    logging.disable(logging.INFO)
    import torch
    from sentencepiece import SentencePieceProcessor
    from speechbrain.dataio.dataio import read_audio
    from speechbrain.dataio.dataloader import make_dataloader
    from speechbrain.dataio.dataset import DynamicItemDataset

    pieces = SentencePieceProcessor(model_file=str(inputs.pieces(setting.folder)))
    rows = inputs.rows_of(inputs.corpus(setting.folder))
    data = DynamicItemDataset({row["id"]: {"wav": row["path"], "words": row["text"]} for row in rows})
    data.add_dynamic_item(read_audio, takes="wav", provides="sig")
    data.add_dynamic_item(
        lambda words: torch.LongTensor(pieces.encode_as_ids(words)), takes="words", provides="tokens"
    )
    data.set_output_keys(["id", "sig", "tokens"])

    def batches(epoch: int) -> Iterable[int]:
        loader = make_dataloader(data, batch_size=SIZE, num_workers=_workers(case), shuffle=True)
        return (len(batch.id) for batch in loader)

    return _epochs(batches)


def lhotse(case: str, setting: Setting) -> Work:
    """Lhotse's cuts with raw audio; it leaves texts as they are."""
    from lhotse import CutSet, Recording, SupervisionSegment
    from lhotse.dataset import DynamicBucketingSampler, K2SpeechRecognitionDataset
    from lhotse.dataset.input_strategies import AudioSamples
    from torch.utils.data import DataLoader

    cuts = []
    for row in inputs.rows_of(inputs.corpus(setting.folder)):
        recording = Recording.from_file(row["path"], recording_id=row["id"])
        cut = recording.to_cut()
        cut.supervisions = [
            SupervisionSegment(row["id"], row["id"], start=0, duration=recording.duration, text=row["text"])
        ]
        cuts.append(cut)
    data = K2SpeechRecognitionDataset(input_strategy=AudioSamples())
    cut_set = CutSet.from_cuts(cuts)

    def batches(epoch: int) -> Iterable[int]:
        sampler = DynamicBucketingSampler(cut_set, max_duration=3.0 * SIZE, num_buckets=2, shuffle=True)
        loader = DataLoader(data, sampler=sampler, batch_size=None, num_workers=_workers(case))
        return (len(batch["supervisions"]["text"]) for batch in loader)

    return _epochs(batches)


ROW = Row(
    title="loading 2,000 FLAC files of 3 s",
    cases=(
        Case(ALONE, bar=1.0, repeats=3),
        Case(WORKERS, bar=round(1 / 1.2, 3), repeats=3),
        Case(THREADS, bar=round(1 / 1.2, 3), repeats=3),
    ),
    sides={"ours": ours, "espnet": espnet, "speechbrain": speechbrain, "lhotse": lhotse},
)
