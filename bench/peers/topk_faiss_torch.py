# SPDX-License-Identifier: Apache-2.0
"""Exact top-10 by inner product in faiss and PyTorch, one thread: the peers of bench/topk.cpp.

Times are processor time of each process, medians, so that neighbours count less.

Needs: pip install numpy faiss-cpu==1.15.1 torch==2.8.0
Runs the given bench_topk between its own rounds, so both sides see the same machine:

    python bench/peers/topk_faiss_torch.py [path/to/bench_topk] [rounds]
"""
import json
import os
import statistics
import subprocess
import sys
import time

for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[name] = "1"
import faiss
import numpy as np
import torch

torch.set_num_threads(1)
faiss.omp_set_num_threads(1)
K = 10


def microseconds(f, rounds):
    if rounds > 1:
        f()
    times = []
    for _ in range(rounds):
        start = time.process_time()
        f()
        times.append((time.process_time() - start) * 1e6)
    return statistics.median(times)


def grouped_maxima(q, c, group=64):
    """Maxima of groups of items first; the top k lie in the k best groups."""
    scores = q @ c.T
    rows, items = scores.shape
    pad = -items % group
    if pad:
        scores = torch.nn.functional.pad(scores, (0, pad), value=float("-inf"))
    groups = scores.view(rows, -1, group)
    best = groups.amax(2).topk(K, 1).indices
    part = groups.gather(1, best[:, :, None].expand(-1, -1, group)).reshape(rows, -1)
    top = part.topk(K, 1)
    ids = best.gather(1, top.indices // group) * group + top.indices % group
    return top.values, ids


def peers(items, width, users, rounds):
    rng = np.random.default_rng(1)
    c = rng.standard_normal((items, width), dtype=np.float32)
    q = rng.standard_normal((users, width), dtype=np.float32)
    index = faiss.IndexFlatIP(width)
    index.add(c)
    tc, tq = torch.from_numpy(c), torch.from_numpy(q)
    chunk = 262144

    def torch_topk():
        return torch.topk(tq @ tc.T, K, 1)

    def torch_chunked(f):
        best = [f(tq, tc[i:i + chunk]) for i in range(0, items, chunk)]
        return torch.topk(torch.cat([b[0] for b in best], 1), K, 1)

    with torch.inference_mode():
        times = {
            "faiss": microseconds(lambda: index.search(q, K), rounds),
            "torch_topk": microseconds(torch_topk, rounds),
            "torch_grouped": microseconds(lambda: torch_chunked(grouped_maxima), rounds),
        }
    return times


SHAPES = [(12101, 64, 256, 15), (12101, 64, 1, 300), (12101, 384, 256, 5), (1000000, 64, 256, 1), (1000000, 64, 1, 5)]


def main():
    binary = sys.argv[1] if len(sys.argv) > 1 else None
    repeats = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    runs = {}
    for _ in range(repeats):
        for items, width, users, rounds in SHAPES:
            for name, us in peers(items, width, users, rounds).items():
                runs.setdefault((items, width, users), {}).setdefault(name, []).append(us)
        if binary:
            for line in subprocess.run([binary, "5"], capture_output=True, text=True, check=True).stdout.splitlines():
                row = json.loads(line)
                found = runs[(row["items"], row["width"], row["users"])]
                found.setdefault("simgr", []).append(row["us"])
                found.setdefault("read_table", []).append(row["read_table_us"])
                found.setdefault("eigen_product", []).append(row["eigen_product_us"])
    for (items, width, users), times in runs.items():
        medians = {name: round(statistics.median(values), 1) for name, values in times.items()}
        print(json.dumps({"items": items, "width": width, "users": users, "us": medians}))


main()
