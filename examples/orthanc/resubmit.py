"""Submit Orthanc's failed deliveries to hilum again: ``python3 resubmit.py [--url http://127.0.0.1:8042] [--every 60]``.

Needs nothing but Python. With ``--every`` it goes on for ever. An Orthanc that asks for a password: put ``user:password``
into the file that ``--password-file`` names.
"""

from __future__ import annotations

import argparse
import base64
import json
import time
import urllib.error
import urllib.request
from pathlib import Path


def call(url: str, path: str, password_file: Path | None, body: bytes | None = None) -> object:
    """Ask Orthanc, and return its answer."""
    request = urllib.request.Request(url + path, data=body)
    if password_file is not None:
        given = base64.b64encode(password_file.read_text("utf-8").strip().encode()).decode()
        request.add_header("Authorization", f"Basic {given}")
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def resubmit(url: str, password_file: Path | None = None) -> int:
    """Submit failed deliveries to hilum again; return how many there were."""
    jobs = call(url, "/jobs?expand", password_file)
    failed = [
        job["ID"]
        for job in jobs
        if job["State"] == "Failure"
        and job["Type"] == "DicomModalityStore"
        and job["Content"].get("RemoteAet") == "HILUM"
    ]
    for job in failed:
        call(url, f"/jobs/{job}/resubmit", password_file, b"")
    return len(failed)


def main() -> None:
    """Run as a program."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--url", default="http://127.0.0.1:8042", help="Orthanc's HTTP address")
    parser.add_argument("--every", type=float, help="seconds between two rounds; without, there is one round")
    parser.add_argument("--password-file", type=Path, help="file with user:password")
    options = parser.parse_args()
    while True:
        try:
            count = resubmit(options.url, options.password_file)
            if count:
                print(f"{count} deliveries submitted again", flush=True)
        except (OSError, urllib.error.URLError) as error:
            print(f"Orthanc does not answer ({type(error).__name__})", flush=True)
            if options.every is None:
                raise SystemExit(1) from None
        if options.every is None:
            return
        time.sleep(options.every)


if __name__ == "__main__":
    main()
