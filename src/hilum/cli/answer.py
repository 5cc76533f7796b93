"""What became of one film on the command line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hilum.errors import HilumError
    from hilum.images.study import StudyContext
    from hilum.records import Analysis, Radiograph


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What became of one file: an analysis with its radiograph, or an error."""

    file: str
    analysis: Analysis | None = None
    image: Radiograph | None = None
    study: StudyContext | None = None
    """Whose film it is: for documents that say so, and for nothing that is printed."""
    error: HilumError | None = None
