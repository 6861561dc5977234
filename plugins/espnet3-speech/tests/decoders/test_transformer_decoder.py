import pickle

import pytest
import torch
from espnet3_speech.decoders.config import TransformerDecoderConfig
from espnet3_speech.decoders.transformer import DecoderState, TransformerDecoder

CONFIG = TransformerDecoderConfig(num_blocks=2, attention_heads=2, linear_units=24)
LENGTHS = torch.tensor([9, 5, 1])


def make(dtype: torch.dtype = torch.float64) -> TransformerDecoder:
    torch.manual_seed(0)
    return TransformerDecoder(CONFIG, vocab_size=11, encoder_size=16).to(dtype).eval()


def memory(dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(3, 9, 16, dtype=dtype, generator=torch.Generator().manual_seed(5))


def whole(decoder: TransformerDecoder, tokens: list[int], row: int, frames: torch.Tensor) -> torch.Tensor:
    """Log-probabilities after the last token, from a forward pass over one utterance alone."""
    length = LENGTHS[row : row + 1]
    logits = decoder(
        torch.tensor([tokens]), torch.tensor([len(tokens)]), frames[row : row + 1, :length], length
    )
    return logits[0, -1].log_softmax(-1)


@pytest.mark.parametrize(("dtype", "bar"), [(torch.float32, 1e-5), (torch.float64, 1e-10)])
def test_steps_equal_the_whole(dtype: torch.dtype, bar: float) -> None:
    decoder, frames = make(dtype), memory(dtype)
    tokens = torch.randint(0, 11, (3, 7))
    logits = decoder(tokens, torch.full((3,), 7), frames, LENGTHS)
    state = decoder.start(frames, LENGTHS)
    for position in range(7):
        log_probs, state = decoder.step(tokens[:, position], state)
        assert (log_probs - logits[:, position].log_softmax(-1)).abs().max() <= bar


def test_padding_of_tokens_and_memory_changes_nothing() -> None:
    decoder, frames = make(), memory()
    tokens = torch.randint(0, 11, (3, 7))
    tokens[1, 4:] = -1
    together = decoder(tokens, torch.tensor([7, 4, 7]), frames, LENGTHS)
    alone = decoder(tokens[1:2, :4], torch.tensor([4]), frames[1:2, :5], LENGTHS[1:2])
    assert torch.allclose(together[1, :4], alone[0], rtol=0, atol=1e-10)


def test_a_token_sees_no_later_token() -> None:
    decoder, frames = make(), memory()
    tokens = torch.randint(0, 11, (3, 7))
    changed = tokens.clone()
    changed[:, 4:] = (changed[:, 4:] + 1) % 11
    lengths = torch.full((3,), 7)
    one, other = decoder(tokens, lengths, frames, LENGTHS), decoder(changed, lengths, frames, LENGTHS)
    assert torch.allclose(one[:, :4], other[:, :4])
    assert not torch.allclose(one[:, 4:], other[:, 4:])


ORDERS = {
    "a full beam": [[0, 0, 1, 1, 2, 2], [1, 0, 3, 3, 5, 4]],
    "uneven beams": [[0, 0, 0, 1, 2], [2, 0, 3, 3, 4, 4]],
    "an utterance ends": [[0, 0, 1, 1, 2, 2], [0, 1, 4, 5]],
    "all but one end": [[0, 1, 2, 2], [3, 2], [1]],
    "out of order": [[2, 0, 1, 0], [3, 1, 0, 2, 2]],
}


@pytest.mark.parametrize("name", ORDERS)
def test_reordered_hypotheses_keep_their_utterance_and_their_past(name: str) -> None:
    decoder, frames = make(), memory()
    state: DecoderState = decoder.start(frames, LENGTHS)
    hypotheses: list[tuple[int, list[int]]] = [(row, []) for row in range(3)]
    generator = torch.Generator().manual_seed(7)
    for order in [*ORDERS[name], None]:
        tokens = torch.randint(0, 11, (len(hypotheses),), generator=generator)
        hypotheses = [
            (row, [*past, int(token)]) for (row, past), token in zip(hypotheses, tokens, strict=True)
        ]
        log_probs, state = decoder.step(tokens, state)
        for (row, past), result in zip(hypotheses, log_probs, strict=True):
            assert torch.allclose(result, whole(decoder, past, row, frames), rtol=0, atol=1e-10)
        if order is not None:
            state = decoder.reorder(state, torch.tensor(order))
            hypotheses = [hypotheses[i] for i in order]


def test_beams_open_before_the_first_token() -> None:
    decoder, frames = make(), memory()
    state = decoder.reorder(decoder.start(frames, LENGTHS), torch.tensor([0, 0, 1, 1, 2, 2]))
    log_probs, _ = decoder.step(torch.tensor([3, 4, 3, 4, 3, 4]), state)
    for number, result in enumerate(log_probs):
        assert torch.allclose(result, whole(decoder, [3 + number % 2], number // 2, frames), atol=1e-10)


def test_a_beam_does_not_copy_the_memory() -> None:
    decoder, frames = make(), memory()
    state = decoder.start(frames, LENGTHS)
    beam = decoder.reorder(state, torch.arange(3).repeat_interleave(8))
    assert beam.memory.keys_values[0] is state.memory.keys_values[0]
    assert beam.memory.width == 8


def test_states_can_be_branched() -> None:
    decoder, frames = make(), memory()
    _, state = decoder.step(torch.tensor([1, 1, 1]), decoder.start(frames, LENGTHS))
    first, _ = decoder.step(torch.tensor([2, 2, 2]), state)
    decoder.step(torch.tensor([3, 3, 3]), state)
    again, _ = decoder.step(torch.tensor([2, 2, 2]), state)
    assert torch.equal(first, again)


def test_it_trains_under_autocast_and_pickles() -> None:
    decoder = make(torch.float32).train()
    tokens = torch.randint(0, 11, (3, 7))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = decoder(tokens, torch.full((3,), 7), memory(torch.float32), LENGTHS)
        decoder.eval()
        log_probs, _ = decoder.step(tokens[:, 0], decoder.start(memory(torch.float32), LENGTHS))
    assert log_probs.dtype == torch.float32
    logits.float().square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in decoder.parameters())
    copy = pickle.loads(pickle.dumps(decoder))
    arguments = (tokens, torch.full((3,), 7), memory(torch.float32), LENGTHS)
    assert torch.equal(copy(*arguments), decoder(*arguments))
