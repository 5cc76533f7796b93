"""The documentation is true: its examples run, its references are complete, its links lead somewhere, its figures are current."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import re
import shlex
import shutil
import sys
import textwrap
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, get_args, get_type_hints

import numpy as np
import pytest
import typer
from fastapi.routing import APIRoute

from hilum import __version__, cli, errors, gate, pipeline, registry
from hilum.deidentify import read_rules
from hilum.evaluation.record import Evaluation
from hilum.findings import OUTPUTS
from hilum.keras_h5.sidecar import Sidecar, read_sidecar
from hilum.node.settings import NodeSettings, load_node_settings
from hilum.pipeline import Engine, analyze
from hilum.records import (
    EnsembleRecord,
    Interval,
    Manifest,
    NormalClaim,
    OperatingPoint,
    Radiograph,
    Reason,
    ReferenceRecord,
    Source,
    Uncertainty,
)
from hilum.report import CSV_COLUMNS, ml_analysis, to_dict
from hilum.server.app import create_app
from hilum.server.settings import NODE_PREFIX, Settings, load_settings
from hilum.training.config import TrainingConfig, read_config

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
REFERENCE = DOCS / "reference"
OTHERS = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "models/README.md")
PAGES = (*sorted(DOCS.rglob("*.md")), *(ROOT / name for name in OTHERS))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
PROGRAMS = ("hilum", ".venv/bin/hilum")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: Path
    language: str
    text: str

    @property
    def name(self) -> str:
        return f"{self.page.relative_to(ROOT)}: {self.text.splitlines()[0]}"


def read_blocks(page: Path) -> Iterator[Block]:
    """Yield a page's fenced blocks; those in a list are indented."""
    for found in re.finditer(r"^( *)```(\w+)\n(.*?)^\1```$", page.read_text("utf-8"), re.DOTALL | re.MULTILINE):
        yield Block(page, found[2], textwrap.dedent(found[3]))


BLOCKS = [block for page in PAGES for block in read_blocks(page)]


def blocks(*languages: str) -> pytest.MarkDecorator:
    """Run a test for each block in one of these languages."""
    chosen = [block for block in BLOCKS if block.language in languages]
    return pytest.mark.parametrize("block", chosen, ids=lambda block: block.name)


def load(path: Path) -> ModuleType:
    """Import a script by its path."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def sections(page: Path) -> dict[str, str]:
    """Return a page's headings, without backticks, each with the text below it up to the next."""
    parts = re.split(r"^#+ (.+)$", page.read_text("utf-8"), flags=re.MULTILINE)
    return {heading.replace("`", ""): text for heading, text in zip(parts[1::2], parts[2::2], strict=True)}


def first_cells(text: str) -> set[str]:
    """Return what stands in backticks in the first cells of a Markdown text's tables."""
    cells = re.findall(r"^ *\| ([^|]+) \|", text, re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}


# --- examples ------------------------------------------------------------------------------------------------------


@pytest.fixture
def clone(tmp_path, monkeypatch, tiny_models, film_png) -> Path:
    """A folder like a clone after `make run`, with tiny weights in place of those that ship, and some films."""
    monkeypatch.setattr(registry, "shipped_folder", lambda: tiny_models)
    for name in [name for name in os.environ if name.startswith("HILUM_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    for name in ("src", "examples", "splits"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "films").mkdir()
    for name in ("film.png", "other.png", "films/first.png"):
        (tmp_path / name).write_bytes(film_png)
    return tmp_path


@blocks("python")
def test_python_examples_run(block, clone):
    """Every Python block runs as it stands."""
    exec(compile(block.text, block.name, "exec"), {"__name__": "example"})


@blocks("json")
def test_json_examples_parse(block):
    """Every JSON block is JSON."""
    assert json.loads(block.text)


@blocks("toml")
def test_toml_examples_are_valid(block, tmp_path):
    """Every TOML block is what its page is about: settings, a sidecar, regions or a training configuration."""
    path = tmp_path / "example.toml"
    path.write_text(block.text, "utf-8")
    readers = {
        "settings.md": load_settings,
        "de-identify.md": read_rules,
        "node-settings.md": load_node_settings,
        "orthanc.md": load_node_settings,
        "own-models.md": read_sidecar,
        "keras-h5.md": read_sidecar,
        "train.md": read_config,
        "training-config.md": read_config,
    }
    assert readers[block.page.name](path) is not None


@blocks("sh")
def test_shell_examples_work(block, clone, tiny_engine, monkeypatch):
    """Every line of a shell block does what it says: hilum runs, make has the target, the service has the route."""
    for line in block.text.splitlines():
        program, *words = shlex.split(line)
        if program in PROGRAMS:
            assert run_hilum(words, monkeypatch) == 0, line
        elif program == "make":
            assert set(words) <= set(
                re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
            ), line
        else:
            assert program == "curl", line
            assert_answered(words, create_app(Settings(), tiny_engine))


def run_hilum(words: list[str], monkeypatch: pytest.MonkeyPatch) -> int:
    """Run a command in this process and return its exit code."""
    monkeypatch.setattr(sys, "argv", ["hilum", *words])
    with pytest.raises(SystemExit) as end:
        cli.main()
    return int(end.value.code or 0)


def assert_answered(words: list[str], app: Any) -> None:
    """Check that a curl call goes to a route that there is, with a film that there is."""
    address = next(word for word in words if word.startswith("http"))
    path = "/" + address.split("/", 3)[3].partition("?")[0]
    method = "POST" if "-F" in words else "GET"
    assert any(route.path == path and method in route.methods for route in app.routes if hasattr(route, "methods")), (
        words
    )
    for form in (word for word in words if word.startswith("image=@")):
        assert Path(form.removeprefix("image=@")).is_file(), words


@blocks("console", "text")
def test_other_commands_exist(block, clone):
    """What is shown but not run, such as a training, names a command, options and files that there are."""
    for line in block.text.splitlines():
        if block.language == "text" and not line.startswith("$ "):
            continue  # what a program prints
        program, *words = shlex.split(line.removeprefix("$ "))
        if program not in PROGRAMS:
            continue
        path, command = find_command(words)
        known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
        assert {word for word in words if word.startswith("--")} <= known, line
        assert all(Path(word).is_file() for word in words if word.startswith("examples/")), line
        assert path, line


def find_command(words: list[str]) -> tuple[str, Any]:
    """Return the command that words begin with, and its path."""
    command, path = typer.main.get_command(cli.app), []
    while hasattr(command, "commands"):
        name = words[len(path)]
        command = command.commands[name]
        path.append(name)
    return " ".join(path), command


# --- references ----------------------------------------------------------------------------------------------------


def commands(group: Any, path: str = "hilum") -> Iterator[tuple[str, Any]]:
    """Yield every command with its path."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


@pytest.mark.parametrize(("path", "command"), list(commands(typer.main.get_command(cli.app))))
def test_every_command_is_documented(path, command):
    """The reference of the command line has each command, and there each argument and option."""
    page = sections(REFERENCE / "command-line.md")
    rows = re.findall(rf"^\| `{path}.*$", page["hilum models"], re.MULTILINE)
    text = "\n".join([*rows, page.get(path, "")])
    for parameter in command.params:
        names = (
            parameter.opts if parameter.param_type_name == "option" else [parameter.metavar or parameter.name.upper()]
        )
        assert all(re.search(rf"`[^`]*{name}[^`]*`", text) for name in names), names


def test_csv_columns_are_documented():
    """The reference names each column of --csv."""
    text = sections(REFERENCE / "command-line.md")["hilum analyze"]
    assert all(f"`{column}`" in text for column in CSV_COLUMNS)


def test_no_variable_is_made_up():
    """Every HILUM_* that stands anywhere, the container's files among them, is a setting."""
    known = {f"HILUM_{name.upper()}" for name in ("config", *Settings.model_fields)} | {NODE_PREFIX.rstrip("_")}
    known |= {f"{NODE_PREFIX}{name.upper()}" for name in ("config", *NodeSettings.model_fields)}
    recipe = (path for path in (ROOT / "examples" / "orthanc").iterdir() if path.is_file())
    for path in (*PAGES, ROOT / "Containerfile", ROOT / "compose.yaml", ROOT / "compose.replicas.yaml", *recipe):
        assert set(re.findall(r"HILUM_[A-Z_]*[A-Z]", path.read_text("utf-8"))) <= known, path


def error_classes(base: type[errors.HilumError] = errors.HilumError) -> Iterator[type[errors.HilumError]]:
    """Yield an error class and all below it that are hilum's own."""
    yield base
    for below in base.__subclasses__():
        if below.__module__ == errors.__name__:
            yield from error_classes(below)


def test_every_error_is_documented():
    """The table of errors has each class with its code, and no other."""
    rows = re.findall(r"^\| `(\w+)` \| `(\w+)` \|", (REFERENCE / "errors.md").read_text("utf-8"), re.MULTILINE)
    assert sorted(rows) == sorted((error.code, error.__name__) for error in error_classes())


def test_every_reason_of_the_gate_is_documented():
    """A picture that is wrong in every way is refused with each code that the reference lists."""
    stated = tuple(Reason(code, "", basis="header") for code in gate.SCOPE_CODES)
    wrong = Radiograph(np.zeros((10, 100), dtype=np.float32), Source("PNG", 100, 10, 8, ""), 1.0, stated)
    codes = {reason.code for reason in gate.judge(wrong).reasons} | {code for code, _ in gate.KINDS.values()}
    (line,) = re.findall(r"The gate's reason codes: (.+)\.", (REFERENCE / "json.md").read_text("utf-8"))
    assert set(re.findall(r"`(\w+)`", line)) == codes


def records_below(record: type) -> Iterator[type]:
    """Yield a dataclass and those that its fields hold."""
    yield record
    for hint in get_type_hints(record).values():
        for one in inner_types(hint):
            if is_dataclass(one):
                yield from records_below(one)


def inner_types(hint: Any) -> Iterator[Any]:
    """Yield a type annotation's parts."""
    yield hint
    for part in get_args(hint):
        yield from inner_types(part)


@pytest.mark.parametrize(
    ("page", "record"),
    [
        ("bundle.md", Manifest),
        ("bundle.md", EnsembleRecord),
        ("bundle.md", ReferenceRecord),
        ("evaluation.md", Evaluation),
        ("keras-h5.md", Sidecar),
        ("training-config.md", TrainingConfig),
    ],
)
def test_every_field_is_documented(page, record):
    """Each field of a file that people read or write stands in its reference."""
    text = (REFERENCE / page).read_text("utf-8")
    names = {field.name for one in records_below(record) for field in fields(one)}
    assert not {name for name in names if not re.search(rf"`[^`\n]*\b{name}\b[^`\n]*`", text)}


def test_every_json_field_is_documented(film, tiny_engine: Engine):
    """Each field of a real analysis stands in the section that it belongs to, and no other does."""
    analysis = to_dict(analyze(film, tiny_engine))
    page = sections(REFERENCE / "json.md")
    assert first_cells(page["The analysis"]) == set(analysis)
    assert first_cells(page["source"]) == set(analysis["source"])
    for part in ("findings", "members", "heatmaps", "models"):
        assert first_cells(page[part]) == set(analysis[part][0]), part
    predictions = page["members"]
    assert all(f"`{name}`" in predictions for name in analysis["members"][0]["predictions"][0])
    assert all(f"`{name}`" in page["Names"] for name in OUTPUTS)
    assert {field.name for field in fields(Reason)} <= first_cells(page["reasons"])


def test_every_field_of_the_http_answer_is_documented(film, tiny_engine: Engine):
    """Each field of `analysis` stands in the table of the HTTP answer."""
    answer = ml_analysis(analyze(film, tiny_engine))
    section = sections(REFERENCE / "json.md")["The HTTP answer"]
    assert first_cells(section) == {"result", *(f"analysis.{name}" for name in answer)}
    member = answer["densenet_result"]
    assert all(f"`{name}`" in section for name in (*member, *member["predictions"][0]))


def requirement(text: str) -> str:
    """Return a requirement's package."""
    return re.split(r"[^A-Za-z0-9_.-]", text)[0]


def test_every_dependency_is_documented():
    """The table of the core and of each extra has what pyproject.toml names, and no other."""
    page = sections(REFERENCE / "dependencies.md")
    assert first_cells(page["Core"]) == {requirement(one) for one in PROJECT["dependencies"]}
    for extra, needed in PROJECT["optional-dependencies"].items():
        assert first_cells(page[f"Extra {extra}"]) == {requirement(one) for one in needed}, extra


def test_no_dependency_is_under_the_gpl():
    """Nothing that hilum installs, directly or through others, states the GPL or AGPL as its licence."""
    left, seen = [requirement(one) for one in PROJECT["dependencies"]], set()
    while left:
        name = left.pop()
        if name in seen:
            continue
        seen.add(name)
        try:
            package = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # needed on another system only
        stated = [package.metadata.get("License-Expression") or "", *package.metadata.get_all("Classifier", [])]
        assert not re.search(r"\bA?GPL|Affero|GNU General", " ".join(stated)), name
        left += [requirement(one) for one in package.requires or () if "extra ==" not in one]
    assert len(seen) > len(PROJECT["dependencies"])


def test_every_threat_names_tests_that_exist():
    """Each threat of the threat model names at least one test, and each test that it names is there."""
    text = (DOCS / "explanation" / "threat-model.md").read_text("utf-8")
    tables = text.split("## Threats\n")[1].split("## What is left")[0]
    threats = [row for row in re.findall(r"^\| (.+) \|$", tables, re.MULTILINE) if not row.startswith("threat |")]
    assert len(threats) > 25
    for threat in threats:
        named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", threat)
        assert named, threat
        for path, name in named:
            assert re.search(rf"^def {name}\(", (ROOT / path).read_text("utf-8"), re.MULTILINE), (path, name)


# --- links and navigation ------------------------------------------------------------------------------------------


def slugs(page: Path) -> set[str]:
    """Return the addresses of a page's headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    plain = (re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).lower() for heading in headings)
    return {re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", heading).strip()) for heading in plain}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    """Every link and picture that is not on the web is there, its anchor too, and a page of the site stays within it."""
    text = re.sub(r"^ *```.*?^ *```$", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith(("https://", "http://")):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.is_file(), target
        assert DOCS in file.parents or DOCS not in page.parents, target
        assert not anchor or anchor in slugs(file), target


def test_every_page_is_in_the_navigation():
    """The site's navigation names every page, once."""
    navigation = tomllib.loads((ROOT / "zensical.toml").read_text("utf-8"))["project"]["nav"]
    named = re.findall(r"'([^']+\.md)'", str(navigation))
    assert sorted(named) == sorted(str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md"))


# --- what is generated, and what must agree ------------------------------------------------------------------------


def test_the_page_of_the_weights_is_current():
    """docs/explanation/models.md is what docs/make_models.py writes of the bundles in this tree."""
    make = load(DOCS / "make_models.py")
    assert make.PAGE.read_text("utf-8") == make.models_page(registry.shipped_folder()), "run docs/make_models.py"


def test_the_readme_is_current():
    """README's figures are the generator's; so is its answer, but for the last digits, which processors differ in."""
    make = load(DOCS / "make_models.py")
    text, parts = make.README.read_text("utf-8"), make.readme_parts(registry.shipped_folder())
    shown = {
        name: text.split(f"<!-- {name}: written by docs/make_models.py -->\n")[1].split(f"\n<!-- end of {name}")[0]
        for name in parts
    }
    assert shown["figures"] == parts["figures"], "run docs/make_models.py"
    number = re.compile(r"-?\d+\.\d+")
    assert number.sub("#", shown["answer"]) == number.sub("#", parts["answer"]), "run docs/make_models.py"
    pairs = zip(number.findall(shown["answer"]), number.findall(parts["answer"]), strict=True)
    assert all(abs(float(one) - float(other)) <= 0.2 for one, other in pairs)


def test_figures_are_current():
    """Each figure is what docs/make_figures.py draws."""
    make = load(DOCS / "make_figures.py")
    for name, draw in make.FIGURES.items():
        assert (make.IMAGES / name).read_text("utf-8") == draw(), "run docs/make_figures.py"


def test_the_tables_of_deidentification_are_current():
    """docs/reference/deidentify.md is what docs/make_deidentify.py writes of the tables that the program obeys."""
    make = load(DOCS / "make_deidentify.py")
    assert make.PAGE.read_text("utf-8") == make.page(), "run docs/make_deidentify.py"


def test_what_is_said_of_weights(tiny_folder, tiny_models, tmp_path, monkeypatch):
    """The generated page names members, figures, operating points, gains and what is not assessed, and README gets its parts."""
    make = load(DOCS / "make_models.py")
    folder = Path(shutil.copytree(tiny_folder, tmp_path / "bundles"))
    assert "there is no `ensemble.json`" in make.models_page(folder)
    point, figure = OperatingPoint(41.5, 0.71, 0.82), Interval(0.81, 0.72, 0.91)
    claim = NormalClaim(0.05, Interval(0.044, 0.02, 0.067), Interval(0.055, 0.029, 0.095))
    sure = Uncertainty(400, 300, 0.9, no_set={"Hernia": "4 validation patients with it"}, normal=claim)
    record = EnsembleRecord(
        {}, {"Edema": {"youden": point}}, {"Edema": figure}, {"gain over X": figure}, "made so", uncertainty=sure
    )
    registry.save_ensemble(folder, record)
    page = make.models_page(folder)
    for said in (
        "## DenseNet121 (random numbers, for tests-trained)",
        "| Edema | 0.700 (0.650–0.750) | 0.700 (0.650–0.750) | 0.700 (0.650–0.750) | 0.810 (0.720–0.910) |",
        "| Edema | 41.5, 0.71 / 0.82 |  |  |",
        "| X | +0.810 (+0.720 to +0.910) |",
        "promise a coverage of 90%, from 400 films of 300",
        "Findings without one: Hernia (4 validation patients with it).",
        "4.4% (2.0%–6.7%) of the\nvalidation films with a listed finding lie above it, and 5.5% (2.9%–9.5%) of the held-out ones.",
        "Not assessed: Fracture (trained on 3 positive patients; 100 are needed).",
    ):
        assert said in page
    assert pipeline.shipped_folder() == tiny_folder
    written = make.put(make.README.read_text("utf-8"), make.readme_parts(folder))
    answer = json.loads(written.split("```json\n")[1].split("```")[0])
    assert answer["analysis"]["densenet_result"]["model"].startswith("DenseNet121")
    assert written.endswith(make.README.read_text("utf-8")[-200:])


def test_a_tree_without_weights_says_so(tmp_path):
    """Where there are no bundles, the page and README say that instead of figures."""
    make = load(DOCS / "make_models.py")
    assert "There are no weights" in make.models_page(tmp_path)
    assert all("There are no weights" in part for part in make.readme_parts(tmp_path).values())


def test_the_table_of_drift_is_current():
    """docs/explanation/drift.md holds what bench/drift.py measured last."""
    measured = (ROOT / "bench" / "results" / "drift.md").read_text("utf-8")
    page = (DOCS / "explanation" / "drift.md").read_text("utf-8")
    assert f"bench/drift.py -->\n\n{measured}\n<!-- end of drift -->" in page


def test_versions_agree():
    """The changelog, the citation, the container's files and how to deploy them name this version."""
    assert PROJECT["version"] == __version__
    assert f"## {__version__}\n" in (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert f"\nversion: {__version__}\n" in (ROOT / "CITATION.cff").read_text("utf-8")
    composed = ("compose.yaml", "compose.replicas.yaml", "examples/orthanc/compose.yaml")
    for name in ("Containerfile", *composed, "docs/how-to/deploy.md"):
        assert set(re.findall(r"hilum:(\d[\w.]*)", (ROOT / name).read_text("utf-8"))) == {__version__}, name


def test_the_container_copies_what_there_is():
    """Each file that the image is built from exists, and is let into the build."""
    let_in = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    for line in re.findall(r"^COPY (?!--from)(.+) \S+$", (ROOT / "Containerfile").read_text("utf-8"), re.MULTILINE):
        for name in line.split():
            assert (ROOT / name).exists(), name
            assert f"!{name}" in let_in, name


def test_routes_named_anywhere_exist(tiny_engine):
    """A path below /api, /static, /healthz, /readyz or /metrics that a page names is a route."""
    app = create_app(Settings(), tiny_engine)
    known = {route.path for route in app.routes if isinstance(route, APIRoute)} | {"/static", "/openapi.json"}
    for page in PAGES:
        named = re.findall(r"[ `(](/(?:api|static|healthz|readyz|metrics)[\w/-]*)", page.read_text("utf-8"))
        assert set(named) <= known, page


@pytest.mark.parametrize("name", ["faults", "soak", "fuzz"])
def test_the_page_of_what_was_broken_has_the_measured_tables(name):
    """What a script under bench wrote stands in the page as it is."""
    assert (ROOT / "bench" / "results" / f"{name}.md").read_text("utf-8").strip() in (
        DOCS / "explanation" / "robustness.md"
    ).read_text("utf-8")
