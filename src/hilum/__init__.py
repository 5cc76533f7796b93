"""Reads chest radiographs with an ensemble of trained networks. Research and education only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hilum.images import read_image
    from hilum.pipeline import analyze, open_engine

__all__ = ["analyze", "open_engine", "read_image"]
__version__ = "0.1.0"

_HOME = {"read_image": "hilum.images", "open_engine": "hilum.pipeline", "analyze": "hilum.pipeline"}


def __getattr__(name: str) -> Any:
    """Import the three public functions on first use, so that ``import hilum`` stays light."""
    if name not in _HOME:
        raise AttributeError(f"module 'hilum' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOME[name]), name)
