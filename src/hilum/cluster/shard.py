"""Films of one shard in, its rows out: what every process and every machine does."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

from hilum.cluster.source import Film, Source, read_film
from hilum.errors import HilumError, InputError
from hilum.images import ENOUGH, read_image
from hilum.logs import line, where
from hilum.pipeline import Engine, analyze
from hilum.report import csv_rows, to_parquet

LOG = logging.getLogger("hilum.cluster")


@dataclass(frozen=True, slots=True)
class Part:
    """Films that are read in one go: a shard, or, after a process died over it, one film of a shard."""

    shard: int
    first: int
    """Place of the first of them in the shard."""
    films: tuple[Film, ...] = field(repr=False)

    def split(self) -> tuple[Part, ...]:
        """Return each film as a part of its own."""
        return tuple(Part(self.shard, self.first + place, (film,)) for place, film in enumerate(self.films))


def read_part(part: Part, source: Source, engine: Engine) -> bytes | HilumError:
    """Return the rows of a part as a Parquet file, or what keeps all films from being read.

    A film that can't be read has a row with its error's code. An error is returned, not raised: whoever runs this may log what a
    function raises together with its arguments, which are names of films.
    """
    try:
        return to_parquet([row for film in part.films for row in read_rows(film, source, engine)])
    except HilumError as error:
        return error


def read_rows(film: Film, source: Source, engine: Engine) -> list[dict[str, object]]:
    """Return the rows of one film. Raises HilumErrors that are not of the film, such as PeerError and Busy."""
    try:
        image = read_image(read_film(source, film), enough=ENOUGH)
        return csv_rows(film.name, analyze(image, engine))
    except InputError as error:
        return failed_rows(film, error.code)
    except HilumError:
        raise
    except Exception as error:  # noqa: BLE001 - the edge: one film must not end a run over millions; the log gets the places
        LOG.error(line("film failed", {"at": where(error)}))
        return failed_rows(film, HilumError.code)


def failed_rows(film: Film, code: str) -> list[dict[str, object]]:
    """Return the one row of a film that has no answer."""
    return [{"file": film.name, "error": code}]
