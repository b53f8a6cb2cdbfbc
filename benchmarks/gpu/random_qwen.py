"""A checkpoint of Qwen3-0.6B's shape with random weights, and a tokenizer of its full vocabulary.

`python -m benchmarks.gpu.random_qwen DIRECTORY --seed 1`: 1.2 GB in half a minute. Loading, steps
and detokenising cost what they do in the real one; what it says means nothing.
"""

import argparse
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from examples import hf_layout
from examples.tiny_llama import CHAT_TEMPLATE

VOCABULARY = 151_936
LAYERS, WIDTH, INNER = 28, 1024, 3072
HEADS, KEY_HEADS, HEAD = 16, 8, 128
END = "<|end|>"
CONFIG: Mapping[str, Any] = {
    "architectures": ["Qwen3ForCausalLM"],
    "attention_bias": False,
    "attention_dropout": 0.0,
    "dtype": "float16",
    "eos_token_id": 0,
    "head_dim": HEAD,
    "hidden_act": "silu",
    "hidden_size": WIDTH,
    "initializer_range": 0.02,
    "intermediate_size": INNER,
    "max_position_embeddings": 40_960,
    "model_type": "qwen3",
    "num_attention_heads": HEADS,
    "num_hidden_layers": LAYERS,
    "num_key_value_heads": KEY_HEADS,
    "rms_norm_eps": 1e-06,
    "rope_theta": 1_000_000.0,
    "tie_word_embeddings": True,
    "use_cache": True,
    "vocab_size": VOCABULARY,
}
#: The letters that words are made of, in the alphabet of byte-level BPE, whose `Ġ` is the blank.
LETTERS = "ĠabcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789,.-"
LONGEST_TOKEN = 8

Array = npt.NDArray[np.float16]


def write_checkpoint(directory: Path, *, seed: int) -> None:
    """Write it; `directory` must not exist yet."""
    files = hf_layout.ModelFiles(
        config=CONFIG,
        generation_config={"eos_token_id": 0},
        chat_template=CHAT_TEMPLATE,
        tokenizer_config={"eos_token": END, "tokenizer_class": "PreTrainedTokenizerFast"},
        tokenizer_json=tokenizer().to_str(),
    )
    schedule = hf_layout.Schedule(max_steps=1, save_steps=1)
    state = hf_layout.trainer_state(1, schedule)
    hf_layout.write_full(directory, files, weights=weights(seed), state=state)


def tokenizer() -> Tokenizer:
    """Byte-level BPE whose every token is a merge of two others, so that all are text."""
    chosen = random.Random(1)
    known = {END: 0}
    for letter in sorted(pre_tokenizers.ByteLevel.alphabet()):
        known[letter] = len(known)
    pieces, merges = list(LETTERS), []
    while len(known) < VOCABULARY:
        left, right = chosen.choice(pieces), chosen.choice(pieces)
        if len(left + right) > LONGEST_TOKEN or left + right in known:
            continue
        known[left + right] = len(known)
        merges.append((left, right))
        pieces.append(left + right)
    built = Tokenizer(models.BPE(vocab=known, merges=merges))
    built.add_special_tokens([AddedToken(END, special=True)])
    built.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    built.decoder = decoders.ByteLevel()
    return built


def weights(seed: int) -> dict[str, Array]:
    """Random weights by their names in Hugging Face's layout; the head is the embedding's."""
    source = np.random.default_rng(seed)

    def normal(*shape: int) -> Array:
        drawn = source.standard_normal(shape, np.float32) * np.float32(0.02)
        return drawn.astype(np.float16)

    shapes = {
        "self_attn.q_proj": (HEADS * HEAD, WIDTH),
        "self_attn.k_proj": (KEY_HEADS * HEAD, WIDTH),
        "self_attn.v_proj": (KEY_HEADS * HEAD, WIDTH),
        "self_attn.o_proj": (WIDTH, HEADS * HEAD),
        "mlp.gate_proj": (INNER, WIDTH),
        "mlp.up_proj": (INNER, WIDTH),
        "mlp.down_proj": (WIDTH, INNER),
    }
    norms = {
        "input_layernorm": WIDTH,
        "post_attention_layernorm": WIDTH,
        "self_attn.q_norm": HEAD,
        "self_attn.k_norm": HEAD,
    }
    made = {"model.embed_tokens.weight": normal(VOCABULARY, WIDTH)}
    for layer in (f"model.layers.{number}" for number in range(LAYERS)):
        made |= {f"{layer}.{name}.weight": normal(*shape) for name, shape in shapes.items()}
        made |= {
            f"{layer}.{name}.weight": np.ones(size, np.float16) for name, size in norms.items()
        }
    made["model.norm.weight"] = np.ones(WIDTH, np.float16)
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    write_checkpoint(options.directory, seed=options.seed)


if __name__ == "__main__":
    main()
