"""HiFi-GAN: published sizes and weights, losses by their definition, turns, and the way to a vocoder."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from espnet3_core.errors import UserError
from espnet3_tts.features.config import FeaturesConfig
from espnet3_tts.features.features import Features
from espnet3_tts.models.hifigan.config import DiscriminatorsConfig, GeneratorConfig, HifiGanConfig
from espnet3_tts.models.hifigan.discriminators import Discriminators
from espnet3_tts.models.hifigan.generator import Generator
from espnet3_tts.models.hifigan.interop import load_published
from espnet3_tts.models.hifigan.losses import adversarial_loss, discriminator_loss, feature_loss
from espnet3_tts.models.hifigan.model import HifiGan
from espnet3_tts.vocoders import hifigan
from espnet3_tts.vocoders.config import HifiGanVocoderConfig
from espnet3_tts.vocoders.hifigan import HifiGanVocoder, check_equal
from torch.nn import functional
from toy_voice import RATE, Built, small_features

TINY = {
    "channels": 16,
    "upsampling": (8, 4, 2),
    "upsampling_kernels": (16, 8, 4),
    "kernels": (3, 5),
    "dilations": ((1, 3), (1, 3)),
}
V3 = {
    "channels": 256,
    "upsampling": (8, 8, 4),
    "upsampling_kernels": (16, 16, 8),
    "block": "single",
    "kernels": (3, 5, 7),
    "dilations": ((1, 2), (2, 6), (3, 12)),
}


def count(module) -> int:
    return sum(part.numel() for part in module.parameters())


@pytest.mark.parametrize(
    ("options", "parameters"), [({}, 13_926_017), ({"channels": 128}, 925_985), (V3, 1_462_273)]
)
def test_generators_have_the_published_sizes(options, parameters):
    """13.92 M, 0.92 M and 1.46 M (Kong et al. 2020, table 1), counted without the norms of weights."""
    with torch.device("meta"):
        generator = Generator(GeneratorConfig(**options), n_mels=80)
    norms = sum(part.numel() for name, part in generator.named_parameters() if name.endswith("original0"))
    assert count(generator) - norms == parameters


def test_discriminators_see_what_the_paper_says():
    with torch.device("meta"):
        found = Discriminators(DiscriminatorsConfig())
    assert [part.period for part in found.periods] == [2, 3, 5, 7, 11]
    # Five of periods and three of scales, weights and biases; norms of weights taken off.
    norms = sum(part.numel() for name, part in found.named_parameters() if name.endswith("original0"))
    spectral = sum(part.numel() for part in found.scales[0].parameters() if part.dim() > 1)
    period = (
        5 * (32 + 32 * 128 + 128 * 512 + 512 * 1024 + 1024 * 1024) + 3 * 1024 + 32 + 128 + 512 + 2 * 1024 + 1
    )
    kernels = [
        (1, 128, 15),
        (32, 128, 41),
        (8, 256, 41),
        (16, 512, 41),
        (32, 1024, 41),
        (64, 1024, 41),
        (1024, 1024, 5),
    ]
    scale = sum(a * b * k + b for a, b, k in kernels) + 3 * 1024 + 1
    wanted = 5 * period + 3 * scale
    assert count(found) in (wanted + norms, wanted + norms - spectral)
    small = Discriminators(DiscriminatorsConfig(divisor=8))
    assert count(small) < 2_000_000
    judged = small(torch.randn(2, 1001))
    assert len(judged) == 8
    assert all(len(judgement.scores) == 2 for judgement in judged)


def reference(state: dict[str, torch.Tensor], mel: torch.Tensor, config: GeneratorConfig) -> torch.Tensor:
    """The published generator in functional form, from its weights by their published names."""

    def weight(name: str) -> torch.Tensor:
        direction = state[f"{name}.weight_v"]
        norm = direction.flatten(1).norm(dim=1).view(-1, *[1] * (direction.dim() - 1))
        return state[f"{name}.weight_g"] * direction / norm

    def conv(values: torch.Tensor, name: str, dilation: int = 1) -> torch.Tensor:
        kernel = weight(name)
        padding = (kernel.shape[-1] - 1) * dilation // 2
        return functional.conv1d(values, kernel, state[f"{name}.bias"], padding=padding, dilation=dilation)

    values = conv(mel.transpose(1, 2), "conv_pre")
    wide = len(config.kernels)
    for level, (factor, kernel) in enumerate(zip(config.upsampling, config.upsampling_kernels, strict=True)):
        values = functional.conv_transpose1d(
            functional.leaky_relu(values, 0.1), weight(f"ups.{level}"), state[f"ups.{level}.bias"], factor,
            padding=(kernel - factor) // 2,
        )  # fmt: skip
        total = 0
        for block in range(wide):
            name, hidden = f"resblocks.{level * wide + block}", values
            for number, dilation in enumerate(config.dilations[block]):
                inner = conv(functional.leaky_relu(hidden, 0.1), f"{name}.convs1.{number}", dilation)
                hidden = hidden + conv(functional.leaky_relu(inner, 0.1), f"{name}.convs2.{number}")
            total = total + hidden
        values = total / wide
    return conv(functional.leaky_relu(values), "conv_post").tanh()[:, 0]


def published(config: GeneratorConfig, n_mels: int) -> dict[str, torch.Tensor]:
    """Random weights under the published names."""
    torch.manual_seed(0)
    state: dict[str, torch.Tensor] = {}

    def add(name: str, *shape: int, bias: int) -> None:
        state[f"{name}.weight_v"] = torch.randn(*shape) * 0.1
        state[f"{name}.weight_g"] = torch.rand(shape[0], 1, 1) + 0.5
        state[f"{name}.bias"] = torch.randn(bias) * 0.1

    size = config.channels
    add("conv_pre", size, n_mels, 7, bias=size)
    for level, kernel in enumerate(config.upsampling_kernels):
        add(f"ups.{level}", size, size // 2, kernel, bias=size // 2)
        size //= 2
        for block, width in enumerate(config.kernels):
            for part in ("convs1", "convs2"):
                for number in range(len(config.dilations[block])):
                    name = f"resblocks.{level * len(config.kernels) + block}.{part}.{number}"
                    add(name, size, size, width, bias=size)
    add("conv_post", 1, size, 7, bias=1)
    return state


def without_norms(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    plain = {name: value for name, value in state.items() if name.endswith("bias")}
    for name in [name.removesuffix(".weight_v") for name in state if name.endswith("weight_v")]:
        v = state[f"{name}.weight_v"]
        plain[f"{name}.weight"] = state[f"{name}.weight_g"] * v / v.flatten(1).norm(dim=1)[:, None, None]
    return plain


@pytest.mark.parametrize("normed", [True, False])
def test_published_weights_give_the_published_waveform(normed, tmp_path):
    config = GeneratorConfig(**TINY)
    state = published(config, 20)
    mel = torch.randn(2, 9, 20)
    wanted = reference(state, mel, config)
    torch.save({"generator": state if normed else without_norms(state)}, tmp_path / "g")
    generator = Generator(config, n_mels=20)
    load_published(generator, tmp_path / "g")
    with torch.no_grad():
        assert torch.allclose(generator(mel), wanted, atol=1e-5)
        assert torch.allclose(generator.plain()(mel), wanted, atol=1e-5)
    vocoder = HifiGanVocoder(
        HifiGanVocoderConfig(weights="g", generator=config), features=small_features(), recipe_dir=tmp_path
    )
    audio = vocoder(mel, torch.tensor([9, 4]))
    assert torch.allclose(audio[0], wanted[0], atol=1e-5)
    assert audio[1, 4 * 64 :].abs().sum() == 0
    assert torch.allclose(audio[1, : 4 * 64], reference(state, mel[1:, :4], config)[0], atol=1e-5)


def test_weights_that_do_not_fit_are_told(tmp_path):
    generator = Generator(GeneratorConfig(**TINY), n_mels=20)
    with pytest.raises(UserError, match="cannot be read"):
        load_published(generator, tmp_path / "nowhere")
    torch.save({"discriminator": {}}, tmp_path / "d")
    with pytest.raises(UserError, match="holds no HiFi-GAN generator"):
        load_published(generator, tmp_path / "d")
    torch.save(published(GeneratorConfig(**TINY), 40), tmp_path / "g")
    with pytest.raises(UserError, match="of other sizes.*first"):
        load_published(generator, tmp_path / "g")


def test_losses_by_their_definition():
    torch.manual_seed(0)
    part = Discriminators(DiscriminatorsConfig(divisor=8, periods=(2, 3), scales=2))
    real, fake = part(torch.randn(2, 500)), part(torch.randn(2, 500))
    wanted = sum(((a.scores - 1) ** 2).mean() + (b.scores**2).mean() for a, b in zip(real, fake, strict=True))
    assert torch.allclose(discriminator_loss(real, fake), wanted)
    assert torch.allclose(adversarial_loss(fake), sum(((b.scores - 1) ** 2).mean() for b in fake))
    layers = [
        (a, b) for one, two in zip(real, fake, strict=True) for a, b in zip(one[1], two[1], strict=True)
    ]
    assert torch.allclose(feature_loss(real, fake), sum((a - b).abs().mean() for a, b in layers))
    assert feature_loss(real, real) == 0


def make_gan(**options) -> HifiGan:
    torch.manual_seed(0)
    features = FeaturesConfig(n_fft=256, window=256, hop=64, n_mels=20, fmax=None)
    config = HifiGanConfig(
        frontend=Built(Features, features, "sample_rate"),
        generator=GeneratorConfig(**TINY),
        discriminators=DiscriminatorsConfig(divisor=8, periods=(2, 3), scales=1),
        segment=8,
        **options,
    )
    return HifiGan(config, sample_rate=RATE)


def test_turns_have_their_losses_and_share_the_copy(make_batch):
    gan = make_gan()
    batch = make_batch(["a", "b"], [0.4, 0.03])
    shared: dict = {}
    judged = gan(batch["speech"], batch["speech_lengths"], turn="discriminator", shared=shared)
    assert shared["real"].shape == shared["copy"].shape == (2, 8 * 64)
    assert shared["real"][1, 240:].abs().sum() == 0
    judged["loss"].backward()
    assert all(part.grad is None for part in gan.generator.parameters())
    output = gan(batch["speech"], batch["speech_lengths"], turn="generator", shared=shared)
    parts = output["mel"] + output["features"] + output["adversarial"]
    assert output["loss"].item() == pytest.approx(parts.item(), rel=1e-5)
    output["loss"].backward()
    assert all(part.grad is not None for part in gan.generator.parameters())
    with pytest.raises(UserError, match="no turn 'both'"):
        gan(batch["speech"], batch["speech_lengths"], turn="both")


def test_pieces_are_of_the_recordings_and_fixed_in_validation(make_batch):
    gan = make_gan()
    batch = make_batch(["a"], [0.4])
    speech, lengths = batch["speech"], batch["speech_lengths"]
    pieces = [gan._pieces(speech, lengths)[0][0] for _ in range(5)]
    windows = speech[0].unfold(0, 512, 1)
    assert all((windows == piece).all(1).any() for piece in pieces)
    assert not torch.equal(pieces[0], pieces[1])
    gan.eval()
    assert torch.equal(gan._pieces(speech, lengths)[0], gan._pieces(speech, lengths)[0])


def test_a_generator_learns_to_copy(make_batch):
    """Two plain optimizers in turn: the spectrogram's distance falls by half."""
    gan = make_gan()
    batch = make_batch(["a", "b"], [0.4, 0.4])
    sides = {side: torch.optim.AdamW(getattr(gan, side).parameters(), lr=2e-3, betas=(0.8, 0.99))
             for side in ("discriminator", "generator")}  # fmt: skip
    distances = []
    for _ in range(40):
        shared: dict = {}
        for side, optimizer in sides.items():
            output = gan(batch["speech"], batch["speech_lengths"], turn=side, shared=shared)
            optimizer.zero_grad()
            output["loss"].backward()
            optimizer.step()
        distances.append(float(output["mel"]))
    assert sum(distances[-5:]) < 0.6 * sum(distances[:5])


def test_a_vocoder_of_other_spectrograms_is_refused_with_what_differs():
    ours = small_features()
    other = Features(FeaturesConfig(n_fft=512, window=256, hop=64, n_mels=20, fmax=None), sample_rate=16000)
    with pytest.raises(UserError) as caught:
        check_equal(other, ours, "exp/bundle")
    assert caught.value.message == (
        "exp/bundle: the vocoder speaks other spectrograms than the model makes: n_fft 512 and 256; "
        "fmax 8000.0 and 4000.0; sample_rate 16000 and 8000"
    )
    check_equal(small_features(), ours, "same")


def test_a_packed_vocoder_speaks(monkeypatch, tmp_path, make_batch):
    import espnet3_core.bundle.load

    gan = make_gan().eval()
    monkeypatch.setattr(espnet3_core.bundle.load, "load", lambda path, device: SimpleNamespace(model=gan))
    batch = make_batch(["a"], [0.4])
    (copied,) = gan.infer(batch)
    vocoder = HifiGanVocoder(
        HifiGanVocoderConfig(bundle="voc"), features=small_features(), recipe_dir=tmp_path
    )
    found = gan.features(batch["speech"], batch["speech_lengths"])
    audio = vocoder(found.mel, found.lengths)
    assert torch.allclose(audio[0], torch.from_numpy(copied["audio"].samples), atol=1e-5)
    monkeypatch.setattr(espnet3_core.bundle.load, "load", lambda path, device: SimpleNamespace(model=audio))
    with pytest.raises(UserError, match="is not a bundle of tts/hifigan"):
        hifigan._from_bundle(tmp_path, small_features())


def test_options_that_do_not_fit_are_refused():
    with pytest.raises(UserError, match="either a bundle or weights"):
        HifiGanVocoderConfig(bundle="a", weights="b")
    with pytest.raises(UserError, match="nothing to speak with"):
        HifiGanVocoder(HifiGanVocoderConfig(), features=small_features())
    with pytest.raises(UserError, match="upsampling .* do not fit"):
        GeneratorConfig(upsampling=(8, 8), upsampling_kernels=(16,))
    with pytest.raises(UserError, match="cannot be halved"):
        GeneratorConfig(**{**TINY, "channels": 12})
    features = FeaturesConfig(n_fft=256, window=256, hop=128, n_mels=20, fmax=None)
    frontend = Built(Features, features, "sample_rate")
    config = HifiGanConfig(frontend=frontend, generator=GeneratorConfig(**TINY))
    with pytest.raises(UserError, match="makes 64 samples of a frame, and frontend.hop is 128"):
        HifiGan(config, sample_rate=RATE)
