# SPDX-License-Identifier: Apache-2.0
"""A decoder-only model in PyTorch fp32, one thread: the peer of bench/language_model.cpp.

    python3.11 -m venv DIR && DIR/bin/pip install torch==2.8.0 transformers==4.57.1
    taskset -c 0 DIR/bin/python bench/peers/language_model_pytorch.py FOLDER path/to/bench_language_model [ROUNDS]

FOLDER is what bench/make_checkpoint.py makes. Each measurement is a process of its own, both sides in turn in each round;
tokens a second of processor time, medians of the rounds, and the most memory that a process had. Adapters of rank 8 stand
beside all maps; the objective is the cosine of a text's last state with 12,101 items that are means of four trained rows.
"""
import json
import os
import resource
import statistics
import subprocess
import sys
import time
import warnings

for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[name] = "1"

RANK, ALPHA, ITEMS, DIGITS, CODES = 8, 16.0, 12101, 4, 256


def report(what, tokens, work, steps):
    work()
    seconds = []
    for _ in range(steps):
        start = time.process_time()
        work()
        seconds.append(time.process_time() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"what": what, "tokens_per_s": tokens / statistics.median(seconds), "peak_mb": peak / 1e6}))


def prefill(folder, steps):
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    ids = torch.randint(0, model.config.vocab_size, (1, 256))

    def work():
        with torch.inference_mode():
            model(ids, use_cache=True, logits_to_keep=1)

    report("prefill", 256, work, steps)


def adapters(folder, steps):
    import torch
    from transformers import AutoModel

    class Adapted(torch.nn.Module):
        def __init__(self, base):
            super().__init__()
            self.base = base
            self.a = torch.nn.Parameter(torch.randn(RANK, base.in_features) * .02)
            self.b = torch.nn.Parameter(torch.zeros(base.out_features, RANK))

        def forward(self, x):
            return self.base(x) + (ALPHA / RANK) * ((x @ self.a.T) @ self.b.T)

    model = AutoModel.from_pretrained(folder, dtype=torch.float32).train()
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    for layer in model.layers:
        for part in (layer.self_attn, layer.mlp):
            for name, module in list(part.named_children()):
                if isinstance(module, torch.nn.Linear):
                    setattr(part, name, Adapted(module))
    rows = torch.nn.Parameter(torch.randn(DIGITS * CODES, model.config.hidden_size) * .02)
    spelt = torch.randint(0, CODES, (ITEMS, DIGITS)) + CODES * torch.arange(DIGITS)
    ids = torch.randint(0, model.config.vocab_size, (4, 128))
    targets = torch.arange(4) * 100
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad] + [rows], lr=1e-4)
    normalise = torch.nn.functional.normalize

    def work():
        states = model(ids, use_cache=False).last_hidden_state[:, -1]
        keys = normalise(rows[spelt].mean(1), dim=1)
        loss = torch.nn.functional.cross_entropy(normalise(states, dim=1) @ keys.T / .07, targets)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    report("adapters", 512, work, steps)


def measured(command):
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def main():
    warnings.simplefilter("ignore")
    folder = sys.argv[1]
    if sys.argv[2] in ("prefill", "adapters"):
        import torch

        torch.set_num_threads(1)
        return {"prefill": prefill, "adapters": adapters}[sys.argv[2]](folder, 3)
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 3
    for what in ("prefill", "adapters"):
        sides = {"pytorch": [sys.executable, __file__, folder, what], "simgr": [sys.argv[2], folder, what, "3"]}
        found = {side: [] for side in sides}
        for _ in range(rounds):
            for side, command in sides.items():
                found[side].append(measured(command))
        speed = {side: statistics.median(one["tokens_per_s"] for one in ones) for side, ones in found.items()}
        peak = {side: max(one["peak_mb"] for one in ones) for side, ones in found.items()}
        print(json.dumps({"what": what, "tokens_per_s": {k: round(v, 1) for k, v in speed.items()},
                          "ratio": round(speed["simgr"] / speed["pytorch"], 3),
                          "peak_mb": {k: round(v) for k, v in peak.items()},
                          "memory": round(peak["simgr"] / peak["pytorch"], 3)}))


main()
