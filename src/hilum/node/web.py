"""DICOMweb, through dicomweb-client: one client, opened with what a site needs; storing, with the answer understood."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

import requests
from dicomweb_client.web import DICOMwebClient

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_SECONDS = (10.0, 60.0)
"""To connect, and between two packets."""
_REFUSED = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.CONFLICT, HTTPStatus.UNSUPPORTED_MEDIA_TYPE})
"""Answers that are about what was sent; every other failure is about the server, and worth another try."""


def open_client(
    url: str,
    authorization: Path | None = None,
    authorities: Path | None = None,
    certificate: tuple[Path, Path] | None = None,
) -> DICOMwebClient:
    """Return a client for the DICOMweb root ``url``.

    ``authorization``: file with the value of the Authorization header; ``authorities``: PEM file that the server's
    certificate is checked by; ``certificate``: PEM files of the client's own, and of its key. Raises OSError where the
    first can't be read.
    """
    session = requests.Session()
    # No proxies, netrc or certificates from the environment: what the settings say is all there is.
    session.trust_env = False
    if authorities is not None:
        session.verify = str(authorities)
    if certificate is not None:
        session.cert = (str(certificate[0]), str(certificate[1]))
    headers = {} if authorization is None else {"Authorization": authorization.read_text("utf-8").strip()}
    client = DICOMwebClient(url.rstrip("/"), session=session, headers=headers, timeout=_SECONDS)
    # The outbox waits and tries again by itself.
    client.set_http_retry_params(retry=False)
    return client


def stow(client: DICOMwebClient, datasets: Sequence[Dataset]) -> str | None:
    """Store objects; return why one of them was not taken, as a code. Raises requests.RequestException."""
    try:
        answer = client.store_instances(datasets)
    except requests.HTTPError as error:
        if error.response is not None and error.response.status_code in _REFUSED:
            return f"http_{error.response.status_code}"
        raise
    failed = answer.get("FailedSOPSequence")
    return f"status_{int(failed[0].get('FailureReason', 0)):04X}" if failed else None
