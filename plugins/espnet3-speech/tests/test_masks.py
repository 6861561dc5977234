import doctest

import torch
from espnet3_speech import masks
from espnet3_speech.masks import valid_mask, zero_padding


def test_valid_mask() -> None:
    assert valid_mask(torch.tensor([0, 2]), 3).tolist() == [[False, False, False], [True, True, False]]


def test_zero_padding_removes_nan() -> None:
    values = torch.full((1, 3, 2), float("nan"))
    values[0, 0] = 1
    assert zero_padding(values, torch.tensor([1])).tolist() == [[[1, 1], [0, 0], [0, 0]]]


def test_examples_run() -> None:
    result = doctest.testmod(masks)
    assert result.attempted == 1
    assert result.failed == 0
