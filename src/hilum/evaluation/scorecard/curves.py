"""The curves of every finding."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from hilum.evaluation.record import Evaluation
from hilum.evaluation.scorecard.cells import spoken
from hilum.evaluation.scorecard.plots import legend, plots_of, precision_recall_plot, reliability_plot, roc_plot
from hilum.evaluation.scoring import ENSEMBLE


def curves(evaluation: Evaluation) -> Iterator[str]:
    """Yield the legend, and each finding's three plots."""
    others = [who for who in evaluation.judged if who not in (evaluation.subject, ENSEMBLE)]
    order = [evaluation.subject, *others]
    yield legend(order)
    yield (
        '<p class="note">ROC with the operating point (ring), precision and recall, and the reliability of '
        f"{escape(spoken(evaluation.subject))}: bins of equally many films with 95 % intervals. Grey: chance, and perfect "
        'calibration.</p><div class="grid-of-plots">'
    )
    for name, one in evaluation.judged[evaluation.subject].findings.items():
        curves = plots_of(name, evaluation.curves, order)
        point = one.points.get(evaluation.policy)
        cut = None if point is None else (point.sensitivity.value, point.specificity.value)
        plots = roc_plot(name, curves, cut) + precision_recall_plot(name, curves, one.positives / one.films)
        own = curves[0]
        if own is not None and own.reliability:
            plots += reliability_plot(name, own)
        caption = f"{escape(name)} <small>{one.positives} of {one.films} films, AUROC {one.auroc.value:.3f}</small>"
        yield f"<figure><figcaption>{caption}</figcaption>{plots}</figure>"
    yield "</div>"
