"""Requests made from the server's own OpenAPI, wrong ones among them: none may make it fail."""

from __future__ import annotations

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
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
QUIET = {"deadline": None, "derandomize": True, "suppress_health_check": list(HealthCheck)}
SPOKEN = as_file(letters("hello"))


@pytest.fixture
def api(server: Running):
    return schemathesis.openapi.from_url(f"{server.url}/openapi.json")


schema = schemathesis.pytest.from_fixture("api")


def answer(case) -> None:
    body = case.body if isinstance(case.body, dict) else {}
    # Made-up names would end most requests at the model that does not exist; half of them get further.
    if len(str(body.get("model"))) % 2:
        body["model"] = "ear" if "transcriptions" in case.path else "mouth"
    if isinstance(body.get("file"), bytes) and len(body["file"]) % 3 == 0:
        body["file"] = SPOKEN[: len(SPOKEN) - len(body["file"]) % 7 * 100]
    case.call_and_validate(checks=CHECKS)


@schema.parametrize()
@settings(max_examples=15, **QUIET)
def test_made_up_requests(case):
    answer(case)


@pytest.mark.slow
@schema.parametrize()
@settings(max_examples=2000, **QUIET)
def test_many_made_up_requests(case):
    answer(case)
