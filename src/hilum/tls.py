"""TLS 1.2 or newer (PS3.15 B.9, BCP 195), for every service that speaks it."""

from __future__ import annotations

import ssl
from pathlib import Path

from hilum.errors import ConfigError


def server_context(certificate: Path, key: Path | None, authorities: Path | None = None) -> ssl.SSLContext:
    """Return how callers are spoken to; with ``authorities`` they need a certificate of theirs.

    All are PEM files. Raises ConfigError for files that can't be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    load_files(context, certificate, key, authorities)
    if authorities is not None:
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def client_context(certificate: Path | None, key: Path | None, authorities: Path | None) -> ssl.SSLContext:
    """Return how peers are spoken to: their certificate and name are checked, by the system's authorities where none are given.

    Raises ConfigError as above.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if authorities is None:
        context.load_default_certs()
    load_files(context, certificate, key, authorities)
    return context


def load_files(context: ssl.SSLContext, certificate: Path | None, key: Path | None, authorities: Path | None) -> None:
    """Give a context its files. Raises ConfigError."""
    try:
        if certificate is not None:
            # A key with a passphrase would ask for it on a terminal.
            context.load_cert_chain(certificate, key, password=lambda: b"")
        if authorities is not None:
            context.load_verify_locations(authorities)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise ConfigError(
            f"The TLS files can't be used ({type(error).__name__}). Expected PEM: the certificate with its chain, its "
            "private key without a passphrase, and the authorities."
        ) from None
