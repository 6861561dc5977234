"""Sessions: quickstart, tests, proofs, benchmarks, lint, types, imports, docs, packages, compat, demo, dist.

``python -m nox -s quickstart`` and ``python -m nox -s tests`` are the README's two commands.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import nox

ROOT = Path(__file__).parent
CORE = ["espnet3-core", "plugins/espnet3-speech", "plugins/espnet3-asr"]
PACKAGES = [*CORE, *(f"plugins/espnet3-{name}" for name in ("tts", "serve", "hub", "onnx"))]
EVERY = [*PACKAGES, "plugins/espnet3-demo"]
ALL_TESTS = [*(f"{package}/tests" for package in PACKAGES), "tests"]
CONSTRAINTS = ["-c", str(ROOT / "constraints.txt")]
TEST_TOOLS = [
    "pytest",
    "pytest-timeout",
    "hypothesis",
    "jiwer",
    "kaldi-native-fbank",
    "scipy",
    "transformers",
    "tensorboard",
    "openai",
    "schemathesis",
    "librosa",
    "matplotlib",
    "espeakng-loader",
    "sherpa-onnx",
]

nox.options.default_venv_backend = "venv"
nox.options.reuse_existing_virtualenvs = True
nox.options.error_on_external_run = True
nox.options.sessions = ["lint", "types", "imports", "tests"]


def install_packages(session: nox.Session, *extra: str, packages: list[str] = PACKAGES) -> None:
    """Packages, editable, with the pinned versions of everything they need."""
    editable = [word for package in packages for word in ("-e", f"./{package}")]
    session.install("--quiet", *CONSTRAINTS, *editable, *extra)


def install_sources(session: nox.Session, *tools: str) -> None:
    """The packages alone, for tools that read them: what they depend on need not be there."""
    session.install("--quiet", *CONSTRAINTS, "hatchling", "editables", *tools)
    editable = [word for package in EVERY for word in ("-e", f"./{package}")]
    session.install("--quiet", "--no-deps", "--no-build-isolation", *editable)


def corpora() -> dict[str, str]:
    """Where real corpora are, when the environment says so."""
    found = os.environ.get("ESPNET3_CORPORA")
    return {"ESPNET3_CORPORA": str(Path(found).resolve())} if found else {}


@nox.session
def quickstart(session: nox.Session) -> None:
    """Install, train on connected digits, decode the real test set, print the WER, transcribe a file."""
    install_packages(session, packages=CORE)
    session.run("python", "recipes/fsdd/asr/quickstart.py", *session.posargs, env=corpora())


@nox.session
def tests(session: nox.Session) -> None:
    """Every test, with short versions of the long proofs. Arguments go to pytest."""
    install_packages(session, *TEST_TOOLS)
    session.run(
        "python", "-m", "pytest", "-q", "-m", "not slow", "--timeout=600", *(session.posargs or ALL_TESTS),
        env={"ESPNET3_STRICT_PLUGINS": "1", **corpora()},
    )  # fmt: skip


@nox.session
def proofs(session: nox.Session) -> None:
    """The full versions of the long proofs, or those of the paths given: figures of READMEs and pages."""
    install_packages(session, *TEST_TOOLS)
    session.run(
        "python",
        "-m",
        "pytest",
        "-q",
        "-s",
        "-m",
        "slow",
        "--timeout=3600",
        *(session.posargs or ALL_TESTS),
        env=corpora(),
    )


@nox.session
def benchmarks(session: nox.Session) -> None:
    """Speed beside the peers under $PEERS, and alone where they are absent: ``-- ROW… --threads 2``."""
    install_packages(session, packages=CORE)
    peers = os.environ.get("PEERS")
    found = {"PEERS": str(Path(peers).resolve())} if peers else {}
    session.run("python", "benchmarks/run.py", *session.posargs, env={**found, **corpora()})


@nox.session
def lint(session: nox.Session) -> None:
    """Style."""
    session.install("--quiet", *CONSTRAINTS, "ruff")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Types: core and the newer plugins are strict."""
    install_packages(session, "mypy", "types-PyYAML", "pytest")
    session.run("mypy", "espnet3-core/src", "plugins/espnet3-serve/src")


@nox.session
def imports(session: nox.Session) -> None:
    """Layers: core imports no plugin, nothing imports the command line."""
    install_sources(session, "import-linter")
    session.run("lint-imports")


@nox.session
def docs(session: nox.Session) -> None:
    """The site, into docs/_build; warnings are errors."""
    install_sources(session, "sphinx", "myst-parser", "furo", "pluggy", "importlib-metadata", "packaging")
    session.run("sphinx-build", "-W", "--keep-going", "-q", "-b", "html", "docs", "docs/_build")


@nox.session
def demo(session: nox.Session) -> None:
    """Tests of espnet3-demo, in Debian's Chromium; an environment of its own, as gradio holds others back."""
    packages = [*CORE, "plugins/espnet3-hub", "plugins/espnet3-demo"]
    editable = [word for package in packages for word in ("-e", f"./{package}")]
    pins = str(demo_constraints(session))
    session.install("--quiet", "-c", pins, *editable, *TEST_TOOLS[:2], "playwright")
    paths = session.posargs or ["plugins/espnet3-demo/tests", "tests/test_verbs.py"]
    session.run("python", "-m", "pytest", "-q", *paths)


def demo_constraints(session: nox.Session) -> Path:
    """The pins of the other sessions, with those that gradio needs in their place."""
    own = (ROOT / "constraints-demo.txt").read_text("utf-8")
    names = {line.partition("==")[0] for line in own.splitlines()}
    shared = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    kept = [line for line in shared if line.partition("==")[0] not in names]
    pins = Path(session.create_tmp()) / "constraints.txt"
    pins.write_text("\n".join([*kept, own]), "utf-8")
    return pins


@nox.session
def dist(session: nox.Session) -> None:
    """Build every wheel and source distribution into dist/."""
    session.install("--quiet", *CONSTRAINTS, "build", "hatchling")
    shutil.rmtree(ROOT / "dist", ignore_errors=True)
    for package in EVERY:
        session.run("python", "-m", "build", "--no-isolation", "--outdir", "dist", package, silent=True)
    session.log("built %s", ", ".join(sorted(path.name for path in (ROOT / "dist").iterdir())))


@nox.session
def packages(session: nox.Session) -> None:
    """The wheels in clean environments: what arrives, plugins new and under examples/, bundles moved."""
    dist(session)
    python = clean_environment(session, "clean")
    where = (python, str(ROOT / "dist"), str(ROOT / "constraints.txt"))
    session.run("python", "tests/packages/check_install.py", *where)
    session.run("python", "tests/packages/check_plugin.py", *where)
    session.run("python", "tests/packages/check_examples.py", *where, build_examples(session), env=corpora())
    session.run(
        "python", "tests/packages/check_bundles.py", *where, str(Path(session.create_tmp()) / "other")
    )


@nox.session
def compat(session: nox.Session) -> None:
    """The example plugins on core as it is, and on each earlier wheel of core: ``-- WHEEL…``."""
    dist(session)
    examples = build_examples(session)
    earlier = [str(Path(wheel).resolve()) for wheel in session.posargs]
    for number, core in enumerate(["espnet3-core", *earlier]):
        python = clean_environment(session, f"core{number}")
        where = ("--find-links", "dist", "-c", "constraints.txt")
        session.run(python, "-m", "pip", "install", "--quiet", *where, core, external=True)
        words = (python, str(ROOT / "dist"), str(ROOT / "constraints.txt"), examples)
        session.run("python", "tests/packages/check_examples.py", *words, env=corpora())
        session.log("the examples work with %s", core)
    if not earlier:
        session.log("no earlier wheel of espnet3-core was named: nox -s compat -- WHEEL…")


def clean_environment(session: nox.Session, name: str) -> str:
    """A new virtual environment of this session; its python."""
    folder = Path(session.create_tmp()) / name
    shutil.rmtree(folder, ignore_errors=True)
    session.run(sys.executable, "-m", "venv", str(folder), external=True)
    return str(folder / "bin" / "python")


def build_examples(session: nox.Session) -> str:
    """Wheels of the plugins under examples/; the folder that they are in."""
    wheels = Path(session.create_tmp()) / "examples"
    shutil.rmtree(wheels, ignore_errors=True)
    for package in sorted((ROOT / "examples/plugins").iterdir()):
        words = ("--wheel", "--no-isolation", "--outdir", str(wheels), str(package))
        session.run("python", "-m", "build", *words, silent=True)
    return str(wheels)
