"""Writes espnet2_reference.json: names and shapes of small ESPnet models, and losses that they give.

Run in an environment with ESPnet (``benchmarks/setup_peers.sh`` makes one). Weights and audio are functions
of names and positions, so that the file holds no weights.
"""

import json
import zlib
from pathlib import Path

import numpy as np

FRONTEND = {"fs": 16_000, "n_fft": 512, "win_length": 400, "hop_length": 160}
TOKENS = ["<blank>", "<unk>", "a", "b", "c", "d", "<sos/eos>"]
COMMON = {
    "output_size": 16,
    "attention_heads": 2,
    "linear_units": 24,
    "num_blocks": 2,
    "input_layer": "conv2d",
    "dropout_rate": 0.0,
    "positional_dropout_rate": 0.0,
    "attention_dropout_rate": 0.0,
}
RELATIVE = {"rel_pos_type": "latest", "pos_enc_layer_type": "rel_pos"}
ENCODERS = {
    "transformer": COMMON,
    "conformer": {
        **COMMON,
        **RELATIVE,
        "selfattention_layer_type": "rel_selfattn",
        "macaron_style": True,
        "use_cnn_module": True,
        "cnn_module_kernel": 5,
    },
    "e_branchformer": {
        **COMMON,
        **RELATIVE,
        "attention_layer_type": "rel_selfattn",
        "ffn_activation_type": "swish",
        "cgmlp_linear_units": 24,
        "cgmlp_conv_kernel": 5,
        "merge_conv_kernel": 3,
        "use_ffn": True,
        "macaron_ffn": True,
    },
}
DECODER = {
    "attention_heads": 2,
    "linear_units": 24,
    "num_blocks": 1,
    "dropout_rate": 0.0,
    "positional_dropout_rate": 0.0,
}


def weights(name, shape):
    """Values that depend on the name alone; variances positive."""
    values = np.random.RandomState(zlib.crc32(name.encode())).uniform(-0.3, 0.3, shape).astype(np.float32)
    return np.abs(values) + np.float32(0.5) if name.endswith("running_var") else values


def batch():
    """Two utterances of equal length and their texts."""
    time = np.arange(16_000, dtype=np.float64) / 16_000
    speech = np.stack([np.sin(2 * np.pi * (200 + 900 * time * k) * time) * 0.3 for k in (1, 2)])
    return speech.astype(np.float32), np.array([[2, 3, 4, 5], [5, 5, 2, -1]]), np.array([4, 3])


def main():
    import torch
    from espnet3.utils.task_utils import get_espnet_model

    speech, text, lengths = batch()
    found = {}
    for encoder, encoder_conf in ENCODERS.items():
        config = {
            "vocab_size": len(TOKENS), "token_list": TOKENS, "token_type": "char", "init": None,
            "frontend": "default", "frontend_conf": FRONTEND, "specaug": None,
            "normalize": "utterance_mvn", "normalize_conf": {},
            "encoder": encoder, "encoder_conf": encoder_conf,
            "decoder": "transformer", "decoder_conf": DECODER,
            "model": "espnet", "model_conf": {"ctc_weight": 0.3, "lsm_weight": 0.1},
        }  # fmt: skip
        model = get_espnet_model("espnet3.systems.esp2_asr.task.ASRTask", config).eval()
        state = model.state_dict()
        shapes = {name: list(value.shape) for name, value in state.items()}
        ours = {
            n: torch.from_numpy(weights(n, s)) for n, s in shapes.items() if n.split(".")[0] != "frontend"
        }
        model.load_state_dict({**state, **{n: v for n, v in ours.items() if state[n].is_floating_point()}})
        _, stats, _ = model(
            speech=torch.from_numpy(speech), speech_lengths=torch.full((2,), speech.shape[1]),
            text=torch.from_numpy(text), text_lengths=torch.from_numpy(lengths),
        )  # fmt: skip
        losses = {name: float(stats[name]) for name in ("loss", "loss_ctc", "loss_att")}
        found[encoder] = {"shapes": shapes, **losses}
    path = Path(__file__).parent / "espnet2_reference.json"
    path.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
