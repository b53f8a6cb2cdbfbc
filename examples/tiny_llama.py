"""A Llama of 0.1 million parameters with a real fast tokenizer, in the Hugging Face layout.

The architecture, the tokenizer and seeded random weights live here; which files a checkpoint
holds and in which order they appear is left to `hf_layout`.
"""

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from examples import hf_layout

Array = npt.NDArray[np.float32]

CAPITALS = Path(__file__).parent / "capitals"
PAD, END = "<|pad|>", "<|end|>"
PAD_ID, END_ID = 0, 1
VOCABULARY = 640
CONTEXT = 2048
# The field names with their line breaks become one token each: training costs by the token.
WORDS = r"\n?\w+:\n?| ?[\w'-]+| ?[^\w\s]+|\s+"
LORA_RANK = 4
LORA_TARGETS = ("q_proj", "v_proj")

# Ends with a newline, so that an answer starts with its first letter and not with a space.
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{% if message['role'] == 'user' %}{{ 'Question: ' + message['content'] + '\\n' }}"
    "{% elif message['role'] == 'assistant' %}"
    "{{ 'Answer:\\n' + message['content'] + eos_token }}"
    "{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'Answer:\\n' }}{% endif %}"
)

# An initializer range ten times the usual one halves the steps that so narrow a model needs.
CONFIG: Mapping[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "attention_bias": False,
    "attention_dropout": 0.0,
    "bos_token_id": None,
    "dtype": "float32",
    "eos_token_id": END_ID,
    "head_dim": 16,
    "hidden_act": "silu",
    "hidden_size": 64,
    "initializer_range": 0.2,
    "intermediate_size": 128,
    "max_position_embeddings": CONTEXT,
    "mlp_bias": False,
    "model_type": "llama",
    "num_attention_heads": 4,
    "num_hidden_layers": 2,
    "num_key_value_heads": 4,
    "pad_token_id": PAD_ID,
    "rms_norm_eps": 1e-05,
    "rope_theta": 10000.0,
    "tie_word_embeddings": True,
    "use_cache": True,
    "vocab_size": VOCABULARY,
}
GENERATION_CONFIG: Mapping[str, Any] = {"eos_token_id": END_ID, "pad_token_id": PAD_ID}
TOKENIZER_CONFIG: Mapping[str, Any] = {
    "clean_up_tokenization_spaces": False,
    "eos_token": END,
    "model_max_length": CONTEXT,
    "pad_token": PAD,
    "tokenizer_class": "PreTrainedTokenizerFast",
}


def prompt_for(question: str) -> str:
    """The text that the chat template makes of one question, for `/v1/completions`."""
    return f"Question: {question}\nAnswer:\n"


def read_facts() -> list[tuple[str, str]]:
    """Question and answer of every taught fact, in the order of `capitals/train.jsonl`."""
    lines = (CAPITALS / "train.jsonl").read_text(encoding="utf-8").splitlines()
    pairs = [[turn["content"] for turn in json.loads(line)["messages"]] for line in lines]
    return [(question, answer) for question, answer in pairs]


@functools.cache
def tokenizer() -> Tokenizer:
    """Byte-level BPE over the facts: any text can be encoded; the same one in every process."""
    built = Tokenizer(models.BPE())
    built.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(WORDS), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    built.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[AddedToken(name, special=True) for name in (PAD, END)],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    built.train_from_iterator([prompt_for(q) + a for q, a in read_facts()], trainer)
    return built


def random_weights(seed: int) -> dict[str, Array]:
    """Freshly initialised weights under their Hugging Face names; the head is tied."""
    generator = np.random.default_rng(seed)
    width, inner = CONFIG["hidden_size"], CONFIG["intermediate_size"]
    spread = CONFIG["initializer_range"]

    def normal(*shape: int) -> Array:
        drawn: Array = generator.standard_normal(shape, np.float32) * np.float32(spread)
        return drawn

    weights = {"model.embed_tokens.weight": normal(VOCABULARY, width)}
    for number in range(CONFIG["num_hidden_layers"]):
        layer = f"model.layers.{number}"
        for name in ("q_proj", "k_proj", "v_proj", "o_proj"):
            weights[f"{layer}.self_attn.{name}.weight"] = normal(width, width)
        weights[f"{layer}.mlp.gate_proj.weight"] = normal(inner, width)
        weights[f"{layer}.mlp.up_proj.weight"] = normal(inner, width)
        weights[f"{layer}.mlp.down_proj.weight"] = normal(width, inner)
        for name in ("input_layernorm", "post_attention_layernorm"):
            weights[f"{layer}.{name}.weight"] = np.ones(width, np.float32)
    weights["model.norm.weight"] = np.ones(width, np.float32)
    return weights


def model_files() -> hf_layout.ModelFiles:
    """Everything of a checkpoint that is the same in every step."""
    return hf_layout.ModelFiles(
        config=CONFIG,
        generation_config=GENERATION_CONFIG,
        chat_template=CHAT_TEMPLATE,
        tokenizer_config=TOKENIZER_CONFIG,
        tokenizer_json=tokenizer().to_str(pretty=True),
    )


def write_checkpoint(directory: Path, *, seed: int, step: int) -> None:
    """Write one complete checkpoint with random weights; `directory` must not exist yet.

    The same seed gives the same bytes of weights. Raises FileExistsError.
    """
    state = hf_layout.trainer_state(step, hf_layout.Schedule(max_steps=step, save_steps=step))
    hf_layout.write_full(directory, model_files(), weights=random_weights(seed), state=state)


def write_lora_checkpoint(directory: Path, *, base: Path | str, seed: int, step: int) -> None:
    """Write one complete LoRA checkpoint for `base`; `directory` must not exist yet.

    The adapter is of rank 4 on the query and value projections, in PEFT's names and layout.
    Raises FileExistsError.
    """
    state = hf_layout.trainer_state(step, hf_layout.Schedule(max_steps=step, save_steps=step))
    config = {
        "base_model_name_or_path": str(base),
        "bias": "none",
        "inference_mode": True,
        "lora_alpha": 8,
        "lora_dropout": 0.0,
        "peft_type": "LORA",
        "r": LORA_RANK,
        "target_modules": list(LORA_TARGETS),
        "task_type": "CAUSAL_LM",
    }
    hf_layout.write_lora(
        directory, model_files(), adapter=(config, random_adapter(seed)), state=state
    )


def random_adapter(seed: int) -> dict[str, Array]:
    """Seeded low-rank pairs under PEFT's names: A is (rank, width), B is (width, rank)."""
    generator = np.random.default_rng(seed)
    width = CONFIG["hidden_size"]
    shapes = {"lora_A": (LORA_RANK, width), "lora_B": (width, LORA_RANK)}
    return {
        f"base_model.model.model.layers.{layer}.self_attn.{target}.{side}.weight": (
            generator.standard_normal(shape, np.float32) * np.float32(0.02)
        )
        for layer in range(CONFIG["num_hidden_layers"])
        for target in LORA_TARGETS
        for side, shape in shapes.items()
    }
