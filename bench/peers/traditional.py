# SPDX-License-Identifier: Apache-2.0
"""One training epoch of the traditional models, ours and RecBole's, in turn on one core.

    RECBOLE/bin/python bench/peers/traditional.py --simgr build/release/examples/simgr --data DIR --core 0 [--models gru4rec,hgn]

Widths, layers, lengths and the softmax over the catalogue are the same on both sides; batches hold about as many targets. Ours
is one whole epoch in a fresh process, in processor time; RecBole's is --steps timed batches, scaled. Prints a table row a model:
"ours | RecBole | ratio". FMLP-Rec has no counterpart in RecBole.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
# Ours; RecBole's; settings that make them the same model.
PAIRS = {
    "gru4rec": ("GRU4Rec", {"batch": 300}),  # users, of seven targets each
    "caser": ("Caser", {"batch": 2048, "encoder.window": 10, "encoder.max_length": 10}),
    "hgn": ("HGN", {"batch": 2048, "encoder.window": 50}),
    "sasrec": ("SASRec", {"batch": 300, "encoder.dropout": 0.2, "encoder.attention_dropout": 0.2}),
}


def run(command):
    """Standard output of a program, and the processor seconds it took over the wall seconds."""
    began = time.perf_counter()
    with tempfile.TemporaryFile("w+") as out:
        child = subprocess.Popen([str(word) for word in command], stdout=out)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode != 0:
            sys.exit("failed: " + " ".join(map(str, command)))
        out.seek(0)
        return out.read(), min(1.0, (usage.ru_utime + usage.ru_stime) / (time.perf_counter() - began))


def ours(options, model, settings, folder):
    log = os.path.join(folder, model + ".jsonl")
    words = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
    _, share = run([options.simgr, "fit", model, "--data", options.data, "--out", os.path.join(folder, model + ".simgr"),
                    "--epochs", 1, "--threads", 1, "--log", log, "--set", "evaluate_every=0", *words])
    with open(log) as lines:
        return json.loads(lines.readlines()[-1])["seconds"] * share


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--simgr", required=True)
    arguments.add_argument("--data", required=True)
    arguments.add_argument("--core", type=int, default=0)
    arguments.add_argument("--steps", type=int, default=2)
    arguments.add_argument("--models", default=",".join(PAIRS))
    options = arguments.parse_args()
    os.sched_setaffinity(0, {options.core})
    print("| model | simgr | RecBole | ratio |\n|---|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as folder:
        for model in options.models.split(","):
            peer, settings = PAIRS[model]
            mine = ours(options, model, settings, folder)
            lines, _ = run([sys.executable, os.path.join(HERE, "train_recbole.py"), "--data", options.data, "--model", peer,
                            "--steps", options.steps])
            theirs = json.loads([line for line in lines.splitlines() if line.startswith("{")][-1])["cpu_seconds_per_epoch"]
            print(f"| {model} | {mine:.2f} s | {theirs:.1f} s | {theirs / mine:.1f} |", flush=True)


if __name__ == "__main__":
    main()
