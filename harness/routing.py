"""A router: how likely a model answers a question correctly, by logistic regression on features that cost nothing to know.

`bench train-router` fits one on stored attempts (bench/router.py); the strategy `router` asks it.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from perpass.identity import content_hash

QUESTION = ("characters", "words", "sentences", "lines", "numbers", "largest", "symbols", "capitals")
SAMPLE = ("tokens", "cut")
KIND = "perpass router"


def features(question: str, tokens: int | None = None, cut: bool = False) -> tuple[float, ...]:
    """The values of QUESTION; with the output tokens of the model's own sample, and whether it was cut, those of SAMPLE behind them.

    Counts and the largest number stand as log(1 + x), so that one long question does not outweigh all.
    """
    found = [float(digits) for digits in re.findall(r"\d{1,15}(?:\.\d{1,15})?", question)]
    counts: tuple[float, ...] = (
        len(question),
        len(question.split()),
        len(re.findall(r"[.!?](?:\s|$)", question)),
        question.count("\n"),
        len(found),
        max(found, default=0.0),
        len(re.findall(r"[-+*/=^<>\\$%]", question)),
        len(re.findall(r"\b[A-Z]", question)),
    )
    own = () if tokens is None else (math.log1p(tokens), float(cut))
    return (*map(math.log1p, counts), *own)


@dataclass(frozen=True)
class Router:
    """P(correct) = σ(bias + Σ weight · (feature − mean) / scale). `names`: QUESTION, or QUESTION and SAMPLE."""

    names: tuple[str, ...]
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    weights: tuple[float, ...]
    bias: float

    @property
    def reads_sample(self) -> bool:
        """Whether the model's own sample has to be there first."""
        return self.names != QUESTION

    def chance(self, values: tuple[float, ...]) -> float:
        z = self.bias + math.fsum(w * (x - m) / s for w, x, m, s in zip(self.weights, values, self.mean, self.scale, strict=True))
        return 1 / (1 + math.exp(-max(-700.0, min(z, 700.0))))

    def plain(self) -> dict[str, Any]:
        """As JSON holds it."""
        lists = {"names": self.names, "mean": self.mean, "scale": self.scale, "weights": self.weights}
        return {**{name: list(values) for name, values in lists.items()}, "bias": self.bias}


class Trained(str):
    """A router file as identity has it: its name and the beginning of its content's hash, never its folder; with the router in it."""

    router: Router


def _read(path: str) -> Trained:
    """The router in the JSON file at `path`. Any flaw is a pydantic error, which names the strategy."""
    file = Path(path).expanduser()
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        given = content["router"] if content["kind"] == KIND else {}
        names, mean, scale, weights = (tuple(given[name]) for name in ("names", "mean", "scale", "weights"))
        made = Router(names, mean, scale, weights, float(given["bias"]))
        known = made.names in (QUESTION, (*QUESTION, *SAMPLE)) and all(made.scale)
        made.chance(tuple(0.0 for _ in made.names) if known else ())
    except FileNotFoundError:
        raise PydanticCustomError("router", "no such file; `bench train-router` makes one") from None
    except (OSError, ValueError, KeyError, TypeError):
        raise PydanticCustomError("router", "expected a file that `bench train-router` made") from None
    trained = Trained(f"{file.name}#{content_hash(given)[:12]}")
    trained.router = made
    return trained


RouterFile = Annotated[str, Field(validate_default=True), AfterValidator(_read)]
