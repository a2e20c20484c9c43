# SPDX-License-Identifier: Apache-2.0
"""Prefill of 256 tokens by llama.cpp from a wheel, weights as q8_0, one thread: a peer of bench/language_model.cpp.

    python3.11 -m venv DIR && DIR/bin/pip install xllamacpp==2026.10.11549 gguf==0.19.0
    taskset -c 0 DIR/bin/python bench/peers/language_model_llama.py FOLDER path/to/bench_language_model [ROUNDS]

FOLDER is what bench/make_checkpoint.py makes. It is written once as FOLDER/q8_0.gguf, with names for tokens that nobody reads.
Both sides in turn in each round, tokens a second of processor time, medians of the rounds.
"""
import json
import pathlib
import statistics
import struct
import subprocess
import sys
import time

TOKENS = 256
NAMES = {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
         "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
         "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm"}


def name_of(published):
    name = published.removeprefix("model.")
    if name in ("embed_tokens.weight", "norm.weight"):
        return {"embed_tokens.weight": "token_embd.weight", "norm.weight": "output_norm.weight"}[name]
    _, block, rest = name.split(".", 2)
    part, kind = rest.rsplit(".", 1)
    return f"blk.{block}.{NAMES[part]}.{kind}"


def tensors(folder):
    import numpy

    for path in sorted(folder.glob("*.safetensors")):
        with open(path, "rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            header = json.loads(file.read(length))
            for name, entry in header.items():
                if name != "__metadata__":
                    begin, end = entry["data_offsets"]
                    file.seek(8 + length + begin)
                    wide = numpy.frombuffer(file.read(end - begin), "<u2").astype(numpy.uint32) << 16
                    yield name_of(name), wide.view(numpy.float32).reshape(entry["shape"])


def write_gguf(folder, path):
    import gguf

    config = json.loads((folder / "config.json").read_text())
    writer = gguf.GGUFWriter(path, "qwen2")
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(2 * TOKENS)
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(config["rope_theta"])
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list([f"t{i}" for i in range(config["vocab_size"])])
    writer.add_token_types([1] * config["vocab_size"])
    writer.add_token_merges(["t 0"])
    writer.add_eos_token_id(config["eos_token_id"])
    q8 = gguf.GGMLQuantizationType.Q8_0
    for name, values in tensors(folder):
        if values.ndim == 2:
            writer.add_tensor(name, gguf.quants.quantize(values, q8), raw_dtype=q8)
        else:
            writer.add_tensor(name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main():
    import xllamacpp

    folder, binary = pathlib.Path(sys.argv[1]), sys.argv[2]
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 3
    path = folder / "q8_0.gguf"
    if not path.exists():
        write_gguf(folder, str(path))
    options = xllamacpp.CommonParams()
    options.model.path = str(path)
    options.n_ctx = options.n_batch = options.n_ubatch = 2 * TOKENS
    options.n_parallel = options.cpuparams.n_threads = options.cpuparams_batch.n_threads = 1
    server = xllamacpp.Server(options)
    found = {"llama.cpp": [], "simgr": []}
    for turn in range(rounds + 1):
        ids = [1000 + (turn * TOKENS + i) * 7919 % 100000 for i in range(TOKENS)]
        start = time.process_time()
        server.handle_completions({"prompt": ids, "n_predict": 1, "cache_prompt": False})
        seconds = time.process_time() - start
        if turn > 0:  # behind a first one
            found["llama.cpp"].append(TOKENS / seconds)
            line = subprocess.run([binary, str(folder), "prefill", "1"], capture_output=True, text=True, check=True)
            found["simgr"].append(json.loads(line.stdout)["tokens_per_s"])
    speed = {side: round(statistics.median(values), 1) for side, values in found.items()}
    print(json.dumps({"tokens_per_s": speed, "ratio": round(speed["simgr"] / speed["llama.cpp"], 3)}))


main()
