"""The routes."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass
from functools import partial
from typing import Annotated, Any, cast

from fastapi import Query
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from hilum import __version__
from hilum.pipeline import Engine
from hilum.records import Manifest
from hilum.registry import Bundle
from hilum.report.documents import Kind
from hilum.server import metrics as metering
from hilum.server.audit import read_rows
from hilum.server.pool import ClientGoneError, Pool
from hilum.server.problems import refuse
from hilum.server.settings import Settings
from hilum.server.upload import check_header, read_upload
from hilum.server.work import Answer, Work


@dataclass(frozen=True, slots=True)
class Service:
    """What every route may use."""

    settings: Settings
    engine: Engine
    work: Work
    pool: Pool
    metrics: metering.Metrics


def service_of(request: Request) -> Service:
    """Return the service that ``request``'s app was made with."""
    return cast(Service, request.app.state.service)


async def analyze_film(
    request: Request,
    film: Annotated[bool, Query(description="Add `details.film`: the film as a data URL of a PNG.")] = False,
    kind: Annotated[Kind | None, Query(alias="format", description="Answer with a document in place of JSON.")] = None,
) -> Response:
    """Analyze one film.

    A film that is refused by the gate is an answer too: 200 with `accepted` false, its reasons, and no findings.
    """
    service = service_of(request)
    check_header(request, service.settings.max_upload_bytes)
    try:
        with service.pool.place():
            data = await read_upload(request, service.settings)
            answer, waited = await service.pool.run(partial(service.work, data, film, kind), _disconnected(request))
    except (ClientGoneError, ClientDisconnect):
        return Response(status_code=499)  # nobody is there to read it; log and metrics are
    _note(request, service, answer, waited)
    request.state.subject = {"study": answer.study, "instance": answer.instance, "film": answer.sha256}
    return Response(answer.body, media_type=answer.media_type)


async def list_models(request: Request) -> Response:
    """List the models that are open, with what they were trained on and what they assess."""
    return JSONResponse({"models": [describe(bundle) for bundle in bundles_of(service_of(request).engine)]})


async def list_audit(
    request: Request,
    last: Annotated[int, Query(ge=1, le=10_000, description="At most so many rows, the newest.")] = 100,
) -> Response:
    """List who saw what, oldest first. Studies and films are hashes: `hilum audit show` finds a given one."""
    path = service_of(request).settings.audit
    if path is None:
        raise refuse("not_found", "No audit is kept: the setting audit is not set.")
    rows = await asyncio.to_thread(read_rows, path, last)
    return JSONResponse({"rows": [row.as_dict() for row in rows]})


async def healthz() -> Response:
    """Say that the process is alive."""
    return JSONResponse({"status": "alive", "version": __version__})


async def readyz(request: Request) -> Response:
    """Say whether films can be analyzed: 200 with the number of open models, or 503."""
    count = len(bundles_of(service_of(request).engine))
    if not count:
        raise refuse("not_ready", "No model is open.")
    return JSONResponse({"status": "ready", "models": count})


async def metrics(request: Request) -> Response:
    """Give counts and durations in Prometheus's text format."""
    return Response(metering.exposition(service_of(request).metrics), media_type=metering.CONTENT_TYPE)


def bundles_of(engine: Engine) -> tuple[Bundle, ...]:
    """Return the bundles that ``engine`` has open."""
    return tuple(member.bundle for member in engine.members)


def describe(bundle: Bundle) -> dict[str, Any]:
    """Return what the list of models says of one bundle."""
    manifest: Manifest = bundle.manifest
    return {
        "name": manifest.name,
        "id": manifest.id,
        "version": manifest.version,
        "sha256": bundle.sha256,
        "precision": bundle.precision,
        "architecture": manifest.architecture,
        "slot": manifest.slot,
        "in_ensemble": manifest.in_ensemble,
        "trained_on": asdict(manifest.trained_on),
        "findings": list(manifest.assessed),
        "not_assessed": [
            {"name": output.name, "reason": output.reason} for output in manifest.outputs if not output.assessed
        ],
        "figures": {name: asdict(interval) for name, interval in manifest.figures.items()},
        "warnings": list(manifest.warnings),
    }


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        await asyncio.sleep(0)


def _note(request: Request, service: Service, answer: Answer, waited: float) -> None:
    seconds = {"wait": waited, **answer.seconds}
    metering.count_film(service.metrics, answer.accepted, answer.reasons, seconds)
    request.state.log.update(
        image=answer.sha256[:12],
        accepted=answer.accepted,
        reasons=answer.reasons,
        warnings=answer.warnings,
        bundles=[bundle.manifest.id for bundle in bundles_of(service.engine)],
        **{f"{stage}_ms": 1000 * value for stage, value in seconds.items()},
    )
