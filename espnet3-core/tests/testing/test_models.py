"""Classes of models, modules and searches pass what is right, and reject each fault with its message."""

import pytest
import toy_models
from espnet3_core.bundle.load import load
from espnet3_core.specs import ModelSpec, ModuleSpec, SearchSpec
from espnet3_core.testing import ModelConformance, ModuleConformance, SearchConformance
from espnet3_core.testing.speech import sample_speech
from espnet3_core.testing.stand_ins import stand_ins
from kit import run

CONFIG = "toy_parts:Fault"


class Model(ModelConformance):
    name = "toy/model"
    needs = {"classes": 3}


class Plain(ModelConformance):
    name = "toy/model"


class Encoder(ModuleConformance):
    name = "toy/encoder"
    role = "encoder"


class Search(SearchConformance):
    name = "toy/search"
    model = {"name": "toy/model"}


@pytest.fixture(autouse=True)
def toys(catalog):
    catalog(
        ModelSpec(name="toy/model", target="toy_models:Model", config=CONFIG),
        ModuleSpec(name="toy/encoder", role="encoder", target="toy_models:Encoder", config=CONFIG),
        SearchSpec(name="toy/search", target="toy_models:Search", config=CONFIG),
    )


@pytest.mark.parametrize("case", [Model, Encoder, Search])
def test_the_right_part_passes(case, passes):
    passes(case)


TRAINING = "test_forward_and_backward_give_finite_gradients"
BATCH = "test_alone_and_in_a_batch"


@pytest.mark.parametrize(
    ("case", "fault", "method", "message"),
    [
        (Model, "nan", TRAINING, "forward()['loss'] is not finite"),
        (Model, "detached", TRAINING, "the loss depends on no parameter"),
        (Model, "nan_gradient", TRAINING, "the gradient of['out.weight'] is not finite"),
        (Model, "zero_gradient", TRAINING, "all gradients are zero"),
        (Model, "padding", "test_what_stands_in_the_padding_does_not_matter", "changes the result in fp32"),
        (Model, "padding", BATCH, "utterance u1 alone and in a batch of 4"),
        (Model, "batch", BATCH, "utterance u0 alone and in a batch of 4, fp32"),
        (Model, "sum", "test_the_loss_is_the_mean_of_its_utterances", "is not the mean of its utterances'"),
        (Model, "state", "test_weights_are_all_of_its_state", "says something else"),
        (Model, "state", "test_saves_and_loads_through_a_bundle", "loaded from a bundle, it says something"),
        (Model, "bundle", "test_saves_and_loads_through_a_bundle", "its bundle cannot be loaded"),
        (Encoder, "nan", "test_outputs_and_gradients_are_finite", "its output[0] is not finite"),
        (Encoder, "nan_gradient", "test_outputs_and_gradients_are_finite", "['layer.weight'] is not finite"),
        (Encoder, "padding", BATCH, "alone and in a batch of 5 (row 0), fp32"),
        (Encoder, "state", "test_weights_are_all_of_its_state", "says something else"),
        (Encoder, "output_size", "test_it_tells_its_sizes", "output_size is 7, and its output has 6"),
        (Encoder, "output_lengths", "test_it_tells_its_sizes", "output_lengths says [60, 0, 23, 8, 39]"),
        (Search, "count", "test_one_result_per_utterance", "3 results for 4 utterances"),
        (Search, "object", "test_one_result_per_utterance", "not JSON serializable"),
        (Search, "nan", "test_one_result_per_utterance", "not JSON compliant"),
        (Search, "random", "test_one_result_per_utterance", "asked again"),
        (Search, "batch", BATCH, "utterance u0 alone and in a batch of 4"),
    ],
)
def test_a_fault_is_rejected(case, fault, method, message, rejects):
    rejects(case, fault, method, message)


def test_a_model_that_declares_it_is_not_compared(tmp_path):
    with pytest.raises(pytest.skip.Exception, match="declares batch_invariant = False"):
        run(Model, BATCH, tmp_path, fault="alone")


def test_a_class_without_a_name_says_so(request, tmp_path):
    with pytest.raises(pytest.fail.Exception, match="does not say which component it tests"):
        ModelConformance.chosen._get_wrapped_function()(ModelConformance(), request, tmp_path)


def test_an_option_that_does_not_exist_is_told(tmp_path):
    with pytest.raises(pytest.fail.Exception, match="did you mean 'fault'"):
        run(Model, TRAINING, tmp_path, foult="")


def test_a_bundle_of_such_a_model_decodes_utterances_alone(tmp_path, monkeypatch):
    sizes = []
    infer = toy_models.Model.infer
    monkeypatch.setattr(
        toy_models.Model,
        "infer",
        lambda self, batch: (sizes.append(len(batch["ids"])), infer(self, batch))[1],
    )
    audio = [item["speech"] for item in sample_speech().items]
    for fault, wanted in (("alone", [1, 1, 1, 1]), ("", [4])):
        test = Plain()
        test.folder, test.config = tmp_path / (fault or "right"), {"fault": fault}
        with stand_ins():
            loaded = load(test._packed(test.model()), device="cpu")
        loaded.batch(audio, sample_rate=8000)
        assert sizes == wanted
        sizes.clear()
