"""The security headers that every answer carries, errors and files of the page among them."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping

from hilum.report.html import STYLE as REPORT_STYLE


def style_source(style: str) -> str:
    """Return what lets in one inline style sheet, and no other, in a Content-Security-Policy."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()}'"


# Nothing but what is named. The page shows the report in a frame, and such a frame obeys the page's policy: the report's
# one style sheet is let in by its hash. Films come as data: URLs.
CONTENT_SECURITY_POLICY = (
    f"default-src 'none'; script-src 'self'; style-src 'self' {style_source(REPORT_STYLE)}; img-src 'self' data:; "
    "connect-src 'self'; frame-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
SECURITY_HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Permitted-Cross-Domain-Policies": "none",
}
_YEAR = 365 * 24 * 3600


def security_headers(tls: bool) -> Mapping[str, str]:
    """Return the headers; over ``tls`` a browser is told to come by no other way for a year."""
    return {**SECURITY_HEADERS, "Strict-Transport-Security": f"max-age={_YEAR}"} if tls else SECURITY_HEADERS
