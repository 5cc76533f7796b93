"""Films of a DICOMweb server: found by QIDO-RS, fetched by WADO-RS, their results stored by STOW-RS or kept in a folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests
from pydicom import dcmread

from hilum.errors import PeerError, UnreadableImage
from hilum.node.sop import FILMS
from hilum.node.spool import film_key
from hilum.node.web import stow

if TYPE_CHECKING:
    from dicomweb_client.web import DICOMwebClient

_STUDY, _SERIES, _INSTANCE, _CLASS = "0020000D", "0020000E", "00080018", "00080016"
_MODALITIES = ("CR", "DX")
"""Series that are looked into. Secondary captures are too many things to be fetched unasked."""


@dataclass(frozen=True, slots=True, repr=False)
class Place:
    """Where an instance is on the server."""

    study: str
    series: str
    instance: str


Store = Callable[[Place, Sequence[bytes]], None]
"""Keeps an instance's results. Raises PeerError where they were not taken."""


def find_films(client: DICOMwebClient, filters: Mapping[str, str]) -> Iterator[Place]:
    """Yield the CR and DX instances of the studies that match ``filters`` (keyword → value, as QIDO-RS takes them).

    Raises PeerError where the server can't be reached or does not answer as a DICOMweb server.
    """
    for study in _matches(_STUDY, partial(client.search_for_studies, search_filters=dict(filters))):
        study_uid = _value(study, _STUDY)
        for modality in _MODALITIES:
            search = partial(client.search_for_series, study_uid, search_filters={"Modality": modality})
            for series in _matches(_SERIES, search):
                yield from _instances(client, study_uid, _value(series, _SERIES))


def _instances(client: DICOMwebClient, study: str, series: str) -> Iterator[Place]:
    for instance in _matches(_INSTANCE, partial(client.search_for_instances, study, series)):
        if _value(instance, _CLASS) in FILMS:
            yield Place(study, series, _value(instance, _INSTANCE))


def _matches(tag: str, search: Callable[..., Any]) -> Iterator[Mapping[str, Any]]:
    """Yield every match once, page after page, also of a server that does not know of pages and always gives the first."""
    known: set[str] = set()
    while page := [one for one in _asked(partial(search, offset=len(known))) if _value(one, tag) not in known]:
        known |= {_value(one, tag) for one in page}
        yield from page


def fetch(client: DICOMwebClient, place: Place) -> bytes:
    """Return an instance as a file's bytes, in the transfer syntax that it is stored in.

    Raises PeerError where the server does not give it, UnreadableImage where it is no DICOM object.
    """
    dataset = _asked(lambda: client.retrieve_instance(place.study, place.series, place.instance))
    buffer = BytesIO()
    try:
        dataset.save_as(buffer, enforce_file_format=True)
    except Exception:  # noqa: BLE001 - the edge: pydicom's error may quote the header
        raise UnreadableImage("The server's object is no complete DICOM object. Export the film again.") from None
    return buffer.getvalue()


def store_at(client: DICOMwebClient) -> Store:
    """Return what stores results at a server by STOW-RS."""

    def store(_: Place, results: Sequence[bytes]) -> None:
        if results and (problem := _asked(lambda: stow(client, [dcmread(BytesIO(data)) for data in results]))):
            raise PeerError(f"The DICOMweb server did not take the results ({problem}). Its own log says why.")

    return store


def keep_in(folder: Path) -> Store:
    """Return what writes results into a folder, under a hash of the film's UID."""

    def store(place: Place, results: Sequence[bytes]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for number, data in enumerate(results):
            (folder / f"{film_key(place.instance, ())}.{number}.dcm").write_bytes(data)

    return store


def _asked(ask: Callable[[], Any]) -> Any:
    """Return an answer of the server. Raises PeerError, without what the server said."""
    try:
        return ask()
    except requests.HTTPError as error:
        status = "an error" if error.response is None else f"status {error.response.status_code}"
        problem = f"The DICOMweb server answered {status}."
    except (ValueError, KeyError):  # requests' JSONDecodeError is both a ValueError and a RequestException
        problem = "The DICOMweb server's answer can't be understood."
    except requests.RequestException as error:
        problem = f"The DICOMweb server can't be reached ({type(error).__name__})."
    raise PeerError(
        f"{problem} Check the address, which ends in the DICOMweb root, the certificate and the authorization."
    )


def _value(item: Mapping[str, Any], tag: str) -> str:
    """Return the first value of an element of DICOM JSON; empty where there is none."""
    values = item.get(tag, {}).get("Value") or [""]
    return str(values[0])
