#!/usr/bin/env python3
"""Makes a checkpoint of random bf16 numbers with the shapes of Qwen2-0.5B, in shards and with their index.

  python bench/make_checkpoint.py FOLDER [--layers 24] [--shard-mb 400]      needs numpy; 988 MB, half a minute
"""
import argparse
import json
import pathlib
import struct

import numpy

WIDTH, INNER, HEADS, KEY_VALUE_HEADS, HEAD_WIDTH, VOCABULARY = 896, 4864, 14, 2, 64, 151936


def shapes(layers):
    yield "model.embed_tokens.weight", [VOCABULARY, WIDTH]
    for i in range(layers):
        layer = f"model.layers.{i}."
        yield layer + "input_layernorm.weight", [WIDTH]
        for name, heads in (("q", HEADS), ("k", KEY_VALUE_HEADS), ("v", KEY_VALUE_HEADS)):
            yield layer + f"self_attn.{name}_proj.weight", [heads * HEAD_WIDTH, WIDTH]
            yield layer + f"self_attn.{name}_proj.bias", [heads * HEAD_WIDTH]
        yield layer + "self_attn.o_proj.weight", [WIDTH, HEADS * HEAD_WIDTH]
        yield layer + "post_attention_layernorm.weight", [WIDTH]
        yield layer + "mlp.gate_proj.weight", [INNER, WIDTH]
        yield layer + "mlp.up_proj.weight", [INNER, WIDTH]
        yield layer + "mlp.down_proj.weight", [WIDTH, INNER]
    yield "model.norm.weight", [WIDTH]


def config(layers):
    return {"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "hidden_size": WIDTH,
            "intermediate_size": INNER, "num_hidden_layers": layers, "num_attention_heads": HEADS,
            "num_key_value_heads": KEY_VALUE_HEADS, "vocab_size": VOCABULARY, "hidden_act": "silu",
            "max_position_embeddings": 131072, "max_window_layers": layers, "sliding_window": 131072,
            "use_sliding_window": False, "rms_norm_eps": 1e-06, "rope_theta": 1000000.0,
            "tie_word_embeddings": True, "torch_dtype": "bfloat16", "transformers_version": "4.40.1",
            "attention_dropout": 0.0, "bos_token_id": 151643, "eos_token_id": 151643,
            "initializer_range": 0.02, "use_cache": True}


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder", type=pathlib.Path)
    arguments.add_argument("--layers", type=int, default=24)
    arguments.add_argument("--shard-mb", type=int, default=400)
    options = arguments.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)

    shards, size = [[]], 0
    for name, shape in shapes(options.layers):
        count = int(numpy.prod(shape))
        if shards[-1] and size + 2 * count > options.shard_mb * 1_000_000:
            shards.append([])
            size = 0
        shards[-1].append((name, shape, count))
        size += 2 * count

    random, weight_map = numpy.random.default_rng(1), {}
    for number, shard in enumerate(shards, 1):
        file_name = f"model-{number:05}-of-{len(shards):05}.safetensors"
        header, at = {"__metadata__": {"format": "pt"}}, 0
        for name, shape, count in shard:
            header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [at, at + 2 * count]}
            weight_map[name] = file_name
            at += 2 * count
        text = json.dumps(header, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)
        with open(options.folder / file_name, "wb") as file:
            file.write(struct.pack("<Q", len(text)) + text)
            for name, shape, count in shard:
                values = random.standard_normal(count, numpy.float32) * numpy.float32(0.02)
                values += len(shape) == 1 and "norm" in name  # gains are about 1
                (values.view(numpy.uint32) >> 16).astype("<u2").tofile(file)
    total = sum(2 * count for shard in shards for _, _, count in shard)
    index = {"metadata": {"total_size": total}, "weight_map": weight_map}
    (options.folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n")
    (options.folder / "config.json").write_text(json.dumps(config(options.layers), indent=2) + "\n")
    print(f"{len(shards)} shards, {total / 1e6:.0f} MB")


main()
