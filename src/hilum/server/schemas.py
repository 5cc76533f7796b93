"""What the OpenAPI document says of bodies that are not built from Python types."""

from __future__ import annotations

from typing import Any

from hilum.report.documents import FORMS
from hilum.server.problems import PROBLEMS
from hilum.server.upload import FIELD

_PERCENT = {"type": "number", "minimum": 0, "maximum": 100}
_MEMBER = {
    "type": ["object", "null"],
    "description": "null where this member is not open, or the film was refused",
    "required": ["model", "top_prediction", "confidence", "predictions"],
    "properties": {
        "model": {"type": "string", "description": "architecture and what it was trained on"},
        "top_prediction": {"type": "string"},
        "confidence": _PERCENT,
        "predictions": {
            "type": "array",
            "description": "assessed findings only, by falling confidence",
            "items": {
                "type": "object",
                "required": ["class", "confidence", "score"],
                "properties": {
                    "class": {"type": "string"},
                    "confidence": _PERCENT,
                    "score": {"type": "number", "minimum": 0, "maximum": 1, "description": "raw sigmoid output"},
                },
            },
        },
    },
}
_SHARE = {"type": "number", "minimum": 0, "maximum": 1}
_UNCERTAINTY: dict[str, Any] = {
    "findings": {
        "type": "array",
        "description": "the ensemble's answer, by falling confidence",
        "items": {
            "type": "object",
            "required": ["name", "confidence", "probability", "interval", "set"],
            "properties": {
                "name": {"type": "string"},
                "confidence": _PERCENT,
                "probability": {**_SHARE, "type": ["number", "null"]},
                "interval": {
                    "type": ["array", "null"],
                    "description": "around the probability; null where these members have none",
                    "items": _SHARE,
                    "minItems": 2,
                    "maxItems": 2,
                },
                "set": {
                    "enum": ["present", "absent", "can't say", None],
                    "description": "with the coverage that `promise` states; null where these members have none",
                },
            },
        },
    },
    "promise": {**_SHARE, "type": ["number", "null"], "description": "coverage of the sets"},
    "normal_claim": {"type": ["object", "null"], "description": "at which miss rate Normal is claimed"},
    "disagreements": {
        "type": "array",
        "description": "where the custom member contradicts the others further than is usual",
        "items": {
            "type": "object",
            "required": ["finding", "model", "confidence", "others", "limit"],
            "properties": {
                "finding": {"type": "string"},
                "model": {"type": "string"},
                "confidence": _PERCENT,
                "others": _PERCENT,
                "limit": _PERCENT,
            },
        },
    },
}
ANSWER: dict[str, Any] = {
    "type": "object",
    "required": ["result", "analysis"],
    "properties": {
        "result": {"type": "string", "description": "a complete, self-contained HTML document"},
        "analysis": {
            "type": "object",
            "required": [
                "ensemble_confidence",
                "densenet_result",
                "mobilenet_result",
                "custom_result",
                "recommendation",
                "details",
            ],
            "properties": {
                "ensemble_confidence": {**_PERCENT, "type": ["number", "null"]},
                "densenet_result": _MEMBER,
                "mobilenet_result": _MEMBER,
                "custom_result": _MEMBER,
                "recommendation": {"type": ["string", "null"]},
                "details": {
                    "type": "object",
                    "description": "the whole analysis, with provenance and timings",
                    "properties": _UNCERTAINTY,
                },
            },
        },
    },
}
PROBLEM: dict[str, Any] = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "code", "request_id"],
    "properties": {
        "type": {"type": "string", "description": "where the code is described"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string", "enum": sorted(PROBLEMS)},
        "request_id": {"type": "string"},
    },
}
UPLOAD: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": [FIELD],
                    "properties": {
                        FIELD: {
                            "type": "string",
                            "format": "binary",
                            "description": "PNG, JPEG, TIFF, BMP, WebP or DICOM, told apart by content",
                        }
                    },
                }
            }
        },
    }
}


def described(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    """Return an OpenAPI response object for a JSON body."""
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def documents(response: dict[str, Any]) -> dict[str, Any]:
    """Return an OpenAPI response object that may also be one of the documents that ``format`` asks for."""
    types: dict[str, Any] = {form.media_type.partition(";")[0]: {} for form in FORMS.values()}
    return response | {"content": types | response["content"]}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI responses for the error ``statuses``, each naming its codes."""
    return {
        status: {
            "description": ", ".join(code for code, (number, _) in PROBLEMS.items() if number == status),
            "content": {"application/problem+json": {"schema": PROBLEM}},
        }
        for status in statuses
    }
