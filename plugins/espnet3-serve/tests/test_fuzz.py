"""Requests made from the server's own OpenAPI, wrong ones among them: none may make it fail."""

from __future__ import annotations

import contextlib

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from serving_tools import Running, as_file, letters

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
SPOKEN = as_file(letters("hello"))


def fuzz(server: Running, examples: int) -> dict[str, set[int]]:
    """Send requests to every operation, right and wrong ones; the statuses that came, by operation."""
    schema = schemathesis.openapi.from_url(f"{server.url}/openapi.json")
    operations = [found.ok() for found in schema.get_all_operations()]
    return {operation.label: _statuses(operation, examples) for operation in operations}


def _statuses(operation, examples: int) -> set[int]:
    seen = set()

    def send(case) -> None:
        _make_fitting(case)
        seen.add(case.call_and_validate(checks=CHECKS).status_code)

    options = settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
        # Paths that take nothing cannot be called wrongly.
        with contextlib.suppress(Unsatisfiable):
            options(given(case=operation.as_strategy(generation_mode=mode))(send))()
    return seen


def _make_fitting(case) -> None:
    """Made-up names end at the model that does not exist, made-up files at the decoder: let some go on."""
    if not isinstance(case.body, dict):
        return
    if len(str(case.body.get("model"))) % 2:
        case.body["model"] = "ear" if "transcriptions" in case.path else "mouth"
    if (size := len(str(case.body.get("file")))) % 3 == 0:
        case.body["file"] = SPOKEN[: len(SPOKEN) - size % 7 * 100]


def test_made_up_requests(server: Running):
    seen = fuzz(server, 25)
    assert len(seen) == 7
    assert 200 in seen["POST /v1/audio/transcriptions"]
    assert 200 in seen["POST /v1/audio/speech"]
    assert {400, 404} <= seen["POST /v1/audio/speech"]


@pytest.mark.slow
def test_many_made_up_requests(server: Running):
    assert len(fuzz(server, 2000)) == 7
