"""Tasks of lm-eval as tasks of ours: `lm-eval:NAME`, or `lm-eval:PATH.yaml`. Prompts, filters and metrics are computed by its own objects.

What is generated is asked as lm-eval asks it without a chat template. Its metrics run in this process, under their own time limits.
"""

from __future__ import annotations

import json
import numbers
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from importlib.metadata import version
from typing import Any

from perpass.errors import PerPassError, UserError
from perpass.identity import content_hash
from tasks import answers, lmeval_find
from tasks.order import stratified
from tasks.protocol import before, greedy
from tasks.registry import BRIDGE, task
from tasks.types import Ask, Judgement, Outcome, Problem, Prompt, Reply

VERSION = 1
JUDGE = 1
INVALID = "[invalid]"
"""What lm-eval's filters put where they find nothing."""


@task(BRIDGE)
class LmEval:
    """A task of lm-eval: generate_until, multiple_choice or loglikelihood.

    `shots`: another number of examples than the task's own, which lm-eval refuses for tasks that fix it at 0. Every metric of every filter
    is a score `metric,filter`, where it is a number per problem; the first that is averaged, and better when higher, decides the outcome:
    correct at 1. Raises UserError for a task that lm-eval does not have; what it holds is read on first use.
    """

    items = 1
    version = VERSION

    def __init__(self, name: str, shots: int | None = None):
        if shots is not None and shots < 0:
            raise UserError(f"lm-eval task {name!r}: shots is {shots}, expected at least 0")
        self._path, known = lmeval_find.find(name)
        self.name = f"{BRIDGE}:{known}"
        self.spec: Mapping[str, Any] = {"kind": BRIDGE, "name": name, "shots": shots}
        self._known, self._shots = known, shots

    @cached_property
    def _task(self) -> Any:
        return lmeval_find.make(self._path, self._known, self._shots)

    @cached_property
    def _requests(self) -> dict[str, list[Any]]:
        """lm-eval's requests of each problem, by its key, in its order."""
        config, found = self._task.config, dict[str, list[Any]]()
        split = config.test_split or config.validation_split or "docs"
        for request in self._task.instances:
            found.setdefault(f"{split}/{request.doc_id}", []).append(request)
        return {key: sorted(requests, key=lambda r: r.idx) for key, requests in found.items()}

    # -- what is asked ---------------------------------------------------------------------------------------------------------------
    @property
    def judge_version(self) -> str:
        """lm-eval's version, the task's there, and this way of calling it."""
        return f"lm-eval-{version('lm_eval')}+{self._known}-{self._task.VERSION}+bridge-{JUDGE}"

    @property
    def revision(self) -> str:
        """A hash of all that is asked and of the right answers: lm-eval pins no revision of the data."""
        return "local-" + content_hash([[p.key, p.fixed, p.scored, p.gold] for p in self._problems])[:12]

    @property
    def replies(self) -> int:
        """How many replies its filters take together."""
        return int(self._task.config.repeats) if self._task.OUTPUT_TYPE == "generate_until" else 1

    @cached_property
    def sampling(self) -> Mapping[str, Any]:
        """Its `generation_kwargs` in our words; nothing where it generates nothing. Raises UserError for one that has no counterpart."""
        if self._task.OUTPUT_TYPE != "generate_until":
            return {}
        from lm_eval.models.utils import normalize_gen_kwargs

        given = dict(normalize_gen_kwargs(dict(self._task.config.generation_kwargs)))
        drawn, most = given.pop("do_sample"), given.pop("max_gen_toks")
        heat = float(given.pop("temperature", 0.0))
        made = {**greedy(given.pop("until"), most), "temperature": heat if drawn else 0.0}
        if strange := sorted(given.keys() - {"top_p", "top_k", "min_p"}):
            raise UserError(f"lm-eval task {self._known!r} sets {strange[0]} for generation, which has no counterpart here")
        return made | given

    def problems(self) -> Sequence[Problem]:
        """All its documents in our fixed order. Raises UserError where lm-eval cannot load them."""
        return self._problems

    @cached_property
    def _problems(self) -> Sequence[Problem]:
        found = [self._problem(key, requests) for key, requests in self._requests.items()]
        return tuple(stratified(found, key=lambda p: p.key, category=lambda p: "", seed=self.name))

    def _problem(self, key: str, requests: list[Any]) -> Problem:
        first, made = requests[0], self._task
        text = made.doc_to_text(first.doc)
        asked: dict[str, Any] = {"key": key, "answer_format": "", "gold": (self._gold(first.doc),)}
        asked["question"] = text if isinstance(text, str) else "\n".join(r.args[0] for r in requests)
        if made.OUTPUT_TYPE == "generate_until":
            return Problem(**asked, fixed=Prompt(raw=first.args[0]), request="generate" if self.replies == 1 else "replies")
        choice = made.OUTPUT_TYPE == "multiple_choice"
        return Problem(**asked, scored=tuple(_seam(*r.args) for r in requests), request="choice" if choice else "loglikelihood")

    def _gold(self, doc: Any) -> Any:
        """Its target as plain data, the text of the right choice where it is a choice's number."""
        target = self._task.doc_to_target(doc)
        if isinstance(target, int) and self._task.OUTPUT_TYPE == "multiple_choice" and not self._task.multiple_input:
            choices = self._task.doc_to_choice(doc)
            return choices[target] if 0 <= target < len(choices) else target
        return target if isinstance(target, (str, int)) else [str(part) for part in target] if isinstance(target, list) else str(target)

    # -- how it is judged ------------------------------------------------------------------------------------------------------------
    def extract(self, text: str) -> tuple[str | None, ...]:
        """What its first filter makes of a reply (of the JSON list of replies, where it takes several); None for nothing."""
        if self._task.OUTPUT_TYPE != "generate_until":
            return (None,)
        requests = self._answered(next(iter(self._requests.values())), text)
        self._task._filters[0].apply(requests)
        return (_shown(requests[0].filtered_resps[self._task._filters[0].name]),)

    async def judge(self, problem: Problem, reply: Reply, ask: Ask | None = None) -> Judgement:
        """lm-eval's metrics of a reply under each of its filters.

        Raises UserError for a reply that is not of the form that the problem's request calls for, PerPassError for an answer that was not
        read from the reply by lm-eval's filter, and for a log-probability without the word on greedy decoding that a metric needs.
        """
        if reply.items is not None and reply.items != self.extract(reply.text):
            raise PerPassError(f"{self.name} judges whole replies by lm-eval's filters, not answers found in another way")
        requests = self._answered(self._requests[problem.key], reply.text)
        scores: dict[str, float] = {}
        for chain in self._task._filters:
            chain.apply(requests)
            found = self._task.process_results(requests[0].doc, [r.filtered_resps[chain.name] for r in requests])
            scores |= {f"{name},{chain.name}": float(x) for name, x in found.items() if isinstance(x, numbers.Real)}
        answer = self._answer(problem, requests)
        return Judgement((_outcome(self._headline(scores), answer, problem, reply.finish),), scores, (answer,))

    def _answered(self, requests: list[Any], text: str) -> list[Any]:
        """Copies of a problem's requests that have the reply."""
        if self._task.OUTPUT_TYPE == "generate_until":
            texts = [text] if self.replies == 1 else _listed(text, self.replies, self.name)
            return [replace(requests[0], resps=[before(t, self.sampling["stop"]) for t in texts], filtered_resps={})]
        pairs = _pairs(text, len(requests), self.name)
        if any(flag is None for _, flag in pairs) and self._wants_greedy():
            raise PerPassError(f"{self.name} asks whether greedy decoding would write the text, which the engine does not say")
        # What is not known stands as False, at which no metric here looks.
        return [replace(r, resps=[(x, bool(flag))], filtered_resps={}) for r, (x, flag) in zip(requests, pairs, strict=True)]

    def _wants_greedy(self) -> bool:
        """Whether a metric looks at more than log-probabilities; a task's own code may always do so."""
        named = set(self._task.higher_is_better())
        own = callable(self._task.get_config("process_results"))
        return own or bool(named & ({"acc"} if self._task.OUTPUT_TYPE == "loglikelihood" else {"exact_match"}))

    def _headline(self, scores: Mapping[str, float]) -> float:
        """The score that decides. Raises PerPassError where no metric is averaged over problems."""
        better, joined = self._task.higher_is_better(), self._task.aggregation()
        for name, score in scores.items():
            metric = name.rpartition(",")[0]
            if better.get(metric, True) and getattr(joined.get(metric), "__name__", "mean") == "mean":
                return score
        named = ", ".join(better) or "none"
        raise PerPassError(f"{self.name} has no metric that is averaged over problems and better when higher: {named}")

    def _answer(self, problem: Problem, requests: list[Any]) -> str | None:
        if problem.request == "choice":
            most = max(range(len(requests)), key=lambda i: requests[i].resps[0][0])
            return problem.scored[most][1].strip()
        return None if problem.request == "loglikelihood" else _shown(requests[0].filtered_resps[self._task._filters[0].name])

    async def classes(self, answers_: Sequence[str | None]) -> list[int]:
        """What its filter finds is the same where it is the same string."""
        return await answers.classes(answers_, "exact")


def _seam(context: str, text: str) -> tuple[Prompt, str]:
    """As lm-eval divides them: spaces at the end of the context belong to the text."""
    head = context.rstrip() if context.strip() else context
    return Prompt(raw=head), context[len(head) :] + text


def _shown(filtered: Any) -> str | None:
    """A filter's result as an answer; lists (of several replies) by their first."""
    first = filtered[0] if isinstance(filtered, (list, tuple)) and filtered else filtered
    return None if first in (INVALID, None, [], "") else str(first)


def _listed(text: str, count: int, name: str) -> list[str]:
    found = _json(text, name, f"a JSON list of {count} replies")
    if not isinstance(found, list) or len(found) != count or not all(isinstance(t, str) for t in found):
        raise UserError(f"{name}: expected a JSON list of {count} replies, got {text[:60]!r}")
    return found


def _pairs(text: str, count: int, name: str) -> list[tuple[float, bool | None]]:
    expected = f"a JSON list of {count} pairs [log-probability, whether greedy decoding writes it]"
    found = _json(text, name, expected)
    fits = isinstance(found, list) and len(found) == count and all(isinstance(pair, list) and len(pair) == 2 for pair in found)
    if not fits or not all(isinstance(x, (int, float)) and (flag is None or isinstance(flag, bool)) for x, flag in found):
        raise UserError(f"{name}: expected {expected}, got {text[:60]!r}")
    return [(float(x), flag) for x, flag in found]


def _json(text: str, name: str, expected: str) -> Any:
    try:
        return json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise UserError(f"{name}: expected {expected}, got {text[:60]!r}") from error


def _outcome(score: float, answer: str | None, problem: Problem, finish: str) -> Outcome:
    if score >= 1:
        return Outcome.CORRECT
    if answer is not None or problem.request in ("choice", "loglikelihood"):
        return Outcome.WRONG
    return Outcome.TRUNCATED if finish == "length" else Outcome.UNPARSABLE
