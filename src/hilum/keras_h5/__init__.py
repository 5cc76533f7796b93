"""A user's Keras ``.h5`` file → a network, read as data: no Keras is needed, and nothing stored in the file is executed."""

from hilum.keras_h5.bundle import bundle_from_h5, h5_models
from hilum.keras_h5.network import load

__all__ = ["bundle_from_h5", "h5_models", "load"]
