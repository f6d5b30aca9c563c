"""Forward passes of reward models: batches of token sequences in, verdicts at chosen places out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoModelForTokenClassification
from transformers.models.qwen2.modeling_qwen2 import Qwen2Model, Qwen2PreTrainedModel

from harness import models
from harness.engines.batching import THREADS
from harness.engines.loading import _brief, _complete, _quiet, load_tokenizer
from harness.engines.transformers import SMALL
from harness.rewards import formats
from harness.rewards.formats import Asked, Format
from harness.types import Model
from perpass.errors import PerPassError, UserError


class Qwen2ForProcessRewardModel(Qwen2PreTrainedModel):
    """The architecture of Qwen2.5-Math-PRM (arXiv:2501.07301), which transformers does not have: a head of two layers and two labels."""

    def __init__(self, config: Any):
        super().__init__(config)
        self.model = Qwen2Model(config)
        width = config.hidden_size
        self.score = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 2))
        self.post_init()


def _loader(config: Any, chosen: Format) -> Any:
    names = " ".join((config or {}).get("architectures") or ())
    if "ForProcessRewardModel" in names:
        return Qwen2ForProcessRewardModel
    if chosen.good or chosen.likelihood:
        return AutoModelForCausalLM
    if "ForSequenceClassification" in names:
        return AutoModelForSequenceClassification
    return AutoModelForTokenClassification


class Scorer:
    """A causal transformer with a head that gives verdicts. `scores` runs in one thread at a time.

    Rows are padded on the right, where a causal model needs no mask for them, so that a row's verdicts do not depend on its company (but
    for the rounding of sums of another shape: about 1e-6 in float32). The head is computed at the places that are asked for only.
    """

    def __init__(self, network: Any, tokenizer: Any, chosen: Format, max_tokens: int, threads: int):
        self.network, self.tokenizer, self.threads = network, tokenizer, threads
        self._format, self._choice = chosen, formats.choice(chosen, tokenizer)
        self._closing = [tokenizer(chosen.separator, add_special_tokens=False)["input_ids"][0], tokenizer.eos_token_id or 0]
        writes = chosen.good or chosen.likelihood
        head: Any = network.get_output_embeddings() if writes else getattr(network, "score", None)
        if head is None:
            raise UserError(f"reward: {type(network).__name__} has no head `score`, which the format {chosen.name} needs")
        self._head = head
        self._max_tokens = max_tokens
        self._pad = tokenizer.pad_token_id or 0

    @staticmethod
    def load(model: Model, chosen: Format, device: str, max_tokens: int, threads: int | None, trust: bool) -> Scorer:
        """Load `model`. Raises UserError when weights are missing or do not fit, PerPassError when the device has no room."""
        folder = models.weights(model)
        options = {"dtype": getattr(torch, model.dtype), "local_files_only": True, "output_loading_info": True}
        loader = _loader(model.config, chosen)
        if loader is not Qwen2ForProcessRewardModel:
            options["trust_remote_code"] = trust
        try:
            with _quiet():
                network, info = loader.from_pretrained(folder, **options)
            _complete(model, info)
            network = network.eval().requires_grad_(False).to(device)
        except UserError:
            raise
        except (torch.OutOfMemoryError, MemoryError) as error:
            raise PerPassError(f"model {model.name!r} does not fit on {device}") from error
        except (OSError, ValueError, ImportError, KeyError, RuntimeError) as error:
            raise UserError(f"model {model.name!r} cannot be loaded as a reward: {_brief(error)}") from error
        small = device == "cpu" and sum(p.numel() for p in network.parameters()) < SMALL
        return Scorer(network, load_tokenizer(model, trust), chosen, max_tokens, threads or (1 if small else THREADS))

    @torch.inference_mode()
    def scores(self, asked: Sequence[Asked]) -> list[tuple[float, ...]]:
        """The verdicts of each, in order, each in [0, 1]. Those of similar length run together."""
        torch.set_num_threads(self.threads)
        order = sorted(range(len(asked)), key=lambda i: len(asked[i].ids))
        found: list[tuple[float, ...]] = [()] * len(asked)
        for group in self._groups(asked, order):
            for i, verdicts in zip(group, self._pass([asked[i] for i in group]), strict=True):
                found[i] = verdicts
        return found

    def _groups(self, asked: Sequence[Asked], order: Sequence[int]) -> Iterator[list[int]]:
        group: list[int] = []
        for i in order:
            if group and (len(group) + 1) * len(asked[i].ids) > self._max_tokens:
                yield group
                group = []
            group.append(i)
        yield group

    def _pass(self, asked: Sequence[Asked]) -> list[tuple[float, ...]]:
        longest = max(len(a.ids) for a in asked)
        ids = torch.tensor([[*a.ids, *[self._pad] * (longest - len(a.ids))] for a in asked], device=self.network.device)
        hidden = self.network.base_model(input_ids=ids, use_cache=False).last_hidden_state
        return self._likelihoods(asked, ids, hidden) if self._format.likelihood else self._marked(asked, hidden)

    def _marked(self, asked: Sequence[Asked], hidden: Tensor) -> list[tuple[float, ...]]:
        """Verdicts that the head gives at the places."""
        rows = torch.tensor([row for row, a in enumerate(asked) for _ in a.places], device=hidden.device)
        places = torch.tensor([place for a in asked for place in a.places], device=hidden.device)
        verdicts = iter(self._verdicts(self._head(hidden[rows, places]).float()).tolist())
        return [tuple(next(verdicts) for _ in a.places) for a in asked]

    def _likelihoods(self, asked: Sequence[Asked], ids: Tensor, hidden: Tensor) -> list[tuple[float, ...]]:
        """Verdicts on the least likely token up to each place."""
        answer = torch.zeros_like(ids, dtype=torch.bool)
        ends = torch.zeros_like(answer)
        for row, a in enumerate(asked):
            answer[row, a.begin : len(a.ids)] = True
            ends[row, list(a.places)] = True
        least = smallest(self._head, hidden, ids, answer, ends, self._closing)
        verdicts = torch.sigmoid(self._format.scale * least + self._format.shift)
        if verdicts.isnan().any():
            raise PerPassError("the reward model's scores are not numbers; try another dtype")
        return [tuple(verdicts[row, list(a.places)].tolist()) for row, a in enumerate(asked)]

    def _verdicts(self, outputs: Tensor) -> Tensor:
        """(n, labels or vocabulary) → (n,): sigmoid of one label, else the probability of `good` or of label 1 against the other."""
        if self._choice is not None:
            outputs = outputs[:, list(self._choice)].flip(1)
        if outputs.shape[1] > 2:
            raise PerPassError(f"reward: the model has {outputs.shape[1]} labels; expected one, or wrong and right")
        found = torch.sigmoid(outputs[:, 0]) if outputs.shape[1] == 1 else torch.softmax(outputs, dim=1)[:, 1]
        if found.isnan().any():
            raise PerPassError("the reward model's scores are not numbers; try another dtype")
        return found


def smallest(head: Any, hidden: Tensor, ids: Tensor, answer: Tensor, ends: Tensor, closing: Sequence[int]) -> Tensor:
    """Of each answer token the smallest log-probability (nats) of the answer's tokens up to it, 0 before: (rows, length), float32.

    `hidden` (rows, length, width) with `head` give the log-probabilities; `ids`, `answer` (which tokens are of the answer; a row's first is
    not) and `ends` (which close a step) are (rows, length). A step is closed by any of `closing`: their probabilities are added.
    """
    rows, columns = answer.nonzero(as_tuple=True)
    logprobs = torch.log_softmax(head(hidden[rows, columns - 1]).float(), dim=-1)
    own = logprobs.gather(1, ids[rows, columns][:, None])[:, 0]
    closed = torch.logsumexp(logprobs[:, list(closing)], dim=1)
    found = torch.zeros(ids.shape, device=ids.device)
    found[rows, columns] = torch.where(ends[rows, columns], closed, own)
    return found.cummin(dim=1).values
