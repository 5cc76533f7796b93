"""TLS 1.2 or newer (PS3.15 B.9, BCP 195): what the node shows callers and peers, and whom it believes."""

from __future__ import annotations

import ssl

from hilum.errors import ConfigError
from hilum.node.settings import NodeSettings


def server_context(settings: NodeSettings) -> ssl.SSLContext | None:
    """Return how callers are spoken to; None: in the clear. Raises ConfigError for files that can't be used."""
    if settings.tls_certificate is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    _load(context, settings)
    if settings.tls_authorities is not None:
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def client_context(settings: NodeSettings) -> ssl.SSLContext:
    """Return how peers are spoken to: their certificate and name are checked. Raises ConfigError as above."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if settings.tls_authorities is None:
        context.load_default_certs()
    _load(context, settings)
    return context


def _load(context: ssl.SSLContext, settings: NodeSettings) -> None:
    try:
        if settings.tls_certificate is not None:
            # A key with a passphrase would ask for it on a terminal.
            context.load_cert_chain(settings.tls_certificate, settings.tls_key, password=lambda: b"")
        if settings.tls_authorities is not None:
            context.load_verify_locations(settings.tls_authorities)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise ConfigError(
            f"The node's TLS files can't be used ({type(error).__name__}). Expected PEM: the certificate with its chain, its "
            "private key without a passphrase, and the authorities."
        ) from None
