"""Weights from and to other people's software: public ones come in as bundles, bundles go out as Keras, ONNX and torch files."""
