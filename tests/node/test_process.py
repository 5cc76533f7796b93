"""The node as a process: killed without warning, it loses nothing; asked to stop, it stops in good order."""

from __future__ import annotations

import json
import signal
from collections import Counter

from hospital import film, receiving, send, start_node, wait_for


def test_an_acknowledged_film_survives_kill_9(tmp_path, tiny_folder):
    """Films that were acknowledged before a SIGKILL have one result each after the next start; SIGTERM ends that one well."""
    films = [film() for _ in range(6)]
    with receiving() as peer:
        config, log = tmp_path / "node.toml", tmp_path / "log"
        address = {"name": "pacs", "ae_title": "PACS", "host": "127.0.0.1", "port": peer.port}
        written = {"port": 0, "spool": str(tmp_path / "spool"), "retry_seconds": 0.1, "returns": ["sr"]}
        lines = [f"{name} = {json.dumps(value)}" for name, value in written.items()]
        table = [f"{name} = {json.dumps(value)}" for name, value in address.items()]
        config.write_text("\n".join([*lines, "[[peers]]", *table]), "utf-8")

        process = start_node(config, log, tiny_folder)
        assert send(port_in(log), *films) == [0x0000] * 6
        process.send_signal(signal.SIGKILL)
        process.wait()
        process = start_node(config, log, tiny_folder)
        try:
            assert send(port_in(log), *films[:2]) == [0x0000] * 2
            wait_for(lambda: len(set(peer.instances)) == 6 and not list((tmp_path / "spool").rglob("*.dcm")), 60)
        finally:
            process.terminate()
            code = process.wait(30)
        assert code == 0
    assert log.read_text("utf-8").endswith("hilum has stopped\n")
    referenced = Counter(
        str(
            one.CurrentRequestedProcedureEvidenceSequence[0]
            .ReferencedSeriesSequence[0]
            .ReferencedSOPSequence[0]
            .ReferencedSOPInstanceUID
        )
        for one in {one.SOPInstanceUID: one for one in peer.datasets}.values()
    )
    assert referenced == Counter(str(one.SOPInstanceUID) for one in films)


def port_in(log) -> int:
    """Return the port that a node said it listens on, the last time."""
    (*_, last) = (line for line in log.read_text("utf-8").splitlines() if "is listening" in line)
    return int(last.rpartition(" ")[2])
