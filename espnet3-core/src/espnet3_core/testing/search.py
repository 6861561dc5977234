"""What a search must offer: one result per utterance, whatever batch it is in."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar

import pytest
import torch

from espnet3_core.component import Component, Slot
from espnet3_core.errors import UserError
from espnet3_core.infer.decoder import check_results, plain
from espnet3_core.infer.devices import decoded_alone
from espnet3_core.testing.batches import PRECISIONS, BatchedConformance, groups_of
from espnet3_core.testing.compare import difference

SURE = 1e-4
"""Texts must agree unless the best two differ by less."""


class SearchConformance(BatchedConformance):
    """Results of a search on a model with random weights.

    Attributes:
        model: The model, as a recipe's YAML has it: ``{"name": "asr/ctc", "encoder": …}``.
    """

    kind = "search"
    model: ClassVar[Mapping[str, Any]] = {}

    def build_model(self, dtype: torch.dtype = torch.float32) -> torch.nn.Module:
        """The model with random weights; override it where that is not enough."""
        self.expect(self.model, "the test class names no model", 'set model = {"name": …, …}')
        torch.manual_seed(0)
        component = Component.from_node(self.model, Slot("model"), "model")
        model: torch.nn.Module = component.build(**{**self.known_needs(), **self.needs})
        return model.to(dtype).eval()

    def test_one_result_per_utterance(self) -> None:
        """A list of dicts that JSON can write, in the order of the batch; the same when asked again."""
        batch = self.batch(self.utterances())
        search = self.build(model=self.build_model())
        with torch.inference_mode():
            found = search.infer(batch)
            again = search.infer(batch)
        try:
            check_results(found, batch["ids"])
            json.dumps([plain(result) for result in found], allow_nan=False)
        except (UserError, TypeError, ValueError) as error:
            self.fail(
                str(error), "infer(batch) returns one dict per id, of texts, finite numbers, lists, tensors"
            )
        apart = difference(found, again, place="its result")
        self.expect(not apart, f"asked again, {apart}", "draw no random numbers, or seed them by the batch")

    def test_alone_and_in_a_batch(self) -> None:
        """Each utterance alone, in a batch of all, and in pairs: the same text and score."""
        items = self.utterances()
        for precision in self.precisions:
            dtype, bar = PRECISIONS[precision]
            model = self.build_model(dtype)
            search = self.build(model=model)
            if decoded_alone(model, search):
                pytest.skip(f"{self.name} declares batch_invariant = False and is decoded alone")
            with torch.inference_mode():
                alone = [search.infer(self.batch([item], dtype))[0] for item in items]
                for rows in groups_of(len(items)):
                    together = search.infer(self.batch([items[row] for row in rows], dtype))
                    for row, found in zip(rows, together, strict=True):
                        apart = difference(alone[row], found, bar, "its result")
                        self.expect(
                            not apart or _undecided(alone[row], found),
                            f"utterance {items[row]['id']} alone and in a batch of {len(rows)}, {precision}: "
                            f"{apart}, and {bar:g} is allowed",
                            "rank hypotheses of each utterance by itself, and use its own length; a search "
                            "that cannot do so declares batch_invariant = False and is decoded alone",
                        )


def _undecided(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether texts differ because the best two are as good as equal."""
    scores = [entry["score"] for entry in one.get("nbest", ())]
    return one.get("text") != other.get("text") and len(scores) > 1 and scores[0] - scores[1] < SURE
