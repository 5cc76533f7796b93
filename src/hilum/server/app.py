"""The app: routes, guards and errors put together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.staticfiles import StaticFiles

from hilum import __version__
from hilum.errors import HilumError
from hilum.monitor.live import Monitor
from hilum.pipeline import Engine
from hilum.server import api, schemas
from hilum.server.edge import Edge
from hilum.server.guards import guards
from hilum.server.headers import security_headers
from hilum.server.metrics import make_metrics
from hilum.server.note import open_audit
from hilum.server.pool import Pool
from hilum.server.problems import Problem, ProblemError, problem_of, refuse, respond
from hilum.server.reference import CONTENT_SECURITY_POLICY, reference_page
from hilum.server.settings import Settings
from hilum.server.work import Work, work_with

STATIC = Path(__file__).parent / "static"
DESCRIPTION = (
    "Reads chest radiographs with an ensemble of trained networks. For research and education only: clinical use "
    "requires validation by qualified radiologists, compliance with medical regulations, integration with clinical "
    "workflows and proper informed consent. Where API keys are set, send one as `Authorization: Bearer KEY`."
)


def create_app(settings: Settings, engine: Engine, work: Work | None = None, monitor: Monitor | None = None) -> FastAPI:
    """Return the service. ``work`` stands in for what a worker does with a film, as a test may want."""
    metrics = make_metrics(monitor)
    pool = Pool(settings.workers, settings.queue, metrics)
    app = FastAPI(
        title="hilum",
        version=__version__,
        description=DESCRIPTION,
        docs_url=None,  # FastAPI's own pages load their scripts from the internet
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_closing(pool),
    )
    app.state.service = api.Service(
        settings, engine, work or work_with(engine, settings.max_upload_bytes, monitor), pool, metrics
    )
    _add_routes(app)
    _add_page(app)
    for error in (HilumError, ProblemError, HTTPException):
        app.add_exception_handler(error, _problem)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_middleware(
        Edge,
        guards=guards(settings),
        metrics=metrics,
        headers=security_headers(settings.tls_certificate is not None),
        audit=open_audit(settings),
    )
    return app


def _add_routes(app: FastAPI) -> None:
    answer = schemas.documents(schemas.described("The analysis, also of a film that is refused", schemas.ANSWER))
    faults = schemas.problems(400, 401, 403, 408, 413, 415, 421, 422, 429, 500, 501, 503)
    for path in ("/api/ml-analyze", "/api/v1/analyze"):
        app.add_api_route(
            path, api.analyze_film, methods=["POST"], responses={200: answer, **faults}, openapi_extra=schemas.UPLOAD
        )
    known = schemas.problems(401, 403, 421, 429)
    app.add_api_route("/api/v1/models", api.list_models, responses=known)
    app.add_api_route("/api/v1/audit", api.list_audit, responses=schemas.problems(401, 403, 404, 421, 422, 429, 503))
    app.add_api_route("/healthz", api.healthz)
    app.add_api_route("/readyz", api.readyz, responses=schemas.problems(503))
    app.add_api_route("/metrics", api.metrics, responses=known, response_class=Response)
    app.add_api_route("/api/docs", _reference, responses=known, response_class=HTMLResponse)


def _add_page(app: FastAPI) -> None:
    app.add_api_route("/", _page, include_in_schema=False)
    app.mount("/static", StaticFiles(directory=STATIC, check_dir=False), name="static")


async def _page() -> Response:
    """Give the page."""
    page = STATIC / "index.html"
    if not page.is_file():
        raise refuse("not_found", "The page is not part of this installation; the HTTP interface is.")
    return FileResponse(page)


async def _reference(request: Request) -> Response:
    """Give this reference, made from the OpenAPI document."""
    return HTMLResponse(
        reference_page(request.app.openapi()), headers={"Content-Security-Policy": CONTENT_SECURITY_POLICY}
    )


async def _problem(request: Request, error: Exception) -> Response:
    return respond(problem_of(error), request)


async def _invalid(request: Request, error: Exception) -> Response:
    """Name each wrong parameter and what was expected, not what was sent."""
    faults = error.errors() if isinstance(error, RequestValidationError) else ()
    detail = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in faults)
    return respond(Problem("invalid_request", detail), request)


def _closing(pool: Pool) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        pool.close()

    return lifespan
