"""``hilum models keygen``, ``sign`` and ``verify``: who vouches for a model, and whether it is whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer
from rich.console import Console
from rich.text import Text

from hilum.cli.options import (
    SIGNATURES,
    Bundles,
    Models,
    SignaturesOption,
    Signers,
    models_folder,
    open_chosen,
    trust_in,
)
from hilum.errors import BundleError, ConfigError, HashMismatch

if TYPE_CHECKING:
    from hilum.signatures import Trust


def keygen(
    key: Annotated[Path, typer.Argument(help="File of the private key to write; the public one is KEY.pub.")],
) -> None:
    """Make a key to sign models with. Keep it off the machines that serve."""
    from hilum.signatures import make_key

    public = make_key(key)
    typer.echo(f"{key}: the private key; {public}: the public one, for the setting signers")


def sign(
    key: Annotated[Path, typer.Option(help="Private key, as hilum models keygen writes it.", show_default=False)],
    bundles: Bundles = None,
    out: Annotated[Path, typer.Option(help="Folder that the signatures are written into.")] = SIGNATURES,
    models: Models = None,
) -> None:
    """Sign models, all that would be open unless some are named, and what was measured of them together."""
    from hilum.registry import read_ensemble
    from hilum.signatures import read_private_key
    from hilum.signatures import sign as write_signature

    private = read_private_key(key)
    engine = open_chosen(bundles, models)
    chosen = [member.bundle for member in engine.members]
    if h5 := [bundle for bundle in chosen if bundle.folder is None]:
        raise ConfigError(f"{h5[0].manifest.id} is a .h5 file, which can't be signed. Do first: hilum models import.")
    for bundle in chosen:
        write_signature(out, "manifest", bundle.sha256, private)
        typer.echo(f"signed {bundle.manifest.name} {bundle.manifest.version}, sha256 {bundle.sha256}")
    beside = {bundle.folder.parent for bundle in chosen if bundle.folder is not None}
    for found in filter(None, map(read_ensemble, sorted(beside))):
        if found[0] == engine.record:
            write_signature(out, "ensemble", found[1], private)
            typer.echo(f"signed ensemble.json of these, sha256 {found[1]}")


def verify(
    models: Models = None,
    signer: Signers = None,
    signatures: SignaturesOption = SIGNATURES,
) -> None:
    """Check hashes, manifests, golden answers, and signatures where signers are given. Exit code 1 if one fails."""
    from hilum.registry import shipped_folder

    trust = trust_in(signer, signatures)
    failed = False
    for folder in filter(None, (shipped_folder(), models_folder(models))):
        for name, told in _judge(folder, trust):
            failed = failed or isinstance(told, BundleError)
            text = f"{name}: {told} ({told.code})" if isinstance(told, BundleError) else f"{name}: {told}"
            Console().print(Text(text, style="red" if isinstance(told, BundleError) else ""), soft_wrap=True)
    raise typer.Exit(1 if failed else 0)


def _judge(folder: Path, trust: Trust | None) -> Iterator[tuple[str, str | BundleError]]:
    """Yield each bundle, the reference and the ensemble's record, with what is to be said of it."""
    from hilum.pipeline import check_golden
    from hilum.records import Precision
    from hilum.registry import ENSEMBLE, find_bundles, in_precision, load_bundle, read_ensemble
    from hilum.runtime import open_session
    from hilum.signatures import check

    digests: dict[str, str] = {}
    signed = ", signed" if trust else ""
    for place in find_bundles(folder):
        try:
            bundle = load_bundle(place)
            digests[bundle.manifest.id] = bundle.sha256
            if trust is not None:
                check(trust, "manifest", bundle.sha256, bundle.manifest.name)
            each = [in_precision(bundle, precision) for precision in get_args(Precision)]
            precisions = {one.precision: one for one in each}
            for opened in precisions.values():
                check_golden(opened, open_session(opened.model))
        except BundleError as error:
            yield place.name, error
        else:
            known = ", ".join(precisions)
            yield place.name, f"whole{signed}, {bundle.manifest.name} {bundle.manifest.version}, {known}"
    yield from _judge_reference(folder, digests)
    try:
        found = read_ensemble(folder)
        if found is None:
            return
        record, digest = found
        if other := [name for name, sha256 in record.members.items() if digests.get(name, sha256) != sha256]:
            raise HashMismatch(
                f"It was measured on another {other[0]} than lies beside it. Was that manifest changed since? "
                "Else measure anew: hilum models combine."
            )
        if trust is not None:
            check(trust, "ensemble", digest, ENSEMBLE)
    except BundleError as error:
        yield ENSEMBLE, error
    else:
        yield ENSEMBLE, f"whole{signed}, of {len(record.members)} members"


def _judge_reference(folder: Path, digests: Mapping[str, str]) -> Iterator[tuple[str, str | BundleError]]:
    """Yield what is to be said of the reference, which no answer hangs on: of other members it is left unused, and no fault."""
    from hilum.registry import REFERENCE, load_reference

    try:
        found = load_reference(folder)
    except BundleError as error:
        yield REFERENCE, error
        return
    if found is not None:
        own = dict(found.record.members) == dict(digests)
        yield REFERENCE, f"whole, {found.record.films} films" + ("" if own else ", of other members: left unused")
