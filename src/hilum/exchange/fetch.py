"""One file from the web to a disk: resumed where it broke off, and either whole in its place or not there."""

from __future__ import annotations

import errno
import hashlib
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from hilum import __version__
from hilum.errors import DownloadFailed, HashMismatch, NoSpace

CHUNK = 2**18
TIMEOUT_SECONDS = 30
MAX_BYTES = 2**30
KEPT = "What came is kept: the same command goes on from there."

Progress = Callable[[int, int | None], None]
"""Is told how many bytes there are, and how many there will be (None: not known)."""


def fetch(address: str, target: Path, sha256: str | None, progress: Progress) -> str:
    """Fetch ``address`` into the file ``target`` and return its sha256 (hex).

    What an interrupted call left (``target`` + ``.part``) is gone on with, if the server still has the same file.

    Raises ``DownloadFailed``, ``NoSpace``, and ``HashMismatch`` where the file is not the one of ``sha256``, which is
    then deleted.
    """
    part = target.with_name(f"{target.name}.part")
    tag = target.with_name(f"{target.name}.etag")
    with _room(part):
        part.parent.mkdir(parents=True, exist_ok=True)
        _download(address, part, tag, progress)
        with part.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        tag.unlink(missing_ok=True)
        if sha256 not in (None, digest):
            part.unlink()
            raise HashMismatch(
                f"The file from {_host(address)} has the sha256 {digest}. Expected {sha256}. It was changed there or on the "
                "way, and is deleted. Try again; if it stays so, ask its publisher before you trust it."
            )
        part.replace(target)
    return digest


@contextmanager
def _room(part: Path) -> Iterator[None]:
    """Turn a full disk into ``NoSpace``."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise NoSpace(f"The disk of {part.parent} is full. Free some space. {KEPT}") from None


def _download(address: str, part: Path, tag: Path, progress: Progress) -> None:
    start, known = _kept(part, tag)
    with _open(address, start, known) as response:
        if response.status == 416:  # the rest of another file was asked for
            part.unlink()
            raise DownloadFailed(f"{_host(address)} has another file than before. The begun one is deleted: try again.")
        start, total = _span(response, start)
        _check_space(part, total, start)
        tag.write_text(response.headers.get("ETag", ""), "latin-1")
        with part.open("ab" if start else "wb") as file:
            done = start
            for chunk in _chunks(response):
                done += len(chunk)
                if done > (MAX_BYTES if total is None else total):
                    raise DownloadFailed(f"{_host(address)} sent more than the {total or MAX_BYTES:,} bytes expected.")
                file.write(chunk)
                progress(done, total)
    if total is not None and done < total:
        raise DownloadFailed(f"The download from {_host(address)} broke off at {done:,} of {total:,} bytes. {KEPT}")


def _kept(part: Path, tag: Path) -> tuple[int, str]:
    """Return how many bytes an earlier call left and the tag of their file; nothing where no tag can tell it from another."""
    known = tag.read_text("latin-1") if tag.is_file() else ""
    usable = part.is_file() and known.startswith('"')
    return (part.stat().st_size, known) if usable else (0, "")


def _open(address: str, start: int, tag: str) -> HTTPResponse | HTTPError:
    if urlsplit(address).scheme not in ("http", "https"):
        raise DownloadFailed("The address is neither http nor https. Expected a web address.")
    headers = {"User-Agent": f"hilum/{__version__}", "Accept-Encoding": "identity"}
    if start:
        headers |= {"Range": f"bytes={start}-", "If-Range": tag}
    try:
        response: HTTPResponse = urlopen(Request(address, headers=headers), timeout=TIMEOUT_SECONDS)
    except HTTPError as error:
        if error.code == 416 and start:
            return error
        error.close()
        raise DownloadFailed(f"{_host(address)} answered {error.code}. Expected the file: try again later.") from None
    except (URLError, HTTPException, OSError) as error:
        cause = getattr(error, "reason", error)
        raise DownloadFailed(
            f"{_host(address)} can't be reached ({type(cause).__name__}). Check the network and the proxy settings "
            "(https_proxy), or run this where there is one and copy the bundle's folder."
        ) from None
    if address.startswith("https:") and not response.url.startswith("https:"):
        response.close()
        raise DownloadFailed(f"{_host(address)} sends on to an address without encryption. Nothing was fetched.")
    return response


def _span(response: HTTPResponse | HTTPError, start: int) -> tuple[int, int | None]:
    """Return where the answer's bytes begin, and the whole file's size."""
    if response.status == 206:
        found = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", response.headers.get("Content-Range", ""))
        if found is None or int(found[1]) != start:
            raise DownloadFailed(
                "The server sent another part than the one asked for. Delete the .part file and try again."
            )
        return start, int(found[2])
    length = response.headers.get("Content-Length", "")
    return 0, int(length) if length.isdecimal() else None


def _check_space(part: Path, total: int | None, start: int) -> None:
    if total is None:
        return
    if total > MAX_BYTES:
        raise DownloadFailed(f"The file has {total:,} bytes. Expected at most {MAX_BYTES:,}.")
    if (free := shutil.disk_usage(part.parent).free) < total - start:
        raise NoSpace(
            f"{total - start:,} bytes are to come, and the disk of {part.parent} has {free:,} free. Free some space."
        )


def _chunks(response: HTTPResponse | HTTPError) -> Iterator[bytes]:
    """Yield what comes; a connection that breaks ends it, and the count of bytes tells."""
    while True:
        try:
            chunk = response.read(CHUNK)
        except (HTTPException, TimeoutError, ConnectionError):
            return
        if not chunk:
            return
        yield chunk


def _host(address: str) -> str:
    return urlsplit(address).hostname or "the server"
