"""The tables of heat maps against boxes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from hilum.evaluation.localise import Pointing
from hilum.evaluation.record import Evaluation
from hilum.evaluation.scorecard.cells import bold, clear, figure, spoken, table
from hilum.evaluation.scoring import ENSEMBLE
from hilum.findings import OUTPUTS


def localisation(evaluation: Evaluation) -> Iterator[str]:
    """Yield the subject's table, and each member's gains."""
    own = evaluation.localisation.get(evaluation.subject, {})
    if not own:
        yield "<p>Not judged: no boxes were given (<code>--boxes</code>), or too few of these films have one.</p>"
        return
    yield (
        f"<p>Maps of {escape(spoken(evaluation.subject))} on films that readers drew boxes on. Hits: the map is brightest inside a "
        "box. Energy: the share of the map inside. Beside each stands the best that needs no film: the point, or the map, that is "
        "the same for every film and fits the boxes of all other patients best. A gain in bold has an interval without 0: above "
        "it, the map follows the film; below it, a fixed point would have done better.</p>"
    )
    head = ("Finding", "Films", "Hits", "Fixed point", "Gain", "Energy", "Fixed map", "Gain")
    yield table(head, [_pointing(name, one) for name, one in own.items()], "figures")
    others = [who for who in evaluation.localisation if who not in (evaluation.subject, ENSEMBLE)]
    if others:
        yield "<h3>Each member’s gain in hits over the fixed point</h3>"
        names = [name for name in OUTPUTS if any(name in evaluation.localisation[who] for who in others)]
        rows = [(escape(name), *(_hits_gain(evaluation, who, name) for who in others)) for name in names]
        yield table(("Finding", *map(escape, others)), rows, "figures small")


def _hits_gain(evaluation: Evaluation, who: str, name: str) -> str:
    one = evaluation.localisation[who].get(name)
    return "" if one is None else bold(figure(one.hits_gain, 2, True), clear(one.hits_gain))


def _pointing(name: str, one: Pointing) -> Sequence[str]:
    return (
        escape(name),
        str(one.films),
        figure(one.hits, 2),
        figure(one.fixed_hits, 2),
        bold(figure(one.hits_gain, 2, True), clear(one.hits_gain)),
        figure(one.energy, 2),
        figure(one.fixed_energy, 2),
        bold(figure(one.energy_gain, 2, True), clear(one.energy_gain)),
    )
