"""The tables by finding: how well films are ordered, how far probabilities can be believed, members beside the ensemble."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from hilum.evaluation.judge import FindingFigures
from hilum.evaluation.record import Evaluation
from hilum.evaluation.scorecard.cells import bold, figure, spoken, table
from hilum.evaluation.scorecard.plots import whisker
from hilum.evaluation.scoring import ENSEMBLE
from hilum.records import CalibrationFigures


def findings(evaluation: Evaluation) -> Iterator[str]:
    """Yield the subject's tables by finding."""
    judged = evaluation.judged[evaluation.subject]
    yield (
        f"<p>All figures of this section are of {escape(spoken(evaluation.subject))}, below each its 95 % interval. The line in "
        "the column of dots is chance (0.5); the AUPRC of chance is the share of films with the finding. "
        "Sensitivity and specificity are at the operating points for "
        f" <code>{escape(evaluation.policy)}</code>, which were chosen on other patients.</p>"
    )
    head = ("Finding", "Films with / of", "AUROC", "0.4 to 1", "AUPRC", "Sensitivity", "Specificity")
    rows = [_ordering(name, one, evaluation.policy) for name, one in judged.findings.items()]
    if means := judged.means:
        cells = [figure(means.get(f"{kind} {evaluation.policy}")) for kind in ("sensitivity", "specificity")]
        dots = whisker(means["auroc"], 0.4, 1, 0.5)
        rows.append(("<b>Mean</b>", "", figure(means["auroc"]), dots, figure(means["auprc"]), *cells))
    yield table(head, rows, "figures")
    yield "<h3>Can the probability be believed?</h3>"
    calibrated = [(name, one.calibration) for name, one in judged.findings.items() if one.calibration is not None]
    if not calibrated:
        yield "<p>This model is not calibrated: its numbers are no probabilities. <code>hilum calibrate</code> can fit them.</p>"
        return
    yield (
        "<p>After shifting to the prevalence of these films. A slope below 1 is overconfident, above 1 too timid; an intercept "
        "above 0 says that probabilities are too low. The floor is the ECE that perfectly calibrated probabilities would "
        "show on as many films, with its middle 95 %. What lies outside of what it should be is in bold.</p>"
    )
    head = ("Finding", "Slope", "0 to 2.5", "Intercept", "ECE", "Floor", "Brier score")
    lines = [_calibration(name, one) for name, one in calibrated]
    means = judged.means
    if "slope" in means:
        cells = [figure(means[kind]) for kind in ("ece", "ece_floor", "brier")]
        slope, dots = figure(means["slope"], 2), whisker(means["slope"], 0, 2.5, 1)
        lines.append(("<b>Mean</b>", slope, dots, figure(means["intercept"], 2, True), *cells))
    yield table(head, lines, "figures")


def _ordering(name: str, one: FindingFigures, policy: str) -> tuple[str, ...]:
    point = one.points.get(policy)
    share = one.positives / one.films
    rates = ("–", "–") if point is None else (figure(point.sensitivity), figure(point.specificity))
    dots = whisker(one.auroc, 0.4, 1, 0.5)
    films = f"{one.positives} / {one.films}<small>{share:.1%}</small>"
    return (escape(name), films, figure(one.auroc), dots, figure(one.auprc), *rates)


def _calibration(name: str, one: CalibrationFigures) -> tuple[str, ...]:
    slope = one.slope
    off = slope is not None and not slope.low <= 1 <= slope.high
    dots = "" if slope is None else whisker(slope, 0, 2.5, 1)
    return (
        escape(name),
        bold(figure(slope, 2), off),
        dots,
        bold(figure(one.intercept, 2, True), not one.intercept.low <= 0 <= one.intercept.high),
        bold(figure(one.ece), one.ece.value > one.ece_floor.high),
        figure(one.ece_floor),
        figure(one.brier),
    )


def members(evaluation: Evaluation) -> Iterator[str]:
    """Yield the table of everybody's AUROC, and the ensemble's gains."""
    yield (
        "<p>AUROC. Empty: not assessed. A mean is over what its column assesses, so two means can’t be compared; the last row can: "
        "the ensemble minus the member over the findings that both assess, on the same draws of patients.</p>"
    )
    names = list(evaluation.judged[ENSEMBLE].findings)
    columns = list(evaluation.judged.items())
    rows: list[Sequence[str]] = [
        (escape(name), *(figure(judged.auroc[name]) if name in judged.auroc else "" for _, judged in columns))
        for name in names
    ]
    rows.append(("<b>Mean</b>", *("" if j.mean_auroc is None else figure(j.mean_auroc) for _, j in columns)))
    gains = [evaluation.gain.get(who) for who, _ in columns]
    rows.append(("<b>Ensemble minus member</b>", *("" if gain is None else figure(gain, 3, True) for gain in gains)))
    yield table(("Finding", *(escape(who) for who, _ in columns)), rows, "figures")
