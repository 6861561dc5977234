import pytest
from espnet3_speech.decoders.config import TransformerDecoderConfig
from espnet3_speech.decoders.transformer import TransformerDecoder
from espnet3_speech.encoders.config import ConformerConfig, EBranchformerConfig, TransformerConfig
from espnet3_speech.encoders.conformer import ConformerEncoder
from espnet3_speech.encoders.e_branchformer import EBranchformerEncoder
from espnet3_speech.encoders.transformer import TransformerEncoder
from espnet3_speech.losses import CTC
from torch import nn

VOCAB = 5000


def count(*modules: nn.Module) -> int:
    return sum(parameter.numel() for module in modules for parameter in module.parameters())


def ctc() -> CTC:
    return CTC(vocab_size=VOCAB, input_size=256)


def decoder() -> TransformerDecoder:
    return TransformerDecoder(TransformerDecoderConfig(), vocab_size=VOCAB, encoder_size=256)


def test_conformer_of_the_benchmark() -> None:
    encoder = ConformerEncoder(ConformerConfig(), input_size=80)
    assert count(encoder) == 20_906_496
    assert count(encoder, decoder(), ctc()) == 34_229_520


def test_e_branchformer_of_librispeech_100() -> None:
    encoder = EBranchformerEncoder(EBranchformerConfig(), input_size=80)
    hybrid, alone = count(encoder, decoder(), ctc()), count(encoder, ctc())
    assert hybrid == 38_471_952
    assert hybrid == pytest.approx(38.47e6, rel=0.005)
    assert alone == pytest.approx(26.43e6, rel=0.005)


def test_transformer_of_mini_an4() -> None:
    encoder = TransformerEncoder(
        TransformerConfig(
            output_size=2, attention_heads=2, linear_units=2, num_blocks=2, input_layer="conv1d2"
        ),
        input_size=80,
    )
    small = TransformerDecoder(
        TransformerDecoderConfig(attention_heads=2, linear_units=2, num_blocks=2),
        vocab_size=30,
        encoder_size=2,
    )
    assert (count(encoder), count(small)) == (594, 298)
