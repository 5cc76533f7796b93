"""The model card: what a bundle's manifest says, and what an evaluation found, as Markdown. Never written by hand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hilum.errors import Incompatible
from hilum.evaluation.judge import FindingFigures
from hilum.evaluation.record import Evaluation, Judged
from hilum.evaluation.scorecard.claim import ITEMS
from hilum.evaluation.scorecard.summary import short, signed, warnings_of
from hilum.evaluation.subgroups import Group
from hilum.levels import DISCLAIMER
from hilum.records import Interval, Manifest, Output
from hilum.registry import MODEL

POLICY = "youden"


def model_card(manifest: Manifest, evaluation: Evaluation | None = None) -> str:
    """Return the card. Raises ``Incompatible`` where the evaluation is not of these weights and this version."""
    parts = [*_head(manifest), *_use(manifest), *_manifest_figures(manifest)]
    if evaluation is not None:
        parts += _evaluated(evaluation, _judged(manifest, evaluation))
    return "\n".join(parts) + "\n"


def _judged(manifest: Manifest, evaluation: Evaluation) -> Judged:
    own = [one for one in evaluation.models if one.model.bundle == manifest.id]
    if not own:
        raise Incompatible(f"The evaluation did not judge {manifest.id}. Expected one that names this bundle.")
    if (own[0].model_sha256, own[0].model.version) != (manifest.files.get(MODEL), manifest.version):
        raise Incompatible(
            f"The evaluation judged version {own[0].model.version} of {manifest.id}, or other weights. Expected version "
            f"{manifest.version} and the same graph: run hilum evaluate again."
        )
    return own[0]


def _head(manifest: Manifest) -> Iterator[str]:
    trained = manifest.trained_on
    yield f"# {manifest.name}, version {manifest.version}\n\n{DISCLAIMER}\n"
    yield "## What it is\n"
    films = "" if trained.images is None else f", {trained.images:,} films of {trained.patients or 0:,} patients"
    whose = " (a user says so)" if trained.declared else ""
    calibrated = manifest.calibrated_on
    facts = {
        "architecture": manifest.architecture,
        "input": f"{manifest.input.width} × {manifest.input.height}, {manifest.input.crop} film",
        "trained on": f"{trained.dataset}{whose}{films}",
        "pre-training": trained.pretraining or "none",
        "teachers": ", ".join(trained.teachers) or "none",
        "films": trained.image_licence or "licence not stated",
        "labels": trained.label_licence or "licence not stated",
        "sources of the labels": ", ".join(trained.label_sources) or "not stated",
        "calibrated on": "patients whom the scoring network was not trained on: validation patients, or out-of-fold predictions"
        if calibrated is None
        else f"{calibrated.films:,} films of {calibrated.patients:,} patients, anew from version {calibrated.base_version}: "
        f"{', '.join(calibrated.outputs)}",
        "cite": trained.citation or "not stated",
        "made by": f"`{trained.command}`, commit {trained.commit}" if trained.command else "not stated",
        "warnings": "; ".join(manifest.warnings) or "none",
    }
    if not any(output.calibration for output in manifest.outputs):
        facts["calibrated on"] = "nothing: it is not calibrated"
    yield from _table(("", ""), list(facts.items()))


def _use(manifest: Manifest) -> Iterator[str]:
    left_out = [f"{one.name} ({one.reason or 'no reason given'})" for one in manifest.outputs if not one.assessed]
    yield "## What it is for\n"
    yield f"Research and education: a frontal chest radiograph in, an answer for each of {', '.join(manifest.assessed)} out.\n"
    if left_out:
        yield f"Not assessed: {'; '.join(left_out)}.\n"
    yield "Not for decisions on patients, lateral films, or other parts of the body.\n"


def _manifest_figures(manifest: Manifest) -> Iterator[str]:
    yield "## What its manifest says of it\n"
    if (mean := manifest.figures.get("mean_auroc")) is not None:
        yield f"Mean AUROC {short(mean)} on held-out patients.\n"
    head = (
        "output",
        "positive training patients",
        "AUROC, held-out patients",
        "operating point",
        "sensitivity / specificity",
    )
    yield from _table(head, [_output(one) for one in manifest.outputs if one.assessed])
    yield (
        f"Operating points (`{POLICY}`, on confidence 0–100) with their sensitivity and specificity are from the patients that "
        "they were chosen on, so they flatter a little; AUROC is from held-out ones, with its 95 % interval by bootstrap over "
        "patients.\n"
    )


def _output(output: Output) -> tuple[str, ...]:
    point = output.operating_points.get(POLICY)
    cut, rates = "none", "not known"
    if point is not None:
        cut = f"{point.threshold:.1f}"
        if point.sensitivity is not None and point.specificity is not None:
            rates = f"{point.sensitivity:.2f} / {point.specificity:.2f}"
    positives = "not stated" if output.positives is None else f"{output.positives:,}"
    return (output.name, positives, "not measured" if output.auroc is None else short(output.auroc), cut, rates)


def _evaluated(evaluation: Evaluation, own: Judged) -> Iterator[str]:
    who = own.model.name
    judged = evaluation.judged[who]
    yield "## How it was judged\n"
    yield (
        f"On {evaluation.films:,} films of {evaluation.patients:,} patients, sources: {', '.join(evaluation.data.sources)}; views: "
        f"{', '.join(evaluation.data.views)}. Each figure has its 95 % interval by bootstrap over patients.\n"
    )
    head = ("finding", "films with / of", "AUROC", "AUPRC", "sensitivity", "specificity", "slope", "ECE", "its floor")
    yield from _table(head, [_figures(name, one) for name, one in judged.findings.items()])
    if judged.mean_auroc is not None:
        yield f"Mean AUROC {short(judged.mean_auroc)}.\n"
    if own.in_ensemble and (gain := evaluation.gain.get(who)) is not None and len(evaluation.models) > 1:
        yield f"The ensemble's mean AUROC minus this member's, over what both assess: {signed(gain)}.\n"
    if pointing := evaluation.localisation.get(who):
        yield "Heat maps against readers' boxes, beside the best fixed point, which needs no film:\n"
        rows = [
            (name, str(one.films), _two(one.hits), _two(one.fixed_hits), signed(one.hits_gain, 2))
            for name, one in pointing.items()
        ]
        yield from _table(("finding", "films", "hits", "fixed point", "gain"), rows)
    if evaluation.subject == who and evaluation.groups:
        yield "Groups: mean AUROC over what the group can be judged for, and the gap to everybody else:\n"
        yield from _table(("group", "films", "AUROC", "gap"), [_group(one) for one in evaluation.groups])
    yield "## What these figures do not say\n"
    yield from (f"- {text}" for text in warnings_of(evaluation, who))
    open_items = [str(item.number) for item in ITEMS if item.answered == "no"]
    yield (
        f"\nOf CLAIM's items (2020) these stay open, for whoever publishes the figures: {', '.join(open_items)}.\n\n"
        f"Made by `{evaluation.command}`; films {evaluation.data.sha256}."
    )


def _figures(name: str, one: FindingFigures) -> tuple[str, ...]:
    point, calibration = one.points.get(POLICY), one.calibration
    rates = ("", "") if point is None else (_two(point.sensitivity), _two(point.specificity))
    slope, error, floor = "", "", ""
    if calibration is not None:
        slope = "too few films" if calibration.slope is None else _two(calibration.slope)
        error, floor = short(calibration.ece), short(calibration.ece_floor)
    return (name, f"{one.positives} / {one.films}", short(one.auroc), short(one.auprc), *rates, slope, error, floor)


def _group(group: Group) -> tuple[str, ...]:
    one = group.means.get("auroc")
    figures = ("too few patients", "") if one is None else (short(one.inside), signed(one.gap))
    return (f"{group.attribute}: {group.value}", str(group.films), *figures)


def _two(figure: Interval) -> str:
    return short(figure, 2)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of a Markdown table, and an empty one."""
    yield f"| {' | '.join(head)} |"
    yield "|---" * len(head) + "|"
    yield from (f"| {' | '.join(cell.replace('|', '&#124;') for cell in row)} |" for row in rows)
    yield ""
