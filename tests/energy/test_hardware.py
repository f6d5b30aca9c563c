"""Hardware found and declared, its identity, and the profile table."""

from __future__ import annotations

import datetime

import pytest

from energy import hardware, profiles
from energy.hardware import Gpu, Hardware, declared, detect
from perpass.errors import UserError
from perpass.identity import content_hash

H100 = "NVIDIA H100 80GB HBM3"


@pytest.fixture
def no_gpu(monkeypatch):
    monkeypatch.setattr(hardware, "gpus", list)


def cpuinfo(monkeypatch, tmp_path, name, cpus=2):
    path = tmp_path / "cpuinfo"
    path.write_text(f"processor\t: 0\nmodel name\t: {name}\nflags\t: fpu\n")
    monkeypatch.setattr(hardware, "CPUINFO", path)
    monkeypatch.setattr(hardware.sys, "platform", "linux")
    monkeypatch.setattr(hardware, "usable_cpus", lambda: cpus)


@pytest.mark.parametrize(
    ("text", "name", "count"),
    [
        ("H100x1", "H100", 1),
        ("h100", "H100", 1),
        ("A100-80GB x 8", "A100-80GB", 8),
        ("RTX4090", "RTX4090", 1),
        ("RTX4090x2", "RTX4090", 2),
        ("GeForce RTX 4090 × 2", "RTX4090", 2),
        (H100, "H100", 1),
    ],
)
def test_declared_hardware(text, name, count):
    found = declared(text)
    assert (found.name, found.count, found.kind, found.label) == (name, count, "gpu", f"{name}x{count}")
    assert found.profile is not None and found.profile.name == name


def test_declared_cpus_say_their_cores():
    assert declared("AMD EPYC 9654 x2").label == "AMD EPYC 9654 (192 cores)"
    assert declared("AMD EPYC 9654").count == 1


@pytest.mark.parametrize(("text", "says"), [("H10x1", "did you mean 'h100'"), ("A100-80GBx0", "unknown hardware"), ("abacus", "known: ")])
def test_unknown_hardware_names_the_nearest(text, says):
    with pytest.raises(UserError, match=says):
        declared(text)


def test_found_and_declared_hardware_have_one_identity(monkeypatch):
    monkeypatch.setattr(hardware, "gpus", lambda: [Gpu(H100, "GPU-a", 79.6), Gpu(H100, "GPU-b", 79.6)])
    found = detect()
    assert (found.label, found.device, found.uuids) == ("H100x2", H100, ("GPU-a", "GPU-b"))
    assert content_hash(found.identity()) == content_hash(declared("H100x2").identity())


def test_only_what_was_detected_here_was_found(monkeypatch):
    monkeypatch.setattr(hardware, "gpus", lambda: [Gpu(H100, "GPU-a", 79.6)])
    assert detect("gpu").found and detect("cpu").found
    assert not declared("H100x1").found


def test_identity_ignores_which_devices_were_used():
    one, other = (Hardware("H100", "gpu", H100, 1, uuids=(uuid,)) for uuid in ("GPU-a", "GPU-b"))
    assert one.identity() == other.identity() == {"name": "H100", "count": 1}


def test_a_gpu_that_is_not_in_the_table_keeps_its_own_name(monkeypatch):
    monkeypatch.setattr(hardware, "gpus", lambda: [Gpu("NVIDIA H100 NVL", "GPU-a", 93.0)])
    assert (detect().name, detect().profile) == ("NVIDIA H100 NVL", None)


def test_unlike_gpus_are_named_together_without_a_profile(monkeypatch):
    monkeypatch.setattr(hardware, "gpus", lambda: [Gpu(H100, "GPU-a", 79.6), Gpu("Tesla T4", "GPU-b", 15.0)])
    assert (detect().name, detect().count, detect().profile) == ("H100 + T4", 2, None)


def test_an_engine_without_a_gpu_runs_on_the_cpu(monkeypatch, tmp_path):
    monkeypatch.setattr(hardware, "gpus", lambda: [Gpu(H100, "GPU-a", 79.6)])
    cpuinfo(monkeypatch, tmp_path, "AMD EPYC")
    assert detect("cpu").label == "AMD EPYC (2 cores)"
    assert detect("gpu").label == "H100x1"


def test_a_gpu_that_is_asked_for_must_be_there(no_gpu):
    with pytest.raises(UserError, match="no GPU"):
        detect("gpu")


@pytest.mark.parametrize(
    ("model", "cpus", "label", "profile"),
    [
        ("AMD EPYC", 2, "AMD EPYC (2 cores)", None),
        ("AMD EPYC 7763 64-Core Processor", 4, "AMD EPYC 7763 (4 cores)", "AMD EPYC 7763"),
        ("AMD EPYC 9654P 96-Core Processor", 1, "AMD EPYC 9654P (1 core)", None),
        ("Intel(R) Xeon(R) CPU @ 2.20GHz", 2, "Intel Xeon (2 cores)", None),
        ("Intel(R) Xeon(R) Platinum 8480+", 112, "Intel Xeon Platinum 8480+ (112 cores)", "Intel Xeon Platinum 8480+"),
    ],
)
def test_cpu_machines(monkeypatch, tmp_path, no_gpu, model, cpus, label, profile):
    cpuinfo(monkeypatch, tmp_path, model, cpus)
    found = detect()
    assert (found.label, found.kind, found.count) == (label, "cpu", 1)
    assert (found.profile.name if found.profile else None) == profile


def test_this_machine_is_found():
    found = detect("cpu")
    assert found.cores is not None and found.cores >= 1
    assert found.identity() == detect("cpu").identity()


@pytest.mark.parametrize(("quota", "cpus"), [("150000 100000", 2), ("50000 100000", 1), ("max 100000", 8), ("1600000 100000", 8)])
def test_a_containers_quota_counts(monkeypatch, tmp_path, quota, cpus):
    path = tmp_path / "cpu.max"
    path.write_text(quota + "\n")
    monkeypatch.setattr(hardware, "CGROUP_QUOTA", path)
    monkeypatch.setattr(hardware.os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    assert hardware.usable_cpus() == cpus


GPUS = [Gpu(H100, f"GPU-{letter}", 79.6) for letter in "abcd"]


@pytest.mark.parametrize(
    ("variable", "letters"),
    [(None, "abcd"), ("2,0", "ca"), ("GPU-d", "d"), ("", ""), ("-1", ""), ("1,9,2", "b"), ("GPU-", ""), ("MIG-a", "")],
)
def test_cuda_visible_devices(variable, letters):
    assert [gpu.uuid[-1] for gpu in hardware._visible(GPUS, variable)] == list(letters)


def test_gpus_are_read_through_nvml(monkeypatch):
    pynvml = pytest.importorskip("pynvml")
    monkeypatch.setattr(pynvml, "nvmlInit", lambda: None)
    monkeypatch.setattr(pynvml, "nvmlShutdown", lambda: None)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetCount", lambda: 2)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetHandleByIndex", lambda i: i)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetName", lambda handle: H100)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetUUID", lambda handle: f"GPU-{handle}")
    monkeypatch.setattr(pynvml, "nvmlDeviceGetMemoryInfo", lambda handle: type("Memory", (), {"total": 80 * 2**30}))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert hardware.gpus() == [Gpu(H100, "GPU-1", 80.0)]


def test_every_value_in_the_table_has_a_source():
    for profile in profiles.profiles():
        values = [*profile.peak_flops.values(), profile.bandwidth, profile.memory_gb, profile.tdp_w, profile.cores]
        assert all(value.source and value.value > 0 for value in values if value is not None)
    assert profiles.generic_watts_per_cpu().source


def test_peaks_are_dense():
    peak = profiles.by_name("H100").peak_flops
    assert peak["bf16"].value == pytest.approx(989e12, rel=0.01)
    assert profiles.by_name("T4").peak_flops["bf16"] is None


ASKED = (
    "H100",
    "H100-PCIe",
    "H200",
    "B200",
    "A100-40GB",
    "A100-80GB",
    "L40S",
    "L4",
    "T4",
    "RTX4090",
    "RTX5090",
    "MI300X",
    "Gaudi2",
    "Gaudi3",
)


@pytest.mark.parametrize(
    "name", [*ASKED, "TPU v5e", "Apple M4 Max", "Jetson AGX Orin", "Intel NPU 4", "AMD EPYC 9755", "AMD Ryzen 9 7950X"]
)
def test_the_table_has_the_devices_that_people_ask_about(name):
    assert profiles.by_name(name) is not None
    assert declared(f"{name} x 2").name.startswith(profiles.by_name(name).name)


def test_what_was_read_has_its_day_and_most_was_read():
    values = [v for p in profiles.profiles() for v in (*p.peak_flops.values(), p.bandwidth, p.memory_gb, p.tdp_w, p.cores) if v is not None]
    assert all(v.read is None or datetime.date.fromisoformat(v.read) <= datetime.date.fromisoformat(profiles.as_of()) for v in values)
    assert sum(v.read is not None for v in values) > 0.85 * len(values)


@pytest.mark.parametrize("profile", profiles.profiles("gpu"), ids=lambda p: p.name)
def test_an_engineer_would_believe_the_row(profile):
    """The orders in which rates must stand, and the ratios that give away a sparse rate, a bit for a byte, or tera for giga."""
    peak = {name: value.value for name, value in profile.peak_flops.items() if value is not None}
    assert peak.get("bf16", 0) == peak.get("fp16", peak.get("bf16", 0)) or "bf16" not in peak
    for low, high in (("fp32", "tf32"), ("tf32", "bf16"), ("bf16", "fp8"), ("fp8", "fp4")):
        if low in peak and high in peak:
            assert peak[low] <= peak[high]
    if "bf16" in peak and "fp8" in peak:
        assert peak["fp8"] / peak["bf16"] in (pytest.approx(2, rel=0.02), 1)  # Gaudi 3 has one rate for both
    if "bf16" in peak and "tf32" in peak:
        assert peak["bf16"] / peak["tf32"] == pytest.approx(2, rel=0.05)
    if profile.bandwidth is not None:
        assert 5e10 < profile.bandwidth.value < 1e13
        assert all(1 < rate / profile.bandwidth.value < 1500 for rate in peak.values())  # operations per byte
    if profile.tdp_w is not None:
        assert 10 <= profile.tdp_w.value <= 1500
        assert all(0.04e12 < rate / profile.tdp_w.value < 10e12 for rate in peak.values())  # operations per joule


def test_no_name_means_two_things():
    owners: dict[str, set[str]] = {}
    for profile in profiles.profiles():
        for name in (profile.name, *profile.aliases, *profile.reported):
            owners.setdefault(profiles.plain(name), set()).add(profile.name)
    assert [owner for owner in owners.values() if len(owner) > 1] == []


def test_the_machine_has_sockets_cores_and_nodes(monkeypatch, tmp_path):
    text = "".join(f"processor: {n}\nmodel name\t: AMD EPYC 9755\nphysical id\t: {n % 2}\ncore id\t: {n // 2 % 3}\n\n" for n in range(12))
    path = tmp_path / "cpuinfo"
    path.write_text(text)
    monkeypatch.setattr(hardware, "CPUINFO", path)
    monkeypatch.setattr(hardware.sys, "platform", "linux")
    monkeypatch.setattr(hardware, "NODES", tmp_path / "node")
    for name in ("node0", "node1", "power", "possible"):
        (tmp_path / "node" / name).mkdir(parents=True)
    found = hardware.machine()
    assert (found.cpu, found.sockets, found.cores, found.numa_nodes) == ("AMD EPYC 9755", 2, 6, 2)
    assert found.label.startswith("AMD EPYC 9755, 2 sockets, 6 cores, 2 NUMA nodes, ")


def test_what_the_system_does_not_tell_is_none(monkeypatch, tmp_path):
    monkeypatch.setattr(hardware, "CPUINFO", tmp_path / "nothing")
    monkeypatch.setattr(hardware, "NODES", tmp_path / "nowhere")
    found = hardware.machine()
    assert found.sockets is found.cores is found.numa_nodes is None and "socket" not in found.label
