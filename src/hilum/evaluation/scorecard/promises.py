"""The section on sets, abstaining, Normal's miss rate and the cross-check: what was promised, and what became of it."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from hilum.evaluation.coverage import Coverage
from hilum.evaluation.promises import Promises
from hilum.evaluation.record import Evaluation
from hilum.evaluation.scorecard.cells import bold, figure, table
from hilum.evaluation.scorecard.plots import risk_plot, whisker
from hilum.evaluation.scorecard.summary import short
from hilum.records import Interval

HEAD = ("Covered", "0.7 to 1", "With the finding", "Without", "Single answers", "Of them wrong")


def promises(evaluation: Evaluation) -> Iterator[str]:
    """Yield the tables and curves; a sentence where nothing is promised."""
    found = evaluation.promises
    if found is None:
        yield "<p>These models promise nothing: they have no sets. <code>hilum models combine</code> fits them.</p>"
        return
    yield f"<p>{escape(_verdict(found))}</p>"
    yield (
        "<p>Covered: share of sets that hold the truth; the line is the promise, which is made for films with a finding and for "
        "films without it, each by themselves. A finding’s interval counts these films and that other validation films would have "
        "given other cuts; one that leaves the promise out is in bold.</p>"
    )
    rows = [(escape(name), *_cells(one, found.promise)) for name, one in found.findings.items()]
    yield table(("Finding", *HEAD), [*rows, ("<b>Pooled</b>", *_cells(found.pooled, found.promise))], "figures")
    if found.groups:
        yield "<p>Pooled over findings, by group:</p>"
        head = ("Group", "Films", *HEAD)
        groups = [
            (f"{escape(one.attribute)}: {escape(one.value)}", str(one.films), *_cells(one.coverage, found.promise))
            for one in found.groups
        ]
        yield table(head, groups, "figures")
    yield from _risk(found)
    yield from (f"<p>{escape(text)}</p>" for text in _claims(found))


def _verdict(found: Promises) -> str:
    off = [name for name, one in found.findings.items() if not one.contains]
    below = [name for name in off if found.findings[name].covered.value < found.promise]
    above = [name for name in off if name not in below]
    return (
        f"Pooled coverage {short(found.pooled.covered)} is {'within' if found.kept else 'NOT within'} 2 points of the promise "
        f"{found.promise:.2f}. The interval of {len(found.findings) - len(off)} of {len(found.findings)} findings contains it; "
        f"above it lies {', '.join(above) or 'none'}, below it {', '.join(below) or 'none'}."
    )


def _cells(one: Coverage, promise: float) -> tuple[str, ...]:
    return (
        bold(figure(one.covered), not one.contains),
        whisker(one.covered, 0.7, 1, promise),
        _some(one.with_finding),
        _some(one.without),
        figure(one.single),
        _some(one.wrong),
    )


def _some(found: Interval | None) -> str:
    return '<span class="none">none</span>' if found is None else figure(found)


def _risk(found: Promises) -> Iterator[str]:
    yield "<h3>What abstaining is worth</h3>"
    reading, plots = found.reading, []
    if reading is not None:
        wrong = "none of them" if reading.wrong is None else short(reading.wrong)
        yield (
            f"<p>A recommendation was given for {short(reading.answered)} of {reading.films} films. Of these, {wrong} said a "
            "listed finding where there is none, or none where there is one; had every film been answered, "
            f"{short(reading.wrong_of_all)}. "
            "The ring is where the rule stands; the line is what other rules of the same kind would give.</p>"
        )
        at = None if reading.wrong is None else (reading.answered.value, reading.wrong.value)
        plots.append(("Recommendation", risk_plot("the recommendation", reading.curve, at)))
    plots += [(name, risk_plot(name, curve)) for name, curve in found.curves.items()]
    yield (
        '<p class="note">For a finding: the share of films on the wrong side of its operating point, the films furthest from it '
        'first.</p><div class="grid-of-plots small-plots">'
    )
    yield from (f"<figure><figcaption>{escape(name)}</figcaption>{plot}</figure>" for name, plot in plots)
    yield "</div>"


def _claims(found: Promises) -> Iterator[str]:
    if found.normal_missed is not None and found.normal_most is not None:
        yield (
            f"Of films with a listed finding, {short(found.normal_missed)} were called normal; the operating point was chosen for "
            f"{found.normal_most:.2f}."
        )
    if (flags := found.flags) is not None:
        sides = ["no answer" if one is None else short(one) for one in (flags.wrong_flagged, flags.wrong_others)]
        yield (
            f"The cross-check flagged {short(flags.films)} of the films. Wrong, by the operating point: of flagged answers "
            f"{sides[0]}, of the others {sides[1]}."
        )
