"""``hilum archive``: films by the million, on this machine or on a cluster, to be gone on with whatever dies."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console

from hilum.cli.analyze import SUFFIXES
from hilum.cli.options import (
    SIGNATURES,
    Models,
    PolicyOption,
    Prevalences,
    Scopes,
    SignaturesOption,
    Signers,
    models_folder,
    open_given,
    stop_signal,
    trust_in,
)
from hilum.errors import ConfigError

if TYPE_CHECKING:
    from hilum.cluster.plan import Basis, Plan
    from hilum.cluster.run import Progress
    from hilum.cluster.source import Source
    from hilum.cluster.store import Store

NEEDED = {"local": ("pyarrow", "tqdm"), "dask": ("pyarrow", "tqdm", "distributed")}


def archive(
    source: Annotated[
        str, typer.Argument(help="Folder of films, or a URL such as s3://bucket/films.", show_default=False)
    ],
    out: Annotated[
        Path, typer.Argument(help="Folder for the results; a run that it holds is gone on with.", show_default=False)
    ],
    executor: Annotated[
        Literal["local", "dask"], typer.Option(help="Processes of this machine, or a Dask cluster.")
    ] = "local",
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Processes of the local executor; unset: one a processor.", show_default=False),
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Of the Dask scheduler, such as tcp://10.0.0.5:8786.")
    ] = None,
    wait: Annotated[
        float, typer.Option(min=0, help="Seconds that a scheduler which does not answer is waited for.")
    ] = 600.0,
    shard_films: Annotated[
        int | None, typer.Option(min=1, help="Films of one results file; unset: 128.", show_default=False)
    ] = None,
    models: Models = None,
    policy: PolicyOption = "youden",
    prevalence: Prevalences = None,
    scope: Scopes = None,
    signer: Signers = None,
    signatures: SignaturesOption = SIGNATURES,
) -> None:
    """Analyze an archive of films into Parquet files, resumable. Exit code 0: all were read; 1: some could not be; 2: not done."""
    if (executor == "dask") != (scheduler is not None):
        raise ConfigError("--executor dask and --scheduler ADDRESS belong together. Expected both or neither.")
    if missing := [name for name in NEEDED[executor] if find_spec(name) is None]:
        extras = "archive,dask" if executor == "dask" else "archive"
        raise ConfigError(f"This command needs {', '.join(missing)}. Install them: pip install 'hilum[{extras}]'.")
    from hilum import logs
    from hilum.cluster.plan import basis_of, basis_to_json
    from hilum.cluster.processes import on_processes
    from hilum.cluster.run import run
    from hilum.cluster.source import find_source, with_probes
    from hilum.cluster.store import opened
    from hilum.cluster.summary import summarise, summary_to_json, summary_to_text

    logs.configure("warning" if sys.stderr.isatty() else "info")
    stop = stop_signal()
    place = find_source(source)
    engine = open_given(models, policy, prevalence, threads=1, scope=scope, trust=trust_in(signer, signatures))
    basis = basis_of(engine, place.url)
    with opened(out) as store:
        plan = planned(store, place, basis, shard_films)
        place = with_probes(place, store.films(plan)["file"])
        if scheduler is None:
            execute = on_processes(place, engine, workers or processors())
        else:
            from hilum.cluster.scheduled import Job, on_dask

            execute = on_dask(Job(place, models_folder(models), basis_to_json(basis)), scheduler, wait, stop)
        done = sum(plan.size(shard) for shard in store.done())
        with progress_bar(plan.films, done) as progress:
            whole = run(plan, store, execute, stop, progress)
        if not whole:
            Console(stderr=True).print("hilum has stopped; the same command goes on from there", highlight=False)
            raise typer.Exit(2)
        summary = summarise(store.results())
        store.write_summary(summary_to_json(summary))
    Console().print(summary_to_text(summary), highlight=False, markup=False, soft_wrap=True)
    raise typer.Exit(1 if summary.failed else 0)


def planned(store: Store, source: Source, basis: Basis, shard_films: int | None) -> Plan:
    """Return the plan that OUT holds, if it is of the same basis, or begin one."""
    from hilum.cluster.plan import SCHEMA, SHARD_FILMS, Plan, check_same
    from hilum.cluster.source import list_films
    from hilum.cluster.store import listing_of

    plan = store.plan()
    if plan is not None:
        check_same(plan, basis, shard_films)
        return plan
    films = list_films(source, SUFFIXES)
    listing = listing_of(films)
    plan = Plan(SCHEMA, basis, len(films), shard_films or SHARD_FILMS, hashlib.sha256(listing).hexdigest())
    store.begin(plan, listing)
    return plan


def processors() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def progress_bar(films: int, done: int) -> Iterator[Progress]:
    """Show on the error stream how many films have results, and when all will, where somebody looks at it."""
    from tqdm import tqdm

    # Its monitor is a thread, and processes are forked meanwhile.
    tqdm.monitor_interval = 0
    with tqdm(total=films, initial=done, unit="film", smoothing=0.1, disable=not sys.stderr.isatty()) as bar:
        yield bar.update
