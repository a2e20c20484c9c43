# SPDX-License-Identifier: Apache-2.0
"""History of 20 items to the top-10 of 12,101 in ONNX Runtime, one thread: the peer of bench/recommend.cpp.

    taskset -c 0 python bench/peers/recommend_onnx.py [calls] [path/to/bench_recommend] [rounds]

The shape of SASRec of bench/recommend.cpp (width 64, 2 layers, 2 heads, feed-forward 256, post-norm with GELU, tied item
table), exported from PyTorch for a history of exactly 20: item vectors, encoder, the product of the last state with the
whole table and its top 10 are one graph and one call. The last block is exported as PyTorch has it, for all positions.
A fresh process, in which only numpy and onnxruntime are imported, reads the model, answers once and then measures: p50
and p99 in microseconds of wall time, the first answer in milliseconds (session included, imports not) and the resident
megabytes. With bench_recommend given, both run in turn and the medians of the rounds are printed.
"""
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[name] = "1"

ITEMS, LENGTH, WIDTH, LAYERS, HEADS, INNER, K = 12101, 20, 64, 2, 2, 256, 10


def export(path):
    import warnings

    import torch

    warnings.simplefilter("ignore", DeprecationWarning)  # of this exporter, which the pinned version still has

    class Block(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.qkv = torch.nn.Linear(WIDTH, 3 * WIDTH)
            self.out = torch.nn.Linear(WIDTH, WIDTH)
            self.inner = torch.nn.Linear(WIDTH, INNER)
            self.outer = torch.nn.Linear(INNER, WIDTH)
            self.norm1 = torch.nn.LayerNorm(WIDTH)
            self.norm2 = torch.nn.LayerNorm(WIDTH)

        def forward(self, x, mask):
            q, k, v = (part.view(1, LENGTH, HEADS, WIDTH // HEADS).transpose(1, 2)
                       for part in self.qkv(x).chunk(3, -1))
            scores = q @ k.transpose(-1, -2) * (WIDTH // HEADS) ** -0.5 + mask
            y = (scores.softmax(-1) @ v).transpose(1, 2).reshape(1, LENGTH, WIDTH)
            x = self.norm1(x + self.out(y))
            return self.norm2(x + self.outer(torch.nn.functional.gelu(self.inner(x))))

    class Recommend(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.items = torch.nn.Embedding(ITEMS, WIDTH)
            self.positions = torch.nn.Parameter(torch.randn(LENGTH, WIDTH) * 0.02)
            self.norm = torch.nn.LayerNorm(WIDTH)
            self.blocks = torch.nn.ModuleList(Block() for _ in range(LAYERS))
            self.register_buffer("mask", torch.full((LENGTH, LENGTH), float("-inf")).triu(1))

        def forward(self, history):
            x = self.norm(self.items(history) + self.positions)
            for block in self.blocks:
                x = block(x, self.mask)
            return torch.topk(x[:, -1] @ self.items.weight.T, K)

    torch.manual_seed(1)
    torch.onnx.export(Recommend().eval(), (torch.zeros(1, LENGTH, dtype=torch.int64),), path, input_names=["history"],
                      output_names=["scores", "ids"], opset_version=17, dynamo=False)


def measure(path, calls):
    import numpy
    import onnxruntime

    began = time.perf_counter()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def answer(call):
        history = (call * 131 + numpy.arange(LENGTH) * 577)[None] % ITEMS
        start = time.perf_counter()
        session.run(None, {"history": history})
        return (time.perf_counter() - start) * 1e6

    answer(0)
    first = (time.perf_counter() - began) * 1e3
    for call in range(100):
        answer(call)
    times = sorted(answer(call) for call in range(calls))
    with open("/proc/self/statm") as statm:
        resident = int(statm.read().split()[1]) * os.sysconf("SC_PAGESIZE") / 1e6
    print(json.dumps({"peer": f"onnxruntime {onnxruntime.__version__}", "p50_us": round(times[len(times) // 2], 1),
                      "p99_us": round(times[len(times) * 99 // 100], 1), "first_ms": round(first, 2),
                      "resident_mb": round(resident, 1)}))


def run(*command):
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def main():
    calls = sys.argv[1] if len(sys.argv) > 1 else "3000"
    if len(sys.argv) > 3 and sys.argv[2] == "child":
        return measure(sys.argv[3], int(calls))
    binary = sys.argv[2] if len(sys.argv) > 2 else None
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 3
    theirs, ours = [], []
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "recommend.onnx")
        export(path)
        for _ in range(rounds):
            theirs.append(run(sys.executable, __file__, calls, "child", path))
            if binary:
                ours.append(run(binary, calls))
    for side in filter(None, (theirs, ours)):
        print(json.dumps({key: value if isinstance(value, str) else statistics.median(row[key] for row in side)
                          for key, value in side[0].items()}))


main()
