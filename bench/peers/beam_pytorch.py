# SPDX-License-Identifier: Apache-2.0
"""Beam search of a TIGER in PyTorch on one thread: the peers of bench/beam.cpp, with its weights and histories.

    build/release/bench/bench_beam --out DIR
    taskset -c 0 python bench/peers/beam_pytorch.py DIR [--variant compiled|generate] [--batch 1 32] [--bench PATH] [--rounds 3]

  compiled  the fastest we found: weights fused where they read the same rows, encoder and every step of the beam compiled for
            their fixed shapes, keys and values of the history computed once and shared by the beams, the trie as tables of
            children (a mask and a table of the next nodes for each node), all of a step's choice in tensors
  generate  T5ForConditionalGeneration.generate of transformers with beams of 20 and a prefix function over the same trie. Its
            softmax is over the whole vocabulary before the mask, so its lists are others

Reads DIR/model.simgr (safetensors), DIR/histories.txt and DIR/lists.txt; prints one JSON line a batch: ms a user of processor and
of wall time (medians), and for `compiled` the share of users whose list is the same as in DIR/lists.txt, item by item. With
--bench the program and this one run in turn and the medians of the rounds are printed as well.
"""
import argparse
import json
import os
import statistics
import subprocess
import time

for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "TORCHINDUCTOR_COMPILE_THREADS"):
    os.environ.setdefault(name, "1")

import numpy
import torch
import torch.nn.functional as F

from tiger_parts import BEAM, EPSILON, bucket, read_simgr, trie_tables

HEADS, HEAD = 6, 64
INNER = HEADS * HEAD


def norm(x, gain):
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + EPSILON) * gain


def by_head(x):
    return x.view(*x.shape[:-1], HEADS, HEAD).transpose(-3, -2)


class Compiled:
    """All tensors are attributes of this object; the compiled functions close over them."""

    def __init__(self, weights, codes, codes_per_digit, batch, length):
        w = lambda name: weights["encoder." + name]
        self.table, self.start, self.codes, self.batch = w("embedding.digits"), w("start"), codes, batch
        self.digits, width = codes.shape[1], self.table.shape[1]
        self.first = [sum(codes_per_digit[:l]) for l in range(self.digits)] + [self.table.shape[0]]
        self.stacks = {}
        for stack in ("encoder", "decoder"):
            blocks, i = [], 0
            while f"encoder.{stack}.blocks.{i}.net.up.weight" in weights:
                part = lambda name: w(f"{stack}.blocks.{i}.{name}.weight")
                block = {name: part(name).contiguous() for name in ("self_norm", "net_norm", "self.out", "net.up", "net.down")}
                block["qkv"] = torch.cat([part("self.query"), part("self.key_value")]).contiguous()
                if stack == "decoder":
                    for name in ("memory_norm", "memory.query", "memory.key_value", "memory.out"):
                        block[name] = part(name).contiguous()
                blocks.append(block)
                i += 1
            self.stacks[stack] = blocks
        span = torch.arange(length * self.digits)
        self.bias = w("encoder.position.table")[bucket(span[None] - span[:, None], True)].permute(2, 0, 1)[None].contiguous()
        steps = torch.arange(self.digits)
        self.steps_bias = [w("decoder.position.table")[bucket(steps[: l + 1] - l, False)].T[None, :, None].contiguous()
                           for l in range(self.digits)]
        self.last_norm = [w("encoder.final_norm.weight"), w("decoder.final_norm.weight")]
        self.scale = width**-0.5
        self.make_trie()
        self.encode = torch.compile(self.encode_eagerly, dynamic=False)
        self.steps = [torch.compile(self.step_of(l), dynamic=False) for l in range(self.digits)]

    def make_trie(self):
        """next[l][node, code]: the node of depth l + 1, or -1; leaves are tuples in order."""
        self.next, nodes = trie_tables(self.codes, self.first)
        self.leaf_tuples = numpy.zeros((nodes.max() + 1, self.digits), dtype=numpy.int64)
        self.leaf_tuples[nodes] = self.codes

    def encode_eagerly(self, tokens):
        x = self.table[tokens]
        for block in self.stacks["encoder"]:
            q, k, v = (by_head(part) for part in F.linear(norm(x, block["self_norm"]), block["qkv"]).chunk(3, -1))
            y = F.scaled_dot_product_attention(q, k, v, attn_mask=self.bias, scale=1.0)
            x = x + F.linear(y.transpose(1, 2).flatten(2), block["self.out"])
            x = x + F.linear(F.relu(F.linear(norm(x, block["net_norm"]), block["net.up"])), block["net.down"])
        x = norm(x, self.last_norm[0])
        return [tuple(by_head(part) for part in F.linear(x, block["memory.key_value"]).chunk(2, -1))
                for block in self.stacks["decoder"]]

    def step_of(self, level):
        def step(memory, past, tokens, nodes, scores):
            """past: for each block keys and values of the beams [batch, beams, heads, level, head]."""
            beams = 1 if level == 0 else nodes.shape[1]
            x = self.start.expand(self.batch, 1, -1) if level == 0 else self.table[tokens]
            kept = []
            for i, block in enumerate(self.stacks["decoder"]):
                q, k, v = (part.view(self.batch, beams, HEADS, 1, HEAD)
                           for part in F.linear(norm(x, block["self_norm"]), block["qkv"]).chunk(3, -1))
                if level > 0:
                    k, v = torch.cat([past[i][0], k], 3), torch.cat([past[i][1], v], 3)
                kept.append((k, v))
                p = (q @ k.transpose(-1, -2) + self.steps_bias[level].transpose(1, 2).unsqueeze(0).reshape(1, 1, HEADS, 1, -1)).softmax(-1)
                x = x + F.linear((p @ v).reshape(self.batch, beams, INNER), block["self.out"])
                q = by_head(F.linear(norm(x, block["memory_norm"]), block["memory.query"]))
                y = F.scaled_dot_product_attention(q, *memory[i], scale=1.0)
                x = x + F.linear(y.transpose(1, 2).flatten(2), block["memory.out"])
                x = x + F.linear(F.relu(F.linear(norm(x, block["net_norm"]), block["net.up"])), block["net.down"])
            x = norm(x, self.last_norm[1]) * self.scale
            log_p = F.linear(x, self.table[self.first[level] : self.first[level + 1]]).log_softmax(-1)
            below = self.next[level][nodes]
            all_scores = (scores[..., None] + log_p).masked_fill(below < 0, float("-inf"))
            best, place = all_scores.flatten(1).topk(BEAM)
            count = log_p.shape[-1]
            parent = place // count
            chosen = below.flatten(1).gather(1, place)
            if level + 1 < self.digits:
                at = parent[..., None, None, None]
                kept = [tuple(part.gather(1, at.expand(-1, -1, HEADS, level + 1, HEAD)) for part in both) for both in kept]
            return kept, place % count + self.first[level], chosen, best
        return step

    @torch.no_grad()
    def lists(self, tokens):
        memory = self.encode(tokens)
        past, chosen = [], None
        nodes = torch.zeros(self.batch, 1, dtype=torch.int64)
        scores = torch.zeros(self.batch, 1)
        for step in self.steps:
            past, chosen, nodes, scores = step(memory, past, chosen, nodes, scores)
        return self.leaf_tuples[nodes.numpy()], scores


class Generate:
    def __init__(self, weights, codes, codes_per_digit, batch, length):
        from transformers import T5Config, T5ForConditionalGeneration

        w = lambda name: weights["encoder." + name]
        self.first = numpy.concatenate([[0], numpy.cumsum(codes_per_digit)])
        table = w("embedding.digits")
        model = T5ForConditionalGeneration(T5Config(
            vocab_size=table.shape[0] + 1, d_model=table.shape[1], d_kv=HEAD, num_heads=HEADS, d_ff=1024, num_layers=4,
            num_decoder_layers=4, dropout_rate=0.0, pad_token_id=0, decoder_start_token_id=0, eos_token_id=None,
            tie_word_embeddings=True)).eval()
        state = model.state_dict()
        take = {"shared.weight": torch.cat([w("start")[None], table])}
        for stack in ("encoder", "decoder"):
            last = 2 if stack == "decoder" else 1
            take[f"{stack}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"] = w(f"{stack}.position.table")
            take[f"{stack}.final_layer_norm.weight"] = w(f"{stack}.final_norm.weight")
            for i in range(4):
                ours, theirs = f"{stack}.blocks.{i}.", f"{stack}.block.{i}.layer."
                for name, layer in (("self", "0.SelfAttention"), ("memory", "1.EncDecAttention"))[: last]:
                    take[theirs + layer + ".q.weight"] = w(ours + name + ".query.weight")
                    both = w(ours + name + ".key_value.weight").chunk(2)
                    take[theirs + layer + ".k.weight"], take[theirs + layer + ".v.weight"] = both
                    take[theirs + layer + ".o.weight"] = w(ours + name + ".out.weight")
                    take[theirs + layer[0] + ".layer_norm.weight"] = w(ours + name + "_norm.weight")
                take[theirs + f"{last}.layer_norm.weight"] = w(ours + "net_norm.weight")
                take[theirs + f"{last}.DenseReluDense.wi.weight"] = w(ours + "net.up.weight")
                take[theirs + f"{last}.DenseReluDense.wo.weight"] = w(ours + "net.down.weight")
        for name in ("lm_head.weight", "encoder.embed_tokens.weight", "decoder.embed_tokens.weight"):
            take[name] = take["shared.weight"]
        assert set(take) == set(state), set(take) ^ set(state)
        model.load_state_dict(take)
        self.model, self.children = model, {}
        for row in codes + self.first[:-1] + 1:
            for l in range(len(row)):
                self.children.setdefault(tuple(row[:l]), set()).add(int(row[l]))
        self.children = {prefix: sorted(tokens) for prefix, tokens in self.children.items()}

    @torch.no_grad()
    def lists(self, tokens):
        digits = len(self.first) - 1
        out = self.model.generate(
            tokens + 1, attention_mask=torch.ones_like(tokens), max_new_tokens=digits, min_new_tokens=digits,
            num_beams=BEAM, num_return_sequences=BEAM, do_sample=False, length_penalty=0.0, early_stopping=True,
            prefix_allowed_tokens_fn=lambda _, ids: self.children[tuple(ids[1:].tolist())])
        return (out[:, 1:].view(len(tokens), BEAM, digits) - 1).numpy() - self.first[:-1], None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--variant", choices=("compiled", "generate"), default="compiled")
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 32])
    parser.add_argument("--calls", type=int, default=40)
    parser.add_argument("--bench")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    _, stored = read_simgr(os.path.join(arguments.folder, "model.simgr"))
    weights = {name.removeprefix("model/"): torch.from_numpy(tensor) for name, tensor in stored.items()}
    codes = stored["catalogue/codes"].astype(numpy.int64)
    per_digit = stored["catalogue/codes_per_digit"].tolist()
    read = lambda name: numpy.loadtxt(os.path.join(arguments.folder, name), dtype=numpy.int64)
    histories, lists = read("histories.txt"), read("lists.txt")
    rows = codes + numpy.concatenate([[0], numpy.cumsum(per_digit)[:-1]])
    for batch in arguments.batch:
        torch._dynamo.reset()  # the steps of another batch do not count as recompilations
        kind = Compiled if arguments.variant == "compiled" else Generate
        model = kind(weights, codes, per_digit, batch, histories.shape[1])
        parts = [slice(i, i + batch) for i in range(0, len(histories) - batch + 1, batch)]
        run = lambda part: model.lists(torch.from_numpy(rows[histories[part]].reshape(batch, -1)))[0]
        same = numpy.concatenate([(run(part) == codes[lists[part]]).all((1, 2)) for part in parts])
        calls = max(3, arguments.calls // batch if arguments.variant == "compiled" else arguments.calls // 4 // batch)
        rounds = []
        for _ in range(arguments.rounds):
            times = []
            for call in range(calls):
                wall, own = time.perf_counter(), time.process_time()
                run(parts[call % len(parts)])
                times.append((1e3 * (time.process_time() - own) / batch, 1e3 * (time.perf_counter() - wall) / batch))
            ours = []
            if arguments.bench:
                out = subprocess.run([arguments.bench, str(batch)], capture_output=True, text=True, check=True).stdout
                ours = [json.loads(line)["ms"] for line in out.splitlines() if line.startswith("{")]
            rounds.append((statistics.median(t for t, _ in times), statistics.median(t for _, t in times), *ours))
        own, wall, *ours = (statistics.median(column) for column in zip(*rounds))
        line = {"peer": "beam_" + arguments.variant, "batch": batch, "ms": round(own, 2), "wall_ms": round(wall, 2)}
        if arguments.variant == "compiled":
            line["same_lists"] = round(float(same.mean()), 4)
        if ours:
            line.update(simgr_ms=round(ours[0], 2), ratio=round(own / ours[0], 2))
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
