from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from harness.engines.sampler import Knobs, draw, observed, uniforms

LOGITS = np.array([2.0, 1.5, 1.5, 0.3, 0.0, -0.7, -1.0, -3.0, 1.0, -9.0], np.float32)


def knobs(n: int, temperature: float = 1.0, top_p: float = 1.0, top_k: int = 0, min_p: float = 0.0) -> Knobs:
    full = lambda value, kind: np.full(n, value, kind)  # noqa: E731
    return Knobs(full(temperature, np.float32), full(top_p, np.float32), full(top_k, np.int64), full(min_p, np.float32))


def reference(temperature: float, top_p: float, top_k: int, min_p: float) -> np.ndarray:
    """The distribution by the definition, in double precision, ties kept."""
    p = np.exp(LOGITS.astype(float) / temperature)
    p /= p.sum()
    kept = p >= (np.sort(p)[-top_k] if 0 < top_k < len(p) else 0)
    descending = np.sort(p[kept])[::-1] / p[kept].sum()
    reaching = int(np.argmax(np.cumsum(descending) >= top_p - 1e-12)) if top_p < 1 else len(descending) - 1
    kept &= p >= descending[reaching] * p[kept].sum() * (1 - 1e-9)
    kept &= p >= min_p * p.max()
    return np.where(kept, p, 0) / p[kept].sum()


def numbers(n: int, seed: int = 0) -> np.ndarray:
    return uniforms(np.full(n, seed, np.uint64), np.arange(n, dtype=np.uint64))


@pytest.mark.parametrize(
    ("temperature", "top_p", "top_k", "min_p"),
    [(1, 1, 0, 0), (0.6, 1, 0, 0), (1, 0.9, 0, 0), (1, 1, 4, 0), (1, 1, 0, 0.2), (1.3, 0.8, 6, 0.1), (1, 0.3, 0, 0), (2, 0.95, 100, 0)],
)
def test_draws_follow_the_definition(temperature: float, top_p: float, top_k: int, min_p: float) -> None:
    n = 40_000
    drawn = draw(torch.tensor(LOGITS).expand(n, -1).clone(), knobs(n, temperature, top_p, top_k, min_p), numbers(n))
    counts = np.bincount(drawn.numpy(), minlength=len(LOGITS))
    expected = reference(temperature, top_p, top_k, min_p) * n
    assert (counts[expected == 0] == 0).all()
    often = expected >= 5
    if often.sum() > 1:
        rest = n - counts[often].sum(), n - expected[often].sum()
        observed, wanted = ([*counts[often], rest[0]], [*expected[often], rest[1]]) if rest[1] > 1e-6 else (counts[often], expected[often])
        assert stats.chisquare(observed, np.array(wanted) * np.sum(observed) / np.sum(wanted)).pvalue > 1e-3


def test_every_row_has_its_own_parameters() -> None:
    rows = [(0.0, 1.0, 0, 0.0), (1.0, 0.9, 0, 0.0), (1.0, 1.0, 2, 0.0), (1.3, 0.8, 6, 0.1), (0.0, 0.5, 3, 0.5)]
    mixed = Knobs(*(np.array(column, kind) for column, kind in zip(zip(*rows, strict=True), "ffqf", strict=True)))
    noise = torch.randn(5, 300, generator=torch.Generator().manual_seed(1)) * 3
    for seed in range(50):
        u = numbers(5, seed)
        alone = [int(draw(noise[i : i + 1].clone(), knobs(1, *rows[i]), u[i : i + 1])) for i in range(5)]
        assert draw(noise.clone(), mixed, u).tolist() == alone
    assert alone[0] == int(noise[0].argmax())


def test_the_extremes_of_the_uniform_numbers_pick_tokens_that_exist() -> None:
    logits = torch.full((2, 1000), -50.0)
    logits[:, [3, 500]] = 0.0
    largest = np.float32(1 - 2**-24)
    assert draw(logits, knobs(2, top_p=0.999), np.array([0.0, largest], np.float32)).tolist() == [3, 500]
    flat = torch.zeros(1, 50_000)
    assert int(draw(flat, knobs(1), np.array([largest]))) == 49_999


def test_equal_tokens_are_kept_together() -> None:
    drawn = draw(torch.tensor(LOGITS).expand(2000, -1).clone(), knobs(2000, top_k=2), numbers(2000))
    assert set(drawn.tolist()) == {0, 1, 2}


def test_not_a_number_gives_a_token_that_does_not_exist() -> None:
    logits = torch.zeros(2, 7)
    logits[1, 3] = float("nan")
    for temperature in (0.0, 1.0):
        drawn = draw(logits.clone(), knobs(2, temperature), numbers(2))
        assert drawn[0] < 7 and drawn[1] == 7
    assert np.isnan(observed(logits, drawn, True)[0][1])


def test_uniforms_are_uniform_and_streams_unrelated() -> None:
    steps, seeds = np.arange(20_000, dtype=np.uint64), np.arange(20_000, dtype=np.uint64)
    along, across = uniforms(np.full_like(steps, 7), steps), uniforms(seeds, np.zeros_like(seeds))
    for stream in (along, across):
        assert stats.kstest(stream, "uniform").pvalue > 1e-3
        assert stream.min() >= 0 and stream.max() < 1
        assert abs(np.corrcoef(stream[1:], stream[:-1])[0, 1]) < 0.03
    shifted = uniforms(np.full_like(steps, 8), steps)
    assert abs(np.corrcoef(along, shifted)[0, 1]) < 0.03
    assert (
        uniforms(np.array([2**63 - 1], np.uint64), np.array([3], np.uint64))
        == uniforms(np.array([2**63 - 1, 5], np.uint64), np.array([3, 9], np.uint64))[:1]
    )
