"""The class of systems passes core's stages in order, and rejects records that cannot work."""

from dataclasses import replace

import pytest
from espnet3_core.recipe.stages import INFER, MEASURE, TRAIN
from espnet3_core.specs import SystemSpec
from espnet3_core.testing import SystemConformance
from kit import run

RIGHT = SystemSpec(name="toy/system", stages=(TRAIN, INFER, MEASURE))


class System(SystemConformance):
    name = "toy/system"


def test_the_right_system_passes(catalog, passes):
    catalog(RIGHT)
    passes(System)


def stages(*records):
    return replace(RIGHT, stages=records)


FAULTS = [
    (replace(RIGHT, stages=()), "test_stages_can_be_called", "it has no stages"),
    (stages(TRAIN, TRAIN), "test_stages_can_be_called", "stages ['train'] stand in it twice"),
    (stages(replace(TRAIN, run="math:nothing")), "test_stages_can_be_called", "math has no 'nothing'"),
    (
        stages(replace(TRAIN, run="math:atan2")),
        "test_stages_can_be_called",
        "cannot be called with a context",
    ),
    (stages(replace(TRAIN, run="math:pi")), "test_stages_can_be_called", "cannot be called with a context"),
    (stages(INFER, TRAIN), "test_stages_follow_what_they_use", "stage infer comes before ['train']"),
    (stages(replace(TRAIN, outputs=("/tmp",))), "test_stages_follow_what_they_use", "outputs ['/tmp']"),
    (stages(replace(TRAIN, on_stale="never")), "test_stages_follow_what_they_use", "on_stale='never'"),
    (stages(replace(TRAIN, roles=("training", "other"))), "test_roles_have_schemas", "role 'other' has no"),
    (replace(RIGHT, schemas={"metrics": "math:pi"}), "test_roles_have_schemas", "is no dataclass"),
    (
        stages(replace(TRAIN, inputs=("inference.search",))),
        "test_keys_exist",
        "of a role that it does not read",
    ),
    (
        stages(replace(TRAIN, inputs=("training.modle",))),
        "test_keys_exist",
        "there is no key 'training.modle'",
    ),
    (stages(replace(TRAIN, neutral=("training.batch.x",))), "test_keys_exist", "no key 'training.batch.x'"),
]


@pytest.mark.parametrize(("record", "method", "message"), FAULTS)
def test_a_fault_is_rejected(record, method, message, catalog, tmp_path):
    catalog(record)
    with pytest.raises(pytest.fail.Exception) as failure:
        run(System, method, tmp_path)
    assert message in str(failure.value)
    assert "\n  -> " in str(failure.value)


def test_every_check_rejects_something():
    assert {name for name in dir(System) if name.startswith("test_")} == {method for _, method, _ in FAULTS}


def test_a_system_that_is_not_registered(catalog, tmp_path):
    catalog(replace(RIGHT, name="toy/other"))
    with pytest.raises(pytest.fail.Exception, match="there is no system 'toy/system'"):
        run(System, "test_keys_exist", tmp_path)
