"""The workflows and the action: linted, pinned, and their shell run for real."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from bench import experiment, gate_file

ROOT = Path(__file__).resolve().parent.parent
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
ACTION = ROOT / ".github" / "actions" / "perpass" / "action.yml"


def read(path: Path) -> dict[Any, Any]:
    found = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert isinstance(found, dict)
    return found


def steps(path: Path) -> list[dict[str, Any]]:
    content = read(path)
    return content["runs"]["steps"] if "runs" in content else [step for job in content["jobs"].values() for step in job["steps"]]


def linter(name: str) -> str:
    """A linter that the `dev` extra installs. Without it the test is skipped, but never where CI=true."""
    found = shutil.which(name, path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    if found is None:
        told = f"needs {name}: pip install 'perpass[dev]' on Linux, x86_64"
        pytest.fail(told) if os.environ.get("CI") == "true" else pytest.skip(told)
    return found


def actionlint(*words: str, text: str | None = None) -> str:
    """What it finds wrong; the shell of steps is checked by ShellCheck."""
    program = [linter("actionlint"), "-no-color", "-shellcheck", linter("shellcheck")]
    done = subprocess.run([*program, *words], cwd=ROOT, input=text, capture_output=True, text=True)
    assert done.returncode in (0, 1) and not done.stderr, done.stderr
    return done.stdout


def test_actionlint_finds_nothing() -> None:
    assert actionlint(*map(str, WORKFLOWS)) == ""


def test_actionlint_would_find_it() -> None:
    """An expression, a runner and a line of shell that are wrong."""
    text = (WORKFLOWS[0].parent / "tests.yml").read_text(encoding="utf-8")
    for right, wrong, rule in (
        ("github.ref }}", "github.reff }}", "expression"),
        ("ubuntu-latest", "ubuntu-lates", "runner-label"),
        ("run: make test PYTHON=python", "run: cd $HOME; make test", "shellcheck"),
    ):
        assert right in text
        assert f"[{rule}]" in actionlint("-", text=text.replace(right, wrong))


def test_the_workflow_of_the_docs_passes_too() -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs/ci.md").read_text(encoding="utf-8"), re.DOTALL)
    examples = [block for block in blocks if "jobs:" in block]
    assert examples
    for text in examples:
        assert actionlint("-ignore", 'label "gpu" is unknown', "-", text=text) == ""


def test_shellcheck_finds_nothing_in_the_action() -> None:
    """actionlint reads workflows only."""
    for step in steps(ACTION):
        if "run" in step:
            done = subprocess.run([linter("shellcheck"), "--shell", step["shell"], "-"], input=step["run"], capture_output=True, text=True)
            assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


@pytest.mark.parametrize("path", [*WORKFLOWS, ACTION], ids=lambda p: p.name)
def test_actions_of_others_are_pinned_to_a_commit(path: Path) -> None:
    used = re.findall(r"uses: (\S+)(.*)", path.read_text(encoding="utf-8"))
    assert used
    for action, comment in used:
        assert action.startswith("./") or (re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", action) and re.fullmatch(r" # v[\d.]+", comment)), action


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda p: p.name)
def test_workflows_may_only_read_and_end(path: Path) -> None:
    content = read(path)
    assert content["permissions"] == {"contents": "read"}
    assert all(job["timeout-minutes"] <= 120 and "permissions" not in job for job in content["jobs"].values())


def test_the_tests_run_on_every_version_that_is_promised() -> None:
    (job,) = read(ROOT / ".github" / "workflows" / "tests.yml")["jobs"].values()
    promised = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["classifiers"]
    assert set(job["strategy"]["matrix"]["python"]) == {c.split(" :: ")[-1] for c in promised if re.search(r":: 3\.\d+$", c)}
    assert any("make test" in step.get("run", "") for step in job["steps"])


def test_the_nightly_workflow_asks_for_what_there_is() -> None:
    (given,) = [step["with"] for step in steps(ROOT / ".github" / "workflows" / "nightly.yml") if step.get("uses", "").startswith("./")]
    known = read(ACTION)["inputs"]
    assert set(given) <= set(known) and {name for name, spec in known.items() if spec.get("required")} <= set(given)
    assert experiment.load(given["experiment"]).name == given["experiment"]
    gate = gate_file.load(ROOT / given["gate"])
    assert not {"energy_j", "latency_s", "cost_usd"} & set(gate.metrics)  # its runners are not the same machine twice


# --- the shell of the action ------------------------------------------------------------------------------------------------------------

BENCH = """\
#!/usr/bin/env bash
printf '%s\\n' "$@" > "$RUNNER_TEMP/words"
mkdir -p "$FOLDER" && echo "# told" > "$FOLDER/summary.md"
exit "$CODE"
"""


def night(tmp_path: Path, code: int, **given: str) -> tuple[int, list[str], str, str]:
    """The night's step with a `bench` that ends with `code`: its exit code, the words `bench` got, outputs, job summary."""
    (step,) = [step for step in steps(ACTION) if step.get("id") == "night"]
    program = tmp_path / "perpass" / "bin" / "bench"
    program.parent.mkdir(parents=True)
    program.write_text(BENCH)
    program.chmod(0o755)
    inputs = {"experiment": "demo", "gate": "", "date": "", "accept": "false", "folder": "nights of demo", **given}
    variables = {name: inputs[re.sub(r"\$\{\{ inputs\.(\w+) \}\}", r"\1", value)] for name, value in step["env"].items()}
    files = {"GITHUB_OUTPUT": tmp_path / "output", "GITHUB_STEP_SUMMARY": tmp_path / "job.md"}
    environment = {"PATH": os.environ["PATH"], "RUNNER_TEMP": str(tmp_path), "CODE": str(code), **variables}
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", step["run"]],
        cwd=tmp_path,
        env=environment | {name: str(path) for name, path in files.items()},
    )
    written = [path.read_text() if path.exists() else "" for path in files.values()]
    return done.returncode, (tmp_path / "words").read_text().splitlines(), written[0], written[1]


@pytest.mark.parametrize("code", [0, 1, 4])
def test_the_nights_exit_code_and_summary_reach_the_job(tmp_path: Path, code: int) -> None:
    returned, words, output, summary = night(tmp_path, code, date="2026-11-21")
    assert (returned, output, summary) == (code, f"code={code}\n", "# told\n")
    assert words == ["nightly", "demo", "--date", "2026-11-21", "--folder", "nights of demo"]


def test_what_is_asked_for_reaches_the_command(tmp_path: Path) -> None:
    _, words, _, _ = night(tmp_path, 0, experiment="my $(x).yaml", gate="a gate.yaml", accept="true")
    assert words[:2] == ["nightly", "my $(x).yaml"] and re.fullmatch(r"20\d\d-\d\d-\d\d", words[3])
    assert words[4:] == ["--folder", "nights of demo", "--gate", "a gate.yaml", "--accept"]


def test_nothing_from_outside_is_pasted_into_a_shell() -> None:
    """An expression inside `run` would be executed; through `env` it stays a value."""
    for path in (*WORKFLOWS, ACTION):
        assert not [step for step in steps(path) if "${{" in step.get("run", "")], path


def test_the_nights_are_kept_when_a_cell_alarms() -> None:
    after = steps(ACTION)[-2:]
    assert [step["uses"].partition("@")[0] for step in after] == ["actions/cache/save", "actions/upload-artifact"]
    assert all(step["if"].startswith("${{ always()") for step in after)
