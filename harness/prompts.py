"""The prompt strings that strategies and reference training share, kept in one place so that what is trained is what is asked."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.types import Prompt

DIRECT_SYSTEM = "Answer the question directly. Do not return any preamble, explanation, or reasoning."
STEP_BY_STEP = "Please reason step by step."
SPEED_UP = "\n\nThe user cannot wait any longer. I will finish my reasoning quickly and then answer.\n\n"
UPDATE = "\n\nThe user has just sent an update: {update} I will go on with it.\n\n"
FINAL_ANSWER = "\n\n**Final Answer**\n"
JUDGE = "Is the answer above correct? Reply with yes or no."


def ask(question: str, answer_format: str, instruction: str = "", system: str = "") -> Prompt:
    """One question as a conversation: the question, then on a line of its own the instruction (if any) and how to state the answer."""
    last = f"{instruction} {answer_format}" if instruction else answer_format
    return Prompt.chat(f"{question}\n{last}", system)


def direct(question: str, answer_format: str) -> Prompt:
    """Ask for the bare answer."""
    return ask(question, answer_format, system=DIRECT_SYSTEM)


def step_by_step(question: str, answer_format: str) -> Prompt:
    """Ask for the reasoning, then the answer."""
    return ask(question, answer_format, STEP_BY_STEP)


def judge(conversation: Prompt, answer: str) -> Prompt:
    """Close `conversation` with `answer` and ask whether it is correct."""
    return conversation.then(answer, JUDGE)


def candidates(question: str, texts: Sequence[str], last: str) -> Prompt:
    """The question, candidate answers numbered from 1, and at the end what to do with them."""
    listed = [f"Candidate {number}:\n{text.strip()}" for number, text in enumerate(texts, 1)]
    return Prompt.chat("\n\n".join((question, *listed, last)))


def as_text(prompt: Prompt) -> str:
    """The prompt as text for people and for engines without a chat template: each turn behind its role, then the open prefix."""
    if prompt.raw is not None:
        return prompt.raw + prompt.prefix
    return "".join(f"[{turn.role}]{turn.content}\n" for turn in prompt.turns) + "[assistant]" + prompt.prefix
