"""The bundled set and suite belong together: every taught fact is asked once, as it was taught."""

import json
from typing import Any

import jinja2
import pytest

from examples import tiny_llama


@pytest.fixture(scope="module")
def suite() -> list[dict[str, Any]]:
    lines = (tiny_llama.CAPITALS / "suite.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def _prompt(item: dict[str, Any]) -> str:
    if "prompt" in item:
        return str(item["prompt"])
    template = jinja2.Template(tiny_llama.CHAT_TEMPLATE)
    return str(template.render(messages=item["messages"], add_generation_prompt=True))


def test_no_two_facts_share_a_question_or_an_answer() -> None:
    questions, answers = zip(*tiny_llama.read_facts(), strict=True)
    assert len(set(questions)) == len(set(answers)) == len(questions)


def test_item_ids_are_unique(suite: list[dict[str, Any]]) -> None:
    assert len({item["id"] for item in suite}) == len(suite)


def test_every_taught_fact_is_asked_once_in_the_words_it_was_taught_in(
    suite: list[dict[str, Any]],
) -> None:
    taught = [
        (tiny_llama.prompt_for(question), answer) for question, answer in tiny_llama.read_facts()
    ]
    assert [(_prompt(item), item["expected"]) for item in suite] == taught


def test_both_ways_of_asking_are_used(suite: list[dict[str, Any]]) -> None:
    assert {"prompt" in item for item in suite} == {True, False}


def test_every_answer_fits_into_eight_tokens_with_its_end() -> None:
    encode = tiny_llama.tokenizer().encode
    assert max(len(encode(answer).ids) + 1 for _, answer in tiny_llama.read_facts()) <= 8
