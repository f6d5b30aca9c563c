"""Declaring and binding strategies: precedence of sampling, parameters that are checked, identities that carry versions."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.context import Context
from harness.strategy import Strategy, strategies, strategy
from harness.types import Answer, Sampling
from perpass.errors import UserError
from perpass.identity import content_hash


def test_own_keys_beat_the_definition_which_beats_the_experiment() -> None:
    direct, experiment = strategies.get("direct"), Sampling(temperature=0.6, max_tokens=99)
    assert direct.bind({}, experiment, {}).sampling == Sampling(temperature=0.0, max_tokens=99)
    assert direct.bind({}, experiment, {"temperature": 0.3}).sampling.temperature == 0.3
    assert strategies.get("cot").bind({}, experiment, {}).sampling == experiment


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n": 0}, "n=0: input should be greater than or equal to 1"),
        ({"n": "many"}, "n='many': input should be a valid integer"),
        ({"n": 2.5}, "n=2.5: input should be a valid integer"),
        ({"m": 4}, "unknown parameter 'm'; known: n"),
        ({"nn": 4}, "unknown parameter 'nn'; did you mean 'n'?"),
    ],
)
def test_bad_parameters_are_one_sentence(parameters: dict[str, object], message: str) -> None:
    with pytest.raises(UserError) as caught:
        strategies.get("self_consistency").bind(parameters, Sampling(), {})
    assert str(caught.value) == f"strategy self_consistency: {message}"


@pytest.mark.parametrize(
    ("sampling", "message"),
    [
        ({"temprature": 1}, "unknown sampling parameter 'temprature'; did you mean 'temperature'?"),
        ({"temperature": "hot"}, "temperature must be a number"),
        ({"temperature": -1}, "temperature must be between 0 and 5"),
        ({"top_p": 0.0}, "top_p must be above 0"),
        ({"max_tokens": 1.5}, "max_tokens must be a whole number"),
        ({"max_tokens": 4, "min_tokens": 5}, "min_tokens 5 exceeds max_tokens 4"),
    ],
)
def test_bad_sampling_is_one_sentence(sampling: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        strategies.get("cot").bind({}, Sampling(), sampling)


def test_label_shows_budget_and_what_differs() -> None:
    assert strategies.get("direct").bind({}, Sampling(), {}).label == "direct"
    assert strategies.get("self_consistency").bind({"n": 16}, Sampling(), {}).label == "self_consistency(n=16)"


def test_version_and_every_parameter_are_identity() -> None:
    sc = strategies.get("self_consistency")
    base = sc.bind({"n": 4}, Sampling(), {})
    others = [
        sc.bind({"n": 5}, Sampling(), {}),
        sc.bind({"n": 4}, Sampling(temperature=0.7), {}),
        sc.bind({"n": 4}, Sampling(stop=("\n",)), {}),
        replace(sc, version=2).bind({"n": 4}, Sampling(), {}),
    ]
    assert len({content_hash(b.identity()) for b in [base, *others]}) == 5


def test_every_strategy_is_declared_in_full() -> None:
    for name in strategies.names():
        s = strategies.get(name)
        assert s.doc and s.family and s.version >= 1
        if isinstance(s.budget, str):
            assert s.budget in s.parameters.model_fields


async def _mine(ctx: Context, depth: int = 2) -> Answer:
    """Of my own."""
    return Answer.of(await ctx.one(ctx.ask))


mine = strategy(name="mine-for-the-test", version=1, family="test")(_mine)


def test_a_strategy_is_found_by_module_and_function() -> None:
    found = strategies.get(f"{__name__}:mine")
    assert isinstance(found, Strategy) and found.name == "mine-for-the-test"


def test_two_meanings_of_a_name_are_refused() -> None:
    with pytest.raises(UserError, match="registered twice"):
        strategy(name="cot", version=9, family="test")(_mine)


def test_an_unknown_strategy_names_the_nearest() -> None:
    with pytest.raises(UserError, match="unknown strategy 'self_consistancy'; did you mean 'self_consistency'"):
        strategies.get("self_consistancy")
