"""The API's reference as one page of plain HTML, made from the OpenAPI document: no script, no network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from hilum.server.headers import style_source
from hilum.server.problems import PROBLEMS

STYLE = """
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color-scheme: light dark; }
section { border-top: 1px solid; padding-bottom: 1rem; } code { font-size: 0.95em; }
table { border-collapse: collapse; } th, td { text-align: left; padding: 0.2rem 1rem 0.2rem 0; vertical-align: top; }
"""
CONTENT_SECURITY_POLICY = (
    f"default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; style-src {style_source(STYLE)}"
)


def reference_page(openapi: Mapping[str, Any]) -> str:
    """Return the page for an OpenAPI document."""
    title = escape(f"{openapi['info']['title']} {openapi['info']['version']}: HTTP reference")
    body = "".join(_operations(openapi["paths"]))
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head><body><h1>{title}</h1>'
        f"<p>{escape(openapi['info']['description'])}</p>"
        '<p>For programs: <a href="/openapi.json">openapi.json</a>.</p>'
        f"{body}<section><h2>Error codes</h2>{_codes()}</section></body></html>"
    )


def _operations(paths: Mapping[str, Any]) -> Iterator[str]:
    for path, methods in paths.items():
        for method, operation in methods.items():
            yield f"<section><h2><code>{method.upper()} {escape(path)}</code></h2>"
            yield f"<p>{escape(operation.get('description', operation['summary']))}</p>"
            yield from _fields(operation.get("requestBody", {}))
            yield _table(("Status", "Answer"), ((status, _answer(it)) for status, it in operation["responses"].items()))
            yield "</section>"


def _fields(body: Mapping[str, Any]) -> Iterator[str]:
    for media_type, content in body.get("content", {}).items():
        yield f"<p>Takes <code>{escape(media_type)}</code>:</p>"
        yield _table(
            ("Field", ""), ((name, it.get("description", "")) for name, it in content["schema"]["properties"].items())
        )


def _answer(response: Mapping[str, Any]) -> str:
    return ": ".join([*response.get("content", {}), response["description"]])


def _codes() -> str:
    rows = "".join(
        f'<tr id="{code}"><td><code>{code}</code></td><td>{status}</td><td>{escape(title)}</td></tr>'
        for code, (status, title) in PROBLEMS.items()
    )
    return f"<table><tr><th>Code</th><th>Status</th><th>Meaning</th></tr>{rows}</table>"


def _table(head: tuple[str, str], rows: Iterator[tuple[str, str]]) -> str:
    lines = "".join(f"<tr><td><code>{escape(name)}</code></td><td>{escape(text)}</td></tr>" for name, text in rows)
    return f"<table><tr><th>{head[0]}</th><th>{head[1]}</th></tr>{lines}</table>"
