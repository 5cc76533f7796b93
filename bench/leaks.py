"""What the search for leaks costs at a data set's full size, in processor time of one core.

    python bench/leaks.py --data data/cxr/labels.csv --films 223414 --held 22000

Reads some of a table's films and takes their prints, then searches as many hashes as asked for on each side. These are real films'
hashes, each with a tenth of its bits turned, so that they are as alike as those of different films.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from hilum.datasets.films import load_films
from hilum.datasets.layouts import open_table
from hilum.datasets.leaks import find_near
from hilum.datasets.prints import Words, take_prints

SIZE = 256


def hashes_like(hashes: Words, count: int, generator: np.random.Generator) -> Words:
    """Return hashes of the same kind, N × 4."""
    drawn = hashes[generator.integers(0, len(hashes), count)]
    turned = generator.random((count, 256), dtype=np.float32) < 0.1
    return drawn ^ np.packbits(turned, axis=1).view(np.uint64)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--read", type=int, default=500, help="films to read")
    parser.add_argument("--films", type=int, default=223_414, help="hashes on the first side")
    parser.add_argument("--held", type=int, default=22_000, help="hashes on the second side")
    given = parser.parse_args()
    generator = np.random.default_rng(1)
    table = open_table(given.data)
    chosen = generator.permutation(len(table.rows))[: given.read]
    table = replace(table, rows=tuple(table.rows[index] for index in chosen))
    started = time.process_time()
    films = load_films(table, SIZE)
    read = time.process_time()
    prints = take_prints(films)
    taken = time.process_time()
    size = sum(map(len, prints.digests)) + prints.hashes.nbytes + prints.thumbnails.nbytes
    first, second = (hashes_like(prints.hashes, count, generator) for count in (given.films, given.held))
    searching = time.process_time()
    pairs = sum(1 for _ in find_near(first, second))
    done = time.process_time()
    print(f"reading a film:   {1000 * (read - started) / len(films):.1f} ms")
    print(f"taking its print: {1000 * (taken - read) / len(films):.2f} ms, {size / len(films):.0f} bytes")
    print(f"searching {given.films} against {given.held} hashes: {done - searching:.0f} s, {pairs} pairs")
