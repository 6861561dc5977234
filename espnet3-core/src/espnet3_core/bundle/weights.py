"""Weights files: what a safetensors header may say, checked before anything maps the file."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from espnet3_core.bundle.json_files import parse_json
from espnet3_core.bundle.limits import Limits
from espnet3_core.bundle.names import refused

if TYPE_CHECKING:
    from torch import Tensor, nn

_BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "I16": 16, "U16": 16, "F16": 16, "BF16": 16,
    "I32": 32, "U32": 32, "F32": 32, "I64": 64, "U64": 64, "F64": 64,
}  # fmt: skip
_WHOLE = 1 << 62


def serialize(weights: Mapping[str, Tensor]) -> bytes:
    """A state dict as safetensors; tied tensors are written under each of their names."""
    from safetensors.torch import save
    from torch import Tensor

    tensors = {
        name: value.detach().cpu().contiguous().clone()
        for name, value in sorted(weights.items())
        if isinstance(value, Tensor)
    }
    # One entry only: safetensors does not keep the order of several, and equal weights must be equal bytes.
    return bytes(save(tensors, metadata={"format": "pt"}))


def weights_metadata(path: Path) -> dict[str, Any]:
    """What the header of a weights file says (epoch, step …); empty for other files."""
    if path.suffix != ".safetensors":
        return {}
    from safetensors import safe_open

    with safe_open(str(path), framework="pt") as file:
        header: dict[str, str] = file.metadata() or {}
    return {key: _parsed(value) for key, value in sorted(header.items()) if key != "format"}


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def check_weights(path: Path, limits: Limits) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Type and shape of every tensor, when the header describes exactly the bytes that follow it.

    The format (https://huggingface.co/docs/safetensors): eight bytes of length, a JSON header, then the
    tensors, which cover the rest of the file without holes or overlaps.

    Raises:
        UserError: The file is truncated, or its header contradicts itself or the file.
    """
    size = path.stat().st_size
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if size < 8 or length > size - 8:
            raise refused(path, "it is truncated: the header of the weights is not whole")
        if length > limits.json_bytes:
            raise refused(path, f"the header of the weights has more than {limits.json_bytes} bytes")
        header = parse_json(stream.read(length), path, limits)
    header.pop("__metadata__", None)
    spans, found = [], {}
    for name, entry in header.items():
        dtype, shape, (begin, end) = _entry(path, name, entry)
        if end - begin != math.prod(shape) * _BITS[dtype] // 8:
            raise refused(
                path, f"tensor {name!r}: {dtype} of shape {shape} does not have {end - begin} bytes"
            )
        spans.append((begin, end, name))
        found[name] = (dtype, shape)
    position = 0
    for begin, end, name in sorted(spans):
        if begin != position:
            problem = "overlaps another" if begin < position else "has a hole before it"
            raise refused(path, f"tensor {name!r} {problem}")
        position = end
    if position != size - 8 - length:
        problem = "it is truncated" if position > size - 8 - length else "bytes follow the last tensor"
        raise refused(
            path, f"{problem}: the header describes {position} bytes, {size - 8 - length} are there"
        )
    return found


def _entry(path: Path, name: str, entry: Any) -> tuple[str, tuple[int, ...], tuple[int, int]]:
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise refused(path, f"tensor {name!r} is not described by dtype, shape and data_offsets")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if dtype not in _BITS:
        raise refused(path, f"tensor {name!r}: the type {dtype!r} is not known")
    numbers = [shape, offsets]
    if not all(isinstance(part, list) and all(_is_size(item) for item in part) for part in numbers):
        raise refused(path, f"tensor {name!r}: shape or offsets are not lists of whole numbers")
    if len(offsets) != 2 or offsets[0] > offsets[1] or len(shape) > 16:
        raise refused(path, f"tensor {name!r}: shape {shape} or offsets {offsets} make no sense")
    return dtype, tuple(shape), (offsets[0], offsets[1])


def _is_size(value: Any) -> bool:
    return type(value) is int and 0 <= value < _WHOLE


def check_types(path: Path, model: nn.Module) -> None:
    """Refuse tensors of another kind of number than the model's: loading would convert them silently.

    Raises:
        UserError: A tensor holds whole numbers where the model has fractions, or the other way round.
    """
    from safetensors import safe_open

    own = model.state_dict()
    with safe_open(str(path), framework="pt") as file:
        for name in file.keys():  # noqa: SIM118 -- not a dict
            dtype = file.get_slice(name).get_dtype()
            if name in own and _kind(dtype) != _kind(_NAMES.get(str(own[name].dtype), "")):
                raise refused(path, f"tensor {name!r} is {dtype}, and the model's is {own[name].dtype}")


_NAMES = {"torch.bool": "BOOL", "torch.uint8": "U8", "torch.float16": "F16", "torch.bfloat16": "BF16"}
_NAMES |= {f"torch.int{bits}": f"I{bits}" for bits in (8, 16, 32, 64)}
_NAMES |= {f"torch.float{bits}": f"F{bits}" for bits in (32, 64)}


def _kind(dtype: str) -> str:
    return dtype.rstrip("0123456789").removeprefix("B") if dtype != "BOOL" else dtype
