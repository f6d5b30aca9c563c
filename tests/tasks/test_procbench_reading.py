"""Reading the states that a reply states: what models write, in any supported style, reads back as itself."""

from __future__ import annotations

import json
import random
import time
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tasks.procbench import reading
from tasks.procbench.kinds import Kind, kinds, schema
from tasks.procbench.procedures import PROCEDURES

Label = dict[str, Any]


def line(state: Any) -> str:
    return ", ".join(map(str, state)) if isinstance(state, list) else str(state)


def shown(state: Any) -> str:
    """A state on a line: a list in brackets, an empty string in quotes."""
    return json.dumps(state) if isinstance(state, list) or state == "" else str(state)


def json_object(told: Label) -> str:
    return f"Here it is:\n```json\n{json.dumps(told, indent=1)}\n```"


def json_in_a_line(told: Label) -> str:
    return json.dumps(told)


def python_object(told: Label) -> str:
    return f"The result is {told!r}"


def list_and_label(told: Label) -> str:
    return f"**Intermediate states:**\n{json.dumps(told['intermediate'])}\n\n**Final state:** {shown(told['final'])}"


def final_first(told: Label) -> str:
    return f"### Final string\n\n`{shown(told['final'])}`\n\n### Intermediate strings\n\n```\n{told['intermediate']!r}\n```"


def list_and_box(told: Label) -> str:
    return f"Intermediate states: {told['intermediate']!r}\n\nFinal: $\\boxed{{{line(told['final'])}}}$"


def lines_in_a_list(told: Label) -> str:
    rows = ",\n".join(f"  {json.dumps(state)}" for state in told["intermediate"])
    return f"The intermediate states are:\n\n[\n{rows}\n]\n\nSo the final state is {shown(told['final'])}."


def numbered(told: Label) -> str:
    return "\n".join(f"{k}. {shown(s)}" for k, s in enumerate(told["intermediate"], 1)) + f"\n\nFinal state: **{shown(told['final'])}**"


def bullets(told: Label) -> str:
    return "\n".join(f"- `{shown(s)}`" for s in told["intermediate"]) + f"\n\n\\boxed{{\\text{{{line(told['final'])}}}}}"


def bold_steps(told: Label) -> str:
    """With the final state as the last step: it is said twice."""
    rows = [f"**Step {k}:** `{shown(s)}`" for k, s in enumerate([*told["intermediate"], told["final"]], 1)]
    return "Let me go step by step:\n\n" + "\n".join(rows) + f"\n\nThe final answer is:\n$$\\boxed{{{line(told['final'])}}}$$"


def arrows(told: Label) -> str:
    rows = [f"{k}. We do what is asked → {shown(s)}" for k, s in enumerate(told["intermediate"], 1)]
    return "\n".join(rows) + f"\nFinal string: {shown(told['final'])}"


def table(told: Label) -> str:
    rows = [f"| {k} | what is asked | {shown(s)} |" for k, s in enumerate(told["intermediate"], 1)]
    return "\n".join(["| Step | Action | sentence |", "| ---: | :--- | --- |", *rows, f"\nFinal result: {shown(told['final'])}"])


def plain(told: Label) -> str:
    """What the reference models write."""
    return "\n".join([*(line(s) if s != "" else '""' for s in told["intermediate"]), f"\\boxed{{{line(told['final'])}}}"])


def escaped(told: Label) -> str:
    """LaTeX's underscores, typographic quotes."""
    rows = [f"* “{line(s)}”".replace("_", "\\_") for s in told["intermediate"]]
    return "\n".join(rows) + "\n\\[\\boxed{\\texttt{" + line(told["final"]).replace("_", "\\_") + "}}\\]"


def after_thinking(told: Label) -> str:
    return f"<think>\n1. zzz\n2. yyy\n\\boxed{{wrong}}\n</think>\n{numbered(told)}"


STYLES = (
    *(json_object, json_in_a_line, python_object, list_and_label, final_first, list_and_box, lines_in_a_list, numbered),
    *(bullets, bold_steps, arrows, table, plain, escaped, after_thinking),
)
WORDS = st.lists(st.sampled_from("Ann apples 12 of [3] the s is Zoë a".split()), min_size=1, max_size=9)  # noqa: SIM905
STATES = {
    Kind.STRING: st.text("abxyz019-", max_size=12).filter(lambda s: s.strip("-") or not s),
    Kind.SENTENCE: WORDS.map(" ".join),
    Kind.NUMBER: st.integers(0, 10**9),
    Kind.STRINGS: st.lists(st.text("abz019_", min_size=1, max_size=6), min_size=2, max_size=6),
    Kind.NUMBERS: st.lists(st.integers(0, 40), min_size=2, max_size=26),
}


@st.composite
def labels(draw: st.DrawFn) -> tuple[str, Label]:
    """A procedure and a label of its kinds, not one that the procedure could have."""
    name = draw(st.sampled_from(sorted(PROCEDURES)))
    intermediate, final = kinds(name)
    states = draw(st.lists(STATES[intermediate], min_size=1, max_size=8))
    if intermediate is Kind.SENTENCE:
        states = [f"x y {state}" for state in states]  # one word in brackets alone is no sentence
    last = draw(STATES[final].filter(lambda s: final is not Kind.SENTENCE or "[" not in s))
    return name, {"intermediate": states, "final": last}


@pytest.mark.parametrize("style", STYLES, ids=lambda f: f.__name__)
@given(drawn=labels())
@example(drawn=("PushPop", {"intermediate": ["z", ""], "final": ""}))
@example(drawn=("MoveCyclic", {"intermediate": ["-x---", "--x--", "--x--"], "final": "--x--"}))
@settings(max_examples=25, deadline=None)
def test_any_label_reads_back_as_itself(style, drawn):
    name, told = drawn
    assert reading.free(style(told), name, told) == told


@pytest.mark.parametrize("name", PROCEDURES)
def test_labels_of_all_procedures_read_back_as_themselves(name):
    for steps in (2, 3, 7, 25):
        drawn = PROCEDURES[name].draw(random.Random(steps), steps)
        told = json.loads(json.dumps({"intermediate": drawn.states[:-1], "final": drawn.states[-1]}))
        for style in STYLES:
            assert reading.free(style(told), name, told) == told, style.__name__
        assert reading.structured(json_object(told)) == told


REPLIES = [
    (
        "Sort",
        """To sort "itstb":

1. **Find 'a'**: not found.
2. **Find 'b'**: found at position 4. Swap it with position 0: `btsti`
3. **Find 'i'**: found at position 4. Swap it with position 1: `bistt`

**Final sorted string:** `bistt`
**Intermediate strings:** ["btsti"]""",
        {"intermediate": ["btsti"], "final": "bistt"},
    ),
    (
        "Cumulate",
        """N = 1

1. Add 7: \\(1 + 7 = 8\\)
2. Multiply 2: \\(8 \\times 2 = 16\\)
3. Add 1,000: 16 + 1,000 = 1,016
4. Add 5: 1,016 + 5 = **1021**

So the intermediate results are [8, 16, 1016] and the final result is **1021**.""",
        {"intermediate": [8, 16, 1016], "final": 1021},
    ),
    (
        "Cumulate",
        "Start with N = 1\nAdd 7: 8\nMultiply 2: 8 × 2 = 16\nN = 16\n\nThe answer is 16.",
        {"intermediate": [8], "final": 16},
    ),
    (
        "PushPop",
        """Initial string: cz

1. pop_left: remove 'c'
   - Result: z
2. push_left(v): add 'v'
   - Result: vz

Final string: vz""",
        {"intermediate": ["z"], "final": "vz"},
    ),
    ("PushPop", "1. pop_left -> (empty)\n2. pop_left -> (empty string)\n\nFinal string: $\\boxed{}$", {"intermediate": [""], "final": ""}),
    (
        "MoveCyclic",
        "---\n**Step 1** (left, 2): `x----`\n\n**Step 2** (left, 3): `--x--`\n\n---\n\\boxed{\\texttt{--x--}}",
        {"intermediate": ["x----"], "final": "--x--"},
    ),
    (
        "FindCyclic",
        "String: 035b87\n1. Move right from 'b' to '8', the number is 4: ['8', '4']\n2. To '7': ['7', '3']\n\nFinal state: 7",
        {"intermediate": [["8", "4"], ["7", "3"]], "final": "7"},
    ),
    (
        "Compose",
        "1. Replace n, k with c: a, m, c\n2. Replace m, c with x: a, x\n\n**Final state**: a, x",
        {"intermediate": [["a", "m", "c"]], "final": ["a", "x"]},
    ),
    (
        "Count",
        "| String | N1 | N2 |\n|---|---|---|\n\n1. ['v2sgmm', 5, 2, 10]\n2. ['yhby', 4, 0, 0]\n\nThe final sum is 10.",
        {"intermediate": [["v2sgmm", "5", "2", "10"], ["yhby", "4", "0", "0"]], "final": 10},
    ),
    (
        "Search",
        "Strings: [ab, cd]\nSubstrings: [a, b]\n\n- After 'a': [1, 0]\n- After 'b': [2, 0]\n\nFinal counting list: [2, 0]",
        {"intermediate": [[1, 0]], "final": [2, 0]},
    ),
    (
        "DeleteWord",
        "Sentence: Bob picked 450 apples\nWords: [picked, 450]\n\n1. Remove \"picked\": Bob 450 apples\n2. Remove \"450\": Bob apples\n\n"
        "Final sentence: Bob apples",
        {"intermediate": ["Bob 450 apples"], "final": "Bob apples"},
    ),
    ("Split1", "[['ab', 'cd'],\n ['a', 'b', 'cd']]\n\nFinal list: ['a', 'b', 'c', 'd']",
     {"intermediate": [["ab", "cd"], ["a", "b", "cd"]], "final": ["a", "b", "c", "d"]}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text", "expected"), REPLIES)
def test_typical_replies(name, text, expected):
    assert reading.free(text, name, expected) == expected


def test_a_last_state_that_equals_the_final_one_is_kept_where_the_label_has_room_for_it():
    told = {"intermediate": ["--x--", "x----"], "final": "x----"}
    assert reading.free("1. --x--\n2. x----\n\\boxed{x----}", "MoveCyclic", told) == told
    shorter = {"intermediate": ["--x--"], "final": "x----"}
    assert reading.free("1. --x--\n2. x----\n\\boxed{x----}", "MoveCyclic", shorter) == shorter
    assert reading.structured('{"intermediate": ["a", "b"], "final": "b"}') == {
        "intermediate": ["a", "b"],
        "final": "b",
    }  # as it is written


@pytest.mark.parametrize("text", ["", "no idea", "1. abc\n2. abd", "<think>\\boxed{a}", "I cannot say what the string is in the end"])
def test_without_a_final_state_there_is_none(text):
    assert reading.final_text(text) is None and reading.free(text, "Sort", {"intermediate": []})["final"] is None


@pytest.mark.parametrize(
    ("text", "final"),
    [
        ('{"final": "a"} {"intermediate": [1], "final": "b"} done', "b"),
        ('```json\n{"intermediate": ["a",], "final": "b",}\n```', "b"),
        ("{'intermediate': [], 'final': 012}", "012"),
        ('{"intermediate": "none", "final": ["a", 1]}', ["a", 1]),
        ("\\boxed{b}", None),
        ('{"answer": 3}', None),
    ],
)
def test_the_json_format(text, final):
    found = reading.structured(text)
    assert found["final"] == final and isinstance(found["intermediate"], list)


def test_the_schema_of_a_procedure():
    row = {"type": "array", "items": {"type": "string"}}
    assert schema("Count")["properties"] == {"intermediate": {"type": "array", "items": row}, "final": {"type": "integer"}}


HOSTILE = [
    "[",
    "{",
    "'a",
    "- ",
    "_ ",
    "\\boxed{",
    "final: ",
    "[[]",
    '{"final": ',
    "intermediate:\na\n",
    "| ",
    "1. a\n",
    "`",
    "\\text{",
    " ",
]


def test_hostile_text_takes_time_in_proportion():
    """Sixteen times the text: quadratic work would be 256 times as long, so that a factor of 100 leaves room for a busy machine."""

    def seconds(part, length):
        began = time.process_time()
        for name in ("Sort", "Encode", "FillWord", "Cumulate"):
            reading.free(part * (length // len(part)), name, {"intermediate": []})
        return time.process_time() - began

    for part in HOSTILE:
        short = min(seconds(part, 5_000) for _ in range(3))
        assert seconds(part, 80_000) < 100 * max(short, 0.005), part


@given(text=st.text("[]{}()'\"`,:=→- \n1ab.\\boxedfinal|_"), name=st.sampled_from(sorted(PROCEDURES)))
@settings(max_examples=100, deadline=None)
def test_it_never_raises(text, name):
    found = reading.free(text, name, {"intermediate": []})
    assert isinstance(found["intermediate"], list)
    reading.structured(text)
