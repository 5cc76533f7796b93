"""What a run over an archive is: which films in which shards, and by which weights and settings. Kept beside its results."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields

from pydantic import TypeAdapter, ValidationError

from hilum.errors import ConfigError
from hilum.pipeline import Engine
from hilum.records import Policy

SCHEMA = 1
SHARD_FILMS = 128
"""Films of a shard: some ten seconds of one core, which is what a process that dies costs."""


@dataclass(frozen=True, slots=True)
class Model:
    """One model that answers."""

    id: str
    version: str
    sha256: str
    """Of its manifest, which names every other file's."""


@dataclass(frozen=True, slots=True)
class Basis:
    """What the numbers of a run depend on. Two runs with the same basis give the same rows."""

    software: str
    source: str
    models: tuple[Model, ...]
    ensemble_sha256: str | None
    """Of what was measured of these models together; None where nothing was."""
    policy: Policy
    prevalence: Mapping[str, float]
    scope: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Plan:
    """``archive.json``: the basis, and how the films are cut."""

    schema: int
    basis: Basis
    films: int
    shard_films: int
    listing_sha256: str
    """Of ``films.parquet``."""

    @property
    def shards(self) -> int:
        return -(-self.films // self.shard_films)

    def size(self, shard: int) -> int:
        """Return how many films a shard has."""
        return min(self.shard_films, self.films - shard * self.shard_films)


_PLAN = TypeAdapter(Plan)
_BASIS = TypeAdapter(Basis)


def basis_of(engine: Engine, source: str) -> Basis:
    """Return what the answers of an open engine on a source depend on."""
    record = None if engine.record is None else json.dumps(asdict(engine.record), sort_keys=True)
    return Basis(
        software=engine.provenance.software,
        source=source,
        models=tuple(Model(one.bundle, one.version, one.sha256) for one in engine.provenance.models),
        ensemble_sha256=None if record is None else hashlib.sha256(record.encode()).hexdigest(),
        policy=engine.policy,
        prevalence=dict(engine.prevalence or {}),
        scope=asdict(engine.scope),
    )


def check_same(plan: Plan, basis: Basis, shard_films: int | None) -> None:
    """Raise ConfigError where a run that was begun would go on with something else."""
    changed = [one.name for one in fields(Basis) if getattr(plan.basis, one.name) != getattr(basis, one.name)]
    if shard_films not in (None, plan.shard_films):
        changed.append("shard_films")
    if changed:
        raise ConfigError(
            f"OUT was begun with another {', '.join(changed)}: see archive.json in it. Expected the same, so that all its rows "
            "mean the same: go on with what it was begun with, or name another OUT."
        )


def basis_to_json(basis: Basis) -> bytes:
    """Return a basis as bytes that another process can read."""
    return _BASIS.dump_json(basis)


def basis_from_json(raw: bytes) -> Basis:
    """Read what ``basis_to_json`` wrote."""
    return _BASIS.validate_json(raw)


def plan_to_json(plan: Plan) -> bytes:
    """Return a plan as its file's bytes."""
    return _PLAN.dump_json(plan, indent=2) + b"\n"


def plan_from_json(raw: bytes) -> Plan:
    """Read a plan. Raises ConfigError."""
    try:
        plan = _PLAN.validate_json(raw)
    except ValidationError:
        plan = None
    if plan is None or plan.schema != SCHEMA or plan.shard_films < 1 or plan.films < 0:
        raise ConfigError(
            "The archive.json in OUT can't be read. It is of another version of hilum, or was changed: name another OUT."
        )
    return plan
