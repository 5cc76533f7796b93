"""Where films lie: which are listed, in which order, and whose fault it is that one can't be read."""

from __future__ import annotations

import os
import shutil
import uuid

import fsspec
import pytest

from hilum.cluster import source as module
from hilum.cluster.source import Film, Source, find_source, list_films, read_film, with_probes
from hilum.errors import ConfigError, ImageTooLarge, PeerError, UnreadableImage
from hilum.images import DEFAULT_LIMITS

SUFFIXES = frozenset({"", ".png", ".dcm"})


@pytest.fixture
def remote(films):
    """The same films in fsspec's memory."""
    root = f"memory://{uuid.uuid4().hex}/films"
    system, path = fsspec.url_to_fs(root)
    system.put(f"{films}/", path, recursive=True)
    yield find_source(root)
    system.rm(path, recursive=True)


@pytest.fixture(autouse=True)
def _hurried(monkeypatch):
    monkeypatch.setattr(module, "PAUSES", (0.0, 0.0))


def test_a_listing_is_sorted_and_the_same_wherever_films_lie(source, remote, films):
    """Names are below the source, with slashes, sorted; sizes are there; a folder and a URL list alike."""
    listed = list_films(source, SUFFIXES)
    assert [film.name for film in listed] == sorted(f"{n % 2}/film-{n}.png" for n in range(8))
    assert listed[0].size == (films / listed[0].name).stat().st_size
    assert list_films(remote, SUFFIXES) == listed


def test_what_is_a_film_by_its_name(source, films):
    """A UID has no suffix, capitals do not matter, and hidden files, tables and pipes are passed over."""
    for name in ("1.2.840.113619.2", "A.DCM", ".hidden.png", "labels.csv", ".git/x.png"):
        (films / name).parent.mkdir(exist_ok=True)
        (films / name).write_bytes(b"x")
    os.mkfifo(films / "pipe")
    (films / "link.png").symlink_to(films / "0" / "film-0.png")
    new = {film.name for film in list_films(source, SUFFIXES) if "/" not in film.name}
    assert new == {"1.2.840.113619.2", "A.DCM", "link.png"}


def test_bytes_are_the_films(source, remote, film_png):
    """A film's bytes come from a folder and from a URL."""
    film = Film("0/film-0.png", None)
    assert read_film(source, film) == read_film(remote, film) == film_png


def test_a_lost_film_is_its_own_fault_while_others_answer(source, remote, films):
    """A film that has gone is unreadable; where no film answers any more, it is the source's fault, and no film is blamed."""
    for place in (source, remote):
        place = with_probes(place, [film.name for film in list_films(place, SUFFIXES)])
        with pytest.raises(UnreadableImage):
            read_film(place, Film("gone.png", None))
    known = with_probes(source, [film.name for film in list_films(source, SUFFIXES)])
    shutil.rmtree(films)
    with pytest.raises(PeerError):
        read_film(known, Film("0/film-0.png", None))


def test_a_storage_that_stumbles_is_asked_again(remote, monkeypatch, film_png):
    """What a network does wrong once does not cost a film."""
    system, _ = fsspec.url_to_fs(remote.url)
    failures = [OSError("the network"), ValueError("the library's own")]
    read = system.cat_file

    def stumbling(path):
        if failures:
            raise failures.pop()
        return read(path)

    monkeypatch.setattr(system, "cat_file", stumbling)
    assert read_film(remote, Film("0/film-0.png", None)) == film_png
    assert not failures


def test_a_film_beyond_the_limit_is_not_fetched(remote, monkeypatch):
    """Its size in the listing is enough to refuse it."""
    system, _ = fsspec.url_to_fs(remote.url)
    monkeypatch.setattr(system, "cat_file", None)
    with pytest.raises(ImageTooLarge):
        read_film(remote, Film("0/film-0.png", DEFAULT_LIMITS.max_bytes + 1))


def test_a_source_that_is_none_is_said_so(tmp_path):
    """A missing folder, a scheme that nobody knows, a password in the address: each is refused before anything is read."""
    for text in (str(tmp_path / "none"), "nothing://films", "ftp://user:secret@host/films"):
        with pytest.raises(ConfigError) as refused:
            find_source(text)
        assert "secret" not in str(refused.value)


@pytest.mark.parametrize("url", ["memory://nowhere/at/all", "/nowhere/at/all"])
def test_a_source_that_cannot_be_listed_is_no_empty_one(url):
    """Nothing is begun on a source that does not answer."""
    with pytest.raises(PeerError):
        list_films(Source(url), SUFFIXES)


def test_a_source_is_not_shown():
    """Neither an address nor the names of films stand in what a log might show of a source."""
    assert "CANARY" not in repr(Source("s3://CANARY", ("CANARY.dcm",)))
