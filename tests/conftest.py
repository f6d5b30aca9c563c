"""For all tests: no deadline for one example of a property, since several test processes share the machine's cores."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("perpass", deadline=None)
settings.load_profile("perpass")
