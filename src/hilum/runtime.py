"""The only home of the inference engine: a graph's bytes in, a session that scores films out."""

from __future__ import annotations

import onnxruntime

from hilum.errors import Incompatible
from hilum.records import Array, Scored


class Session:
    """An open network. Safe to call from several threads at once; the engine's own threads are shared between them."""

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        self._session = session
        self._input = session.get_inputs()[0].name
        self.outputs = frozenset(output.name for output in session.get_outputs())

    def evaluate(self, x: Array, *names: str) -> tuple[Array, ...]:
        """Run the graph on ``x`` (float32, in the graph's layout) and return the outputs named. Raises ``Incompatible``."""
        try:
            return tuple(self._session.run(list(names), {self._input: x}))
        except Exception as error:  # noqa: BLE001 - the engine raises classes of its own that it does not export
            problem = type(error).__name__
        raise Incompatible(
            f"The network can't be run on {'×'.join(map(str, x.shape))} numbers ({problem}). Expected one that fits its manifest."
        )

    def run(self, x: Array) -> Scored:
        """Score one film, as ``normalise`` gives it (first axis 1). ``features`` is None where the graph has none."""
        if "features" in self.outputs:
            logits, features = self.evaluate(x, "logits", "features")
            return Scored(logits[0], features[0])
        return Scored(self.evaluate(x, "logits")[0][0], None)


def open_session(model: bytes, threads: int = 1) -> Session:
    """Open an ONNX graph with one input and at least the output ``logits``. Raises ``Incompatible``."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    # Spinning threads would take the processor from the other members and the service's own work.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        opened = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # noqa: BLE001 - the engine raises classes of its own that it does not export
        raise Incompatible(
            f"The inference engine can't open the network ({type(error).__name__}). Expected an ONNX graph that "
            f"onnxruntime {onnxruntime.__version__} runs on a CPU: export it again."
        ) from None
    session = Session(opened)
    if len(opened.get_inputs()) != 1 or "logits" not in session.outputs:
        raise Incompatible(
            f"The network has {len(opened.get_inputs())} inputs and the outputs {', '.join(sorted(session.outputs))}. "
            "Expected one input, and an output named logits."
        )
    return session
