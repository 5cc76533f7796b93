"""One film out of a multipart form: limited before it is read, held in memory only, never kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from hilum.server.problems import ProblemError, refuse
from hilum.server.settings import Settings

FIELD = "image"
MAX_PARTS = 8
_MAX_TEXT = 4096


async def read_upload(request: Request, settings: Settings) -> bytes:
    """Return the bytes of the form's ``image``.

    Raises ProblemError: not_multipart, body_too_large, upload_timeout, malformed_form, too_many_parts or missing_image.
    """
    check_header(request, settings.max_upload_bytes)
    try:
        async with asyncio.timeout(settings.upload_seconds):
            form = await _parse(request, settings.max_upload_bytes)
    except TimeoutError:
        raise refuse("upload_timeout", f"The upload took more than {settings.upload_seconds:g} seconds.") from None
    try:
        return await _only_image(form)
    finally:
        await form.close()


def check_header(request: Request, limit: int) -> None:
    """Refuse by the header alone what is no multipart form or says itself that it is longer than ``limit`` bytes."""
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise refuse("not_multipart", f"Expected multipart/form-data with the film in its field `{FIELD}`.")
    length = request.headers.get("content-length", "0")
    if not length.isdecimal() or int(length) > limit:
        raise _too_large(limit)


async def _parse(request: Request, limit: int) -> FormData:
    async with aclosing(_limited(request, limit)) as stream:
        parser = MultiPartParser(
            request.headers, stream, max_files=MAX_PARTS, max_fields=MAX_PARTS, max_part_size=_MAX_TEXT
        )
        # Above this size Starlette would move a film to a temporary file; nothing that passes the limit reaches it.
        parser.spool_max_size = limit + 1
        try:
            return await parser.parse()
        except MultiPartException as error:
            raise _bad_form(error) from None


async def _limited(request: Request, limit: int) -> AsyncGenerator[bytes, None]:
    """Yield the body, counted: a chunked one states no length."""
    seen = 0
    async with aclosing(request.stream()) as stream:
        async for chunk in stream:
            seen += len(chunk)
            if seen > limit:
                raise _too_large(limit)
            yield chunk


async def _only_image(form: FormData) -> bytes:
    parts = form.multi_items()
    images = [part for name, part in parts if name == FIELD]
    if len(images) != 1:
        raise refuse(
            "missing_image",
            f"Expected one part `{FIELD}` that holds a film; found {len(images)} among {len(parts)} parts.",
        )
    image = images[0]
    if not isinstance(image, UploadFile):
        raise refuse("missing_image", f"The part `{FIELD}` is text; expected a file, as `curl -F {FIELD}=@FILE` sends.")
    data = await image.read()
    if not data:
        raise refuse("missing_image", f"The part `{FIELD}` is empty; expected a film.")
    return data


def _too_large(limit: int) -> ProblemError:
    return refuse(
        "body_too_large", f"The request body is longer than the {limit:,} bytes that max_upload_bytes allows."
    )


def _bad_form(error: MultiPartException) -> ProblemError:
    if "Too many" in error.message:
        return refuse("too_many_parts", f"The form has more than {MAX_PARTS} parts; expected one, `{FIELD}`.")
    return refuse("malformed_form", "The body is not the multipart form that its Content-Type announces.")
