"""Reading a free-form reply with a judge model, as the official evaluation does with GPT-4o: one JSON object by the procedure's schema.

The wording is ours, after that of the official extraction (Fujisawa et al. 2024, arXiv:2410.03117).
"""

from __future__ import annotations

import json
from typing import Any

from tasks.answers import without_thinking
from tasks.procbench import reading
from tasks.procbench.kinds import schema
from tasks.types import Ask, Prompt

SYSTEM = (
    "You bring answers in free text into a given structure and change nothing else about them. The text answers a problem that asks for a "
    "final state and the intermediate states on the way to it. Return one JSON object and nothing else. The final state is never the last "
    "of the intermediate ones.\nIts JSON schema: "
)


async def extracted(reply: str, procedure: str, ask: Ask) -> dict[str, Any]:
    """The label that the judge model finds in a reply. Where it gives no such object: no states and the empty string, as officially."""
    prompt = Prompt.chat(f"# Answer of a model:\n{without_thinking(reply)}", SYSTEM + json.dumps(schema(procedure)))
    found = reading.structured(await ask(prompt))
    return found if found["final"] is not None else {"intermediate": [], "final": ""}
