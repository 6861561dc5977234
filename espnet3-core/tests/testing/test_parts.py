"""Classes of the other kinds pass what is right, and reject each fault with its message."""

import pytest
from espnet3_core.specs import (
    CallbackSpec,
    CollatorSpec,
    DatasetSpec,
    ExecutorSpec,
    FieldSpec,
    MetricSpec,
    OptimizerSpec,
    PublisherSpec,
    SchedulerSpec,
    TokenizerSpec,
    TransformSpec,
)
from espnet3_core.testing import (
    CallbackConformance,
    CollatorConformance,
    DatasetConformance,
    ExecutorConformance,
    FieldConformance,
    MetricConformance,
    OptimizerConformance,
    PublisherConformance,
    SchedulerConformance,
    TokenizerConformance,
    TransformConformance,
)
from kit import run


class Dataset(DatasetConformance):
    name = "toy/dataset"


class Tokenizer(TokenizerConformance):
    name = "toy/tokenizer"


class Collator(CollatorConformance):
    name = "toy/collator"


class Transform(TransformConformance):
    name = "toy/transform"


class Mean(MetricConformance):
    name = "toy/mean"
    values = {"number": [1.0, 2.0, 6.0]}
    expected = {"mean": 3.0}
    empty = {"number": 0.0}


class Publisher(PublisherConformance):
    name = "toy/publisher"


class Executor(ExecutorConformance):
    name = "toy/executor"


class Marker(CallbackConformance):
    name = "toy/callback"


class Momentum(OptimizerConformance):
    name = "toy/optimizer"


class Halving(SchedulerConformance):
    name = "toy/scheduler"


class Letter(FieldConformance):
    name = "toy/letter"
    good = ("a",)
    bad = ("ab", 1)


@pytest.fixture(autouse=True)
def toys(catalog):
    def target(name, module="toy_parts"):
        return {"target": f"{module}:{name}", "config": "toy_parts:Fault"}

    catalog(
        DatasetSpec(name="toy/dataset", **target("Dataset")),
        TokenizerSpec(name="toy/tokenizer", **target("Tokenizer")),
        CollatorSpec(name="toy/collator", **target("Collator", "toy_models")),
        TransformSpec(name="toy/transform", domain="audio", **target("Transform")),
        MetricSpec(name="toy/mean", **target("Mean")),
        PublisherSpec(name="toy/publisher", **target("Publisher")),
        ExecutorSpec(name="toy/executor", **target("Executor")),
        CallbackSpec(name="toy/callback", **target("make_callback", "toy_optimizers")),
        OptimizerSpec(name="toy/optimizer", **target("make_optimizer", "toy_optimizers")),
        SchedulerSpec(name="toy/scheduler", **target("Halving", "toy_optimizers")),
        FieldSpec(name="toy/letter", **target("Letter")),
    )


@pytest.mark.parametrize(
    "case",
    [Dataset, Tokenizer, Collator, Transform, Mean, Publisher, Executor, Marker, Momentum, Halving, Letter],
)
def test_the_right_part_passes(case, passes):
    passes(case)


FAULTS = {
    Dataset: [
        ("empty", "test_ids_are_those_of_its_items", "it is empty"),
        ("no_id", "test_items_are_dicts_with_distinct_ids", "item 0 is {'speech'"),
        ("twice", "test_items_are_dicts_with_distinct_ids", "several items have the id ['u0']"),
        ("ids", "test_ids_are_those_of_its_items", "ids() gives ['u4', 'u3'"),
        ("lengths", "test_lengths_are_seconds", "u0: lengths() says 400.000 s, and it has 0.050 s"),
        ("describe", "test_descriptions_are_those_of_its_items", "describe()['text'] is 'other'"),
        ("random", "test_items_are_the_same_each_time", "differs when it is asked for again"),
        ("process", "test_workers_give_the_same_items_in_order", "spawned workers read something else"),
        ("lambda", "test_workers_give_the_same_items_in_order", "a spawned worker cannot read it"),
    ],
    Tokenizer: [
        ("hopeless", "test_texts_come_back", "it cannot be trained: too few texts"),
        ("duplicate", "test_the_vocabulary_is_well_formed", "tokens stand in it twice"),
        ("end", "test_the_vocabulary_is_well_formed", "blank_id, sos_id, eos_id are 0,"),
        ("lossy", "test_texts_come_back", "comes back as"),
        ("blank", "test_texts_come_back", "has the ids [0]"),
        ("nothing", "test_the_empty_text", "'' is [1]"),
        ("strict", "test_unknown_characters", "'\u2603' is not in list"),
        ("vanish", "test_unknown_characters", "has no unknown token, and comes back as 'the  fox'"),
        ("special", "test_special_tokens_are_not_text", "decodes to '<end>"),
        ("save", "test_saved_and_loaded", "what was saved is loaded as another tokenizer"),
        ("lambda", "test_saved_and_loaded", "it cannot be sent to a worker"),
        ("order", "test_training_is_repeatable", "it has two vocabularies"),
    ],
    Collator: [
        ("ids", "test_items_keep_their_values", "the batch has no `ids` that are"),
        ("front", "test_items_keep_their_values", "its values['speech'] differs by"),
        ("int32", "test_lengths_are_integers", "speech_lengths is tensor("),
        ("neighbours", "test_an_utterance_does_not_depend_on_the_others", "alone: it['speech'] differs"),
        ("mutates", "test_items_are_left_as_they_are", "it changes what it collates"),
        ("process", "test_a_worker_gives_the_same_batch", "a spawned worker makes another batch"),
        ("lambda", "test_a_worker_gives_the_same_batch", "a spawned worker cannot use it"),
    ],
    Transform: [
        ("global", "test_seeded", "with the same generator, it makes something else"),
        ("count", "test_seeded", "with the same generator, it makes something else"),
        ("moves", "test_global_generators_are_left_alone", "it moves a global random generator"),
        ("mutates", "test_items_are_left_as_they_are", "it changes the item that it is given"),
        ("float64", "test_results_are_items", "its audio is float64"),
        ("infinite", "test_results_are_items", "its audio is float32"),
        ("id", "test_results_are_items", "it returns dict without this id"),
        ("text", "test_results_are_items", "['text'] is not a text any more"),
        ("process", "test_a_worker_makes_the_same", "a spawned worker makes something else"),
        ("lambda", "test_a_worker_makes_the_same", "a spawned worker cannot use it"),
    ],
    Mean: [
        ("inputs", "test_inputs_are_named", "its inputs are ['value']"),
        ("on_failure", "test_inputs_are_named", "on_failure names ['other']"),
        ("wrong", "test_against_the_reference", "mean differs by 1"),
        ("merge", "test_merged_shards_are_the_whole", "shards of 1 and 2 utterances, merged"),
        ("order", "test_order_does_not_matter", "backwards: compute()['mean'] differs"),
        ("empty", "test_nothing_to_score", "no utterance: compute() raises ZeroDivisionError"),
        ("nan", "test_nothing_to_score", "a number is NaN or infinite"),
        ("missing", "test_a_missing_input_is_refused", "update() takes utterances with no 'number'"),
        ("few", "test_a_missing_input_is_refused", "update() takes utterances with too few 'number'"),
        ("records", "test_records_add_up_to_the_score", "per_utterance() has the ids ['u1', 'u2']"),
        ("ratio", "test_records_add_up_to_the_score", "ratio() of the records"),
    ],
    Publisher: [
        ("network", "test_a_dry_run_needs_no_network_and_tells_the_address", "a dry run uses the network"),
        ("address", "test_a_dry_run_needs_no_network_and_tells_the_address", "returns None"),
        ("writes", "test_a_dry_run_writes_nothing", "a dry run writes bundle/sent"),
    ],
    Executor: [
        ("missing", "test_all_items_once_and_in_order", "shards [0] have no outcome"),
        ("order", "test_all_items_once_and_in_order", "shard [0, 1, 2] gives [4, 1, 0]"),
        ("twice", "test_all_items_once_and_in_order", "comes twice"),
        ("no_work", "test_no_work", "no shards give outcomes"),
        ("swallows", "test_errors_of_users_arrive", "an error in a worker is lost"),
        ("kind", "test_errors_of_users_arrive", "a UserError arrives as RuntimeError"),
        (
            "greedy",
            "test_a_lost_worker_costs_its_shard_only",
            "in shard [1], and shards [0, 1] are lost",
        ),
    ],
    Marker: [
        ("kind", "test_it_is_what_its_role_says", "it is a object, and its record says callback"),
        ("state", "test_its_state_is_kept", "saved and loaded: state_dict()['mark']"),
    ],
    Momentum: [
        ("kind", "test_steps_lower_the_loss", "it builds a object"),
        ("ascends", "test_steps_lower_the_loss", "after 20 steps the loss is"),
        ("state", "test_it_continues_from_its_state", "resumed in the middle"),
    ],
    Halving: [
        ("negative", "test_rates_are_legal", "its rates are [-0.1"),
        ("state", "test_it_continues_from_its_state", "resumed in the middle"),
    ],
    Letter: [
        ("strict", "test_good_values_pass", "'a' is refused"),
        ("lenient", "test_bad_values_are_refused", "'ab' passes"),
    ],
}


@pytest.mark.parametrize(
    ("case", "fault", "method", "message"),
    [(case, *fault) for case, faults in FAULTS.items() for fault in faults],
)
def test_a_fault_is_rejected(case, fault, method, message, rejects):
    rejects(case, fault, method, message)


@pytest.mark.parametrize("case", FAULTS)
def test_every_check_rejects_something(case):
    """A check that no fault makes fail might always pass."""
    methods = {name for name in dir(case) if name.startswith("test_")}
    assert methods == {method for _, method, _ in FAULTS[case]}


def test_a_class_without_values_says_so(tmp_path):
    class Empty(MetricConformance):
        name = "toy/mean"

    with pytest.raises(pytest.fail.Exception, match="the test class has no values"):
        run(Empty, "test_against_the_reference", tmp_path)
