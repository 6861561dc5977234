"""What a part of a model must offer: equal outputs alone and in any batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

from espnet3_core.data.collate import PadCollator
from espnet3_core.infer.devices import decoded_alone
from espnet3_core.protocols import Batch, Item
from espnet3_core.testing.batches import PRECISIONS, groups_of, in_precision, with_longer_padding
from espnet3_core.testing.compare import difference, not_finite
from espnet3_core.testing.conformance import Conformance
from espnet3_core.testing.speech import sample_speech

FIELDS: Mapping[str, tuple[str, ...]] = {
    "frontend": ("speech",),
    "normalizer": ("features",),
    "encoder": ("features",),
    "decoder": ("text", "features"),
}
"""What modules of a role are called with: each of these fields, followed by its lengths."""


class ModuleConformance(Conformance):
    """A module whose rows are utterances.

    Modules with the roles of :data:`FIELDS` are called as ``module(field, lengths, …)`` and return values
    ``(batch, frames, …)``, alone or with their lengths (a pair, or an object whose ``lengths`` they are).
    For other roles override :meth:`utterances` and :meth:`outputs`.

    Attributes:
        role: Its role.
        frames: Lengths of the utterances in frames; those of speech are a hundredth of a second each.
        input_size: Size of the features that it is given.
        vocab_size: Number of tokens.
        precisions: ``fp32`` and ``fp64``; what a module cannot compute in is left out.
    """

    kind = "module"
    frames: Sequence[int] = (61, 1, 24, 9, 40)
    input_size: ClassVar[int] = 20
    vocab_size: ClassVar[int] = 12
    precisions: ClassVar[Sequence[str]] = tuple(PRECISIONS)

    def known_needs(self) -> dict[str, Any]:
        """Adds sizes, and no statistics."""
        sizes = {"input_size": self.input_size, "encoder_size": self.input_size}
        return {**super().known_needs(), **sizes, "vocab_size": self.vocab_size, "stats": None}

    def utterances(self) -> list[Item]:
        """Random features, real speech and random tokens, of the lengths of ``frames``."""
        generator = torch.Generator().manual_seed(5)
        speech = sample_speech()
        return [
            {
                "id": f"u{number}",
                "features": torch.randn(count, self.input_size, generator=generator, dtype=torch.float64),
                "speech": speech.items[number % 4]["speech"][: count * speech.sample_rate // 100],
                "text": torch.randint(1, self.vocab_size, (1 + number,), generator=generator),
            }
            for number, count in enumerate(self.frames)
        ]

    def module(self, seed: int = 0, dtype: torch.dtype = torch.float32) -> nn.Module:
        """The module with random weights, and running statistics that nothing skips unseen."""
        torch.manual_seed(seed)
        module: nn.Module = self.build()
        for name, value in module.named_buffers():
            if "running" in name:
                value.uniform_(0.5, 2.0)
        return module.to(dtype)

    def outputs(self, module: Any, batch: Batch) -> list[Any]:
        """What the module says of each utterance, without padding."""
        fields = FIELDS.get(self.role or "")
        if fields is None:
            self.fail(
                f"how modules of role {self.role!r} are called is not known",
                "override utterances() and outputs(module, batch) in the test class",
            )
        found = module(*(batch[name] for field in fields for name in (field, f"{field}_lengths")))
        values, lengths = _read(found, batch[f"{fields[0]}_lengths"])
        return [row[: int(length)] for row, length in zip(values, lengths, strict=True)]

    def _batch(self, rows: Sequence[Item], dtype: torch.dtype = torch.float32) -> Batch:
        return in_precision({**PadCollator()(rows)}, dtype)

    def test_outputs_and_gradients_are_finite(self) -> None:
        """A forward and a backward pass on the CPU, in training mode."""
        module = self.module().train()
        said = self.outputs(module, self._batch(self.utterances()))
        bad = not_finite(said, "its output")
        self.expect(not bad, f"{bad} is not finite", "look for log(0) and division by a length of 0")
        floats = [value for value in _tensors(said) if value.requires_grad]
        if floats:
            torch.stack([value.square().sum() for value in floats]).sum().backward()  # type: ignore[no-untyped-call]
        gradients = {name: p.grad for name, p in module.named_parameters() if p.grad is not None}
        bad = not_finite(gradients, "the gradient of")
        self.expect(not bad, f"{bad} is not finite", "look for sqrt(0) or a norm of 0 in padded frames")

    def test_alone_and_in_a_batch(self) -> None:
        """Each utterance alone, in a batch of all and in pairs, whatever stands in the padding."""
        items = self.utterances()
        for precision in self.precisions:
            dtype, bar = PRECISIONS[precision]
            module = self.module(dtype=dtype).eval()
            if decoded_alone(module):
                pytest.skip(f"{self.name} declares batch_invariant = False")
            with torch.inference_mode():
                alone = [self.outputs(module, self._batch([item], dtype))[0] for item in items]
                for rows in groups_of(len(items)):
                    batch = self._batch([items[row] for row in rows], dtype)
                    for padded in (batch, with_longer_padding(batch, 7, garbage=True)):
                        said = self.outputs(module, padded)
                        self._compare([alone[row] for row in rows], said, precision, bar)

    def _compare(self, alone: list[Any], together: list[Any], precision: str, bar: float) -> None:
        for number, (one, other) in enumerate(zip(alone, together, strict=True)):
            apart = difference(one, other, bar, "its output")
            self.expect(
                not apart,
                f"alone and in a batch of {len(together)} (row {number}), {precision}: {apart}, and {bar:g} "
                "is allowed",
                "use the lengths: mask padding before convolutions, attention, backward recurrences and "
                "means; a module that cannot do so declares batch_invariant = False",
            )

    def test_weights_are_all_of_its_state(self) -> None:
        """A new module with the ``state_dict`` of another says the same."""
        one, batch = self.module(seed=1).eval(), self._batch(self.utterances())
        other = self.module(seed=2).eval()
        other.load_state_dict(one.state_dict())
        with torch.inference_mode():
            apart = difference(self.outputs(one, batch), self.outputs(other, batch))
        self.expect(
            not apart,
            f"a new module that has loaded its state_dict says something else: {apart}",
            "what differs between modules must be a parameter or a persistent buffer (register_buffer)",
        )

    def test_it_tells_its_sizes(self) -> None:
        """``output_size`` and ``output_lengths(lengths)``, where it has them, are what comes out."""
        module, batch = self.module().eval(), self._batch(self.utterances())
        with torch.inference_mode():
            said = self.outputs(module, batch)
        size = getattr(module, "output_size", None)
        if size is not None and isinstance(said[0], Tensor):
            self.expect(
                said[0].shape[-1] == size,
                f"output_size is {size}, and its output has {said[0].shape[-1]} dimensions",
                "set output_size to what forward returns: what is built on it relies on that",
            )
        told = getattr(module, "output_lengths", None)
        fields = FIELDS.get(self.role or "")
        if callable(told) and fields:
            lengths = told(batch[f"{fields[0]}_lengths"]).tolist()
            real = [len(row) for row in said]
            self.expect(
                lengths == real,
                f"output_lengths says {lengths}, and the outputs have {real} frames",
                "make output_lengths the same arithmetic as forward",
            )


def _read(found: Any, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """Values and their lengths; values alone have those of the input."""
    if isinstance(found, Tensor):
        return found, lengths
    if hasattr(found, "lengths"):
        return found[0] if isinstance(found, tuple) else found.features, found.lengths
    return found[0], found[1]


def _tensors(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, Mapping):
        return [tensor for entry in value.values() for tensor in _tensors(entry)]
    return [tensor for entry in value for tensor in _tensors(entry)] if isinstance(value, list) else []
