"""What every engine must do, told once: subclass `Conformance` in a test file and give it a fixture `case`."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

import pytest

import tasks
from harness.prompts import step_by_step
from harness.types import INSIDE, Capabilities, Engine, Observe, PromptTooLong, Sample, Sampling, Usage
from perpass.errors import PerPassError, UserError
from tasks.types import Prompt

T = TypeVar("T")
GREEDY = Sampling(temperature=0, max_tokens=60)
HOT = Sampling(temperature=1.0, top_p=1.0, max_tokens=60)
LOOKED = Observe(logprobs=True, confidence=True)
LIKELIEST = 20


@dataclass
class Case:
    """An open engine, and what the suite must know of it.

    runner     runs everything on one event loop, since some engines belong to theirs
    lacks      capabilities that it is known to lack; it must have all others but hidden_states, those of INSIDE, and thinking where there
               are no think markers
    folder     the model that it runs, loaded here once more for comparison; None where there is no model behind it
    busy       how many requests are under way; None where nobody can tell
    unopened   another engine of the kind, not open
    """

    engine: Any  # an Engine, with counters
    runner: asyncio.Runner
    lacks: tuple[str, ...] = ()
    folder: Path | None = None
    busy: Callable[[], int] | None = None
    unopened: Engine | None = None

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(asyncio.wait_for(work, 300))

    def one(self, prompt: Prompt, sampling: Sampling, seed: int = 0, *rest: Any, **more: Any) -> Sample:
        sample: Sample = self.run(self.engine.generate(prompt, sampling, seed, *rest, **more))
        return sample

    def many(self, prompts: list[Prompt], sampling: Sampling, at_once: int = 1000, **more: Any) -> list[Sample]:
        """One completion of each prompt, with seeds 0, 1, …"""

        async def work() -> list[Sample]:
            gate = asyncio.Semaphore(at_once)

            async def one(seed: int, prompt: Prompt) -> Sample:
                async with gate:
                    made: Sample = await self.engine.generate(prompt, sampling, seed, **more)
                    return made

            return list(await asyncio.gather(*(one(seed, prompt) for seed, prompt in enumerate(prompts))))

        return self.run(work())

    def need(self, *capabilities: str) -> None:
        """Skip the test for an engine that lacks one of these."""
        if missing := self.engine.capabilities.missing(capabilities):
            pytest.skip(f"the engine has no {missing[0]}")

    def need_model(self) -> Path:
        if self.folder is None:
            pytest.skip("there is no model behind the engine")
        return self.folder

    def continued(self, prompt: Prompt, sample: Sample, length: int) -> Prompt:
        """`prompt` extended by the first `length` tokens of `sample`, which are not tokenised anew."""
        longer = prompt.extend(self.engine.text(sample.token_ids[:length]))
        assert self.engine.tokens(longer) == (*self.engine.tokens(prompt), *sample.token_ids[:length])
        return longer


def questions(n: int) -> list[Prompt]:
    """Arithmetic problems, to be answered step by step."""
    return [step_by_step(p.question, p.answer_format) for p in tasks.load("arithmetic").problems()[:n]]


def story(prompt: Prompt, sampling: Sampling, seed: int) -> str:
    """A script for the scripted engine: of the prompt's turns and the seed alone, so that an open prefix is continued."""
    draw = random.Random(f"{prompt.turns} {0 if sampling.greedy else seed}")
    text = " ".join(str(draw.randrange(100)) for _ in range(30)) + " is the end."
    return text.removeprefix(prompt.prefix)


def same(one: list[Sample], other: list[Sample]) -> float:
    """The share of equal texts."""
    return sum(a.text == b.text for a, b in zip(one, other, strict=True)) / len(one)


class Conformance:
    """Tests of an engine, each of a promise in `harness.types.Engine` and `Sample`."""

    def test_it_has_the_capabilities_that_it_should(self, case: Case) -> None:
        assert isinstance(case.engine, Engine)
        excused = {"hidden_states", *INSIDE, *case.lacks} | (set() if case.engine.model.think else {"thinking"})
        assert set(case.engine.capabilities.missing([f.name for f in fields(Capabilities)])) <= excused
        assert all(isinstance(v, str) for v in case.engine.environment().values())
        assert not any("/" in str(value) for value in case.engine.settings.values() if value != case.engine.model.name)

    # What is counted ----------------------------------------------------------------------------------------------------------------

    def test_usage_is_the_tokenizers_count(self, case: Case) -> None:
        asked = questions(12)
        for prompt, sample in zip(asked, case.many(asked, HOT), strict=True):
            usage = sample.usage
            assert usage.calls == 1 and usage.scored == 0 and 0 <= usage.cached < usage.prompt
            assert 1 <= usage.output <= HOT.max_tokens and usage.reasoning <= usage.output
            assert usage.cached == 0 or case.engine.capabilities.prefix_caching
            if case.engine.capabilities.token_ids:
                assert usage.prompt == len(case.engine.tokens(prompt)) and usage.output == len(sample.token_ids)
            if case.folder is not None:
                turns = [{"role": t.role, "content": t.content} for t in prompt.turns]
                rendered = _tokenizer(case.folder).apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
                assert usage.prompt == len(_tokenizer(case.folder)(rendered, add_special_tokens=False)["input_ids"])

    def test_counters_add_up(self, case: Case) -> None:
        before, asked = case.engine.counters(), questions(20)
        made = [s.usage for s in case.many(asked, HOT)] + [s.usage for s in case.many(asked, HOT.but(stop=("1", "=")))]
        if case.engine.capabilities.prompt_logprobs:
            made += [case.run(case.engine.logprob(p, " 12 + 3")).usage for p in asked[:4]]
        assert case.engine.counters() == sum(made, before)

    def test_texts_and_token_ids_go_together(self, case: Case) -> None:
        case.need("token_ids")
        for sample in case.many(questions(12), HOT):
            assert case.engine.text(sample.token_ids) == sample.text
            parts = [case.engine.text(sample.token_ids[:n]).rstrip("\ufffd") for n in range(len(sample.token_ids) + 1)]
            assert parts[0] == "" and all(sample.text.startswith(part) for part in parts)

    def test_times_are_in_order_and_on_the_wall_clock(self, case: Case) -> None:
        begin = time.time()
        timing = case.one(questions(1)[0], HOT.but(min_tokens=40)).timing
        assert timing.first is not None
        assert begin - 0.1 <= timing.sent <= timing.first <= timing.last <= time.time() + 0.1
        if case.folder is not None:
            assert timing.sent < timing.first < timing.last

    # How it ends --------------------------------------------------------------------------------------------------------------------

    def test_stop_strings_stay_in_the_text(self, case: Case) -> None:
        stopped = 0
        for prompt, whole in zip(asked := questions(8), case.many(asked, GREEDY), strict=True):
            middle = len(whole.text) // 2
            stops = (whole.text[middle : middle + 3], whole.text[middle + 5 : middle + 9])
            ends = [whole.text.find(s) + len(s) for s in stops if s]
            if not ends:
                continue
            sample = case.one(prompt, GREEDY.but(stop=stops))
            assert (sample.text, sample.finish) == (whole.text[: min(ends)], "stop")
            assert sample.usage.output <= whole.usage.output and len(sample.token_ids) in (0, sample.usage.output)
            stopped += 1
        assert stopped >= 4

    def test_a_stop_string_that_does_not_come_changes_nothing(self, case: Case) -> None:
        asked = questions(8)
        plain, stopping = case.many(asked, GREEDY), case.many(asked, GREEDY.but(stop=("never this", "\u2603")))
        assert same(plain, stopping) == 1 and [s.finish for s in plain] == [s.finish for s in stopping]

    def test_max_tokens_and_min_tokens(self, case: Case) -> None:
        asked = questions(8)
        assert all(s.usage.output <= 7 for s in case.many(asked, HOT.but(max_tokens=7)))
        ended = case.many(asked, HOT.but(max_tokens=5, min_tokens=5))
        assert {(s.finish, s.usage.output) for s in ended} == {("length", 5)}
        case.need_model()
        long = case.many(asked, HOT.but(max_tokens=100, min_tokens=90, temperature=2.0))
        assert all(90 <= s.usage.output <= 100 for s in long)
        stopped = case.many(asked, HOT.but(max_tokens=100, min_tokens=30, stop=("1", "e", " ")))
        assert all(30 <= s.usage.output <= 100 for s in stopped)

    def test_a_prompt_that_is_too_long(self, case: Case) -> None:
        with pytest.raises(PromptTooLong):
            case.one(Prompt.chat("1 2 " * 3000), HOT)
        assert case.one(questions(1)[0], HOT).usage.output > 0

    def test_output_is_cut_to_the_context_that_is_left(self, case: Case) -> None:
        case.need("token_ids")
        room = case.engine.model.context
        prompt = Prompt.chat("1")
        while len(case.engine.tokens(prompt)) < room - 40:
            prompt = Prompt.chat(prompt.turns[0].content + " 1 2")
        left = room - len(case.engine.tokens(prompt))
        sample = case.one(prompt, HOT.but(max_tokens=2000, min_tokens=2000))
        assert (sample.finish, sample.usage.output) == ("length", left)

    # Randomness ---------------------------------------------------------------------------------------------------------------------

    def test_seeds_repeat_and_differ(self, case: Case) -> None:
        case.need("seed")
        prompt = questions(1)[0]
        sampling = HOT.but(temperature=2.0)  # as hot as every engine takes: the model is sure of its sums
        first, again = case.many([prompt] * 16, sampling), case.many([prompt] * 16, sampling)
        assert same(first, again) >= 15 / 16
        assert len({s.text for s in first}) >= 8

    def test_many_at_once_are_not_mixed_up(self, case: Case) -> None:
        asked = questions(64)
        together, few = case.many(asked, HOT), case.many(asked, HOT, at_once=4)
        assert same(together, few) >= 0.95
        assert [s.usage.prompt for s in together] == [s.usage.prompt for s in few]
        assert same(case.many(asked, GREEDY), case.many(asked, GREEDY, at_once=4)) >= 0.95

    # Open prefixes and log-probabilities --------------------------------------------------------------------------------------------

    def test_an_open_prefix_is_continued(self, case: Case) -> None:
        case.need("prefix", "token_ids")
        tried = right = 0
        for prompt, whole in zip(asked := questions(12), case.many(asked, GREEDY), strict=True):
            for length in (3, 8, 17, 31):
                if length < whole.usage.output:
                    rest = case.one(case.continued(prompt, whole, length), GREEDY.but(max_tokens=60 - length))
                    tried += 1
                    right += rest.token_ids == whole.token_ids[length:]
                    assert rest.usage.prompt == whole.usage.prompt + length
        assert tried >= 8 and right >= tried - 1

    def test_what_was_generated_is_never_tokenised_anew(self, case: Case) -> None:
        case.need("prefix", "token_ids")
        wild = HOT.but(temperature=2.0, min_tokens=30)  # token sequences that no tokenizer makes
        odd = 0
        for prompt, sample in zip(asked := questions(16), case.many(asked, wild), strict=True):
            ids = sample.token_ids
            while case.engine.text(ids[:-1]) == sample.text:  # the end token has no text
                ids = ids[:-1]
            longer, before = prompt.extend(sample.text), case.engine.tokens(prompt)
            assert case.engine.tokens(longer) == (*before, *ids)
            assert case.engine.tokens(longer.extend("\nWait"))[: len(before) + len(ids)] == (*before, *ids)
            again = case.one(longer, wild.but(max_tokens=30))
            assert again.usage.prompt == len(before) + len(ids)
            assert case.engine.tokens(longer.extend(again.text))[: len(before) + len(ids)] == (*before, *ids)
            if case.folder is not None:
                odd += tuple(_tokenizer(case.folder)(sample.text, add_special_tokens=False)["input_ids"]) != ids
        assert odd >= 4 or case.folder is None

    def test_log_probabilities_and_confidence_are_the_models(self, case: Case) -> None:
        case.need("logprobs", "confidence")
        plain = case.one(questions(1)[0], HOT)
        assert plain.logprob is None and plain.confidence is None
        asked = questions(6)
        for prompt, sample in zip(asked, case.many(asked, HOT.but(top_p=0.9, temperature=0.7), observe=LOOKED), strict=True):
            assert sample.logprob is not None and sample.confidence is not None
            assert len(sample.logprob) == len(sample.confidence) == sample.usage.output
            assert all(x <= 0 for x in sample.logprob) and all(x >= 0 for x in sample.confidence)
            if case.folder is not None and case.engine.capabilities.token_ids:
                drawn, likeliest = _reference(case.folder, case.engine.tokens(prompt), sample.token_ids)
                assert sample.logprob == pytest.approx(drawn, abs=1e-3)
                assert sample.confidence == pytest.approx(likeliest, abs=1e-3)

    def test_scoring_is_teacher_forced(self, case: Case) -> None:
        case.need("prompt_logprobs", "token_ids")
        compared = 0
        for prompt, sample in zip(asked := questions(6), case.many(asked, GREEDY, observe=LOOKED), strict=True):
            scored = case.run(case.engine.logprob(prompt, sample.text))
            assert len(scored.logprobs) == scored.usage.scored and scored.usage.output == 0 and scored.usage.calls == 1
            assert scored.usage.prompt == len(case.engine.tokens(prompt))
            assert scored.timing.sent <= scored.timing.last
            length = len(sample.token_ids) - (sample.finish == "eos")
            if case.folder is not None and scored.usage.scored == length:
                assert sample.logprob is not None
                assert scored.logprobs == pytest.approx(sample.logprob[:length], abs=1e-3)
                assert scored.total == pytest.approx(sum(sample.logprob[:length]), abs=1e-2)
                assert scored.greedy in (True, None)  # it is what greedy decoding wrote
                assert not case.run(case.engine.logprob(prompt, " qzx" + sample.text)).greedy
                compared += 1
        assert compared >= 2 or case.folder is None
        nothing = case.run(case.engine.logprob(questions(1)[0], ""))
        assert nothing.logprobs == () and nothing.usage.scored == 0 and nothing.greedy in (True, None)

    # Interfering --------------------------------------------------------------------------------------------------------------------

    def test_watch_sees_parts_and_cuts(self, case: Case) -> None:
        case.need("abort", "token_ids")
        prompt, seen = questions(1)[0], []
        sampling = HOT.but(min_tokens=60)
        whole = case.one(prompt, sampling)

        def watch(part: Sample) -> bool:
            seen.append(part)
            return part.usage.output >= 24

        sample = case.one(prompt, sampling, watch=watch, every=8)
        assert [p.usage.output for p in seen] == [8, 16, 24]
        assert all(whole.text.startswith(p.text.rstrip("\ufffd")) for p in seen)
        assert (sample.finish, sample.usage.output, sample.token_ids) == ("stop", 24, whole.token_ids[:24])
        assert sample.text == case.engine.text(sample.token_ids)

    def test_watch_is_not_asked_at_the_end_and_its_error_reaches_the_caller(self, case: Case) -> None:
        case.need("abort", "token_ids")
        prompt, seen = questions(1)[0], []
        case.one(prompt, HOT.but(max_tokens=16, min_tokens=16), watch=lambda part: bool(seen.append(part.usage.output)), every=8)
        assert seen == [8]

        def broken(part: Sample) -> bool:
            raise KeyError("mine")

        with pytest.raises(KeyError, match="mine"):
            case.one(prompt, HOT.but(min_tokens=60), watch=broken, every=8)

    def test_cancelling_frees_the_engine(self, case: Case) -> None:
        case.need("abort")
        endless = HOT.but(max_tokens=1500, min_tokens=1500) if case.folder else HOT

        async def work() -> None:
            loop, here, stopped = asyncio.get_running_loop(), threading.get_ident(), threading.Event()
            open_ones: list[asyncio.Future[Sample]] = []

            def stop() -> None:
                if not stopped.is_set():
                    open_ones.extend(call for call in calls if call.cancel())  # a connection may have broken at the start, as in any run
                    stopped.set()

            def watch(part: Sample) -> bool:
                """The first call that has written a little cancels all, before any of them can have ended."""
                if threading.get_ident() == here:
                    stop()
                else:  # an engine's own thread, which waits
                    loop.call_soon_threadsafe(stop)
                    stopped.wait(60)
                return False

            calls = [asyncio.ensure_future(case.engine.generate(p, endless, 0, watch=watch, every=8)) for p in questions(16)]
            if not case.folder:  # its replies are too short to be watched
                await asyncio.sleep(0)
                stop()
            await asyncio.gather(*calls, return_exceptions=True)
            assert open_ones and all(call.cancelled() for call in open_ones), calls
            while case.busy and await asyncio.to_thread(case.busy):
                await asyncio.sleep(0.01)

        case.run(work())
        assert case.one(questions(1)[0], HOT).usage.output > 0

    # What goes wrong ----------------------------------------------------------------------------------------------------------------

    def test_errors_reach_the_caller(self, case: Case) -> None:
        case.need_model()
        if case.engine.capabilities.token_ids:  # then it renders the prompt itself
            with pytest.raises(UserError):
                case.one(questions(1)[0], HOT.but(thinking="high"))
        if case.unopened is not None:
            with pytest.raises(PerPassError, match="not open"):
                case.run(case.unopened.generate(questions(1)[0], HOT, 0))
        assert case.one(questions(1)[0], HOT).usage.output > 0

    def test_one_of_many_that_fails_leaves_the_others_alone(self, case: Case) -> None:
        asked = questions(9)
        asked[4] = Prompt.chat("1 2 " * 3000)

        async def work() -> list[Any]:
            calls = [case.engine.generate(p, HOT, seed) for seed, p in enumerate(asked)]
            return list(await asyncio.gather(*calls, return_exceptions=True))

        before = case.engine.counters()
        made = case.run(work())
        assert [i for i, m in enumerate(made) if isinstance(m, PromptTooLong)] == [4]
        total = sum((m.usage for m in made if isinstance(m, Sample)), Usage())
        assert total.calls == 8 and case.engine.counters() == before + total


_loaded: dict[tuple[str, Path], Any] = {}


def _tokenizer(folder: Path) -> Any:
    if ("tokenizer", folder) not in _loaded:
        from transformers import AutoTokenizer

        _loaded["tokenizer", folder] = AutoTokenizer.from_pretrained(folder)
    return _loaded["tokenizer", folder]


def _reference(folder: Path, prompt: tuple[int, ...], output: tuple[int, ...]) -> tuple[list[float], list[float]]:
    """Log-probability of each of `output`, and −mean over the likeliest tokens there, by one forward pass of the library's own model."""
    import torch
    from transformers import AutoModelForCausalLM

    if ("model", folder) not in _loaded:
        _loaded["model", folder] = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.inference_mode():
        logits = _loaded["model", folder](input_ids=torch.tensor([(*prompt, *output)])).logits[0, len(prompt) - 1 : -1]
    logprobs = torch.log_softmax(logits, -1)
    drawn = logprobs.gather(1, torch.tensor(output)[:, None])[:, 0].tolist()
    return drawn, (-logprobs.topk(LIKELIEST, -1).values.mean(-1)).tolist()
