"""Orthanc and a node, started by a test in a network of its own, where nobody else can call."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import socket
import struct
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hospital import start_node, wait_for

ROOT = Path(__file__).parents[1]
RECIPE = ROOT / "examples" / "orthanc"
URL = "http://127.0.0.1:8042"
_NEW_NETWORK = 0x40000000
"""Linux's CLONE_NEWNET."""
_SET_FLAGS, _UP = 0x8914, 1
"""Linux's SIOCSIFFLAGS and IFF_UP."""


@contextlib.contextmanager
def own_network() -> Iterator[None]:
    """Put this thread, and what it starts, into a network that has nothing but a loopback.

    Orthanc 1.10 listens on every address whatever it is told.
    """
    system = ctypes.CDLL(None, use_errno=True)
    before = os.open("/proc/self/ns/net", os.O_RDONLY)
    try:
        if system.unshare(_NEW_NETWORK):
            raise OSError(ctypes.get_errno(), "a network of its own needs root and CAP_SYS_ADMIN")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
            fcntl.ioctl(one, _SET_FLAGS, struct.pack("16sh", b"lo", _UP))
        yield
        system.setns(before, _NEW_NETWORK)
    finally:
        os.close(before)


class Orthanc:
    """A running Orthanc's HTTP interface."""

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(URL + path, timeout=30) as answer:
            return json.load(answer)

    def qido(self, path: str, **filters: str) -> list[dict[str, Any]]:
        """Search by QIDO-RS; each match as tag → first value."""
        found = self.get(f"/dicom-web/{path}?{urllib.parse.urlencode(filters)}")
        return [{tag: (one.get("Value") or [None])[0] for tag, one in match.items()} for match in found]

    def count(self, modality: str) -> int:
        """Return how many instances have this modality."""
        find = json.dumps({"Level": "Instance", "Query": {"Modality": modality}}).encode()
        with urllib.request.urlopen(urllib.request.Request(f"{URL}/tools/find", data=find), timeout=60) as answer:
            return len(json.load(answer))


@contextlib.contextmanager
def running_orthanc(folder: Path) -> Iterator[Orthanc]:
    """Run Orthanc by the recipe, with its storage in ``folder``."""
    folder.mkdir()
    config = json.loads((RECIPE / "orthanc.json").read_text("utf-8"))
    config["StorageDirectory"] = config["IndexDirectory"] = str(folder / "db")
    config["LuaScripts"] = [str(RECIPE / "hilum.lua")]
    (folder / "orthanc.json").write_text(json.dumps(config), "utf-8")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(["/usr/sbin/Orthanc", folder / "orthanc.json"], stdout=log, stderr=log)
    orthanc = Orthanc()
    try:
        wait_for(lambda: answers(orthanc), 60)
        yield orthanc
    finally:
        process.terminate()
        process.wait(30)


def answers(orthanc: Orthanc) -> bool:
    """Whether Orthanc is up."""
    try:
        return bool(orthanc.get("/system"))
    except OSError:
        return False


@contextlib.contextmanager
def running_node(config: Path, log: Path, tiny: Path | None = None) -> Iterator[None]:
    """Run a node; at the end it must stop in good order."""
    process = start_node(config, log, tiny)
    try:
        yield
    finally:
        process.terminate()
        code = process.wait(60)
    assert code == 0, log.read_text("utf-8")
