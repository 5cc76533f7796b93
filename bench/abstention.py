"""When to give no recommendation: candidate rules by what they leave unanswered and how often the rest is wrong.

    python bench/abstention.py --data data/cxr/labels.csv --patients splits/validation.csv --min-original-width 1024

Five folds of the validation patients, each judged by cuts from the other four: no held-out patient is looked at to choose. A film's
answer is "a listed finding" or "none", by whichever lies further beyond its cut; it is wrong where the labels say otherwise.
Intervals are over patients, by bootstrap.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from hilum import conformal
from hilum.datasets.split import split_folds
from hilum.datasets.table import Table
from hilum.evaluation.bootstrap import SEED, patient_draws
from hilum.evaluation.coverage import share_of
from hilum.evaluation.scoring import ENSEMBLE, Scores
from hilum.evaluation.uncertainty import NORMAL_MISSES
from hilum.findings import NORMAL
from hilum.records import Interval
from scored import scores_asked_for

FOLDS = 5
PROMISES = (0.8, 0.85, 0.9, 0.95)


def margins(scores: Scores, promise: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return, films × findings, how far confidences lie beyond "present" and beyond "absent"; and, (N,), beyond Normal's claim."""
    dealt = split_folds(Table(Path(), scores.rows), FOLDS, SEED)
    fold = np.array([next(k for k, own in enumerate(dealt) if patient in own) for patient in scores.patients])
    values, labels = scores.confidences[ENSEMBLE].astype(float), scores.labels
    present, absent, normal = np.full(values.shape, -100.0), np.full(values.shape, -100.0), np.full(len(values), -100.0)
    for number in range(FOLDS):
        judged = fold == number
        for at, name in enumerate(scores.names):
            fit = ~judged & ~np.isnan(labels[:, at])
            if name == NORMAL:
                point = conformal.claim_point(values[fit, at], labels[fit, at], NORMAL_MISSES)
                normal[judged] = values[judged, at] - point.threshold
            else:
                cuts = conformal.fit_cuts(values[fit, at], labels[fit, at], promise)
                present[judged, at] = values[judged, at] - cuts.present_above
                absent[judged, at] = cuts.absent_below - values[judged, at]
    return present, absent, normal


def table(scores: Scores) -> Iterator[str]:
    """Yield the lines of a Markdown table."""
    draws = patient_draws(scores.patients)
    listed = [at for at, name in enumerate(scores.names) if name != NORMAL]
    leading = scores.confidences[ENSEMBLE][:, listed].argmax(axis=1)
    label = scores.labels[:, scores.names.index(NORMAL)]
    known, ill, films = ~np.isnan(label), label == 0, np.arange(len(label))
    yield "| a recommendation is given where | promise | films answered | of films without a listed finding | wrong answers |"
    yield "|---|---|---|---|---|"
    for promise in PROMISES:
        present, absent, normal = margins(scores, promise)
        present, absent = present[:, listed], absent[:, listed]
        wrong = known & ((present.max(axis=1) >= normal) != ill)
        if promise == PROMISES[0]:
            yield f"| always | | 1 | 1 | {text(share_of(wrong, known, draws))} |"
        leads, lacks = present[films, leading] > 0, absent[films, leading] > 0
        for name, rule in (
            ("a set is “present”, or Normal is claimed", (present.max(axis=1) > 0) | (normal >= 0)),
            ("the leading finding's set is “present”, or Normal is claimed", leads | (normal >= 0)),
            ("the leading finding's set is one answer, or Normal is claimed", (leads ^ lacks) | (normal >= 0)),
            ("the leading finding's set is one answer", leads ^ lacks),
        ):
            answered = known & rule
            shares = (
                share_of(answered, known, draws),
                share_of(answered & ~ill, known & ~ill, draws),
                share_of(wrong & answered, answered, draws),
            )
            yield f"| {name} | {promise:.0%} | {' | '.join(map(text, shares))} |"


def text(share: Interval | None) -> str:
    return "none" if share is None else f"{share.value:.3f} ({share.low:.3f}–{share.high:.3f})"


if __name__ == "__main__":
    print("\n".join(table(scores_asked_for(__doc__))))
