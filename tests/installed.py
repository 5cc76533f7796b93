"""What an installed wheel must do, run as a script in an environment that holds nothing else: ``make test-wheel``."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
import tarfile
import threading
import time
import urllib.request
from pathlib import Path

import hilum

MAX_MEGABYTES = 400
"""Core dependencies, without pip, setuptools and our weights."""
MAX_WEIGHTS = 45


def megabytes(paths: list[Path]) -> float:
    """Return the size of files."""
    return sum(path.stat().st_size for path in paths if path.is_file()) / 1e6


def check_size() -> None:
    """Dependencies and weights stay within what was promised, and no training framework came along."""
    package = Path(hilum.__file__).parent
    site = package.parent
    assert site.name == "site-packages", site
    left_out = {"pip", "setuptools", "hilum"}
    others = [
        path for folder in site.iterdir() if folder.name.split("-")[0] not in left_out for path in folder.rglob("*")
    ]
    weights = list((package / "bundles").rglob("*"))
    print(f"dependencies {megabytes(others):.0f} MB, weights {megabytes(weights):.1f} MB")
    assert megabytes(others) < MAX_MEGABYTES
    assert megabytes(weights) < MAX_WEIGHTS
    names = {distribution.metadata["Name"].lower() for distribution in importlib.metadata.distributions()}
    assert not names & {"torch", "tensorflow", "keras", "opencv-python", "opencv-python-headless"}, names


def check_command() -> None:
    """The command finds its weights and reads an example film."""
    command = Path(sys.executable).with_name("hilum")
    models = json.loads(subprocess.run([command, "models", "list", "--json"], check=True, capture_output=True).stdout)
    assert len(models) == 4, models
    film = next((Path(hilum.__file__).parent / "server" / "static" / "gallery").glob("*.jpg"))
    done = subprocess.run([command, "analyze", film, "--json"], check=True, capture_output=True)
    answer = json.loads(done.stdout)
    assert answer["accepted"]
    assert answer["findings"]
    coarse = [command, "analyze", film, "--json", "--precision", "int8"]
    other = json.loads(subprocess.run(coarse, check=True, capture_output=True).stdout)
    assert {model["precision"] for model in other["models"]} == {"fp32", "int8"}, other["models"]
    confidences = [{one["name"]: one["confidence"] for one in told["findings"]} for told in (answer, other)]
    assert all(abs(confidences[0][name] - confidences[1][name]) < 5 for name in confidences[0]), confidences
    subprocess.run([command, "models", "verify"], check=True)


def check_service() -> None:
    """The service starts, says its address and gives the page."""
    command = [str(Path(sys.executable).with_name("hilum")), "serve", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as service:
        watchdog = threading.Timer(60, service.kill)
        watchdog.start()
        assert service.stdout is not None
        address = next(line.split()[-1] for line in service.stdout if "listening on" in line)
        for _ in range(100):
            try:
                with urllib.request.urlopen(f"{address}/") as page:
                    assert b"<!doctype html>" in page.read().lower()
                break
            except OSError:
                time.sleep(0.1)
        else:
            raise SystemExit("the service did not answer")
        watchdog.cancel()
        service.terminate()


def check_sdist(path: str) -> None:
    """The source archive holds what is needed to build and test."""
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    for name in ("pyproject.toml", "LICENSE", "NOTICE", "Makefile", "src/hilum/__init__.py", "tests/installed.py"):
        assert name in names, name


if __name__ == "__main__":
    check_size()
    check_command()
    check_service()
    check_sdist(sys.argv[1])
    print("the installed wheel works")
