"""What several commands ask for: which models, which policy, which prevalence."""

from __future__ import annotations

import signal
from collections.abc import Collection, Sequence
from importlib.util import find_spec
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Annotated

import typer

from hilum.errors import BundleNotFound, ConfigError
from hilum.records import Policy, Precision

if TYPE_CHECKING:
    from hilum.monitor.live import Monitor
    from hilum.pipeline import Engine
    from hilum.registry import Bundle
    from hilum.settings import EngineSettings
    from hilum.signatures import Trust

Bundles = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="BUNDLE...", help="Folders or ids of the models meant; without any, all.", show_default=False
    ),
]
Models = Annotated[Path | None, typer.Option(help="Folder of bundles and .h5 files; ./models is used where it exists.")]
Prevalences = Annotated[
    list[str] | None,
    typer.Option(
        "--prevalence", metavar="FINDING=SHARE", help="The site's own, such as Effusion=0.12; may be repeated."
    ),
]
Scopes = Annotated[
    list[str] | None,
    typer.Option(
        "--scope",
        metavar="CODE=ACTION",
        help="What is done about a reason of the gate, such as paediatric=refuse, warn or ignore; may be repeated.",
    ),
]
PolicyOption = Annotated[Policy, typer.Option(help="Which operating points decide what counts as positive.")]
PrecisionOption = Annotated[
    Precision, typer.Option(help="What networks compute in; int8: where a member has weights for it.")
]
MonitorOption = Annotated[
    Path | None,
    typer.Option("--monitor", help="Folder that a row of numbers is written to for each film, for hilum monitor."),
]
SIGNATURES = Path("signatures")
Signers = Annotated[
    list[Path] | None,
    typer.Option("--signer", help="Public key that must have signed each model; may be repeated.", show_default=False),
]
SignaturesOption = Annotated[Path, typer.Option("--signatures", help="Folder of the signatures.")]
Threads = Annotated[int | None, typer.Option(min=1, help="Threads of one network's inference.")]

DEFAULT_MODELS = Path("models")


HOSPITAL = ("pynetdicom", "dicomweb_client", "highdicom")


def need_hospital() -> None:
    """Raise ``ConfigError`` where the packages that speak to a hospital are not installed."""
    if missing := [name for name in HOSPITAL if find_spec(name) is None]:
        raise ConfigError(f"This command needs {', '.join(missing)}. Install them: pip install 'hilum[hospital]'.")


def stop_signal() -> Event:
    """Return an event that SIGTERM and SIGINT set, so that a service ends in good order."""
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop


def models_folder(given: Path | None) -> Path | None:
    """Return the folder given, else ``./models`` where there is one."""
    return given or (DEFAULT_MODELS if DEFAULT_MODELS.is_dir() else None)


def open_given(
    models: Path | None,
    policy: Policy = "youden",
    prevalence: list[str] | None = None,
    threads: int | None = None,
    scope: list[str] | None = None,
    precision: Precision = "fp32",
    trust: Trust | None = None,
) -> Engine:
    """Open the engine that the options describe."""
    from hilum.pipeline import open_engine

    shares = parse_prevalences(prevalence or [])
    actions = parse_scopes(scope or [])
    return open_engine(
        models_folder(models),
        policy=policy,
        prevalence=shares,
        threads=threads,
        scope=actions,
        trust=trust,
        precision=precision,
    )


def trust_in(signers: Sequence[Path] | None, signatures: Path) -> Trust | None:
    """Return whose signatures count, from the files of their public keys; None: nobody's is asked for."""
    from hilum.signatures import Trust, read_signer

    return Trust(tuple(map(read_signer, signers)), signatures) if signers else None


def open_chosen(
    bundles: list[str] | None,
    models: Path | None,
    prevalence: list[str] | None = None,
    precision: Precision = "fp32",
) -> Engine:
    """Open the bundles that are named by folder or, of the models that would be open, by id; without names, all of those."""
    from hilum.pipeline import open_bundles
    from hilum.registry import load_ensemble

    if not bundles:
        return open_given(models, prevalence=prevalence, precision=precision)
    chosen = [find_bundle(name, models) for name in bundles]
    beside = [load_ensemble(bundle.folder.parent) for bundle in chosen if bundle.folder is not None]
    record = next((record for record in beside if record is not None), None)
    shares = parse_prevalences(prevalence or [])
    return open_bundles(chosen, record=record, prevalence=shares, precision=precision)


def find_bundle(name: str, models: Path | None) -> Bundle:
    """Return the bundle in the folder ``name``, or the open model of that id. Raises ``BundleNotFound``."""
    from hilum.registry import MANIFEST, load_bundle

    if (Path(name) / MANIFEST).is_file():
        return load_bundle(Path(name))
    known = {member.manifest.id: member.bundle for member in open_given(models).members}
    if name not in known:
        raise BundleNotFound(
            f"There is no model {name!r}. Expected a bundle's folder or one of the ids {', '.join(known)}."
        )
    return known[name]


def open_set(settings: EngineSettings) -> Engine:
    """Open the engine that a service's settings describe."""
    from hilum.pipeline import open_engine

    return open_engine(
        models_folder(settings.models),
        policy=settings.policy,
        prevalence=settings.prevalence,
        threads=settings.threads,
        scope=settings.scope,
        trust=trust_in(settings.signers, settings.signatures),
        precision=settings.precision,
    )


def open_monitor(settings: EngineSettings, engine: Engine) -> Monitor | None:
    """Open the monitor that a service's settings describe; None where they name no folder."""
    if settings.monitor is None:
        return None
    from hilum.monitor.live import Monitor, reference_of

    reference = None if settings.monitor_baseline else reference_of(engine, models_folder(settings.models))
    return Monitor(settings.monitor, engine, reference, settings.monitor_baseline)


def parse_prevalences(texts: list[str]) -> dict[str, float]:
    """Return finding → share from texts such as ``Effusion=0.12``. Raises ``ConfigError``."""
    shares = {}
    for text in texts:
        name, _, share = text.partition("=")
        try:
            shares[name.strip()] = float(share)
        except ValueError:
            raise ConfigError(
                f"The prevalence {text!r} is not of the form FINDING=SHARE, such as Effusion=0.12."
            ) from None
    return shares


def parse_scopes(texts: list[str]) -> dict[str, str]:
    """Return code → action from texts such as ``paediatric=refuse``. Raises ``ConfigError``."""
    actions = {}
    for text in texts:
        code, found, action = text.partition("=")
        if not found:
            raise ConfigError(f"The scope {text!r} is not of the form CODE=ACTION, such as paediatric=refuse.")
        actions[code.strip()] = action.strip()
    return actions


def parse_names(text: str, known: Collection[str]) -> tuple[str, ...]:
    """Return the names in a text such as ``sr,sc``, each once. Raises ``ConfigError`` for one that is not known."""
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if unknown := [name for name in names if name not in known]:
        raise ConfigError(
            f"{unknown[0]!r} can't be written. Expected some of {', '.join(known)}, with commas between them."
        )
    return names
