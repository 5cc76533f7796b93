"""A user's Keras ``.h5`` file → a network, read as data, and a bundle → such a file; without Keras, and nothing stored is run."""

from hilum.keras_h5.bundle import bundle_from_h5, h5_models
from hilum.keras_h5.network import load
from hilum.keras_h5.write import bundle_to_h5, sidecar_text

__all__ = ["bundle_from_h5", "bundle_to_h5", "h5_models", "load", "sidecar_text"]
