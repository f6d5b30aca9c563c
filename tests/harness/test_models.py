from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness import models
from harness.engines import hub
from perpass.errors import UserError

CONFIG = {"model_type": "llama", "max_position_embeddings": 512}


def folder(path: Path, config: dict[str, Any] | None = None, weights: bytes = b"w" * 2000, **files: str) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    (path / "config.json").write_text(json.dumps(CONFIG | (config or {})))
    (path / "model.safetensors").write_bytes(weights)
    for name, text in files.items():
        (path / name.replace("__", ".")).write_text(text)
    return path


def test_a_folder_is_described_without_torch(tmp_path: Path) -> None:
    path = folder(tmp_path / "mine")
    code = (
        "import sys; from harness import models; m = models.resolve(sys.argv[1]);"
        "assert not {'torch', 'transformers'} & set(sys.modules); print(m.name, m.dtype, m.context, m.revision[:7])"
    )
    found = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, cwd=Path(models.__file__).parents[1])
    assert found.stdout.split() == ["mine", "float32", "512", "sha256:"], found.stderr


def test_identity_has_no_folder_and_follows_the_weights(tmp_path: Path) -> None:
    a, b, c = folder(tmp_path / "a" / "m"), folder(tmp_path / "b" / "m"), folder(tmp_path / "c" / "m", weights=b"v" * 2000)
    one, two, three = (models.resolve({"id": str(p)}) for p in (a, b, c))
    assert one.identity() == two.identity() and one.path != two.path
    assert one.revision != three.revision
    (a / "training_args.bin").write_bytes(b"not weights")
    assert models.resolve(str(a)).revision == one.revision


def test_large_weights_are_hashed_in_part_and_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "WHOLE", 1000)
    monkeypatch.setattr(models, "PART", 100)
    path = folder(tmp_path / "m", weights=bytes(500) + b"x" + bytes(1500))
    first = models.resolve(str(path)).revision
    assert first.startswith("partial-sha256:")
    folder(path, weights=bytes(2000) + b"x")
    assert models.resolve(str(path)).revision != first


@pytest.mark.parametrize(
    ("config", "device", "dtype", "expected"),
    [
        ({}, "cpu", None, "float32"),
        ({"torch_dtype": "bfloat16"}, "cpu", None, "float32"),
        ({"torch_dtype": "bfloat16"}, "cpu", "auto", "float32"),
        ({"torch_dtype": "bfloat16"}, "cpu", "float16", "float16"),
        ({}, "cuda", None, "bfloat16"),
        ({"dtype": "float32"}, "cuda", None, "float32"),
        ({"text_config": {"torch_dtype": "float16"}}, "cuda:1", "auto", "float16"),
    ],
)
def test_dtype_is_always_concrete(tmp_path: Path, config: dict[str, Any], device: str, dtype: str | None, expected: str) -> None:
    spec = {"id": str(folder(tmp_path / "m", config))} | ({"dtype": dtype} if dtype else {})
    assert models.resolve(spec, device=device).dtype == expected


def test_context_is_found_in_composite_and_old_configs(tmp_path: Path) -> None:
    nested = {"max_position_embeddings": None, "text_config": {"max_position_embeddings": 99}}
    assert models.resolve(str(folder(tmp_path / "a", nested))).context == 99
    assert models.resolve(str(folder(tmp_path / "b", {"max_position_embeddings": None, "n_positions": 7}))).context == 7
    assert models.resolve(str(folder(tmp_path / "c", {"max_position_embeddings": None}))).context is None


def test_think_markers_and_template(tmp_path: Path) -> None:
    plain = models.resolve(str(folder(tmp_path / "plain")))
    assert plain.think is None and plain.template == ""
    spoken = folder(tmp_path / "a", tokenizer_config__json=json.dumps({"chat_template": "{{ x }}<think>\n"}))
    added = folder(tmp_path / "b", tokenizer_config__json=json.dumps({"added_tokens_decoder": {"5": {"content": "</think>"}}}))
    listed = folder(tmp_path / "c", tokenizer__json=json.dumps({"added_tokens": [{"content": "</think>"}]}))
    for path in (spoken, added, listed):
        assert models.resolve(str(path)).think == ("<think>", "</think>")
    assert models.resolve({"id": str(spoken), "think": False}).think is None
    assert models.resolve({"id": str(spoken), "think": ["[T]", "[/T]"]}).think == ("[T]", "[/T]")
    with pytest.raises(UserError, match="think must be"):
        models.resolve({"id": str(spoken), "think": "yes"})
    own = folder(tmp_path / "d", chat_template__jinja="{{ y }}", tokenizer_config__json=json.dumps({"chat_template": "{{ x }}"}))
    several = folder(tmp_path / "e", tokenizer_config__json=json.dumps({"chat_template": [{"name": "default", "template": "{{ y }}"}]}))
    assert models.resolve(str(own)).template == models.resolve(str(several)).template != models.resolve(str(spoken)).template


def test_what_is_missing_from_a_folder_is_named(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(UserError, match=r"empty has no config\.json"):
        models.resolve(str(empty))
    (empty / "config.json").write_text("{}")
    with pytest.raises(UserError, match="empty has no weights"):
        models.resolve(str(empty))
    pointer = folder(tmp_path / "lfs", weights=b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n")
    with pytest.raises(UserError, match=r"git-lfs pointer for model\.safetensors"):
        models.resolve(str(pointer))
    (pointer / "config.json").write_text("{")
    (pointer / "model.safetensors").write_bytes(b"w")
    with pytest.raises(UserError, match=r"config\.json cannot be read"):
        models.resolve(str(pointer))
    with pytest.raises(UserError, match="no such folder"):
        models.resolve("./nowhere/at/all")
    with pytest.raises(UserError, match="has revision sha256"):
        models.resolve({"id": str(folder(tmp_path / "m")), "revision": "abc"})


def test_shipped_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "SHIPPED", tmp_path)
    folder(tmp_path / "nano")
    folder(tmp_path / "micro")
    (tmp_path / "notes").mkdir()
    assert models.shipped() == ["perpass/micro", "perpass/nano"]
    assert models.resolve("perpass/nano").name == "perpass/nano"
    for wrong in ("perpass/nanno", "nano"):
        with pytest.raises(UserError, match="did you mean 'perpass/nano'"):
            models.resolve(wrong)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"id": "x", "dype": "float32"}, "did you mean 'dtype'"),
        ({"id": "x", "dtype": "float23"}, "did you mean 'float32'"),
        ({"dtype": "float32"}, "expected a shipped name"),
        (7, "expected a shipped name"),
        ("two words", "no hub id"),
    ],
)
def test_what_is_wrong_in_a_spec_is_said(spec: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        models.resolve(spec)


def test_own_code_needs_trust(tmp_path: Path) -> None:
    strange = folder(tmp_path / "m", {"model_type": "never_heard_of", "auto_map": {"AutoModelForCausalLM": "m.M"}})
    with pytest.raises(UserError, match="trust_remote_code: true"):
        models.resolve(str(strange))
    assert models.resolve(str(strange), trust_remote_code=True).name == "m"
    known = folder(tmp_path / "k", {"auto_map": {"AutoModelForCausalLM": "m.M"}})
    assert models.resolve(str(known)).name == "k"


class Hub:
    """A stand-in for huggingface_hub: one repository, its cache, and whether there is a network."""

    def __init__(self, cache: Path, files: list[str]):
        self.cache, self.files = cache, files
        self.online, self.taken = True, []
        self.sha = "c0ffee"

    def HfApi(self) -> Hub:
        return self

    def model_info(self, name: str, revision: str | None, timeout: float) -> SimpleNamespace:
        from huggingface_hub import errors

        if not self.online:
            raise ConnectionError("no network")
        if name != "org/model":
            raise errors.RepositoryNotFoundError("404", response=_response(404))
        if revision not in (None, self.sha):
            raise errors.RevisionNotFoundError("404", response=_response(404))
        return SimpleNamespace(sha=self.sha, siblings=[SimpleNamespace(rfilename=f) for f in self.files])

    def snapshot_download(self, name: str, revision: str | None, local_files_only: bool = False, **kw: Any) -> str:
        path = self.cache / f"models--{name.replace('/', '--')}" / "snapshots" / self.sha
        if local_files_only or not self.online:
            if not path.exists():
                raise FileNotFoundError("not cached")
            return str(path)
        self.taken.append(kw["allow_patterns"])
        path.mkdir(parents=True, exist_ok=True)
        (path / "config.json").write_text(json.dumps(CONFIG))
        if "model.safetensors" in kw["allow_patterns"]:
            (path / "model.safetensors").write_bytes(b"w" * 2000)
        return str(path)


def _response(status: int) -> Any:
    import httpx

    return httpx.Response(status, request=httpx.Request("GET", "https://example.invalid"))


@pytest.fixture
def fake_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    made = Hub(tmp_path, ["config.json", "model.safetensors", "pytorch_model.bin", "onnx/model.bin"])
    monkeypatch.setattr(hub, "_library", lambda: made)
    return made


def test_a_hub_model_is_pinned_and_its_weights_come_on_demand(fake_hub: Hub) -> None:
    model = models.resolve({"id": "org/model"})
    assert (model.name, model.revision, model.context) == ("org/model", "c0ffee", 512)
    assert fake_hub.taken == [hub.SMALL]
    assert (models.weights(model) / "model.safetensors").exists()
    assert fake_hub.taken[1:] == [["model.safetensors"]]
    fake_hub.online = False
    assert models.resolve("org/model") == model
    assert models.weights(model) == Path(str(model.path))


def test_what_the_hub_does_not_have_is_one_sentence(fake_hub: Hub) -> None:
    with pytest.raises(UserError, match="hub does not know it"):
        models.resolve("org/other")
    with pytest.raises(UserError, match="no revision 'beef'"):
        models.resolve({"id": "org/model", "revision": "beef"})
    fake_hub.files = ["config.json", "onnx/model.bin"]
    with pytest.raises(UserError, match="repository has no weights"):
        models.resolve("org/model")
    fake_hub.online = False
    with pytest.raises(UserError, match="cannot be reached and the local cache has no copy"):
        models.resolve("org/never")


def test_offline_without_weights_is_said_when_they_are_needed(fake_hub: Hub) -> None:
    model = models.resolve("org/model")
    fake_hub.online = False
    with pytest.raises(UserError, match="has no weights"):
        models.weights(model)
