# SPDX-License-Identifier: Apache-2.0
"""Trains a TIGER, LETTER or LIGER of simgr's in PyTorch, on a GPU where there is one, and writes it as a model file that simgr reads.

    simgr fit tiger|letter|liger --data DIR --ids FILE --epochs 1 --out start.simgr
    python bench/peers/train_tiger.py start.simgr DIR/sequences.tsv.gz --out trained.simgr [--set encoder.width=128 …]
    simgr evaluate trained.simgr --data DIR

Kind, shapes and semantic ids are start.simgr's, but for what --set names; first weights are drawn anew. The same mathematics as
`simgr fit`: every prefix of a user is an example, AdamW with decay on matrices, a cosine behind a warm-up, and the weights kept that
validation likes best, in --out as soon as there are better ones. Differs in two ways: products in bf16 (where there is a GPU), and
each batch has the same share of short and of long histories, which are padded to two lengths. One JSON line an epoch.
"""
import argparse
import gzip
import json
import math
import multiprocessing
import os
import struct
import time
from concurrent.futures import ProcessPoolExecutor

import numpy
import torch
import torch.nn.functional as F

from tiger_parts import BEAM, BUCKETS, EPSILON, FARTHEST, bucket, read_simgr, trie_tables


def rms_norm(x, gain):
    x = x.float()
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + EPSILON) * gain


def block_of_t5(x, w, heads, dropout, self_mask, memory=None, memory_mask=None):
    """w: the block's weights by name. A function of tensors alone, so that all blocks of a stack are compiled once."""
    drop = lambda x: F.dropout(x, dropout) if dropout else x
    by_head = lambda x: x.unflatten(-1, (heads, -1)).transpose(-3, -2)

    def attend(n, memory, name, mask):
        q = by_head(F.linear(n, w[name + ".query.weight"]))
        k, v = (by_head(part) for part in F.linear(memory, w[name + ".key_value.weight"]).chunk(2, -1))
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask.to(q.dtype), scale=1.0, dropout_p=dropout)
        return F.linear(y.transpose(-3, -2).flatten(-2), w[name + ".out.weight"])

    n = rms_norm(x, w["self_norm.weight"])
    x = x + drop(attend(n, n, "self", self_mask))
    if memory is not None:
        x = x + drop(attend(rms_norm(x, w["memory_norm.weight"]), memory, "memory", memory_mask))
    up = F.relu(F.linear(rms_norm(x, w["net_norm.weight"]), w["net.up.weight"]))
    return x + drop(F.linear(drop(up), w["net.down.weight"]))


class Tiger(torch.nn.Module):
    """Parameters have simgr's names, with '/' for '.'; histories are items, -1 behind the end, and padding is read by nobody."""

    def __init__(self, config, codes, codes_per_digit):
        super().__init__()
        get = lambda name: int(config["encoder." + name])
        self.width, self.heads, head, self.block = get("width"), get("heads"), get("head_width"), block_of_t5
        self.layers = {"encoder": get("layers"), "decoder": get("decoder_layers")}
        self.dropout, self.temperature = float(config["encoder.dropout"]), float(config["loss.temperature"])
        self.first = [0, *numpy.cumsum(codes_per_digit).tolist()]
        self.register_buffer("rows", torch.from_numpy(codes + numpy.array(self.first[:-1])))  # of the table, of each item
        inner, width = self.heads * head, self.width
        draw = self.draw
        ones = lambda name: self.add(name, torch.ones(width))
        draw("embedding.digits", (self.first[-1], width), 1)
        draw("start", (width,), 1)
        for stack, layers in self.layers.items():
            draw(stack + ".position.table", (BUCKETS, self.heads), width)
            for i in range(layers):
                block = f"{stack}.blocks.{i}."
                for part in ("self", "memory") if stack == "decoder" else ("self",):
                    ones(block + part + "_norm.weight")
                    draw(block + part + ".query.weight", (inner, width), width * head)
                    draw(block + part + ".key_value.weight", (2 * inner, width), width)
                    draw(block + part + ".out.weight", (width, inner), inner)
                ones(block + "net_norm.weight")
                draw(block + "net.up.weight", (get("inner"), width), width)
                draw(block + "net.down.weight", (width, get("inner")), get("inner"))
            ones(stack + ".final_norm.weight")

    def add(self, name, values):
        self.register_parameter(name.replace(".", "/"), torch.nn.Parameter(values))

    def draw(self, name, shape, inverse_variance):
        self.add(name, torch.randn(shape) * inverse_variance**-0.5)

    def w(self, name):
        return self._parameters[name.replace(".", "/")]

    def stack(self, stack, x, self_mask, memory=None, memory_mask=None):
        block = self.block if self.training else block_of_t5  # measuring has more shapes than are worth compiling
        x = F.dropout(x, self.dropout, self.training)
        for i in range(self.layers[stack]):
            prefix = f"{stack}/blocks/{i}/"
            weights = {name.removeprefix(prefix).replace("/", "."): p
                       for name, p in self._parameters.items() if name.startswith(prefix)}
            x = block(x, weights, self.heads, self.dropout if self.training else 0.0, self_mask, memory, memory_mask)
        return F.dropout(rms_norm(x, self.w(stack + ".final_norm.weight")), self.dropout, self.training)

    def embed(self, items):
        """items [batch, length] -> tokens [batch, length, digits, width]"""
        return F.embedding(self.rows[items], self.w("embedding.digits"))

    def read(self, history):
        """history [batch, length] -> states of all its digits, and the mask of those that are there"""
        x = self.embed(history.clamp(min=0)).flatten(1, 2)
        there = (history >= 0).repeat_interleave(self.rows.shape[1], 1)
        hidden = torch.zeros(there.shape, device=x.device).masked_fill(~there, -1e4)[:, None, None, :]
        span = torch.arange(x.shape[1], device=x.device)
        bias = self.w("encoder.position.table")[bucket(span[None] - span[:, None], True)].permute(2, 0, 1)[None]
        return self.stack("encoder", x, bias + hidden), hidden

    def spell(self, spelt, memory, hidden):
        """spelt [batch, known digits] -> states [batch, known + 1, width]"""
        start = self.w("start").expand(len(spelt), 1, -1)
        x = torch.cat([start, F.embedding(spelt, self.w("embedding.digits"))], 1)
        steps = torch.arange(x.shape[1], device=spelt.device)
        bias = self.w("decoder.position.table")[bucket(steps[None] - steps[:, None], False)].permute(2, 0, 1)[None]
        later = torch.zeros(len(steps), len(steps), device=spelt.device).masked_fill(steps[None] > steps[:, None], -1e4)
        return self.stack("decoder", x, bias + later, memory, hidden) * self.width**-0.5

    def spelling_loss(self, target, memory, hidden):
        target = self.rows[target]
        logits = F.linear(self.spell(target[:, :-1], memory, hidden), self.w("embedding.digits"))
        logits = logits.flatten(0, 1).float() / self.temperature
        return F.cross_entropy(logits, target.flatten(), reduction="sum") / target.shape[1]

    def forward(self, history, target):
        """-> the sum over targets of the mean cross-entropy of their digits, over the whole table"""
        return self.spelling_loss(target, *self.read(history))

    def place(self, history, memory, spelt, target):
        """spelt [batch, beam], best first -> where the target stands in the list, 0 the first; BEAM where it does not"""
        hit = spelt == target[:, None]
        return torch.where(hit.any(1), hit.float().argmax(1), BEAM)


class Liger(Tiger):
    """Also reads texts, and compares what a history ends with to those of all items that training has."""

    def __init__(self, config, codes, codes_per_digit, texts, seen):
        super().__init__({**config, "loss.temperature": 1}, codes, codes_per_digit)  # its digits have none
        self.item_temperature = float(config["similarity.temperature"])
        self.token_dropout = float(config["encoder.embedding.dropout"])
        self.item_weight = float(config["loss.item_weight"])
        width, digits, inputs = self.width, codes.shape[1], texts.shape[1]
        deviation = float(config["encoder.embedding.deviation"])
        self.draw("embedding.text.weight", (width, inputs), (width + inputs) / 2)
        self.add("embedding.text.bias", torch.zeros(width))
        self.draw("embedding.places", (int(config["encoder.max_length"]), width), deviation**-2)
        self.draw("embedding.levels", (digits, width), deviation**-2)
        self.add("embedding.norm.weight", torch.ones(width))
        self.add("embedding.norm.bias", torch.zeros(width))
        place = numpy.cumsum(seen) - 1
        for name, array in {"texts": texts, "seen": seen, "seen_texts": texts[seen], "place_among_seen": place}.items():
            self.register_buffer(name, torch.from_numpy(array))

    def text(self, vectors):
        return F.linear(vectors, self.w("embedding.text.weight"), self.w("embedding.text.bias"))

    def embed(self, items):
        x = super().embed(items) + self.text(self.texts[items])[:, :, None]
        x = x + self.w("embedding.places")[: items.shape[1], None] + self.w("embedding.levels")
        x = F.layer_norm(x.float(), x.shape[-1:], self.w("embedding.norm.weight"), self.w("embedding.norm.bias"))
        return F.dropout(x, self.token_dropout, self.training)

    def cosines(self, history, memory, texts):
        last = (history >= 0).sum(1) * self.rows.shape[1] - 1
        ends = memory.gather(1, last[:, None, None].expand(-1, -1, memory.shape[2]))[:, 0]
        with torch.autocast(ends.device.type, enabled=False):
            return F.normalize(ends.float(), dim=-1) @ F.normalize(self.text(texts), dim=-1).T / self.item_temperature

    def forward(self, history, target):
        memory, hidden = self.read(history)
        cosines = self.cosines(history, memory, self.seen_texts)
        of_items = F.cross_entropy(cosines, self.place_among_seen[target], reduction="sum")
        return self.spelling_loss(target, memory, hidden) + self.item_weight * of_items

    def place(self, history, memory, spelt, target):
        scores = self.cosines(history, memory, self.texts)
        listed = (~self.seen).repeat(len(spelt), 1).scatter(1, torch.where(spelt < 0, spelt[:, :1], spelt), True)
        own = scores.gather(1, target[:, None])
        ahead = (listed & (scores > own)).sum(1)
        return torch.where(listed.gather(1, target[:, None])[:, 0], ahead.clamp(max=BEAM), BEAM)


class Trie:
    def __init__(self, codes, first, device):
        tables, nodes = trie_tables(codes, first)
        self.next = [table.to(device) for table in tables]
        self.item = torch.zeros(int(nodes.max()) + 1, dtype=torch.int64, device=device)
        self.item[torch.from_numpy(nodes).to(device)] = torch.arange(len(codes), device=device)


@torch.no_grad()
def rank(model, trie, history, target):
    """The place of each target in the list that a beam of 20 along the trie leads to, 0 the first; 20 where it is not in it."""
    memory, hidden = model.read(history)
    users, beams, device = len(history), 1, history.device
    spelt = torch.zeros(users, 1, 0, dtype=torch.int64, device=device)
    nodes = torch.zeros(users, 1, dtype=torch.int64, device=device)
    scores = torch.zeros(users, 1, device=device)
    for l, below in enumerate(trie.next):
        # Beams read the memory of their user: they are further queries of it.
        wide = memory.repeat_interleave(beams, 0), hidden.repeat_interleave(beams, 0)
        state = model.spell(spelt.flatten(0, 1), *wide)[:, -1]
        log_p = F.linear(state, model.w("embedding.digits")).float().log_softmax(-1)
        log_p = log_p[:, model.first[l] : model.first[l + 1]].view(users, beams, -1)
        chosen = below[nodes.clamp(min=0)].masked_fill(nodes[..., None] < 0, -1)
        every = (scores[..., None] + log_p).masked_fill(chosen < 0, -torch.inf).flatten(1)
        scores, place = every.topk(min(BEAM, every.shape[1]))
        parent, code = place // log_p.shape[-1], place % log_p.shape[-1]
        nodes = chosen.flatten(1).gather(1, place)
        spelt = torch.cat([spelt.gather(1, parent[..., None].expand(-1, -1, l)), code[..., None] + model.first[l]], 2)
        beams = nodes.shape[1]
    return model.place(history, memory, trie.item[nodes.clamp(min=0)].masked_fill(nodes < 0, -1), target)


def measure(model, trie, histories, targets, longest, device, batch):
    model.eval()
    ranks = []
    with cast(device):
        for i in range(0, len(histories), batch):
            history = pad(histories[i : i + batch], longest)
            ranks.append(rank(model, trie, history.to(device), torch.from_numpy(targets[i : i + batch]).to(device)))
    model.train()
    ranks = torch.cat(ranks).double().cpu()
    gain = 1 / torch.log2(ranks + 2)
    result = {}
    for k in (5, 10):
        result[f"hr@{k}"] = round((ranks < k).double().mean().item(), 5)
        result[f"ndcg@{k}"] = round((gain * (ranks < k)).mean().item(), 5)
    return result


def cast(device):
    return torch.autocast("cuda", torch.bfloat16, enabled=device.type == "cuda")


def pad(lists, length):
    out = torch.full((len(lists), length), -1, dtype=torch.int64)
    for i, items in enumerate(lists):
        out[i, : len(items)] = torch.from_numpy(items)
    return out


def crc32c(data, table=[]):
    if not table:
        for n in range(256):
            for _ in range(8):
                n = n >> 1 ^ (0x82F63B78 if n & 1 else 0)
            table.append(n)
    crc = 0xFFFFFFFF
    for byte in data:
        crc = table[(crc ^ byte) & 255] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def write_simgr(path, texts, tensors):
    kinds = {"float32": "F32", "int64": "I64", "int32": "I32", "uint8": "U8"}
    order = sorted(tensors, key=lambda name: (-tensors[name].itemsize, name))
    header, at, blobs = {"__metadata__": texts}, 0, []
    for name in order:
        blobs.append(numpy.ascontiguousarray(tensors[name]).tobytes())
        header[name] = {"dtype": kinds[str(tensors[name].dtype)], "shape": list(tensors[name].shape),
                        "data_offsets": [at, at + len(blobs[-1])]}
        at += len(blobs[-1])
    texts["simgr.crc32c"] = "".join(f"{crc32c(blob):08x}" for blob in blobs)
    texts["simgr.header_crc32c"] = "00000000"
    text = json.dumps(header, separators=(",", ":"))
    text += " " * (-len(text) % 8)
    packed = struct.pack("<Q", len(text)) + text.encode()
    mark = '"simgr.header_crc32c":"'
    packed = packed.replace((mark + "00000000").encode(), f"{mark}{crc32c(packed):08x}".encode())
    with open(path + ".tmp", "wb") as file:
        file.write(packed + b"".join(blobs))
    os.replace(path + ".tmp", path)


class Examples:
    """Every prefix, on the device, in groups by length; a batch has its share of each."""

    def __init__(self, users, groups, batch, device):
        lists = [[] for _ in groups]
        for items in users:
            for t in range(1, len(items) - 2):
                history = items[max(0, t - groups[-1]) : t]
                lists[next(g for g, most in enumerate(groups) if len(history) <= most)].append((history, items[t]))
        self.groups = [(pad([h for h, _ in group], most).to(device), torch.tensor([t for _, t in group], device=device))
                       for group, most in zip(lists, groups)]
        total = sum(map(len, lists))
        self.counts = [max(1, round(batch * len(group) / total)) for group in lists]
        self.counts[-1] = batch - sum(self.counts[:-1])
        self.steps = min(len(group) // count for group, count in zip(lists, self.counts))

    def epoch(self):
        """One list of indices a group: [steps, count]."""
        return [torch.randperm(len(targets), device=targets.device)[: self.steps * count].view(self.steps, count)
                for (_, targets), count in zip(self.groups, self.counts)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("start")
    parser.add_argument("sequences")
    parser.add_argument("--out")
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE")
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--decay", type=float, default=0.035)
    parser.add_argument("--warmup", type=float, default=0.05)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--every", type=int, default=10, help="epochs between validations")
    parser.add_argument("--groups", type=int, nargs="+", default=[6, 20], help="longest history of each group, in items")
    parser.add_argument("--seconds", type=float, default=0,
                        help="as many epochs as end in this time, by steps that are timed before")
    parser.add_argument("--warm-start", metavar="FILE", help="a model file whose weights training begins with")
    parser.add_argument("--users", type=int, default=0, help="the first users alone")
    parser.add_argument("--eager", action="store_true", help="without torch.compile")
    arguments = parser.parse_args()
    begun = time.perf_counter()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(arguments.seed)
    torch.set_float32_matmul_precision("high")
    texts, tensors = read_simgr(arguments.start)
    config = {name.removeprefix("simgr.config."): value for name, value in texts.items() if name.startswith("simgr.config.")}
    config.update(entry.split("=", 1) for entry in arguments.set)
    reads_texts = "catalogue/text_vectors" in tensors
    for name, only in {"encoder.buckets": BUCKETS, "encoder.farthest": FARTHEST, "encoder.epsilon": EPSILON,
                       "encoder.scaled_states": "true", "encoder.max_length": arguments.groups[-1], "ranker.width": BEAM,
                       ("similarity" if reads_texts else "candidates") + ".support": "whole"}.items():
        if config[name] != str(only):
            parser.error(f"{name}: expected {only}, which is all that this script knows, found {config[name]}")
    codes, per_digit = tensors["catalogue/codes"].astype(numpy.int64), tensors["catalogue/codes_per_digit"].tolist()
    with gzip.open(arguments.sequences, "rt") as file:
        users = [numpy.array(line.split("\t")[1].split(), dtype=numpy.int64) for line in list(file)[1:]]
    if reads_texts:
        seen = tensors["catalogue/popularity"] > 0
        model = Liger(config, codes, per_digit, tensors["catalogue/text_vectors"], seen).to(device)
    else:
        model = Tiger(config, codes, per_digit).to(device)
    if arguments.warm_start:
        first = {name.removeprefix("encoder.").replace(".", "/"): torch.from_numpy(tensor)
                 for name, tensor in read_simgr(arguments.warm_start)[1].items() if name.startswith("encoder.")}
        model.load_state_dict({**dict(model.named_buffers()), **first})
    users = users[: arguments.users or None]
    longest = arguments.groups[-1]
    trie = Trie(codes, model.first, device)
    examples = Examples(users, arguments.groups, arguments.batch, device)
    held_out = {"validation": ([u[:-2][-longest:] for u in users], numpy.array([u[-2] for u in users])),
                "test": ([u[:-1][-longest:] for u in users], numpy.array([u[-1] for u in users]))}

    matrices = [p for p in model.parameters() if p.dim() > 1]
    vectors = [p for p in model.parameters() if p.dim() == 1]
    on_gpu = device.type == "cuda"
    rate = torch.zeros((), device=device) if on_gpu else 0.0
    optimizer = torch.optim.AdamW([{"params": matrices, "weight_decay": arguments.decay},
                                   {"params": vectors, "weight_decay": 0.0}],
                                  lr=rate, fused=on_gpu, capturable=on_gpu)
    schedule = lambda step: arguments.rate * (
        (step + 1) / warm if step < warm else 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm))))
    if on_gpu and not arguments.eager:
        model.block = torch.compile(block_of_t5, dynamic=False)
    places = [torch.zeros(count, dtype=torch.int64, device=device) for count in examples.counts]
    total = torch.zeros((), device=device)

    def step():
        optimizer.zero_grad(set_to_none=False)
        for (histories, targets), at in zip(examples.groups, places):
            with cast(device):
                loss = model(histories[at], targets[at]) / arguments.batch
            loss.backward()
            total.add_(loss.detach())
        optimizer.step()

    graph = None
    if on_gpu:
        for p in model.parameters():
            p.grad = torch.zeros_like(p)
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                step()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            step()
    advance = graph.replay if graph else step
    epochs = arguments.epochs
    if arguments.seconds:
        since, timed = time.perf_counter(), 0
        while time.perf_counter() - since < 0.03 * arguments.seconds:
            for _ in range(20):
                advance()
            timed += 20
            total.item()  # waits
        an_epoch = (time.perf_counter() - since) / timed * examples.steps
        epochs = max(1, int((begun + arguments.seconds - time.perf_counter()) / (1.15 * an_epoch)))
    for state in optimizer.state.values():  # as if nothing had happened: the rate was 0 so far
        for value in state.values():
            value.zero_()
    steps = epochs * examples.steps
    warm = max(1, round(arguments.warmup * steps))
    print(json.dumps({"set": arguments.set, "epochs": epochs, "batch": arguments.batch, "rate": arguments.rate,
                      "decay": arguments.decay, "seed": arguments.seed, "steps": examples.steps, "groups": examples.counts,
                      "parameters": sum(p.numel() for p in model.parameters()),
                      "ready_s": round(time.perf_counter() - begun, 1)}), flush=True)

    writer, saved = ProcessPoolExecutor(1, multiprocessing.get_context("fork")), None

    def save(epoch, found, weights):
        """The best so far, by a process beside this one: checksums take a second or two."""
        kept = {name: tensor for name, tensor in tensors.items() if name.startswith("catalogue/")}
        kept.update(("encoder." + name.replace("/", "."), p.float().cpu().numpy()) for name, p in weights.items())
        notes = {name: text for name, text in texts.items() if not name.startswith("fit.")}
        notes.update({"simgr.config." + name: str(value) for name, value in config.items()})
        notes.update({"epochs": str(epochs), "best_epoch": str(epoch), "validation_ndcg@10": str(found["ndcg@10"]),
                      "trained_by": "bench/peers/train_tiger.py"})
        return writer.submit(write_simgr, arguments.out, notes, kept)

    best, done = {"ndcg@10": -1.0}, 0
    for epoch in range(1, epochs + 1):
        since = time.perf_counter()
        order = examples.epoch()
        total.zero_()
        for i in range(examples.steps):
            for at, indices in zip(places, order):
                at.copy_(indices[i])
            for group in optimizer.param_groups:
                if on_gpu:
                    group["lr"].fill_(schedule(done))
                else:
                    group["lr"] = schedule(done)
            advance()
            done += 1
        line = {"epoch": epoch, "loss": round(total.item() / examples.steps, 4), "seconds": round(time.perf_counter() - since, 2)}
        if epoch % arguments.every == 0 or epoch == epochs:
            found = measure(model, trie, *held_out["validation"], longest, device, 512)
            line["validation"] = found
            if found["ndcg@10"] > best["ndcg@10"]:
                best = {**found, "epoch": epoch, "weights": {n: p.detach().clone() for n, p in model.named_parameters()}}
                if arguments.out:
                    saved = save(epoch, found, best["weights"])
        print(json.dumps(line), flush=True)
    with torch.no_grad():
        for name, p in model.named_parameters():
            p.copy_(best["weights"][name])
    found = measure(model, trie, *held_out["test"], longest, device, 512)
    print(json.dumps({"set": arguments.set, "epochs": epochs, "best_epoch": best["epoch"], "validation_ndcg@10": best["ndcg@10"],
                      "test": found, "seconds": round(time.perf_counter() - begun, 1)}), flush=True)
    if saved:
        saved.result()  # or its error


if __name__ == "__main__":
    main()
