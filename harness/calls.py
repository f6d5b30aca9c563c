"""One engine call as an attempt sees it, and the sums over them: the ledger, the prefix sharing, the FLOPs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from energy import flops
from harness.cell import Deployment
from harness.fork import Path
from harness.types import Kind, Sample, Sampling, Usage
from perpass.identity import content_hash
from tasks.types import Prompt


@dataclass(frozen=True)
class Call:
    """A completion, a scoring or a reward call, as made and as charged.

    made     the sample as the engine produced it (the whole stored trace of a pooled sample)
    kept     what this attempt used of it; `watch` may have cut it
    pooled   whether the sample belongs to a pool; then it is spent once however many attempts use it
    """

    key: str
    path: Path
    role: str
    kind: Kind
    place: Deployment
    prompt: Prompt
    made: Sample
    kept: Sample
    pooled: bool
    text: str = ""  # of a scoring call: what was scored
    borrowed: str = ""  # the code, where the text is another engine's (harness.offline)
    sampling: Sampling | None = None  # of a completion

    @property
    def charged(self) -> Usage:
        """The call's own tokens; what others had cached is not this attempt's saving."""
        usage = self.kept.usage
        return replace(usage, cached=0) if usage.cached else usage


def executed(place: Deployment, usage: Usage, sampling: Sampling | None = None) -> flops.Flops | None:
    """FLOPs of one call on this deployment; None when the architecture is unknown (code `unknown_architecture`).

    `sampling` of a completion may ask for another number of experts, and for DoLa, which runs the output head twice for each token.
    """
    able, extra = place.engine.capabilities, sampling.extra if sampling else {}
    experts = extra.get("experts") if able.experts else None
    done = _executed(place, usage.prompt, usage.output, usage.cached, usage.scored, experts)
    return replace(done, head=2 * done.head) if done and able.dola and "dola" in extra else done


@lru_cache(maxsize=4096)  # a call is counted when it is made and again when it is charged
def _executed(place: Deployment, prompt: int, output: int, cached: int, scored: int, experts: int | None) -> flops.Flops | None:
    model = _shape(place, experts)
    return None if model is None else flops.count(model, prompt=prompt, output=output, cached=cached, scored=scored)


@lru_cache(maxsize=256)
def _shape(place: Deployment, experts: int | None) -> flops.Shape | None:
    if place.model.config is None:
        return None
    settings = counting(place) | ({} if experts is None else {"experts": experts})
    try:
        return flops.shape(place.model.config, **settings)
    except flops.UnknownArchitecture:
        return None


def counting(place: Deployment) -> dict[str, Any]:
    """The settings of an engine that change what is counted (`energy.flops.SETTINGS`)."""
    settings = place.engine.settings
    found = {key: settings[key] for key in flops.SETTINGS if settings.get(key) is not None}
    return found | ({"mla": "absorbed"} if place.engine.kind == "vllm" and "mla" not in found else {})


class TokenTrie:
    """Token sequences seen so far; answers how long a prefix of a new one was seen."""

    def __init__(self) -> None:
        self._root: dict[int, Any] = {}

    def shared(self, tokens: Sequence[int]) -> int:
        node, length = self._root, 0
        for token in tokens:
            if token not in node:
                break
            node, length = node[token], length + 1
        return length

    def add(self, tokens: Iterable[int]) -> None:
        node = self._root
        for token in tokens:
            node = node.setdefault(token, {})


def in_order(calls: Iterable[Call]) -> tuple[Call, ...]:
    """Calls in program order. A verdict that an attempt asked for again is the same call: it is charged once."""
    found: dict[Any, Call] = {}
    for call in sorted(calls, key=lambda c: c.path):
        found.setdefault(call.key if call.kind == "reward" else call.path, call)
    return tuple(found.values())


def charge(calls: Sequence[Call]) -> list[Usage]:
    """Charged usage of each call, in order: `cached` is what the attempt's own earlier calls share by token trie on engines that cache
    prefixes, else 0. At least one prompt token is always fresh, as in the engines' own accounting."""
    tries: dict[str, TokenTrie] = {}
    charged = []
    for call in calls:
        usage = call.charged
        # An only call shares nothing with an earlier one.
        ids = call.place.engine.tokens(call.prompt) if len(calls) > 1 and call.place.engine.capabilities.prefix_caching else None
        if ids:
            trie = tries.setdefault(call.place.hash, TokenTrie())
            usage = replace(usage, cached=min(trie.shared(ids), len(ids) - 1))
            trie.add((*ids, *call.kept.token_ids))
        charged.append(usage)
    return charged


def pool_key(series: str, seed: int, place: Deployment, prompt: Prompt, sampling: Sampling) -> str:
    """series × seed × model × engine with all its settings × hardware × prompt × sampling."""
    return content_hash(series, seed, place.hash, prompt, sampling.identity)
