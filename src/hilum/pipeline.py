"""Opening an engine, and the order of the steps from a radiograph to an analysis."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

import numpy as np

from hilum import __version__, appearance, ensemble, explain, gate, levels, signatures
from hilum.arrays import read_arrays
from hilum.errors import BundleNotFound, ConfigError, Incompatible, Untrusted
from hilum.findings import OUTPUTS
from hilum.graph import Head, read_head
from hilum.normalise import network_input, resample, scale_pixels
from hilum.records import (
    Analysis,
    Appearance,
    Array,
    Crop,
    EnsembleRecord,
    Heatmap,
    Look,
    Manifest,
    ModelProvenance,
    Policy,
    Precision,
    Provenance,
    Radiograph,
    ScopePolicy,
    Scored,
    Verdict,
    Withheld,
)
from hilum.registry import ENSEMBLE, Bundle, find_bundles, in_precision, load_bundle, read_ensemble, shipped_folder
from hilum.runtime import Session, open_session
from hilum.signatures import Trust

GOLDEN_TOLERANCE = {"fp32": 2e-3, "int8": 0.1}
"""Precision → largest difference of a logit between machines. Float32 sums in another order differ by less than 1e-4. In 8 bits,
a value rounded to the next step moves a logit by hundredths; an old processor whose products overflow moves it by whole units."""


@dataclass(frozen=True, slots=True, eq=False)
class Member:
    """An open model."""

    name: str
    """The manifest's, with the bundle's id behind it where two members share one."""
    bundle: Bundle
    session: Session
    head: Head | None
    """What heat maps are made from; None where the graph has no pooled head."""
    appearance: Appearance | None = None
    """What the gate judges pictures by; None where the bundle has nothing for it."""

    @property
    def manifest(self) -> Manifest:
        return self.bundle.manifest


@dataclass(frozen=True, slots=True, eq=False)
class Engine:
    """Open members and how their answers are put together. Safe to use from several threads."""

    members: tuple[Member, ...]
    policy: Policy = "youden"
    prevalence: Mapping[str, float] | None = None
    """Finding → 0–1: the site's own."""
    record: EnsembleRecord | None = None
    """What was measured of exactly these members together."""
    scope: ScopePolicy = gate.DEFAULT_SCOPE
    """What is done about films outside of what the members learnt."""

    @property
    def provenance(self) -> Provenance:
        models = tuple(
            ModelProvenance(
                name=member.name,
                bundle=member.manifest.id,
                version=member.manifest.version,
                sha256=member.bundle.sha256,
                precision=member.bundle.precision,
                trained_on=member.manifest.trained_on,
                warnings=member.manifest.warnings,
            )
            for member in self.members
        )
        return Provenance(f"hilum {__version__}", models, self.policy)


def open_engine(
    models: Path | str | None = None,
    *,
    policy: Policy = "youden",
    prevalence: Mapping[str, float] | None = None,
    threads: int | None = None,
    scope: Mapping[str, str] | None = None,
    trust: Trust | None = None,
    precision: Precision = "fp32",
) -> Engine:
    """Open the bundles that ship, and those of the folder ``models``.

    A ``.h5`` there replaces the shipped member of its slot, a bundle there the shipped one of its id; every other bundle
    joins. ``prevalence``: finding → 0–1, the site's own. ``threads``: of one network's inference; None takes one a
    processor, at most four. ``scope``: code of a reason → ``refuse``, ``warn`` or ``ignore``; the others as in ScopePolicy.
    ``trust``: whose signature each model, and what was measured of them, must have; None asks for none.
    ``precision``: ``int8`` opens the members that have weights for it in 8 bits.

    Raises ``BundleNotFound`` where the folder does not exist or there is no model at all, other ``BundleError`` for a model
    that can't be used, ``ConfigError`` for a policy, prevalence or scope that can't be.
    """
    _check(policy, prevalence or {})
    limits = gate.scope_policy(scope or {})
    bundles, record = _bundles(None if models is None else Path(models), trust)
    if not bundles:
        raise BundleNotFound(
            "There is no model. Expected bundles in the package or in the models folder: see hilum train."
        )
    return open_bundles(
        bundles,
        record=record,
        policy=policy,
        prevalence=prevalence,
        threads=threads,
        scope=limits,
        precision=precision,
    )


def open_bundles(
    bundles: Sequence[Bundle],
    *,
    record: EnsembleRecord | None = None,
    policy: Policy = "youden",
    prevalence: Mapping[str, float] | None = None,
    threads: int | None = None,
    scope: ScopePolicy = gate.DEFAULT_SCOPE,
    precision: Precision = "fp32",
) -> Engine:
    """Open exactly these bundles. ``record``: what was measured of them together; used only if it names just these.

    Raises ``Incompatible`` for an id twice, and as ``open_engine`` does for a bundle that can't be used.
    """
    _check(policy, prevalence or {})
    _refuse_twice(bundles)
    record = record if record is not None and dict(record.members) == _in_ensemble(bundles) else None
    names = unique_names([bundle.manifest for bundle in bundles])
    opened = [in_precision(bundle, precision) for bundle in bundles]
    processors = os.cpu_count() or 1
    # At the same time: on two processors the members that ship open in two thirds of the time.
    with ThreadPoolExecutor(processors) as pool:
        each = threads or min(4, processors)
        members = tuple(pool.map(lambda name, bundle: _open_member(name, bundle, each), names, opened))
    return Engine(members, policy, prevalence, record, scope)


def _check(policy: str, prevalence: Mapping[str, float]) -> None:
    if policy not in get_args(Policy):
        raise ConfigError(f"The policy is {policy!r}. Expected one of {', '.join(get_args(Policy))}.")
    for name, share in prevalence.items():
        if name not in OUTPUTS:
            raise ConfigError(f"A prevalence is given for {name!r}. Expected one of {', '.join(OUTPUTS)}.")
        if not 0 < share < 1:
            raise ConfigError(f"The prevalence of {name} is {share:g}. Expected a share between 0 and 1, such as 0.05.")


def _bundles(models: Path | None, trust: Trust | None) -> tuple[tuple[Bundle, ...], EnsembleRecord | None]:
    """Return the bundles to open, and the measurement of the ensemble if one fits exactly these."""
    own, records = [], [read_ensemble(shipped_folder())]
    if models is not None:
        if not models.is_dir():
            raise BundleNotFound(
                f"The models folder {models} does not exist. Expected a folder of bundles and .h5 files."
            )
        own = _from_keras(models)
        replaced = {bundle.manifest.slot for bundle in own} - {None}
        own += [load_bundle(folder) for folder in find_bundles(models)]
        records.insert(0, read_ensemble(models))
    else:
        replaced = set()
    _refuse_twice(own)
    ids = {bundle.manifest.id for bundle in own}
    shipped = [
        bundle
        for bundle in map(load_bundle, find_bundles(shipped_folder()))
        if bundle.manifest.id not in ids and bundle.manifest.slot not in replaced
    ]
    bundles = tuple(sorted([*own, *shipped], key=_place))
    opened = _in_ensemble(bundles)
    fitting = next((found for found in records if found is not None and dict(found[0].members) == opened), None)
    if trust is not None:
        _check_signed(bundles, fitting, trust)
    return bundles, None if fitting is None else fitting[0]


def _check_signed(bundles: Sequence[Bundle], measured: tuple[EnsembleRecord, str] | None, trust: Trust) -> None:
    for bundle in bundles:
        if bundle.folder is None:
            raise Untrusted(
                f"{bundle.manifest.name} is a .h5 file, which can't be signed. Do first: hilum models import."
            )
        signatures.check(trust, "manifest", bundle.sha256, bundle.manifest.name)
    if measured is not None:
        signatures.check(trust, "ensemble", measured[1], ENSEMBLE)


def _from_keras(models: Path) -> list[Bundle]:
    """Return the bundles made of the Keras files in a models folder."""
    if next(models.glob("*.h5"), None) is None:
        return []
    from hilum import keras_h5  # takes a quarter of a second, which a start without such files need not wait for

    return [keras_h5.bundle_from_h5(path) for path in keras_h5.h5_models(models)]


def _refuse_twice(bundles: Sequence[Bundle]) -> None:
    ids = Counter(bundle.manifest.id for bundle in bundles)
    if twice := [name for name, count in ids.items() if count > 1]:
        raise Incompatible(f"Two models have the id {twice[0]}. Expected each id once: rename one of them.")


def _in_ensemble(bundles: Sequence[Bundle]) -> dict[str, str]:
    """Return id → sha256 of the bundles that take part in the ensemble."""
    return {bundle.manifest.id: bundle.sha256 for bundle in bundles if bundle.manifest.in_ensemble}


def _place(bundle: Bundle) -> tuple[int, str]:
    """Order members: the three classic ones first."""
    slots = ("densenet", "mobilenet", "custom", None)
    return slots.index(bundle.manifest.slot), bundle.manifest.id


def unique_names(manifests: Sequence[Manifest]) -> tuple[str, ...]:
    """Return the composed names, with the id behind those that several share."""
    counts = Counter(manifest.name for manifest in manifests)
    return tuple(m.name if counts[m.name] == 1 else f"{m.name} [{m.id}]" for m in manifests)


def _open_member(name: str, bundle: Bundle, threads: int) -> Member:
    session = open_session(bundle.model, threads)
    check_golden(bundle, session)
    head = read_head(bundle.model) if "features" in session.outputs else None
    seen = None if bundle.appearance is None or head is None else appearance.from_npz(bundle.appearance)
    return Member(name, bundle, session, head, seen)


def check_golden(bundle: Bundle, session: Session) -> None:
    """Raise ``Incompatible`` unless the open network gives the golden logits; nothing to do for a bundle without any."""
    if bundle.golden is None:
        return
    pixels, expected = read_arrays(bundle.golden, "record of golden answers", "pixels", "logits")
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or not pixels.size or expected.dtype.kind != "f":
        raise Incompatible("The record of golden answers has arrays of another kind. Expected a file of hilum's.")
    inputs = scale_pixels(pixels.astype(np.float32) / np.float32(255), bundle.manifest.input)
    # One by one: together they would take 20 MB more, which the engine keeps.
    each = (np.ascontiguousarray(inputs[place : place + 1]) for place in range(len(inputs)))
    logits = np.concatenate([session.evaluate(one, "logits")[0] for one in each])
    difference = float(np.abs(logits - expected).max()) if logits.shape == expected.shape else float("inf")
    allowed = GOLDEN_TOLERANCE[bundle.precision]
    if not difference <= allowed:
        raise Incompatible(
            f"{bundle.manifest.name} does not give its golden answers in {bundle.precision} on this machine: logits differ by "
            f"{difference:g}, expected at most {allowed:g}. Do not use it here; report the processor and onnxruntime's version."
        )


Resampled = dict[tuple[int, int, Crop], Array]
"""Height, width and crop → one film's pixels as all networks of that field take them."""


def score(image: Radiograph, member: Member, resampled: Resampled | None = None) -> Scored:
    """Run one member's network on a film. Raises ``Incompatible`` if it does not fit its manifest.

    ``resampled``: what other members made of this film already; shared and added to. Of a film of 2500 × 2048 that saves 5 ms for
    each member but the first.
    """
    spec = member.manifest.input
    resampled = {} if resampled is None else resampled
    field = spec.height, spec.width, spec.crop
    if field not in resampled:
        resampled[field] = resample(image.pixels, spec)
    scored = member.session.run(network_input(resampled[field], spec))
    if scored.logits.shape != (len(member.manifest.outputs),):
        raise Incompatible(
            f"{member.name} gave {scored.logits.size} outputs. Expected the {len(member.manifest.outputs)} of its manifest."
        )
    return scored


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """A film as the networks get it, with the gate's verdict."""

    film: Radiograph
    verdict: Verdict
    scored: Mapping[str, Scored]
    """Member → what it gave already, by name."""
    resampled: Resampled
    corrected: str | None = None
    """What the picture was before it was set right."""
    look: Look | None = None
    """What it looks like, once set right; None where no network saw it."""


def admit(image: Radiograph, engine: Engine) -> Seen:
    """Judge a picture by itself, then by what a member sees in it; set it right where that makes it a film."""
    verdict = gate.judge(image, engine.scope)
    member = next((member for member in engine.members if member.appearance is not None), None)
    if not verdict.accepted or member is None:
        return Seen(image, verdict, {}, {})
    resampled: Resampled = {}
    scored, look = _look(image, member, resampled)
    if not look.is_film and (pixels := appearance.set_right(image.pixels, look.kind)) is not None:
        film = replace(image, pixels=pixels)
        turned: Resampled = {}
        again, second = _look(film, member, turned)
        if second.is_film:
            accepted = gate.judge_look(verdict, second, engine.scope, look.kind)
            return Seen(film, accepted, {member.name: again}, turned, look.kind, second)
    return Seen(image, gate.judge_look(verdict, look, engine.scope), {member.name: scored}, resampled, look=look)


def _look(image: Radiograph, member: Member, resampled: Resampled) -> tuple[Scored, Look]:
    scored = score(image, member, resampled)
    if scored.features is None or member.appearance is None:
        raise Incompatible(f"{member.name} gives no feature map, which the gate needs.")
    return scored, appearance.look(scored.features, image.pixels, member.appearance)


def analyze(image: Radiograph, engine: Engine) -> Analysis:
    """Read one radiograph: judge it, score it by every member, combine, explain."""
    seen = admit(image, engine)
    if not seen.verdict.accepted:
        return Analysis(image.source, seen.verdict, engine.provenance, look=seen.look)
    scored = [seen.scored.get(member.name) or score(seen.film, member, seen.resampled) for member in engine.members]
    manifests = [member.manifest for member in engine.members]
    prevalence = engine.prevalence or {}
    votes = {} if engine.record is None else engine.record.votes
    results = tuple(
        ensemble.member_result(
            member.name, member.manifest, one.logits, engine.policy, prevalence, votes.get(member.manifest.id, 1)
        )
        for member, one in zip(engine.members, scored, strict=True)
    )
    findings = ensemble.combine(results, manifests, engine.policy, prevalence, engine.record)
    top = ensemble.top_finding(findings)
    confidence = None if top is None else round(top.confidence, 1)
    says = ensemble.can_say(findings)
    known = None if engine.record is None else engine.record.uncertainty
    maps, no_maps, withheld = _explain(seen.film, engine, scored)
    if seen.corrected is not None:
        height, width = image.pixels.shape
        maps = tuple(appearance.turn_back(one, seen.corrected, width, height) for one in maps)
    return Analysis(
        source=image.source,
        verdict=seen.verdict,
        provenance=engine.provenance,
        findings=findings,
        not_assessed=ensemble.not_assessed(manifests, findings),
        members=results,
        heatmaps=maps,
        no_heatmap=no_maps,
        withheld=withheld,
        ensemble_confidence=confidence,
        level=None if confidence is None else levels.level(confidence) if says else levels.NO_READING,
        recommendation=None if confidence is None else levels.recommendation(confidence) if says else levels.ABSTAIN,
        conflicts=ensemble.conflicts(findings),
        look=seen.look,
        disagreements=ensemble.disagreements(results, engine.record),
        promise=None if known is None else known.promise,
        normal_claim=None if known is None else known.normal,
    )


def _explain(
    image: Radiograph, engine: Engine, scored: Sequence[Scored]
) -> tuple[tuple[Heatmap, ...], dict[str, str], tuple[Withheld, ...]]:
    height, width = image.pixels.shape
    inside = explain.body(image.pixels)
    maps: list[Heatmap] = []
    withheld: list[Withheld] = []
    none: dict[str, str] = {}
    for member, one in zip(engine.members, scored, strict=True):
        if member.head is None:
            none[member.name] = "the network does not end in global average pooling and dense layers with ReLU"
            continue
        shown, kept_back = explain.heatmaps(member.name, one, member.head, member.manifest, inside, width, height)
        maps += shown
        withheld += kept_back
    return tuple(maps), none, tuple(withheld)
