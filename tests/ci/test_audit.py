"""``make audit``: what it fails for, what it only says, and what it looks at."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def audit():
    """The script, as a module."""
    spec = importlib.util.spec_from_file_location("ci_audit", ROOT / ".ci" / "audit.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PACKAGES = {"numpy": "2.0", "pillow": "9.0.0"}
SOUND = {"name": "numpy", "version": "2.0", "vulns": []}
HOLE = {"name": "Pillow", "version": "9.0.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["9.0.1"], "aliases": []}]}
SKIPPED = {"name": "pillow", "skip_reason": "Dependency not found on PyPI"}


def test_a_known_hole_fails(audit):
    """A vulnerability is named with the version that mends it, and fails the build."""
    lines, vulnerable = audit.judge({"dependencies": [SOUND, HOLE]}, PACKAGES)
    assert vulnerable
    assert lines == [
        "vulnerabilities: 1 known in the 2 of 2 packages that could be checked",
        "  Pillow 9.0.0: PYSEC-1, mended in 9.0.1",
    ]


@pytest.mark.parametrize(
    ("report", "said"),
    [
        (None, "for none of 2 packages"),
        ({"dependencies": [SKIPPED]}, "for none of 2 packages"),
        ({"dependencies": [SOUND, SKIPPED]}, "in the 1 of 2 packages"),
        ({"dependencies": [SOUND]}, "could not be checked: pillow"),
    ],
)
def test_what_could_not_be_checked_is_said(audit, report, said):
    """Without an answer, for all or for one package, the build goes on, and nothing unchecked is called sound."""
    lines, vulnerable = audit.judge(report, PACKAGES)
    assert not vulnerable
    assert said in "\n".join(lines)
    assert "could not be checked" in "\n".join(lines)


def test_what_users_install_is_looked_at(audit):
    """The core, an extra and what they bring along are asked about, each with its version; tools of the tests are not."""
    found = audit.needed()
    assert {"numpy", "starlette", "pynetdicom", "pyarrow"} <= set(found)
    assert not {"hilum", "pytest", "ruff"} & set(found)
    assert all(found.values())


def test_a_secret_is_found(audit, tmp_path, monkeypatch):
    """A key in a file is told by its place and kind, and not repeated; a file without any is not named."""
    monkeypatch.chdir(tmp_path)
    planted = "AKIA" + "Q7KJ4MZP2XWV9T3R"
    (tmp_path / "config.py").write_text(f'first = 1\naccess = "{planted}"\n')
    (tmp_path / "plain.py").write_text("first = 1\n")
    found = audit.secrets(["config.py", "plain.py"])
    assert any("config.py, line 2: AWS Access Key" in line for line in found)
    assert not any("plain.py" in line or planted in line for line in found)
    assert audit.secrets(["plain.py"]) == []


def test_a_test_makes_up_its_own_passwords(audit, tmp_path, monkeypatch):
    """A password in a test is its own; one elsewhere, and a real key anywhere, is found."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tests").mkdir()
    for name in ("tests/one.py", "two.py"):
        (tmp_path / name).write_text('password = "correct horse"\n' + 'key = "AKIA' + 'Q7KJ4MZP2XWV9T3R"\n')
    found = "\n".join(audit.secrets(["tests/one.py", "two.py"]))
    assert found.count("AWS Access Key") == 2
    assert "two.py, line 1" in found
    assert "tests/one.py, line 1" not in found


@pytest.mark.parametrize(
    ("report", "found", "code"),
    [
        ({"dependencies": [SOUND]}, [], 0),
        (None, [], 0),
        ({"dependencies": [HOLE]}, [], 1),
        (None, ["  a, line 1: x"], 1),
    ],
)
def test_the_exit_code_says_it(audit, monkeypatch, capsys, report, found, code):
    """A vulnerability or a secret ends with 1, what could not be asked with 0."""
    for name, value in {
        "needed": lambda: PACKAGES,
        "vulnerabilities": lambda packages: report,
        "write_bill": lambda path, packages: len(packages),
        "tracked": lambda: ["a"],
        "secrets": lambda files: found,
    }.items():
        monkeypatch.setattr(audit, name, value)
    assert audit.main("bill.json") == code
    assert f"secrets: {len(found)} found in 1 files" in capsys.readouterr().out


def test_a_silent_service_is_no_answer(audit, monkeypatch):
    """Where pip-audit writes no report, as without a network, there is none, rather than an empty one."""
    monkeypatch.setattr(audit.subprocess, "run", lambda *_, **__: None)
    assert audit.vulnerabilities(PACKAGES) is None


def test_the_bill_names_what_users_install(audit, monkeypatch, tmp_path):
    """Tools of the build are not in the bill, nor any dependency on them."""
    whole = {
        "metadata": {"component": {"bom-ref": "root"}},
        "components": [{"name": "NumPy", "bom-ref": "n"}, {"name": "pytest", "bom-ref": "p"}],
        "dependencies": [{"ref": "root", "dependsOn": ["n", "p"]}, {"ref": "n"}, {"ref": "p", "dependsOn": ["n"]}],
    }
    done = SimpleNamespace(stdout=json.dumps(whole))
    monkeypatch.setattr(audit.subprocess, "run", lambda *_, **__: done)
    assert audit.write_bill(tmp_path / "build" / "bill.json", PACKAGES) == 1
    bill = json.loads((tmp_path / "build" / "bill.json").read_text())
    assert [one["name"] for one in bill["components"]] == ["NumPy"]
    assert bill["dependencies"] == [{"ref": "root", "dependsOn": ["n"]}, {"ref": "n"}]
