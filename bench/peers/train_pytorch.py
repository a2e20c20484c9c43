# SPDX-License-Identifier: Apache-2.0
"""SASRec and SimGR training on one thread in PyTorch: what our epoch times are compared with.

    taskset -c 0 python bench/peers/train_pytorch.py --data DIR --variant plain|tuned|simgr|bce --ids ids.tsv

  plain  eager; 256 users padded to 50; full softmax with logits at the real positions only
  tuned  users packed into rows of 50 with a segment mask; fused attention; cross-entropy in
         cache-sized pieces with a hand-written gradient (three products); compiled encoder and
         softmax; fused Adam. Attention probabilities are not dropped, which PyTorch's fused
         attention needs: the peer does a little less work than we do
  simgr  tuned, with SimGR's items: the mean of an item's digits and an MLP over them, cosines divided by
         a fixed temperature. --ids is a file of `simgr tokenize`. Compiled, the gather of digit rows
         and its gradient take 16 ms a step; embedding_bag takes 25, a sparse product with ones 30
  bce    eager and padded as plain; one negative a position, binary cross-entropy

All: float32, width 64, 2 layers, 2 heads, feed-forward 256, dropout .2, post-norm with GELU, tied
items, Adam. Prints one JSON line: seconds an epoch, scaled from --steps timed steps by their
share of the predicted positions (--steps 0: a whole epoch), and the peak of resident memory.
"""
import argparse
import json
import os
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")

import numpy
import torch
import torch.nn.functional as F

from beauty import peak_megabytes, semantic_ids, training_sequences

WIDTH, LAYERS, HEADS, INNER, LENGTH, USERS, DROPOUT = 64, 2, 2, 256, 50, 256, 0.2
TEMPERATURE, DIGIT_SCALE = 0.07, 20


class Block(torch.nn.Module):
    def __init__(self, fused):
        super().__init__()
        self.fused = fused
        self.qkv = torch.nn.Linear(WIDTH, 3 * WIDTH)
        self.out = torch.nn.Linear(WIDTH, WIDTH)
        self.inner = torch.nn.Linear(WIDTH, INNER)
        self.outer = torch.nn.Linear(INNER, WIDTH)
        self.norm1 = torch.nn.LayerNorm(WIDTH)
        self.norm2 = torch.nn.LayerNorm(WIDTH)
        self.drop = torch.nn.Dropout(DROPOUT)

    def forward(self, x, mask):
        rows, length, _ = x.shape
        q, k, v = (part.view(rows, length, HEADS, WIDTH // HEADS).transpose(1, 2)
                   for part in self.qkv(x).chunk(3, -1))
        if self.fused:
            y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        else:
            scores = q @ k.transpose(-1, -2) / (WIDTH // HEADS) ** 0.5 + mask
            y = self.drop(scores.softmax(-1)) @ v
        y = y.transpose(1, 2).reshape(rows, length, WIDTH)
        x = self.norm1(x + self.drop(self.out(y)))
        return self.norm2(x + self.drop(self.outer(F.gelu(self.inner(x)))))


class ItemTable(torch.nn.Module):
    """A row for each item, which histories read and scores are products with: SASRec's."""

    def __init__(self, items):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.randn(items, WIDTH) * 0.02)

    def forward(self):
        return self.weight

    def queries(self, states):
        return states

    def keys(self, rows):
        return rows


class PooledDigits(torch.nn.Module):
    """The mean of an item's digits and an MLP over them, compared by scaled cosine: SimGR's. The first
    layer acts on the digit table and not on each item, as ours does."""

    def __init__(self, codes):
        super().__init__()
        sizes = codes.max(0) + 1
        rows = torch.from_numpy(codes + numpy.cumsum(sizes) - sizes)
        self.table = torch.nn.Parameter(torch.randn(int(sizes.sum()), WIDTH) * 0.02)
        self.up = torch.nn.Linear(WIDTH, 2 * WIDTH)
        self.down = torch.nn.Linear(2 * WIDTH, WIDTH)
        torch.nn.init.xavier_uniform_(self.up.weight)
        torch.nn.init.normal_(self.down.weight, std=0.02)
        torch.nn.init.zeros_(self.up.bias), torch.nn.init.zeros_(self.down.bias)
        self.register_buffer("rows", rows)

    def forward(self):
        lifted = F.linear(DIGIT_SCALE * self.table, self.up.weight)
        hidden, mean = lifted[self.rows].sum(1) + self.up.bias, self.table[self.rows].mean(1)
        return mean + self.down(F.gelu(hidden, approximate="tanh"))

    def queries(self, states):
        return F.normalize(states, dim=-1) / TEMPERATURE

    def keys(self, rows):
        return F.normalize(rows, dim=-1)


class Model(torch.nn.Module):
    def __init__(self, items, fused):
        super().__init__()
        self.items = items
        self.positions = torch.nn.Embedding(LENGTH, WIDTH)
        self.norm = torch.nn.LayerNorm(WIDTH)
        self.drop = torch.nn.Dropout(DROPOUT)
        self.blocks = torch.nn.ModuleList(Block(fused) for _ in range(LAYERS))
        torch.nn.init.normal_(self.positions.weight, std=0.02)

    def forward(self, ids, positions, mask):
        """Queries at all positions, and the keys of all items."""
        rows = self.items()
        x = self.drop(self.norm(F.embedding(ids, rows) + self.positions(positions)))
        for block in self.blocks:
            x = block(x, mask)
        return self.items.queries(x), self.items.keys(rows)


def padded_batch(sequences):
    """ids, targets [users, 50] (0 where there is nothing), which positions are real, mask."""
    ids = numpy.zeros((len(sequences), LENGTH), dtype=numpy.int64)
    targets = numpy.zeros_like(ids)
    real = numpy.zeros(ids.shape, dtype=bool)
    for row, history in enumerate(sequences):
        count = len(history) - 1
        ids[row, :count], targets[row, :count], real[row, :count] = history[:-1], history[1:], True
    causal = torch.full((LENGTH, LENGTH), float("-inf")).triu(1)
    positions = torch.arange(LENGTH).expand(len(sequences), LENGTH)
    return (torch.from_numpy(ids), positions, causal, torch.from_numpy(targets),
            torch.from_numpy(real))


def packed_batch(sequences, rows):
    """The same with several users in a row of 50, first fit by falling length; `rows` is fixed, so
    that the compiled encoder meets one shape."""
    ids = numpy.zeros((rows, LENGTH), dtype=numpy.int64)
    positions, targets = numpy.zeros_like(ids), numpy.zeros_like(ids)
    segment = numpy.full(ids.shape, -1)
    used = numpy.zeros(rows, dtype=numpy.int64)
    for user, history in enumerate(sorted(sequences, key=len, reverse=True)):
        count = len(history) - 1
        row = int(numpy.argmax(used + count <= LENGTH))
        begin = used[row]
        assert begin + count <= LENGTH, "a batch needs more rows"
        place = slice(begin, begin + count)
        ids[row, place], targets[row, place] = history[:-1], history[1:]
        positions[row, place], segment[row, place] = numpy.arange(count), user
        used[row] += count
    segment = torch.from_numpy(segment)
    visible = (segment[:, None, :, None] == segment[:, None, None, :]).tril()
    mask = torch.zeros(visible.shape).masked_fill_(~visible, float("-inf"))
    return (torch.from_numpy(ids), torch.from_numpy(positions), mask, torch.from_numpy(targets),
            segment >= 0)


@torch.compile(dynamic=True)
def softmax_piece(scores, scale):
    """Gradient of the mean loss but for the targets, and the summed log of the normalisers."""
    top = scores.amax(1, keepdim=True)
    powers = (scores - top).exp()
    total = powers.sum(1, keepdim=True)
    return powers * (scale / total), (total.log() + top).sum()


class ChunkedCrossEntropy(torch.autograd.Function):
    """Mean full-softmax loss of states against the item table: scores, gradient of the states and
    gradient of the table, piece by piece, so that scores stay in the cache."""

    @staticmethod
    def forward(ctx, states, table, target, piece):
        dstates, dtable = torch.empty_like(states), torch.zeros_like(table)
        memory = torch.empty(piece, table.shape[0])
        scale = 1.0 / len(target)
        loss = torch.zeros(())
        for begin in range(0, len(target), piece):
            part, wanted = states[begin:begin + piece], target[begin:begin + piece, None]
            scores = torch.mm(part, table.T, out=memory[:len(part)])
            dscores, logs = softmax_piece(scores, scale)
            loss += logs - scores.gather(1, wanted).sum()
            dscores.scatter_add_(1, wanted, torch.full(wanted.shape, -scale))
            torch.mm(dscores, table, out=dstates[begin:begin + piece])
            dtable.addmm_(dscores.T, part)
        ctx.save_for_backward(dstates, dtable)
        return loss * scale

    @staticmethod
    def backward(ctx, upstream):
        dstates, dtable = ctx.saved_tensors
        return dstates * upstream, dtable * upstream, None, None


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--data", required=True)
    arguments.add_argument("--variant", choices=["plain", "tuned", "simgr", "bce"], required=True)
    arguments.add_argument("--ids", help="semantic ids of the items (simgr)")
    arguments.add_argument("--steps", type=int, default=10)
    arguments.add_argument("--warmup", type=int, default=3)
    arguments.add_argument("--piece", type=int, default=32, help="rows of scores at once (tuned)")
    options = arguments.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(1)
    sequences, items = training_sequences(options.data, LENGTH)
    lengths = numpy.array([len(history) - 1 for history in sequences])
    order = numpy.random.default_rng(1).permutation(len(sequences))
    batches = [order[i:i + USERS] for i in range(0, len(order), USERS)]

    tuned = options.variant in ("tuned", "simgr")
    pooled = options.variant == "simgr"
    model = Model(PooledDigits(semantic_ids(options.ids)) if pooled else ItemTable(items), fused=tuned)
    encode = torch.compile(model, dynamic=False) if tuned else model
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=tuned or None)
    rows = int(1.03 * max(lengths[batch].sum() for batch in batches) / LENGTH) + 2

    def step(batch):
        users = [sequences[user] for user in batch]
        ids, positions, mask, targets, real = (packed_batch(users, rows) if tuned
                                               else padded_batch(users))
        queries, keys = encode(ids, positions, mask)
        states, wanted = queries[real], targets[real]
        if tuned:
            loss = ChunkedCrossEntropy.apply(states, keys, wanted, options.piece)
        elif options.variant == "plain":
            loss = F.cross_entropy(states @ keys.T, wanted)
        else:
            negative = torch.randint(items, wanted.shape)
            positive_score = (states * F.embedding(wanted, keys)).sum(-1)
            negative_score = (states * F.embedding(negative, keys)).sum(-1)
            loss = (F.softplus(-positive_score) + F.softplus(negative_score)).mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        return loss.item(), len(wanted)

    for i in range(options.warmup):
        step(batches[i])
    timed = batches if options.steps == 0 else batches[options.warmup:options.warmup + options.steps]
    began, began_cpu, positions, losses = time.perf_counter(), time.process_time(), 0, []
    for batch in timed:
        loss, count = step(batch)
        positions += count
        losses.append(loss)
    seconds, cpu = time.perf_counter() - began, time.process_time() - began_cpu
    share = positions / float(lengths.sum())
    print(json.dumps({
        "peer": f"pytorch {torch.__version__} {options.variant}",
        "threads": torch.get_num_threads(),
        "positions_per_epoch": int(lengths.sum()),
        "steps_timed": len(timed),
        "seconds_per_epoch": round(seconds / share, 2),
        "cpu_seconds_per_epoch": round(cpu / share, 2),
        "peak_mb": round(peak_megabytes()),
        "last_loss": round(losses[-1], 4),
    }))


if __name__ == "__main__":
    main()
