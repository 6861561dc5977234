"""What the configurations of all recognisers have in common."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from espnet3_core.component import TRAINING_ONLY, Component, Slot
from espnet3_speech.ranges import check_shares


@dataclass(kw_only=True)
class EncoderStackConfig:
    """From audio to encoder output."""

    frontend: Annotated[Component, Slot("module", "frontend")] = field(
        default_factory=lambda: Component(name="speech/log_mel", slot=Slot("module", "frontend"))
    )
    """Audio to features."""
    specaugment: Annotated[Component, Slot("transform", "features")] | None = field(
        default=None, metadata=TRAINING_ONLY
    )
    """Masks on the features, in training only."""
    normalizer: Annotated[Component, Slot("module", "normalizer")] | None = field(
        default_factory=lambda: Component(name="speech/utterance_mvn", slot=Slot("module", "normalizer"))
    )
    """Normalization of the features; None for none."""
    encoder: Annotated[Component, Slot("module", "encoder")]
    """Features to hidden states, with its subsampling."""
    init: Literal["default", "xavier_uniform", "xavier_normal", "kaiming_uniform", "kaiming_normal"] = (
        "default"
    )
    """Initial values of linear and convolution layers; ``default`` is what each module draws."""


@dataclass(kw_only=True)
class CTCLossConfig(EncoderStackConfig):
    """The CTC branch, which every recogniser here has."""

    ctc_dropout: float = 0.0
    """Dropout before the CTC output layer."""
    length_normalized: bool = False
    """Divide losses by the number of tokens of the batch (with a decoder, the ends of its texts included);
    False divides by its number of utterances."""
    intermediate_layers: tuple[int, ...] = ()
    """Encoder layers (the first is 1) whose output gets a CTC loss, too."""
    intermediate_weight: float = 0.3
    """Share of the intermediate losses' mean in the CTC loss; counts only with intermediate layers."""
    self_conditioning: bool = False
    """Feed the intermediate CTC predictions back into the following encoder layers."""
    ctc_prior: bool = False
    """Keep the mean posterior of each token over the training data in the model, for searches that divide by
    a power of it (``prior_scale``)."""

    def __post_init__(self) -> None:
        check_shares(self, "ctc_dropout")
