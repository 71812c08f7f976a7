"""A language model of random weights, small enough to be written by a test.

Always: the same seed gives the same file, so the same words at temperature 0.
Half a megabyte: two blocks of width 64 and a vocabulary of bytes and a few words.
What it says is gibberish; its token counts, limits and errors are real.
"""

import gguf
import numpy as np

WIDTH, HEADS, HIDDEN, BLOCKS = 64, 4, 128, 2
CONTEXT = 8192
WORDS = ["the", "cat", "sat", "on", "a", "mat", "and", "sang", "of", "rain"]


def write(path, seed):
    """Writes a model to `path`; `seed` is a whole number."""
    draw = np.random.default_rng(seed)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name(f"tiny-{seed}")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(BLOCKS)
    writer.add_feed_forward_length(HIDDEN)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    size = _vocabulary(writer)

    def weights(name, *shape):
        writer.add_tensor(name, draw.normal(0, 0.4, shape).astype(np.float32))

    def ones(name):
        writer.add_tensor(name, np.ones(WIDTH, dtype=np.float32))

    weights("token_embd.weight", size, WIDTH)
    # Bytes and the end of the text are made unlikely, so that it speaks in words and at length.
    output = draw.normal(0, 0.4, (size, WIDTH)).astype(np.float32)
    output[: -len(WORDS)] *= 0.01
    writer.add_tensor("output.weight", output)
    ones("output_norm.weight")
    for block in range(BLOCKS):
        prefix = f"blk.{block}."
        ones(prefix + "attn_norm.weight")
        ones(prefix + "ffn_norm.weight")
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            weights(f"{prefix}{name}.weight", WIDTH, WIDTH)
        weights(prefix + "ffn_gate.weight", HIDDEN, WIDTH)
        weights(prefix + "ffn_up.weight", HIDDEN, WIDTH)
        weights(prefix + "ffn_down.weight", WIDTH, HIDDEN)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _vocabulary(writer):
    kinds = gguf.TokenType
    tokens = [(b"<unk>", kinds.UNKNOWN), (b"<s>", kinds.CONTROL), (b"</s>", kinds.CONTROL)]
    tokens += [(f"<0x{byte:02X}>".encode(), kinds.BYTE) for byte in range(256)]
    # U+2581 stands for a space in this kind of vocabulary.
    tokens += [("\u2581".encode(), kinds.NORMAL)]
    tokens += [(f"\u2581{word}".encode(), kinds.NORMAL) for word in WORDS]
    writer.add_tokenizer_model("llama")
    writer.add_token_list([text for text, _ in tokens])
    writer.add_token_scores([-float(place) for place in range(len(tokens))])
    writer.add_token_types([kind for _, kind in tokens])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    return len(tokens)
