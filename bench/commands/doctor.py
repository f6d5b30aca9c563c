"""`bench doctor`: what was found here, and what would be measured, estimated or missing."""

from __future__ import annotations

from bench.commands.options import Db


def doctor(db: Db = None) -> None:
    """Say what was found on this machine, what would be measured, estimated or missing, and how to fix it."""
    from bench import checkup

    found = checkup.findings(db)
    width = max(len(f.what) for f in found)
    for finding in found:
        print(f"{finding.status:<9}  {finding.what:<{width}}  {finding.detail}")
        if finding.fix:
            print(f"{'':<9}  {'':<{width}}  → {finding.fix}")
    missing = sum(f.status == "missing" for f in found)
    print(f"\n{len(found) - missing} of {len(found)} are there. Nothing that is missing stops `bench run demo` unless its line says so.")
