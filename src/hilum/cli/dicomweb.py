"""``hilum dicomweb``: films of a DICOMweb server in, results out."""

from __future__ import annotations

import re
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from hilum.cli.options import (
    SIGNATURES,
    Models,
    PolicyOption,
    Prevalences,
    Scopes,
    SignaturesOption,
    Signers,
    Threads,
    need_hospital,
    open_given,
    parse_names,
    trust_in,
)
from hilum.errors import ConfigError, InputError, PeerError


def dicomweb(
    url: Annotated[
        str, typer.Argument(help="DICOMweb root, such as https://pacs.example.org/dicom-web.", show_default=False)
    ],
    query: Annotated[
        list[str] | None,
        typer.Option(metavar="KEYWORD=VALUE", help="Which studies, such as StudyDate=20260101-; may be repeated."),
    ] = None,
    returns: Annotated[str, typer.Option(metavar="NAMES", help="Which results, with commas between them.")] = "sr,sc",
    out: Annotated[
        Path | None, typer.Option(help="Folder that results are written to; without, they are stored at the server.")
    ] = None,
    authorization: Annotated[Path | None, typer.Option(help="File with the value of the Authorization header.")] = None,
    authorities: Annotated[Path | None, typer.Option(help="PEM file of authorities to check the server by.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many films.")] = None,
    models: Models = None,
    policy: PolicyOption = "youden",
    prevalence: Prevalences = None,
    scope: Scopes = None,
    signer: Signers = None,
    signatures: SignaturesOption = SIGNATURES,
    threads: Threads = None,
) -> None:
    """Analyze the CR and DX films of studies on a DICOMweb server. Exit code 1: some could not be read or stored."""
    need_hospital()
    filters = parse_query(query or [])
    from hilum.images import DEFAULT_LIMITS
    from hilum.node.answer import WRITERS, read_with
    from hilum.node.dicomweb import fetch, find_films, keep_in, store_at
    from hilum.node.web import open_client

    names = parse_names(returns, WRITERS)
    try:
        client = open_client(url, authorization, authorities)
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"The server can't be asked ({type(error).__name__}). Expected an http or https address, and files that can be read."
        ) from None
    store = store_at(client) if out is None else keep_in(out)
    engine = open_given(models, policy, prevalence, threads, scope, trust=trust_in(signer, signatures))
    read = read_with(engine, names, DEFAULT_LIMITS)
    done, failed = 0, 0
    for place in islice(find_films(client, filters), limit):
        try:
            store(place, read(fetch(client, place)).results)
            done += 1
        except (InputError, PeerError) as error:
            failed += 1
            Console(stderr=True).print(
                f"film {done + failed}: {error} ({error.code})", highlight=False, markup=False, soft_wrap=True
            )
    Console().print(f"{done} films analyzed, {failed} not", highlight=False)
    raise typer.Exit(1 if failed else 0)


def parse_query(texts: list[str]) -> dict[str, str]:
    """Return keyword → value from texts such as ``StudyDate=20260101-``. Raises ``ConfigError``."""
    filters = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not re.fullmatch(r"[A-Za-z]+|[0-9A-Fa-f]{8}", name):
            raise ConfigError("A query is not of the form KEYWORD=VALUE, such as StudyDate=20260101-20260131.")
        filters[name] = value
    return filters
