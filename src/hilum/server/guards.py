"""Checks on a request's headers, before anything of it is read: each returns a Problem, or None to let it pass."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from starlette.requests import Request

from hilum.server.auth import Keyring, given_key, may, needed_role
from hilum.server.problems import Problem
from hilum.server.settings import LOOPBACK_NAMES, Settings
from hilum.settings import is_loopback

Guard = Callable[[Request], Problem | None]


def guards(settings: Settings) -> tuple[Guard, ...]:
    """Return the checks that ``settings`` ask for, in the order in which they run.

    Raises ConfigError where the key file can't be used.
    """
    hosts = allowed_hosts(settings)
    found: list[Guard] = [lambda request: check_host(request, hosts)] if hosts else []
    found.append(check_origin)
    if settings.keys is not None:
        keyring, limit = Keyring(settings.keys), key_limit(settings.key_requests)
        found += [lambda request: check_key(request, keyring), limit, check_role]
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


def check_key(request: Request, keyring: Keyring) -> Problem | None:
    """Refuse a request without a key that is let in, wherever it goes, but to what is open; note whose it is."""
    if needed_role(request.scope["path"]) is None:
        return None
    given = given_key(request.headers)
    key = None if given is None else keyring.find(given)
    if key is not None:
        request.state.key = key
        request.state.log["key"] = key.id
        return None
    found = "no API key" if given is None else "an API key that is not known here, or not any more"
    return Problem(
        "unauthorized",
        f"The request has {found}. Send one as `Authorization: Bearer KEY` or `X-API-Key: KEY`.",
        {"WWW-Authenticate": "Bearer"},
    )


def key_limit(requests: int) -> Guard:
    """Return the check that no key makes more than so many requests in any minute."""
    from limits import RateLimitItemPerMinute
    from limits.storage import MemoryStorage
    from limits.strategies import MovingWindowRateLimiter

    limiter, limit = MovingWindowRateLimiter(MemoryStorage()), RateLimitItemPerMinute(requests)

    def check_rate(request: Request) -> Problem | None:
        key = getattr(request.state, "key", None)
        if key is None or limiter.hit(limit, key.id):
            return None
        wait = max(1, math.ceil(limiter.get_window_stats(limit, key.id).reset_time - time.time()))
        return Problem(
            "rate_limited",
            f"This key has made {requests} requests within a minute. Try again after the seconds in Retry-After.",
            {"Retry-After": str(wait)},
        )

    return check_rate


def check_role(request: Request) -> Problem | None:
    """Refuse what the key's role may not do."""
    needed = needed_role(request.scope["path"])
    if needed is None or may(request.state.key.role, needed):
        return None
    return Problem(
        "forbidden", f"This key's role is {request.state.key.role}; the request takes {needed}. Ask for such a key."
    )


def host_name(host: str) -> str:
    """Return the name in a ``Host`` header, lower case, without port and brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower().removesuffix(".")
