"""Checks on a request's headers, before anything of it is read: each returns a Problem, or None to let it pass."""

from __future__ import annotations

from collections.abc import Callable

from starlette.requests import Request

from hilum.server.auth import given_key, is_known
from hilum.server.problems import Problem
from hilum.server.settings import LOOPBACK_NAMES, Settings
from hilum.settings import is_loopback

Guard = Callable[[Request], Problem | None]

OPEN_PATHS = ("/healthz", "/readyz", "/")
"""Answered without a key, as is everything below /static/: the page must load before it can ask for the key."""


def guards(settings: Settings) -> tuple[Guard, ...]:
    """Return the checks that ``settings`` ask for, in the order in which they run."""
    hosts = allowed_hosts(settings)
    found: list[Guard] = [lambda request: check_host(request, hosts)] if hosts else []
    found.append(check_origin)
    if settings.api_key_hashes:
        found.append(lambda request: check_key(request, settings.api_key_hashes))
    return tuple(found)


def allowed_hosts(settings: Settings) -> frozenset[str]:
    """Host names that are answered; empty: any, as where the service is bound beyond loopback under no stated name."""
    if not is_loopback(settings.host) and not settings.allowed_hosts:
        return frozenset()
    return frozenset({*LOOPBACK_NAMES, settings.host.lower(), *settings.allowed_hosts})


def check_host(request: Request, allowed: frozenset[str]) -> Problem | None:
    """Refuse foreign ``Host`` headers: a web page elsewhere could have rebound its own name to this address."""
    if host_name(request.headers.get("host", "")) in allowed:
        return None
    return Problem(
        "host_not_allowed",
        "The Host header names a host that this service does not answer to. "
        "Use the address that it printed at start, or add the name to the setting allowed_hosts.",
    )


def check_origin(request: Request) -> Problem | None:
    """Refuse what a browser sends on behalf of another site's page (CSRF)."""
    origin = request.headers.get("origin")
    fetch_site = request.headers.get("sec-fetch-site", "none")
    same = origin is None or origin.partition("://")[2].lower() == request.headers.get("host", "").lower()
    if request.method in ("GET", "HEAD") or (same and fetch_site in ("same-origin", "none")):
        return None
    return Problem("cross_site", "The Origin of this request is another site than this service's own page.")


def check_key(request: Request, hashes: tuple[str, ...]) -> Problem | None:
    """Refuse a request without a known key, wherever it goes, but for OPEN_PATHS and the page's own files."""
    path = request.scope["path"]
    if path in OPEN_PATHS or path.startswith("/static/"):
        return None
    key = given_key(request.headers)
    if key is not None and is_known(key, hashes):
        return None
    found = "no API key" if key is None else "an API key that is not known here"
    return Problem(
        "unauthorized",
        f"The request has {found}. Send one as `Authorization: Bearer KEY` or `X-API-Key: KEY`.",
        {"WWW-Authenticate": "Bearer"},
    )


def host_name(host: str) -> str:
    """Return the name in a ``Host`` header, lower case, without port and brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower().removesuffix(".")
