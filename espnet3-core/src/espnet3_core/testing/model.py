"""What a model must offer to be trained, decoded in batches, and packed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from torch import nn

from espnet3_core.bundle.contents import providers
from espnet3_core.bundle.manifest import Manifest
from espnet3_core.bundle.pack import write_bundle
from espnet3_core.config.effective import effective
from espnet3_core.infer.devices import decoded_alone
from espnet3_core.protocols import Batch
from espnet3_core.testing.batches import (
    PRECISIONS,
    BatchedConformance,
    groups_of,
    with_longer_padding,
)
from espnet3_core.testing.compare import difference, not_finite
from espnet3_core.testing.stand_ins import Letters, LettersConfig, stand_ins
from espnet3_core.train.moments import FeatureStatistics, Moments
from espnet3_core.train.outputs import FieldSelector, StepOutput, step_output
from espnet3_core.train.statistics import frames_of

_MASK = (
    "use the lengths: mask what lies past them before it can reach a convolution, an attention, a backward "
    "recurrence or a mean"
)
_ALONE = f"{_MASK}; a model that cannot do so declares batch_invariant = False and is decoded alone"


class ModelConformance(BatchedConformance):
    """Training step, padding, batching, weights, bundle.

    Attributes:
        search: Decodes with a model that has no ``infer``.
        padding_is_zero: The model relies on padding being what ``core/pad`` makes it.
        turns: Names of its optimizers, for a model whose forward takes ``turn``.
    """

    kind = "model"
    search: ClassVar[Mapping[str, Any] | None] = None
    padding_is_zero: ClassVar[bool] = False
    turns: ClassVar[Sequence[str]] = ()

    def model(self, seed: int = 0, dtype: torch.dtype = torch.float32, **needs: Any) -> nn.Module:
        """A model with random weights, and with the statistics that it asks for."""
        torch.manual_seed(seed)
        model: nn.Module = self.build(**needs)
        if tuple(getattr(model, "statistics_of", ())) and "stats" not in {**self.needs, **needs}:
            torch.manual_seed(seed)
            model = self.build(stats=self._statistics(model))
        return model.to(dtype)

    def _statistics(self, model: Any) -> dict[str, FeatureStatistics]:
        with torch.no_grad():
            found = model.collect_feats(**FieldSelector(model.collect_feats)(self.batch(self.utterances())))
        moments = {name: Moments() for name in model.statistics_of}
        for name, part in moments.items():
            part.add(frames_of(found, name))
        return {name: part.result() for name, part in moments.items()}

    def losses(self, model: nn.Module, batch: Mapping[str, Any]) -> list[StepOutput]:
        """The loss, or that of each turn."""
        fields = FieldSelector(model)(batch)
        if not self.turns:
            return [step_output(model(**fields), batch)]
        return [step_output(model(**fields, turn=turn), batch) for turn in self.turns]

    def outputs(self, model: Any, batch: Batch) -> list[Any] | None:
        """What the model says of each utterance, compared between batches; override it to look deeper.

        Args:
            model: In evaluation mode.
            batch: Some of the utterances.

        Returns:
            One value per utterance: tensors, numbers, texts, or lists and mappings of them. None when the
            model has no ``infer``; then only its losses are compared.
        """
        if not callable(getattr(model, "infer", None)):
            return None
        results: list[Any] = model.infer(batch)
        return results

    def test_forward_and_backward_give_finite_gradients(self) -> None:
        """A training step on the CPU."""
        model = self.model().train()
        for output in self.losses(model, self.batch(self.utterances())):
            bad = not_finite({"loss": output.loss, **output.stats}, "forward()")
            self.expect(
                not bad, f"{bad} is not finite", "look for log(0), division by a length of 0, or -inf"
            )
            self.expect(
                output.loss.requires_grad,
                "the loss depends on no parameter",
                "return a loss that is computed from the model's output, not detached",
            )
            output.loss.backward()  # type: ignore[no-untyped-call]
        gradients = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
        bad = not_finite(gradients, "the gradient of")
        self.expect(
            not bad, f"{bad} is not finite", "look for sqrt(0), norm of 0 or log(0) in the forward pass"
        )
        self.expect(
            any(bool(gradient.any()) for gradient in gradients.values()),
            "all gradients are zero",
            "the loss must depend on the parameters",
        )

    def test_what_stands_in_the_padding_does_not_matter(self) -> None:
        """The same utterances, padded further and with other values."""
        for precision in self.precisions:
            dtype, bar = PRECISIONS[precision]
            model, batch = self.model(dtype=dtype).eval(), self.batch(self.utterances(), dtype)
            for garbage in (False, True)[: 1 if self.padding_is_zero else 2]:
                longer = with_longer_padding(batch, 400, garbage=garbage)
                with torch.inference_mode():
                    found = self._said(model, batch), self._said(model, longer)
                how = "further padding" if not garbage else "other values in the padding"
                apart = difference(*found, bar * _size(found[0]))
                self.expect(not apart, f"{how} changes the result in {precision}: {apart}", _MASK)

    def test_alone_and_in_a_batch(self) -> None:
        """Each utterance alone, in a batch of all, and in pairs."""
        items = self.utterances()
        for precision in self.precisions:
            dtype, bar = PRECISIONS[precision]
            model = self.model(dtype=dtype).eval()
            if decoded_alone(model):
                pytest.skip(f"{self.name} declares batch_invariant = False and is decoded alone")
            with torch.inference_mode():
                alone = [self.outputs(model, self.batch([item], dtype)) for item in items]
                for rows in groups_of(len(items)):
                    together = self.outputs(model, self.batch([items[row] for row in rows], dtype))
                    for row, said in zip(rows, together or (), strict=together is not None):
                        apart = difference((alone[row] or [None])[0], said, bar)
                        self.expect(
                            not apart,
                            f"utterance {items[row]['id']} alone and in a batch of {len(rows)}, {precision}: "
                            f"its result {apart}, and {bar:g} is allowed",
                            _ALONE,
                        )

    def test_the_loss_is_the_mean_of_its_utterances(self) -> None:
        """The loss of a batch, and those of its utterances alone, weighted by ``weight``."""
        items, precision = self.utterances(), self.precisions[-1]
        dtype, bar = PRECISIONS[precision]
        model = self.model(dtype=dtype).eval()
        if decoded_alone(model):
            pytest.skip(f"{self.name} declares batch_invariant = False")
        with torch.inference_mode():
            whole = self.losses(model, self.batch(items, dtype))
            parts = [self.losses(model, self.batch([item], dtype)) for item in items]
        for turn, together in enumerate(whole):
            weights = torch.stack([torch.as_tensor(part[turn].weight, dtype=dtype) for part in parts])
            losses = torch.stack([part[turn].loss for part in parts])
            mean = (weights * losses).sum() / weights.sum()
            apart = difference(together.loss, mean, bar * max(1.0, float(mean.abs())))
            self.expect(
                not apart,
                f"the loss of a batch ({float(together.loss):.6g}) is not the mean of its utterances' "
                f"({float(mean):.6g}), weighted by `weight`",
                f"return as `weight` what the loss is divided by (utterances, tokens …), and {_MASK}",
            )

    def _said(self, model: nn.Module, batch: Batch) -> Any:
        return [self.outputs(model, batch), [output.loss for output in self.losses(model, batch)]]

    def _trained(self) -> nn.Module:
        """A model after one step, so that what training changes is not what a new model has."""
        model = self.model(seed=1).train()
        for output in self.losses(model, self.batch(self.utterances())):
            output.loss.backward()  # type: ignore[no-untyped-call]
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.grad is not None:
                    parameter.sub_(1e-3 * parameter.grad.sign())
        return model.eval()

    def test_weights_are_all_of_its_state(self) -> None:
        """A new model with the trained one's ``state_dict`` says the same."""
        trained, batch = self._trained(), self.batch(self.utterances())
        torch.manual_seed(2)
        fresh: nn.Module = self.build()
        fresh.load_state_dict(trained.state_dict())
        with torch.inference_mode():
            apart = difference(self._said(trained, batch), self._said(fresh.eval(), batch))
        self.expect(
            not apart,
            f"a new model that has loaded the state_dict of a trained one says something else: {apart}",
            "what training changes must be a parameter or a persistent buffer (register_buffer)",
        )

    def test_saves_and_loads_through_a_bundle(self) -> None:
        """Packed, and loaded by name alone, the model says the same."""
        from espnet3_core.bundle.load import load

        trained, items = self._trained(), self.utterances()
        with stand_ins():
            directory = self._packed(trained)
            try:
                loaded = load(directory, device="cpu").model
            except Exception as error:
                self.fail(
                    f"its bundle cannot be loaded: {error}",
                    "a bundle gives a model its configuration, tokenizer, vocab_size and sample_rate; all "
                    "else belongs into the configuration or the weights",
                )
        with torch.inference_mode():
            apart = difference(
                self._said(trained, self.batch(items)), self._said(loaded, self.batch(items)), 1e-6
            )
        self.expect(not apart, f"loaded from a bundle, it says something else: {apart}", "see its state_dict")

    def _packed(self, model: nn.Module) -> Path:
        """The bundle of a model."""
        search = self.search
        if search is None and not callable(getattr(model, "infer", None)):
            search = {"name": "conformance/none"}
        size = self.vocab_size
        tokenizer = {"name": "conformance/letters", "size": size}
        config = {
            "sample_rate": {**self.known_needs(), **self.needs}["sample_rate"],
            "seed": 0,
            "model": effective(self.component()),
            "tokenizer": tokenizer,
            "collator": dict(self.collator),
            "preprocess": [],
            "search": search,
            "batch": {"size": 8},
        }
        manifest = Manifest(system="conformance/test", components=providers(config))
        write_bundle(
            self.folder / "bundle", manifest, config, model.state_dict(), Letters(LettersConfig(size=size))
        )
        return self.folder / "bundle"


def _size(said: Any) -> float:
    """How large the losses are: their differences are relative to it."""
    return max([1.0, *(abs(float(loss)) for loss in said[1])])
