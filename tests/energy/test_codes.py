"""Every code about energy is provoked here, by what raises it in a run, on a case made for it; a case beside it does not raise it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import pytest

from energy import attribution, flops, traffic
from energy.codes import EXPLANATIONS, Code
from energy.meters import zeus as zeus_meter
from energy.meters.estimate import EstimateMeter
from energy.meters.none import NoMeter
from energy.steady import Request, find
from energy.traces import Quantity, Trace, doubts
from energy.windows import Device, Domain, DomainEnergy, Reading, Source, Window, window
from perpass.errors import UserError

GPU0 = Device(Domain.GPU, "GPU-0")
Codes = Iterable[str]
Case = Callable[[pytest.MonkeyPatch, bool], Codes]
"""The codes that a case comes to; False: of the same case without what is wrong in it."""

PROVOKED: dict[Code, Case] = {}


def provokes(code: Code) -> Callable[[Case], Case]:
    def register(case: Case) -> Case:
        PROVOKED[code] = case
        return case

    return register


def between(seconds: float = 10.0, first: float | None = 100.0, last: float | None = 600.0) -> tuple[Code, ...]:
    """The codes of a window over one GPU's counter."""
    start = {d: j for d, j in {GPU0: first}.items() if j is not None}
    end = {d: j for d, j in {GPU0: last}.items() if j is not None}
    reading = Reading(1000.0, start, "zeus", 1, Source.NVML_COUNTER)
    return window(reading, replace(reading, at_s=1000.0 + seconds, joules=end)).codes


@provokes(Code.WINDOW_TOO_SHORT)
def too_short(_: pytest.MonkeyPatch, wrong: bool) -> Codes:
    return between(4.9 if wrong else 5.0)


@provokes(Code.COUNTER_RESET)
def reset(_: pytest.MonkeyPatch, wrong: bool) -> Codes:
    return between(last=99.0 if wrong else 100.0)


@provokes(Code.DEVICE_COUNT_MISMATCH)
def one_end(_: pytest.MonkeyPatch, wrong: bool) -> Codes:
    return between(last=None if wrong else 600.0)


@provokes(Code.CLOCK_STEPPED)
def set_back(_: pytest.MonkeyPatch, wrong: bool) -> Codes:
    return between(-3.0 if wrong else 10.0)


@provokes(Code.ESTIMATED)
def estimate(_: pytest.MonkeyPatch, wrong: bool) -> Codes:
    meter = EstimateMeter()
    meter.open()
    first = meter.read()
    return window(first, meter.read()).codes if wrong else between()


@provokes(Code.NO_METER)
def nothing(_: pytest.MonkeyPatch, wrong: bool) -> Codes:
    meter = NoMeter()
    meter.open()
    first = meter.read()
    return window(first, meter.read()).codes if wrong else between()


class Gpu:
    """As much of a GPU as NVML is asked about."""

    gpu_index = handle = 0

    def supports_get_total_energy_consumption(self) -> bool:
        return True

    def get_total_energy_consumption(self) -> int:
        return 1000


@provokes(Code.DEVICE_IDENTITY_MISSING)
def no_uuid(monkeypatch: pytest.MonkeyPatch, wrong: bool) -> Codes:
    zeus_gpu = pytest.importorskip("zeus.device.gpu")
    from tests.energy.test_zeus import FakeGPU, FakeGPUs

    monkeypatch.setattr(zeus_gpu, "_gpus", FakeGPUs(FakeGPU(0)))
    monkeypatch.setattr(zeus_meter, "_uuid", lambda gpu: None if wrong else "GPU-0")
    meter = zeus_meter.ZeusMeter()
    meter.open()
    return meter.read().codes


def shared(monkeypatch: pytest.MonkeyPatch, mig: bool = False, pids: Iterable[int] = ()) -> Codes:
    """What NVML says of a GPU in such a mode, with such processes on it."""
    pynvml = pytest.importorskip("pynvml")
    on = pynvml.NVML_DEVICE_MIG_ENABLE if mig else pynvml.NVML_DEVICE_MIG_DISABLE
    processes = [type("Process", (), {"pid": pid}) for pid in pids]
    monkeypatch.setattr(pynvml, "nvmlDeviceGetMigMode", lambda handle: (on, on))
    monkeypatch.setattr(pynvml, "nvmlDeviceGetComputeRunningProcesses", lambda handle: processes)
    return tuple(zeus_meter._shared(Gpu()))  # type: ignore[arg-type]


@provokes(Code.MIG_SHARED)
def mig(monkeypatch: pytest.MonkeyPatch, wrong: bool) -> Codes:
    return shared(monkeypatch, mig=wrong)


@provokes(Code.FOREIGN_PROCESS)
def others(monkeypatch: pytest.MonkeyPatch, wrong: bool) -> Codes:
    own = min(zeus_meter.own_processes())
    return shared(monkeypatch, pids=[own, 2**30] if wrong else [own])


def attributed(end_s: float = 8.0, flop: float | None = 1.0) -> Codes:
    """The codes of a call that began at 2 s in a window of 10 s."""
    read = Window(0.0, 10.0, (DomainEnergy(Domain.GPU, "GPU-0", 100.0),), Source.NVML_COUNTER)
    return attribution.attribute([read], [attribution.Call("a", 2.0, end_s, flop)]).calls["a"].codes


@provokes(Code.WINDOW_LOST)
def lost(_: pytest.MonkeyPatch, wrong: bool) -> Codes:
    return attributed(end_s=12.0 if wrong else 10.0)


@provokes(Code.UNKNOWN_ARCHITECTURE)
def strange(_: pytest.MonkeyPatch, wrong: bool) -> Codes:
    return attributed(flop=None if wrong else 1.0)


@provokes(Code.UNKNOWN_PRECISION)
def packed(_: pytest.MonkeyPatch, wrong: bool) -> Codes:
    try:
        traffic.precision({"torch_dtype": "bfloat16"}, None, None, "aqlm" if wrong else "fp8")
    except traffic.UnknownPrecision as error:
        return (error.code,)
    return ()


def beside(quantity: Quantity, points: dict[float, float], joules: float = 1000.0) -> Codes:
    """What readings have against a window from 5 to 15 s with so many joules."""
    read = Window(5.0, 15.0, (DomainEnergy(Domain.GPU, "GPU-0", joules),), Source.NVML_COUNTER)
    return doubts(read, [Trace(quantity, GPU0, tuple(points), tuple(points.values()))])


def steadily(value: float, start: int = 0, end: int = 20) -> dict[float, float]:
    return {float(t): value for t in range(start, end + 1)}


@provokes(Code.WINDOW_NOT_BRACKETED)
def late(_: pytest.MonkeyPatch, wrong: bool) -> Codes:
    return beside(Quantity.POWER, steadily(100.0, start=6 if wrong else 5))


@provokes(Code.SAMPLING_GAP)
def gap(_: pytest.MonkeyPatch, wrong: bool) -> Codes:
    return beside(Quantity.POWER, {t: w for t, w in steadily(100.0).items() if not 8 < t < (12 if wrong else 11)})


@provokes(Code.COUNTER_INTEGRAL_MISMATCH)
def disagreement(_: pytest.MonkeyPatch, wrong: bool) -> Codes:
    return beside(Quantity.POWER, steadily(94.0 if wrong else 96.0))


@provokes(Code.THERMAL_DRIFT)
def warm(_: pytest.MonkeyPatch, wrong: bool) -> Codes:
    return beside(Quantity.TEMPERATURE, {t: 40 + (1.1 if wrong else 1.0) * t for t in steadily(0.0)})


@provokes(Code.POWER_CAPPED)
def capped(_: pytest.MonkeyPatch, wrong: bool) -> Codes:
    return beside(Quantity.LIMITED, {t: float(t == (7 if wrong else 17)) for t in steadily(0.0)})


@provokes(Code.BATCH_UNDERFILLED)
def underfilled(_: pytest.MonkeyPatch, wrong: bool) -> Codes:
    """Batches of four requests of 10 s, sent together, and a pause after each where it is wrong."""
    pause = 10.0 if wrong else 0.0
    requests = [Request(s := n * (10.0 + pause), s + 0.1, s + 10.0, 50) for n in range(8) for _ in range(4)]
    span = find(requests, 4)
    assert span is not None
    return span.codes


@provokes(Code.SMALLER_BATCH_UNSTABLE)
def larger(_: pytest.MonkeyPatch, wrong: bool) -> Codes:
    from tests.results.test_live import _unstable, steady

    codes: Any = _unstable([steady(1, ["batch_underfilled"] if wrong else []), steady(8, [])])[1]["steady_codes"]  # type: ignore[list-item]
    return tuple(codes)


def test_every_code_has_a_case_and_an_explanation() -> None:
    assert set(PROVOKED) == set(Code) == set(EXPLANATIONS)


@pytest.mark.parametrize("code", list(Code))
def test_each_code_is_provoked_and_only_by_what_is_wrong(code: Code, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        assert code in tuple(PROVOKED[code](patched, True))
    with monkeypatch.context() as patched:
        assert code not in tuple(PROVOKED[code](patched, False))


def test_the_code_of_an_unknown_architecture_is_its_errors() -> None:
    with pytest.raises(UserError) as caught:
        flops.count({"model_type": "abacus"}, prompt=1, output=1)
    assert caught.value.code == Code.UNKNOWN_ARCHITECTURE  # type: ignore[attr-defined]
