"""The OpenAPI document is true: whatever a client sends, the answer is one that it describes, and never "something went wrong"."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import schemathesis

# Loaded here rather than by the first test that needs it: CPython 3.11's parser gives up (gh-106905) when something that another
# test left open is finalised while it parses.
import schemathesis.specs.openapi.schemas
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from hilum.server.app import create_app
from hilum.server.keys import add_key
from hilum.server.settings import Settings

HOST = {"Host": "127.0.0.1:5000"}
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    unsupported_method,
]
FOUND = settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


FILMS = ("POST /api/ml-analyze", "POST /api/v1/analyze", "GET /api/v1/audit")
"""Routes that take something."""
ROUTES = (*FILMS, "GET /api/v1/models", "GET /healthz", "GET /readyz", "GET /metrics", "GET /api/docs")


@pytest.fixture
def operations(tiny_engine):
    """The operations that the service describes, by method and path."""
    return described(create_app(Settings(), tiny_engine))


def described(app, **headers):
    """Return the operations of an app's document by method and path."""
    document = schemathesis.openapi.from_asgi("/openapi.json", app, headers=HOST | headers)
    found = [one.ok() for one in document.get_all_operations()]
    return {f"{one.method.upper()} {one.path}": one for one in found}


def check(operation, mode, **headers):
    """Send requests, and check that their answers are described."""

    @FOUND
    @given(case=operation.as_strategy(generation_mode=mode))
    def is_described(case):
        case.call_and_validate(checks=CHECKS, headers=HOST | headers)

    is_described()


def test_every_route_is_asked(operations):
    """No route is left out below."""
    assert set(operations) == set(ROUTES)


@pytest.mark.parametrize("route", ROUTES)
def test_answers_to_what_is_allowed_are_described(operations, route):
    """Status, type, headers and body of the answer to any request that the document allows stand in it."""
    check(operations[route], GenerationMode.POSITIVE)


@pytest.mark.parametrize("route", FILMS)
def test_answers_to_what_is_not_allowed_are_described(operations, route):
    """Wrong parameters, types and bodies are answered as the document says."""
    check(operations[route], GenerationMode.NEGATIVE)


@pytest.mark.parametrize("route", ROUTES)
def test_answers_without_and_with_a_key_are_described(tiny_engine, tmp_path, route):
    """Where keys are on, being refused for want of one is described, and so is what a key of too low a role gets."""
    key = add_key(tmp_path / "keys.json", "reader", "ward", datetime.now(UTC))
    app = create_app(Settings(keys=tmp_path / "keys.json"), tiny_engine)
    operation = described(app, **{"X-API-Key": key})[route]
    check(operation, GenerationMode.POSITIVE)
    check(operation, GenerationMode.POSITIVE, **{"X-API-Key": key})
