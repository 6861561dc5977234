from __future__ import annotations

import itertools

import numpy as np
import torch
from espnet3_asr.searches.config import CTCGreedyConfig
from espnet3_asr.searches.ctc_greedy import CTCGreedy, collapse


def test_collapse_agrees_with_the_definition():
    rng = np.random.default_rng(0)
    for length in range(12):
        path = rng.integers(0, 3, length)
        ids, runs = collapse(path)
        assert ids == [int(k) for k, _ in itertools.groupby(path) if k != 0]
        assert all(
            set(path[start:end].tolist()) == {token} for token, (start, end) in zip(ids, runs, strict=True)
        )


def test_best_path_score_and_times(make_ctc, make_batch, letters):
    model = make_ctc()
    batch = make_batch([1.0, 0.6])
    results = CTCGreedy(CTCGreedyConfig(), model=model, tokenizer=letters).infer(batch)
    with torch.no_grad():
        encoded = model.encode(batch["speech"], batch["speech_lengths"])
        log_probs = model.ctc.log_probs(encoded.features)
    for row, found in enumerate(results):
        best, path = log_probs[row, : encoded.lengths[row]].max(-1)
        ids = [int(k) for k, _ in itertools.groupby(path.tolist()) if k != 0]
        assert found["tokens"] == [letters.tokens[i] for i in ids]
        assert found["text"] == letters.decode(ids)
        assert found["score"] == float(best.sum()) or abs(found["score"] - float(best.sum())) < 1e-4
        assert found["nbest"] == [{key: found[key] for key in ("text", "tokens", "score")}]
        first = int((path != 0).nonzero()[0])
        assert found["token_times"][0]["start"] == round(first * model.frame_seconds, 3)
        assert [word["word"] for word in found["words"]] == found["text"].split()
        assert found["words"][-1]["end"] <= [1.0, 0.6][row]


def test_alone_and_in_a_batch(make_ctc, make_batch, letters):
    search = CTCGreedy(CTCGreedyConfig(), model=make_ctc(), tokenizer=letters)
    batch = make_batch([0.5, 1.2, 0.3])
    together = search.infer(batch)
    for row, count in enumerate(batch["speech_lengths"].tolist()):
        alone = {
            "ids": batch["ids"][row : row + 1],
            "speech": batch["speech"][row : row + 1, :count],
            "speech_lengths": batch["speech_lengths"][row : row + 1],
        }
        (found,) = search.infer(alone)
        assert abs(found.pop("score") - together[row].pop("score")) < 1e-4
        found.pop("nbest"), together[row].pop("nbest")
        assert found == together[row]
