"""Error class → status, and the one error body: ``application/problem+json`` (RFC 9457)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from hilum.errors import HilumError

PROBLEMS: dict[str, tuple[int, str]] = {
    "malformed_form": (400, "The multipart form can't be parsed"),
    "unauthorized": (401, "A valid API key is needed"),
    "cross_site": (403, "Requests from other sites are refused"),
    "forbidden": (403, "The API key's role may not do that"),
    "not_found": (404, "There is nothing at this address"),
    "method_not_allowed": (405, "This address does not take that method"),
    "upload_timeout": (408, "The upload took too long"),
    "body_too_large": (413, "The request body is too large"),
    "image_too_large": (413, "The image is too large"),
    "not_multipart": (415, "The request is not a multipart form"),
    "unsupported_syntax": (415, "The image's format or encoding is not read here"),
    "host_not_allowed": (421, "This service does not answer to that host name"),
    "missing_image": (422, "The form has no image"),
    "too_many_parts": (422, "The form has too many parts"),
    "invalid_request": (422, "The request's parameters are not valid"),
    "input_error": (422, "The image can't be used"),
    "unreadable_image": (422, "The image can't be read"),
    "rate_limited": (429, "This API key asks too often"),
    "error": (500, "Something went wrong in the service"),
    "config_error": (501, "The service lacks what this answer needs"),
    "audit_failed": (503, "Who sees this could not be written down"),
    "busy": (503, "Every worker is taken and the queue is full"),
    "not_ready": (503, "The service is not ready"),
}
"""Every code that a problem can carry: status and title."""

_BY_STATUS = {404: "not_found", 405: "method_not_allowed"}


@dataclass(frozen=True, slots=True)
class Problem:
    """One error as the client sees it. ``detail`` never holds patient data or internals."""

    code: str
    """A key of PROBLEMS."""
    detail: str
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def status(self) -> int:
        return PROBLEMS[self.code][0]


class ProblemError(Exception):
    """Ends a request with a problem, from anywhere below the edge."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.code)
        self.problem = problem


def refuse(code: str, detail: str, **headers: str) -> ProblemError:
    """Return the exception that answers ``code`` with ``detail``."""
    return ProblemError(Problem(code, detail, headers))


def problem_of(error: Exception) -> Problem:
    """Translate an exception. What is not known to be harmless says nothing of what it was."""
    if isinstance(error, ProblemError):
        return error.problem
    if isinstance(error, HilumError) and error.code in PROBLEMS and error.code != "error":
        return Problem(error.code, str(error))
    if isinstance(error, HTTPException) and error.status_code in _BY_STATUS:
        code = _BY_STATUS[error.status_code]
        return Problem(code, f"{PROBLEMS[code][1]}. /api/docs lists what there is.", dict(error.headers or {}))
    return Problem("error", "The service could not finish this request. Its log names the cause by the request id.")


def respond(problem: Problem, request: Request) -> Response:
    """Render ``problem`` as the answer to ``request``."""
    status, title = PROBLEMS[problem.code]
    request.state.log["problem"] = problem.code
    body = {
        "type": f"/api/docs#{problem.code}",
        "title": title,
        "status": status,
        "detail": problem.detail,
        "code": problem.code,
        "request_id": request.state.request_id,
    }
    return Response(
        json.dumps(body, ensure_ascii=False), status, dict(problem.headers), media_type="application/problem+json"
    )
