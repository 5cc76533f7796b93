"""Reading a frozen settings record: the command line before the environment, before a TOML file, before defaults."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsError

from hilum.errors import ConfigError
from hilum.records import Action, Policy, Precision

Record = TypeVar("Record", bound=BaseSettings)
Share = Annotated[float, Field(gt=0, lt=1)]


class EngineSettings(BaseSettings):
    """What every service that opens an engine lets one set."""

    models: Path | None = Field(
        None, description="Folder of bundles and `.h5` files of your own; unset: `./models`, where there is one."
    )
    policy: Policy = Field("youden", description="Which operating points decide what counts as positive.")
    prevalence: dict[str, Share] = Field(
        default_factory=dict, description="The site's own prevalence by finding, 0–1; behind `probability`."
    )
    scope: dict[str, Action] = Field(
        default_factory=dict,
        description="What is done about a film by what its header says or what it looks like: code → `refuse`, `warn` or `ignore`.",
    )
    precision: Precision = Field(
        "fp32", description="What networks compute in; `int8`: nearly twice as fast, where a member has weights for it."
    )
    monitor: Path | None = Field(
        None,
        description="Folder that a row of numbers is written to for each film, for `hilum monitor`; unset: none is.",
    )
    monitor_baseline: int = Field(
        0,
        ge=0,
        description="So many first films of that folder are the reference; 0: the one that came with the members.",
    )
    threads: int | None = Field(None, ge=1, le=256, description="Threads of one network's inference; unset: automatic.")
    signers: tuple[Path, ...] = Field(
        (),
        description="PEM files of public keys; set: each model must be signed by one of them, or the service does not start.",
    )
    signatures: Path = Field(
        Path("signatures"), description="Folder of the signatures, as `hilum models sign` writes it."
    )


def read_settings(
    kind: type[Record], config: Path | None, given: Mapping[str, Any], apart: tuple[str, ...] = ()
) -> Record:
    """Read the settings of ``kind``, whose ``env_prefix`` begins its variables, ``CONFIG`` among them: the TOML file.

    ``given`` counts where it is not None. Variables that begin with one of ``apart`` belong to another record.
    Raises ConfigError for an unknown name in any place, a value out of range, or a file that can't be read.
    """
    prefix = str(kind.model_config["env_prefix"])
    known = [f"{prefix}{name.upper()}" for name in ("config", *kind.model_fields)]
    named = (name for name in os.environ if name.startswith(prefix) and not name.startswith(apart))
    _refuse_unknown("environment variable", named, known)
    stated = os.environ.get(f"{prefix}CONFIG")
    file = _read_toml(config or (Path(stated) if stated else None), kind.model_fields)
    from_file = {name: value for name, value in file.items() if f"{prefix}{name.upper()}" not in os.environ}
    try:
        return kind(**from_file | {name: value for name, value in given.items() if value is not None})
    except (ValidationError, SettingsError) as error:
        raise ConfigError(_explain(error)) from None


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach ``host``."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _read_toml(path: Path | None, known: Iterable[str]) -> Mapping[str, Any]:
    if path is None:
        return {}
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"The configuration file {path} can't be read ({type(error).__name__}).") from None
    except ValueError as error:  # not TOML, or a number of thousands of digits
        raise ConfigError(f"The configuration file {path} is not valid TOML: {error}.") from None
    _refuse_unknown("setting", content, known)
    return content


def _refuse_unknown(kind: str, names: Iterable[str], known: Iterable[str]) -> None:
    known = list(known)
    for name in sorted(set(names) - set(known)):
        near = get_close_matches(name, known, n=1, cutoff=0.6)
        hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(sorted(known))}."
        raise ConfigError(f"Unknown {kind} {name}: {hint}")


def _explain(error: ValidationError | SettingsError) -> str:
    """Name each wrong setting and what was expected, without its value: a value may be a secret."""
    if isinstance(error, SettingsError):
        name = re.search(r'field "(\w+)"', str(error))
        return f"The setting {name[1] if name else '(unnamed)'} is not valid JSON, as a list or table must be."
    lines = []
    for fault in error.errors(include_url=False, include_context=False, include_input=False):
        where = ".".join(str(part) for part in fault["loc"])
        lines.append(f"{where}: {fault['msg']}" if where else fault["msg"].removeprefix("Value error, "))
    return "Wrong settings. " + "; ".join(lines) + "."
