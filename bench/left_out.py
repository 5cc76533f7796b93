"""What a network knows of films from a source that it never saw: the same training with and without each source.

    python bench/left_out.py examples/train_default/mobilenetv2-short.toml runs/left-out

Each source with enough films to judge is left out of the training once. Both networks, the one that saw films of the source and
the one that did not, are judged on the films of that source alone, of patients of whom neither saw any: those for validation and
those held out, together. Were the first much better, it would have learnt the source. It also saw more films, which alone makes it
better: the table says how many. Differences are paired, intervals by bootstrap over patients. A training that was interrupted
goes on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from hilum.datasets.table import Table
from hilum.evaluation.bootstrap import Draws, Floats, patient_draws, summarise
from hilum.evaluation.judge import output_replicates
from hilum.records import Array
from hilum.training.config import TrainingConfig, read_config
from hilum.training.judged import judge_table
from hilum.training.networks import Network
from hilum.training.run import train
from hilum.training.splits import split_table
from trainings import asked, judging_films, text

LEAST_FILMS = 100
"""To judge on: a source with fewer says nothing."""
LEAST_OF_A_CLASS = 10
"""Films with a finding, and films without it, that its AUROC needs."""


def of_source(table: Table, source: str) -> Table:
    return table.where(lambda row: row.source == source)


def chosen_sources(films: Table, sources: tuple[str, ...]) -> list[str]:
    """Return the sources with enough films to judge."""
    return [source for source in sources if len(of_source(films, source).rows) >= LEAST_FILMS]


def judgeable(labels: Array) -> list[int]:
    """Return the outputs that both classes are known of often enough."""
    counts = [(np.sum(column == 1), np.sum(column == 0)) for column in labels.T]
    return [k for k, both in enumerate(counts) if min(both) >= LEAST_OF_A_CLASS]


def mean_areas(logits: Array, labels: Array, draws: Draws) -> Floats:
    """Return the mean AUROC over the outputs that can be judged, then one for each draw."""
    return np.mean([output_replicates(logits[:, k], labels[:, k], draws) for k in judgeable(labels)], axis=0)


def row(source: str, config: TrainingConfig, films: Table, with_it: Network, without: Network, unseen: int) -> str:
    """Return a source's line: both networks on its films, and their difference."""
    own = of_source(films, source)
    seen, not_seen = (judge_table(config, network, own) for network in (with_it, without))
    draws = patient_draws(seen.patients)
    first, second = (mean_areas(one.logits, one.labels, draws) for one in (seen, not_seen))
    known = summarise(second - first)
    return (
        f"| `{source}` | {unseen:,} | {len(own.rows):,} | {len(judgeable(seen.labels))} | {text(summarise(first))} "
        f"| {text(summarise(second))} | {known.value:+.3f} ({known.low:+.3f} to {known.high:+.3f}) |"
    )


def table(config: TrainingConfig, place: Path) -> Iterator[str]:
    """Train what is not there yet, and yield the table's lines."""
    splits, sources = split_table(config.data), config.data.sources
    films, count = judging_films(splits), len(splits.training.rows)
    everything = train(config, place / "nothing")
    yield "| source left out | its films in training | its films judged | findings | AUROC with it | without it | difference |"
    yield "|---|---|---|---|---|---|---|"
    for source in chosen_sources(films, sources):
        rest = replace(config, data=replace(config.data, sources=tuple(one for one in sources if one != source)))
        unseen = count - len(split_table(rest.data).training.rows)
        yield row(source, config, films, everything, train(rest, place / source), unseen)


def main(path: Path, place: Path) -> None:
    for line in table(read_config(path), place.absolute()):
        print(line, flush=True)


if __name__ == "__main__":
    main(*asked(__doc__))
