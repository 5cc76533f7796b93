"""What `make audit` does: known vulnerabilities of what users install, a bill of materials of it, and secrets in the tree.

    python .ci/audit.py BILL.json

Ends with 1 where a vulnerability or a secret is found, or the bill can't be written. What could not be asked about, because
the vulnerability service is out of reach or does not know a version, is said, and is no failure: a build without internet
must not fail, and must not call unchecked what it calls sound.
"""

from __future__ import annotations

import importlib.metadata
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

EXTRAS = ("hospital", "parquet", "train", "timm", "public")
"""What of pyproject.toml's extras counts, as far as it is installed."""
SECONDS = 120.0
MADE_UP = ("--disable-plugin", "KeywordDetector", "--disable-plugin", "BasicAuthDetector")
"""A test makes up its own passwords; what has the form of a real key counts there too."""
NO_TEXT = re.compile(r"\.(png|jpg|dcm|npz|onnx|h5|j2c|svg)$|^(splits|tests/golden|src/hilum/bundles)/")
"""Pictures, weights, hashes and tables of films, where nobody writes a secret and every line looks like one."""


def needed(root: str = "hilum") -> dict[str, str]:
    """Return name → version of all that ``root`` installs, with its extras, directly or through others."""
    left, found = [(root, frozenset(EXTRAS))], {}
    while left:
        name, extras = left.pop()
        try:
            package = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # an extra that is not installed, or for another system
        if name != root:
            if name in found:
                continue
            found[name] = package.version
        for text in package.requires or ():
            wanted = Requirement(text)
            if wanted.marker is None or any(wanted.marker.evaluate({"extra": extra}) for extra in ("", *extras)):
                left.append((canonicalize_name(wanted.name), frozenset(wanted.extras)))
    return found


def vulnerabilities(packages: Mapping[str, str]) -> Mapping[str, Any] | None:
    """Return pip-audit's report on these versions; None where it could not ask."""
    with tempfile.TemporaryDirectory() as folder:
        pins, report = Path(folder) / "pins.txt", Path(folder) / "report.json"
        pins.write_text("".join(f"{name}=={version}\n" for name, version in sorted(packages.items())))
        command = [sys.executable, "-m", "pip_audit", "--requirement", str(pins), "--no-deps", "--disable-pip"]
        command += ["--format", "json", "--output", str(report), "--progress-spinner", "off", "--timeout", "10"]
        try:
            subprocess.run(command, capture_output=True, timeout=SECONDS, check=False)
            return json.loads(report.read_text("utf-8"))
        except (subprocess.TimeoutExpired, OSError, ValueError):
            return None


def judge(report: Mapping[str, Any] | None, packages: Mapping[str, str]) -> tuple[list[str], bool]:
    """Return what is to be said of a report, and whether a vulnerability is known."""
    lines, checked = [], set()
    for one in report["dependencies"] if report is not None else ():
        if "skip_reason" not in one:
            checked.add(canonicalize_name(one["name"]))
        lines += [
            f"  {one['name']} {one['version']}: {flaw['id']}, mended in {', '.join(flaw['fix_versions']) or 'none yet'}"
            for flaw in one.get("vulns", ())
        ]
    if not checked:
        return [f"vulnerabilities: could not be checked, for none of {len(packages)} packages"], False
    unchecked = sorted(set(packages) - checked)
    head = (
        f"vulnerabilities: {len(lines)} known in the {len(checked)} of {len(packages)} packages that could be checked"
    )
    missing = [f"  could not be checked: {', '.join(unchecked)}"] if unchecked else []
    return [head, *lines, *missing], bool(lines)


def write_bill(path: Path, packages: Mapping[str, str]) -> int:
    """Write a CycloneDX bill of materials of these packages, with their licences, and return how many it names."""
    command = [
        sys.executable,
        "-m",
        "cyclonedx_py",
        "environment",
        "--pyproject",
        "pyproject.toml",
        "--output-reproducible",
    ]
    done = subprocess.run([*command, "--output-format", "JSON", sys.executable], capture_output=True, check=True)
    bill = json.loads(done.stdout)
    kept = [one for one in bill["components"] if canonicalize_name(one["name"]) in packages]
    places = {one["bom-ref"] for one in kept} | {bill["metadata"]["component"]["bom-ref"]}
    bill["components"] = kept
    bill["dependencies"] = [
        one | ({"dependsOn": [ref for ref in one["dependsOn"] if ref in places]} if "dependsOn" in one else {})
        for one in bill["dependencies"]
        if one["ref"] in places
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(bill, indent=2) + "\n", "utf-8")
    return len(kept)


def secrets(files: Iterable[str]) -> list[str]:
    """Return where something stands that looks like a secret: file, line and kind, never the text."""
    files = list(files)
    tests = [name for name in files if name.startswith("tests/")]
    return _search([name for name in files if name not in tests], ()) + _search(tests, MADE_UP)


def _search(files: Sequence[str], options: Sequence[str]) -> list[str]:
    command = [sys.executable, "-m", "detect_secrets.pre_commit_hook", "--json", "--no-verify", *options, *files]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return []
    found = json.loads(done.stdout)["results"]
    return [f"  {name}, line {one['line_number']}: {one['type']}" for name, several in found.items() for one in several]


def tracked() -> list[str]:
    """Return the repository's text files."""
    listed = subprocess.run(["git", "ls-files", "-z"], capture_output=True, text=True, check=True).stdout
    return [name for name in listed.split("\0") if name and not NO_TEXT.search(name) and Path(name).is_file()]


def main(bill: str) -> int:
    """Do all three, say what was found, and return the exit code."""
    packages = needed()
    lines, vulnerable = judge(vulnerabilities(packages), packages)
    print("\n".join(lines), flush=True)
    print(f"bill of materials: {write_bill(Path(bill), packages)} packages in {bill}", flush=True)
    files = tracked()
    found = secrets(files)
    print("\n".join([f"secrets: {len(found)} found in {len(files)} files", *found]), flush=True)
    return 1 if vulnerable or found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
