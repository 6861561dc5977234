import random

import numpy as np
import torch
from espnet3_core.train.randomness import mix_seed, seed_everything


def draw():
    return (
        random.random(),
        float(np.random.rand()),
        float(torch.rand(1)),
        torch.nn.Dropout(0.5)(torch.ones(64)).tolist(),
    )


def test_equal_places_draw_equal_numbers_whatever_came_before():
    places = [
        (seed, "train", epoch, batch, rank)
        for seed in (0, 1)
        for epoch in (0, 1)
        for batch in (0, 1)
        for rank in (0, 1)
    ]
    drawn = []
    for place in places:
        seed_everything(*place)
        first = draw()
        draw()
        seed_everything(*place)
        assert draw() == first
        drawn.append(first)
    assert len({str(values) for values in drawn}) == len(places)


def test_torch_is_seeded_as_by_its_own_function():
    seed_everything("x")
    ours = torch.rand(3)
    torch.manual_seed(mix_seed("x"))
    assert torch.equal(ours, torch.rand(3))


def test_seeding_is_cheap_and_leaves_nothing_behind():
    queued = len(torch.cuda._queued_calls)
    seed_everything(1)
    assert len(torch.cuda._queued_calls) == queued
