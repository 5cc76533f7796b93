"""An evaluation in a few sentences and figures: how a scorecard opens, and what it warns of."""

from __future__ import annotations

from collections.abc import Iterator

from hilum.evaluation.record import Evaluation
from hilum.evaluation.scorecard.cells import decimal
from hilum.evaluation.scoring import ENSEMBLE
from hilum.records import Interval

FEW = 50
"""Positive patients below which an interval is said to be wide."""


def heading(evaluation: Evaluation) -> str:
    """Return whose scorecard it is."""
    if evaluation.subject != ENSEMBLE:
        return f"Scorecard: {evaluation.subject}"
    members = [one for one in evaluation.models if one.in_ensemble]
    data = {one.model.trained_on.dataset for one in members}
    return f"Scorecard: ensemble of {len(members)} members, trained on {', '.join(sorted(data))}"


def short(figure: Interval, digits: int = 3) -> str:
    """Return a figure with its interval in brackets."""
    return f"{figure.value:.{digits}f} ({figure.low:.{digits}f}–{figure.high:.{digits}f})".replace("-", "−")


def sentences(evaluation: Evaluation) -> Iterator[str]:
    """Yield the opening: how many films, how well ordered, how well calibrated, how it points."""
    judged = evaluation.judged[evaluation.subject]
    films = f"{evaluation.films} films of {evaluation.patients} patients were judged"
    yield f"{films}." if not evaluation.refused else f"{films}; the gate refused {evaluation.refused} more."
    if judged.mean_auroc is None:
        yield "No finding has films both with and without it, so there is nothing to judge."
        return
    ranked = sorted(judged.auroc.items(), key=lambda pair: pair[1].value)
    (worst, low), (best, high) = ranked[0], ranked[-1]
    yield (
        f"Over {len(ranked)} findings the mean AUROC is {short(judged.mean_auroc)}, from {low.value:.3f} for {worst} to "
        f"{high.value:.3f} for {best}."
    )
    calibrations = [one.calibration for one in judged.findings.values() if one.calibration is not None]
    if calibrations:
        slopes = [one.slope for one in calibrations if one.slope is not None]
        contain = sum(slope.low <= 1 <= slope.high for slope in slopes)
        within = sum(one.ece.value <= one.ece_floor.high for one in calibrations)
        yield (
            f"The calibration slope’s interval contains 1 for {contain} of {len(slopes)} findings, and the calibration error is "
            f"within what chance gives a perfectly calibrated model for {within} of {len(calibrations)}."
        )
    if (promises := evaluation.promises) is not None:
        yield (
            f"Sets held the truth for {short(promises.pooled.covered)} of the answers, which is "
            f"{'within' if promises.kept else 'not within'} 2 points of the {promises.promise:.0%} that they promise."
        )
    if evaluation.subject == ENSEMBLE and evaluation.gain:
        gains = "; ".join(f"{who} {signed(gain)}" for who, gain in evaluation.gain.items())
        yield f"The ensemble’s mean AUROC minus each member’s, over the findings that both assess: {gains}."
    if own := evaluation.localisation.get(evaluation.subject):
        better = [name for name, one in own.items() if one.hits_gain.low > 0]
        worse = [name for name, one in own.items() if one.hits_gain.high < 0]
        yield (
            f"Of {len(own)} findings with boxes, heat maps point better than the best fixed point for {_named(better)}, and worse "
            f"for {_named(worse)}; for the others it can’t be told."
        )


def signed(figure: Interval, digits: int = 3) -> str:
    """Return a difference with its interval in brackets."""
    form = f"+.{digits}f"
    return f"{decimal(figure.value, form)} ({decimal(figure.low, form)} to {decimal(figure.high, form)})"


def _named(names: list[str]) -> str:
    return ", ".join(names) or "none"


def tiles(evaluation: Evaluation) -> Iterator[tuple[str, str, str]]:
    """Yield name, value and note of the figures that stand out."""
    means = evaluation.judged[evaluation.subject].means
    count = len(evaluation.judged[evaluation.subject].findings)
    if "auroc" in means:
        yield "Mean AUROC", f"{means['auroc'].value:.3f}", f"{_span(means['auroc'])}, {count} findings"
    for kind in ("sensitivity", "specificity"):
        if (mean := means.get(f"{kind} {evaluation.policy}")) is not None:
            yield f"Mean {kind}", f"{mean.value:.2f}", f"{_span(mean, 2)}, {evaluation.policy}"
    if "slope" in means:
        yield "Mean slope", f"{means['slope'].value:.2f}", f"{_span(means['slope'], 2)}; 1 is right"
    if "ece" in means:
        yield "Mean ECE", f"{means['ece'].value:.3f}", f"floor {short(means['ece_floor'])}"


def _span(figure: Interval, digits: int = 3) -> str:
    return f"{figure.low:.{digits}f}–{figure.high:.{digits}f}".replace("-", "−")


def warnings_of(evaluation: Evaluation, who: str) -> Iterator[str]:
    """Yield what the figures of a member, or of the ensemble, do not say."""
    findings = evaluation.judged[who].findings
    assessed = {name for one in evaluation.models if who in (ENSEMBLE, one.model.name) for name in one.findings}
    data = evaluation.data
    yield "How the model does elsewhere: other hospitals, machines and patients than those of these films."
    yield "Whether these patients are unknown to the model. That is for whoever chose them; nothing here can check it."
    sources = ", ".join(list(data.label_sources)[:6]) + (" and others" if len(data.label_sources) > 6 else "")
    yield (
        f"Whether the labels are right. They come from: {sources}. Labels mined from reports’ text are noisy, and a model that "
        "learnt such labels looks better on them than against radiologists."
    )
    yield (
        "What a positive answer means at your site. These films are as rich in findings as they were chosen to be; hilum "
        "prevalence gives predictive values at your own prevalence."
    )
    if few := [name for name, one in findings.items() if one.positive_patients < FEW]:
        yield f"Much about {', '.join(few)}: fewer than {FEW} patients show them, so their intervals are wide, and rightly so."
    if unjudged := sorted(assessed - findings.keys()):
        yield f"Anything about {', '.join(unjudged)}: these films have no label for them, or all have the same."
    if "not stated" in data.views or len(data.views) < 2:
        yield "Whether views differ: they are not stated for all films, or there is only one."
    yield (
        "Why groups differ. Groups differ in illness, view and how they were chosen, and many comparisons find some gap by chance."
    )
    yield "Whether anybody decides better with it. That needs a study of readers."
