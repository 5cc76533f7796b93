"""Where an archive's films lie: a folder, or anything that fsspec reads, such as S3. Listing them, and reading one."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from time import sleep
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from hilum.errors import ConfigError, ImageTooLarge, PeerError, UnreadableImage
from hilum.images import DEFAULT_LIMITS, read_bytes
from hilum.images.limits import check_bytes

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

PAUSES = (0.5, 2.0, 5.0)
"""Seconds before a film is asked for again, where a network or a server failed."""
PROBES = 3
"""So many other films are asked for before one film is blamed for what may be its source's fault."""
_FINAL = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError)
"""Answers of a storage that asking again does not change."""


class Film(NamedTuple):
    """One film of a listing."""

    name: str
    """Its path below the source, with slashes."""
    size: int | None
    """Bytes, where the listing says so."""


@dataclass(frozen=True, slots=True)
class Source:
    """A place that films are read from. Not shown in any log: paths may name patients."""

    url: str = field(repr=False)
    """An absolute path, or a URL for fsspec."""
    probes: tuple[str, ...] = field(default=(), repr=False)
    """Names of some films: if one of them answers, the source does."""


def find_source(text: str) -> Source:
    """Return the source that a user names. Raises ConfigError."""
    if "://" not in text:
        folder = Path(text)
        if not folder.is_dir():
            raise ConfigError("SOURCE is not a folder. Expected a folder of films, or a URL such as s3://bucket/films.")
        return Source(str(folder.resolve()))
    if "@" in urlsplit(text).netloc:
        raise ConfigError(
            "SOURCE holds a user or password. Give them in the environment, or in fsspec's configuration."
        )
    _remote(text)
    return Source(text.rstrip("/"))


def list_films(source: Source, suffixes: Collection[str]) -> list[Film]:
    """Return the films of a source, sorted by name: files with one of ``suffixes`` or one of digits, hidden ones left out.

    DICOM files are often named by a UID, whose last part is no suffix. Raises PeerError where the source can't be listed.
    """
    try:
        found = _list_remote(source.url) if "://" in source.url else _list_folder(Path(source.url))
    except Exception as error:  # noqa: BLE001 - each of fsspec's libraries raises its own
        failure = type(error).__name__
    else:
        return sorted(film for film in found if _is_film(film.name, suffixes))
    raise PeerError(
        f"The source can't be listed ({failure}). Check its address, that all of it may be read, and the credentials in the "
        "environment; then run the same command again."
    )


def with_probes(source: Source, names: Sequence[object]) -> Source:
    """Return the source with some of its films, spread over the listing, to tell a lost film from a lost source.

    ``names``: of all films; a column of a table will do, so that millions need not become objects.
    """
    places = range(0, len(names), max(1, len(names) // PROBES))[: PROBES + 1]
    return Source(source.url, tuple(str(names[place]) for place in places))


def read_film(source: Source, film: Film) -> bytes:
    """Return a film's bytes.

    Raises ImageTooLarge, UnreadableImage where only this film can't be read, and PeerError where its source can't.
    """
    check_bytes(film.size or 0, DEFAULT_LIMITS)
    for pause in (*PAUSES, None):
        try:
            return _get(source, film.name)
        except (*_FINAL, ImageTooLarge, UnreadableImage):
            break
        except Exception:  # noqa: BLE001 - each of fsspec's libraries raises its own, and its text names the film
            if pause is not None:
                sleep(pause)
    others = [name for name in source.probes if name != film.name]
    if others and not any(_answers(source, name) for name in others):
        raise PeerError(
            "The source no longer answers: none of several films can be read. Run the same command again once it does."
        )
    raise UnreadableImage("The file can't be read. Check that it exists and may be read.")


def _is_film(name: str, suffixes: Collection[str]) -> bool:
    path = PurePosixPath(name)
    suffix = path.suffix.lower()
    return not any(part.startswith(".") for part in path.parts) and (suffix in suffixes or suffix[1:].isdigit())


def _list_folder(root: Path) -> list[Film]:
    films = []
    for folder, _, files in os.walk(root, onerror=_raise):
        for name in files:
            path = Path(folder, name)
            if path.is_file():
                films.append(Film(path.relative_to(root).as_posix(), path.stat().st_size))
    return films


def _raise(error: OSError) -> None:
    """A folder that can't be looked into would be left out without a word."""
    raise error


def _list_remote(url: str) -> list[Film]:
    system, root = _remote(url)
    found = system.find(root, detail=True)
    films = [Film(name.removeprefix(root).lstrip("/"), one.get("size")) for name, one in found.items()]
    if not films and not system.exists(root):
        raise FileNotFoundError
    return films


def _get(source: Source, name: str) -> bytes:
    if "://" not in source.url:
        return read_bytes(Path(source.url, name))
    system, root = _remote(source.url)
    return bytes(system.cat_file(f"{root}/{name}"))


def _answers(source: Source, name: str) -> bool:
    """Whether a film can be asked for."""
    try:
        if "://" not in source.url:
            with Path(source.url, name).open("rb") as file:
                file.read(1)
        else:
            system, root = _remote(source.url)
            system.invalidate_cache()
            system.info(f"{root}/{name}")
    except Exception:  # noqa: BLE001 - each of fsspec's libraries raises its own
        return False
    return True


def _remote(url: str) -> tuple[AbstractFileSystem, str]:
    """Return the file system of a URL and the path in it. Raises ConfigError where there is none for it."""
    scheme = url.partition("://")[0]
    try:
        from fsspec.core import url_to_fs

        system, root = url_to_fs(url)
    except ImportError:
        raise ConfigError(
            f"{scheme}:// needs a package that is not installed. For s3:// do: pip install 'hilum[archive,s3]'; fsspec's list of "
            "file systems names those of others."
        ) from None
    except ValueError:
        raise ConfigError(
            f"{scheme}:// is nothing that fsspec reads. Expected a folder, s3://, or another of its schemes."
        ) from None
    return system, root.rstrip("/")
