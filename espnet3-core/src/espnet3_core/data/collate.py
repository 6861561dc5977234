"""``core/pad``: items to one flat batch of padded tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from espnet3_core.data.config import PadConfig
from espnet3_core.errors import UserError
from espnet3_core.protocols import Batch, Item


class PadCollator:
    """Pad what varies in length, stack numbers, list the rest.

    A field whose values are arrays (or lists of numbers) of shape (length, ...) becomes ``<field>`` of shape
    (batch, longest, ...) and ``<field>_lengths`` of shape (batch,), int64. Floats are padded with 0,
    integers with -1, truth values with False. Numbers become one tensor of shape (batch,). Texts and
    anything else become lists; ``id`` becomes ``ids``.

    Args:
        config: Padding values that differ.
    """

    def __init__(self, config: PadConfig | None = None) -> None:
        self.values: Mapping[str, float] = dict((config or PadConfig()).values)

    def __call__(self, items: Sequence[Item]) -> Batch:
        """Make the batch.

        Raises:
            UserError: Items of one batch differ in their fields or shapes; the utterance is named.
        """
        ids = [str(item["id"]) for item in items]
        batch: Batch = {"ids": ids}
        for name in dict.fromkeys(name for item in items for name in item if name != "id"):
            present = [item[name] for item in items if name in item]
            if all(isinstance(value, str) for value in present):
                batch[name] = [item.get(name, "") for item in items]
                continue
            for item in items:
                if name not in item:
                    raise UserError(
                        f"utterance {item['id']!r} has no field {name!r}, and others of its batch have",
                        hint="all items of a dataset need the same fields",
                    )
            if _is_array(present[0]):
                batch |= self._padded(name, present, ids)
            elif isinstance(present[0], bool | int | float | np.number | np.bool_):
                batch[name] = _number_tensor(present)
            else:
                batch[name] = present
        return batch

    def _padded(self, name: str, values: Sequence[Any], ids: Sequence[str]) -> Batch:
        tensors = []
        for value, key in zip(values, ids, strict=True):
            try:
                tensors.append(_tensor(value))
            except (TypeError, ValueError) as error:
                raise UserError(
                    f"utterance {key!r}: field {name!r} is not an array: {error}",
                    hint="datasets return arrays, numbers or text: leave it out, or choose another collator",
                ) from error
        first = tensors[0]
        for tensor, key in zip(tensors, ids, strict=True):
            if tensor.ndim != first.ndim or tensor.shape[1:] != first.shape[1:]:
                raise UserError(
                    f"utterance {key!r}: field {name!r} has shape {tuple(tensor.shape)}, "
                    f"and that of {ids[0]!r} has {tuple(first.shape)}",
                    hint="only the first dimension may differ",
                )
        if first.ndim == 0:
            return {name: torch.stack(tensors)}
        dtype = max((tensor.dtype for tensor in tensors), key=_rank)
        lengths = torch.tensor([len(tensor) for tensor in tensors], dtype=torch.int64)
        default = 0.0 if dtype.is_floating_point or dtype in (torch.bool, torch.complex64) else -1
        shape = (len(tensors), int(lengths.max()), *first.shape[1:])
        padded = torch.empty(shape, dtype=dtype)
        for row, tensor in zip(padded, tensors, strict=True):
            row[: len(tensor)] = tensor
            row[len(tensor) :] = self.values.get(name, default)
        return {name: padded, f"{name}_lengths": lengths}


def _rank(dtype: torch.dtype) -> int:
    return 2 if dtype.is_floating_point else int(dtype != torch.bool)


def _is_array(value: Any) -> bool:
    if isinstance(value, np.ndarray | torch.Tensor):
        return True
    return isinstance(value, list | tuple) and (not value or isinstance(value[0], bool | int | float | list))


def _tensor(value: Any) -> torch.Tensor:
    """A tensor of float32 (from float64), int64 (from other integers), or the value's own type."""
    if isinstance(value, torch.Tensor):
        tensor = value.detach()
    else:
        array = np.asarray(value)
        if array.dtype == object or array.dtype.kind in "US":
            raise TypeError(f"values of type {array.dtype}")
        if array.size == 0 and isinstance(value, list | tuple):
            array = array.astype(np.int64)
        if any(step < 0 for step in array.strides) or not array.flags.writeable:
            array = array.copy()
        tensor = torch.from_numpy(np.asarray(array, np.int64) if array.dtype.kind == "u" else array)
    if tensor.dtype == torch.float64:
        return tensor.float()
    return tensor if tensor.dtype.is_floating_point or tensor.dtype == torch.bool else tensor.to(torch.int64)


def _number_tensor(values: Sequence[Any]) -> torch.Tensor:
    array = np.asarray(values)
    if array.dtype.kind == "f":
        return torch.tensor(array.tolist(), dtype=torch.float32)
    return torch.tensor(array.tolist(), dtype=torch.bool if array.dtype.kind == "b" else torch.int64)
