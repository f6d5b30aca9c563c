"""What it took: joules, FLOPs, hardware. Imports no other room; heavy libraries (Zeus, NVML, psutil, YAML) are imported on first use.

The public surface, loaded when first touched:

    from energy import choose, window, attribute, detect, declared
    from energy import flops, hardware, meters, profiles        # flops.count(config, prompt=…, output=…), meters.meters.names()
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from energy import flops as flops
    from energy import hardware as hardware
    from energy import meters as meters
    from energy import profiles as profiles
    from energy import traffic as traffic
    from energy.attribution import Attribution as Attribution
    from energy.attribution import Call as Call
    from energy.attribution import Share as Share
    from energy.attribution import attribute as attribute
    from energy.codes import Code as Code
    from energy.doctor import Finding as Finding
    from energy.doctor import findings as findings
    from energy.flops import Flops as Flops
    from energy.flops import UnknownArchitecture as UnknownArchitecture
    from energy.hardware import Hardware as Hardware
    from energy.hardware import declared as declared
    from energy.hardware import detect as detect
    from energy.meters import Meter as Meter
    from energy.meters import choose as choose
    from energy.profiles import Profile as Profile
    from energy.windows import Device as Device
    from energy.windows import Domain as Domain
    from energy.windows import DomainEnergy as DomainEnergy
    from energy.windows import Reading as Reading
    from energy.windows import Source as Source
    from energy.windows import Window as Window
    from energy.windows import now as now
    from energy.windows import window as window

_HOME = {
    "energy.attribution": ("Attribution", "Call", "Share", "attribute"),
    "energy.codes": ("Code",),
    "energy.doctor": ("Finding", "findings"),
    "energy.flops": ("Flops", "UnknownArchitecture"),
    "energy.hardware": ("Hardware", "declared", "detect"),
    "energy.meters": ("Meter", "choose"),
    "energy.profiles": ("Profile",),
    "energy.windows": ("Device", "Domain", "DomainEnergy", "Reading", "Source", "Window", "now", "window"),
}
_WHERE = {name: module for module, names in _HOME.items() for name in names}

_MODULES = ("flops", "hardware", "meters", "profiles", "traffic")

__all__ = [*_MODULES, *sorted(_WHERE)]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"energy.{name}")
    if name in _WHERE:
        return getattr(import_module(_WHERE[name]), name)
    raise AttributeError(f"module 'energy' has no attribute {name!r}")
