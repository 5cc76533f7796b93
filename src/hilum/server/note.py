"""What of a request goes into the audit."""

from __future__ import annotations

import asyncio
import logging

from starlette.requests import Request

from hilum.errors import AuditFailed, ConfigError
from hilum.logs import line
from hilum.server.audit import Audit, Event, Subject, read_secret
from hilum.server.auth import NEEDED, needed_role
from hilum.server.problems import Problem
from hilum.server.settings import Settings

LOG = logging.getLogger("hilum.server")
AUDIT_PROBLEM = Problem(
    "audit_failed", "The answer is withheld, because it can't be written down who sees it. The service's log says why."
)
UNNOTED = frozenset({"host_not_allowed", "cross_site", "unauthorized", "rate_limited"})
"""Refusals before anybody is known, or too many by one key: they are in log and metrics, and must not fill the disk."""
_SUBJECTS: tuple[Subject, ...] = ("study", "instance", "film")
_ANCHOR_EVERY = 1000


def open_audit(settings: Settings) -> Audit | None:
    """Return the audit that ``settings`` ask for, and log where it stands. Raises ConfigError where it can't be written."""
    if settings.audit is None or settings.audit_key is None:
        return None
    try:
        audit = Audit(settings.audit, read_secret(settings.audit_key))
        LOG.info(line("audit", {"anchor": audit.anchor()}))
    except AuditFailed as error:
        raise ConfigError(str(error)) from None
    return audit


async def note(audit: Audit, request: Request, status: int) -> None:
    """Write down who asked for what and what came of it, where films or the audit may be seen. Raises AuditFailed."""
    path, log = request.scope["path"], request.state.log
    if needed_role(path) in (None, "reader") or log.get("problem") in UNNOTED:
        return
    key = getattr(request.state, "key", None)
    seen: dict[str, str] = getattr(request.state, "subject", {})
    event = Event(
        key="none" if key is None else key.id,
        role="none" if key is None else key.role,
        action=path if path in NEEDED else "unmatched",
        outcome=log.get("problem") or _verdict(log.get("accepted")),
        status=status,
        request=request.state.request_id,
        **{subject: audit.name(subject, seen[subject]) for subject in _SUBJECTS if seen.get(subject)},
    )
    head = await asyncio.to_thread(audit.append, event)
    if head.rows % _ANCHOR_EVERY == 0:
        LOG.info(line("audit", {"anchor": head}))


def _verdict(accepted: bool | None) -> str:
    return "answered" if accepted is None else "accepted" if accepted else "refused"
