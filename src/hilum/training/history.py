"""What each epoch gave: a line of JSON, and curves for TensorBoard."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

HISTORY = "history.jsonl"
CURVES = "tensorboard"


class Write(Protocol):
    """Append an epoch to a training's history."""

    def __call__(self, line: dict[str, Any]) -> None: ...


@contextmanager
def open_history(folder: Path, earlier: Sequence[dict[str, Any]]) -> Iterator[Write]:
    """Write the history of a training that goes on after the ``earlier`` epochs; yields what appends one.

    Both files are written anew from the checkpoint's epochs: what a killed process wrote after its last checkpoint is
    trained, and written, once more.
    """
    from tensorboardX import SummaryWriter

    shutil.rmtree(folder / CURVES, ignore_errors=True)
    with (folder / HISTORY).open("w", encoding="utf-8") as lines, SummaryWriter(str(folder / CURVES)) as curves:
        written = 0

        def write(line: dict[str, Any]) -> None:
            nonlocal written
            written += 1
            lines.write(json.dumps(line) + "\n")
            lines.flush()
            for name, value in line.items():
                if name not in ("phase", "epoch") and value is not None:
                    curves.add_scalar(name, value, written)
            curves.flush()

        for line in earlier:
            write(line)
        yield write


def read_history(folder: Path) -> list[dict[str, Any]]:
    """Return a training's epochs so far."""
    path = folder / HISTORY
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.is_file() else []
