"""A gpt's weights in GGUF, as llama.cpp reads a Llama's. Needs the package `gguf`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from chatbot.checkpoint import Checkpoint
from chatbot.engines.base import Floats
from chatbot.models.config import GPTConfig

NAMES = {
    "attention_norm": "attn_norm",
    "feed_norm": "ffn_norm",
    "attention.query": "attn_q",
    "attention.key": "attn_k",
    "attention.value": "attn_v",
    "attention.out": "attn_output",
    "feed.gate": "ffn_gate",
    "feed.up": "ffn_up",
    "feed.down": "ffn_down",
}
POSITIONS = 2048


def write(checkpoint: Checkpoint, kind: str, file: Path) -> Path:
    """The file, with matrices of that kind (f32, f16, q8_0) and without a tokenizer."""
    import gguf

    config = GPTConfig(**checkpoint.config.model)
    writer = gguf.GGUFWriter(str(file), "llama")
    writer.add_context_length(POSITIONS)
    writer.add_embedding_length(config.width)
    writer.add_block_count(config.layers)
    writer.add_feed_forward_length(config.feed)
    writer.add_head_count(config.heads)
    writer.add_head_count_kv(config.groups or config.heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(config.rotary_base)
    writer.add_rope_dimension_count(config.width // config.heads)
    writer.add_vocab_size(config.vocabulary)
    writer.add_tokenizer_model("no_vocab")
    for key, array in checkpoint.weights().tensors.items():
        wanted = gguf.GGMLQuantizationType[(kind if array.ndim == 2 else "f32").upper()]
        values = gguf.quants.quantize(_turned(key, np.asarray(array, np.float32), config), wanted)
        writer.add_tensor(_renamed(key), values, raw_dtype=wanted)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


def _renamed(key: str) -> str:
    if not key.startswith("blocks."):
        return {"embed.weight": "token_embd.weight", "norm.weight": "output_norm.weight"}[key]
    _, layer, rest = key.split(".", 2)
    return f"blk.{layer}.{NAMES[rest.removesuffix('.weight')]}.weight"


def _turned(key: str, array: Floats, config: GPTConfig) -> Floats:
    """Queries and keys in the order of llama.cpp, whose rotary embedding pairs neighbours and not halves."""
    heads = {"query": config.heads, "key": config.groups or config.heads}.get(key.split(".")[-2])
    if heads is None:
        return array
    return array.reshape(heads, 2, -1, array.shape[1]).swapaxes(1, 2).reshape(array.shape)
