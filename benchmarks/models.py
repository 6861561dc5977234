"""The benchmark model on each side: Conformer 12 x 256 with a Transformer decoder 6 x 2048, 5000 tokens."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

VOCABULARY = 5000
TOKENS = ["<blank>", "<unk>", *(f"t{number}" for number in range(VOCABULARY - 3)), "<sos/eos>"]


def ours(dropout: float) -> Any:
    """The configuration group ``asr/conformer`` without SpecAugment."""
    import espnet3_asr.conf
    import yaml
    from espnet3_core.build import build

    node = yaml.safe_load((Path(espnet3_asr.conf.__file__).parent / "model/asr/conformer.yaml").read_text())
    for part in (node["encoder"], node["decoder"]):
        part.update({name: dropout for name in part if name.endswith("dropout")})
    needs = {"vocab_size": VOCABULARY, "sample_rate": 16_000, "stats": None, "tokenizer": None}
    return build({**node, "specaugment": None}, needs, kind="model", path="benchmark")


def espnet(dropout: float) -> tuple[Any, dict[str, Any]]:
    """The same model of ESPnet's, and its configuration."""
    import logging

    logging.disable(logging.INFO)
    from espnet3.utils.task_utils import get_espnet_model

    encoder = {
        "output_size": 256, "attention_heads": 4, "linear_units": 1024, "num_blocks": 12,
        "input_layer": "conv2d", "normalize_before": True, "macaron_style": True, "rel_pos_type": "latest",
        "pos_enc_layer_type": "rel_pos", "selfattention_layer_type": "rel_selfattn",
        "activation_type": "swish", "use_cnn_module": True, "cnn_module_kernel": 31, "dropout_rate": dropout,
        "positional_dropout_rate": dropout, "attention_dropout_rate": dropout,
    }  # fmt: skip
    decoder = {
        "attention_heads": 4, "linear_units": 2048, "num_blocks": 6, "dropout_rate": dropout,
        "positional_dropout_rate": dropout, "self_attention_dropout_rate": dropout,
        "src_attention_dropout_rate": dropout,
    }  # fmt: skip
    frontend = {"fs": 16_000, "n_fft": 512, "win_length": 400, "hop_length": 160, "n_mels": 80}
    config = {
        "vocab_size": VOCABULARY, "token_list": TOKENS, "token_type": "bpe", "init": "xavier_uniform",
        "frontend": "default", "frontend_conf": frontend, "specaug": None,
        "normalize": "utterance_mvn", "normalize_conf": {},
        "encoder": "conformer", "encoder_conf": encoder, "decoder": "transformer", "decoder_conf": decoder,
        "model": "espnet",
        "model_conf": {"ctc_weight": 0.3, "lsm_weight": 0.1, "length_normalized_loss": False},
    }  # fmt: skip
    return get_espnet_model("espnet3.systems.esp2_asr.task.ASRTask", config), config


def parameters(model: Any) -> int:
    """Number of parameters."""
    return sum(parameter.numel() for parameter in model.parameters())


def save_espnet(model: Any, folder: Path) -> None:
    """Leave the peer's weights where our side finds them: raw float32 arrays and an index."""
    import numpy as np

    state = {name: value.numpy() for name, value in model.state_dict().items()}
    np.savez(folder / "weights.partial.npz", **state)
    (folder / "weights.partial.npz").rename(folder / "weights.npz")
    (folder / "names.json").write_text(json.dumps({name: value.shape for name, value in state.items()}))


def load_espnet(model: Any, folder: Path) -> None:
    """Give our model the weights that :func:`save_espnet` left."""
    import numpy as np
    import torch
    from espnet3_asr.interop.espnet2 import from_espnet2

    with np.load(folder / "weights.npz") as arrays:
        state = {name: torch.from_numpy(arrays[name]) for name in arrays}
    model.load_state_dict(from_espnet2(state))


class Tokens:
    """A tokenizer for the vocabulary of the benchmark model."""

    tokens = TOKENS
    eos_id = VOCABULARY - 1

    def __len__(self) -> int:
        return VOCABULARY

    def decode(self, ids: list[int]) -> str:
        """Tokens with spaces between them."""
        return " ".join(TOKENS[number] for number in ids)
