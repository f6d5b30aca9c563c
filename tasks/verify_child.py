"""The child process of tasks.verify: reads one comparison per line, answers one line. Run by path, so that it imports nothing of the
project.

Request: `[number, seconds, how, [[gold, answer], …]]`; reply: `[number, true|false, note]`: whether any of the pairs is equivalent. The
first line it writes is `"ready"`, or `["missing", why]` if Math-Verify cannot be imported. Model text only ever reaches the LaTeX grammars
of Math-Verify and sympy, never Python's `eval`. `how` is one of HOW: the name of a comparison below.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
from collections.abc import Callable
from functools import lru_cache
from typing import Any

MEMORY_BYTES = 4 << 30
IDLE_SECONDS = 5.0


def _limit_memory() -> None:
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (ImportError, ValueError, OSError):  # not every system has it; the time limit still holds
        pass


def _deadline(seconds: float) -> None:
    """Let the kernel end this process after `seconds` (0: never), even inside one long C call and even if the parent is gone."""
    if hasattr(signal, "setitimer"):
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, seconds)


@lru_cache(maxsize=1024)
def _parse(text: str) -> Any:
    from math_verify import LatexExtractionConfig, parse

    return parse(f"${text}$", extraction_config=[LatexExtractionConfig()], parsing_timeout=None)


def _answers(gold: str, answer: str) -> bool:
    """Two answers, as LaTeX without delimiters."""
    from math_verify import verify

    return bool(verify(_parse(gold), _parse(answer), allow_set_relation_comp=True, timeout_seconds=None))


def _replies(gold: str, answer: str) -> bool:
    """Two whole texts with an answer somewhere, as lm-eval's `math_verify` metric has it."""
    from math_verify import parse, verify

    return bool(verify(gold=parse(gold, parsing_timeout=None), target=parse(answer, parsing_timeout=None), timeout_seconds=None))


@lru_cache(maxsize=1024)
def _rest_gold(text: str) -> Any:
    from math_verify import ExprExtractionConfig, LatexExtractionConfig, parse

    wanted = [LatexExtractionConfig(), ExprExtractionConfig()]
    return parse(f"${text}$", extraction_config=wanted, extraction_mode="first_match", parsing_timeout=None)


def _rest(gold: str, box: str) -> bool:
    r"""An answer in LaTeX and a whole `\boxed{}`, as REST's evaluator has it: malformed operators are not repaired, and the arguments stand
    against Math-Verify's documented order, the answer in the place of the gold. A gold answer that cannot be parsed makes no reply right.
    """
    from latex2sympy2_extended import NormalizationConfig
    from math_verify import LatexExtractionConfig, parse, verify

    parsed = _rest_gold(gold)
    if not parsed:
        return False
    how = NormalizationConfig(nits=False, malformed_operators=False, basic_latex=True, equations=True, boxed="all", units=True)
    wanted = [LatexExtractionConfig(normalization_config=how, boxed_match_priority=0, try_extract_without_anchor=False)]
    answer = parse(box, extraction_config=wanted, extraction_mode="first_match", parsing_timeout=None)
    return bool(verify(answer, parsed, timeout_seconds=None))


def _difference(gold: str, answer: str) -> bool:
    """Two LaTeX expressions whose difference sympy simplifies to 0, as Minerva's `exact_match` has it."""
    import sympy
    from sympy.parsing.latex import parse_latex

    return bool(sympy.simplify(parse_latex(gold) - parse_latex(answer)) == 0)


HOW: dict[str, Callable[[str, str], bool]] = {"answers": _answers, "replies": _replies, "difference": _difference, "rest": _rest}


def _any_equivalent(how: str, pairs: list[list[str]]) -> tuple[bool, str]:
    note = ""
    for gold, answer in pairs:
        try:
            if HOW[how](gold, answer):
                return True, ""
        except ImportError:  # says nothing about the answers
            raise
        except (Exception, RecursionError, MemoryError) as error:
            note = f"{type(error).__name__}"
    return False, note


def main() -> None:
    """Serve until standard input closes or the parent is gone."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a library prints must not mix with replies
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    parent = os.getppid()
    _limit_memory()

    def say(what: Any) -> None:
        out.write(json.dumps(what) + "\n")
        out.flush()

    try:
        import logging

        import math_verify  # noqa: F401  # where it is missing, its own words say why

        logging.disable(logging.CRITICAL)
        # This warms the parsers up, and shows that the grammar's runtime is there.
        works, note = _any_equivalent("answers", [[r"\frac{x}{2}+1", "1+x/2"]])
    except ImportError as error:
        return say(["missing", str(error)])
    if not works:
        return say(["missing", f"its self-check failed: {note or 'x/2 + 1 is not recognised'}"])
    say("ready")
    while True:
        readable, _, _ = select.select([sys.stdin], [], [], IDLE_SECONDS)
        if os.getppid() != parent:
            return None
        if not readable:
            continue
        line = sys.stdin.readline()
        if not line:
            return None
        number, seconds, how, pairs = json.loads(line)
        _deadline(seconds)
        same, note = _any_equivalent(how, pairs)
        _deadline(0)
        say([number, same, note])


if __name__ == "__main__":
    main()
