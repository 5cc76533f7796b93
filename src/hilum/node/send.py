"""Sending results to a peer: by C-STORE or by STOW-RS. What a peer says is turned into a code, and not repeated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from io import BytesIO
from typing import TYPE_CHECKING

from pydicom import dcmread

from hilum.node.outbox import Send, UnreachableError
from hilum.node.settings import DimsePeer, NodeSettings, Peer, StowPeer
from hilum.tls import client_context

if TYPE_CHECKING:
    import ssl

    from pydicom.dataset import Dataset
    from pynetdicom.association import Association

Letters = Mapping[str, Sequence[bytes]]
Outcomes = Iterator[tuple[str, str | None]]

_SECONDS = 60.0
"""How long a peer may take for one answer."""
_CONTEXTS = 128
"""Presentation contexts that one association may have (PS3.8 9.3.2.2)."""


def sender(peer: Peer, settings: NodeSettings) -> Send:
    """Return what sends results to ``peer``. Raises ConfigError where its TLS files can't be used."""
    if isinstance(peer, StowPeer):
        return partial(send_by_stow, peer, settings)
    files = settings.tls_certificate, settings.tls_key, settings.tls_authorities
    context = client_context(*files) if peer.tls else None
    return partial(send_by_store, peer, settings.ae_title, context)


def send_by_store(peer: DimsePeer, ae_title: str, context: ssl.SSLContext | None, letters: Letters) -> Outcomes:
    """Send results over one association (a ``Send``)."""
    from pynetdicom import AE

    from hilum.node.sockets import close_always

    close_always()
    parsed = {key: [dcmread(BytesIO(data)) for data in results] for key, results in letters.items()}
    syntaxes = {
        (dataset.SOPClassUID, dataset.file_meta.TransferSyntaxUID) for results in parsed.values() for dataset in results
    }
    entity = AE(ae_title)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = _SECONDS
    entity.connection_timeout = _SECONDS
    for sop_class, syntax in sorted(syntaxes)[:_CONTEXTS]:
        entity.add_requested_context(sop_class, syntax)
    try:
        association = entity.associate(
            peer.host, peer.port, ae_title=peer.ae_title, tls_args=None if context is None else (context, peer.host)
        )
    except (OSError, UnicodeError):
        # A name that can't be resolved, or can't be one.
        raise UnreachableError("no_address") from None
    if not association.is_established:
        raise UnreachableError("rejected" if association.is_rejected else "no_association")
    try:
        for key, results in parsed.items():
            yield key, _store(association, results)
    finally:
        if association.is_established:
            association.release()


def _store(association: Association, results: Sequence[Dataset]) -> str | None:
    """Send one film's results; return why one of them was not taken."""
    for dataset in results:
        try:
            answer = association.send_c_store(dataset)
        except ValueError:
            return "no_presentation_context"
        except RuntimeError:
            # The association is gone.
            raise UnreachableError("aborted") from None
        if "Status" not in answer:
            raise UnreachableError("no_answer")
        # Warnings (0xB000, 0xB006, 0xB007) say that it was stored.
        if answer.Status != 0x0000 and answer.Status & 0xF000 != 0xB000:
            return f"status_{answer.Status:04X}"
    return None


def send_by_stow(peer: StowPeer, settings: NodeSettings, letters: Letters) -> Outcomes:
    """Send results, one request a film (a ``Send``)."""
    import requests

    from hilum.node.web import open_client, stow

    certificate, private = settings.tls_certificate, settings.tls_key
    own = None if certificate is None or private is None else (certificate, private)
    try:
        client = open_client(peer.url, peer.authorization, settings.tls_authorities, own)
    except OSError:
        raise UnreachableError("no_authorization_file") from None
    for key, results in letters.items():
        try:
            yield key, stow(client, [dcmread(BytesIO(data)) for data in results])
        except requests.RequestException as error:
            raise UnreachableError(type(error).__name__) from None
