# SPDX-License-Identifier: Apache-2.0
"""One training epoch of the traditional models, ours and RecBole's, in turn on one core.

    RECBOLE/bin/python bench/peers/traditional.py --simgr build/release/examples/simgr --data DIR --core 0 [--models gru4rec,hgn]

Widths, layers, lengths and the loss are the same on both sides: a softmax over the catalogue, but for s3rec's second stage and
lightgcn, which compare with one drawn item; batches hold about as many targets. Ours is one whole epoch in a fresh process, in processor
time; of pre-training it is what a run with one such epoch takes longer than a run without. RecBole's is --steps timed batches, scaled.
Prints a table row a model: "ours | RecBole | ratio". RecBole has no HSTU, FMLP-Rec or UniSRec: of those there is our time alone.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
# Arguments for RecBole's side, none where it lacks the model; settings that make ours the same model.
SAME_DROPOUT = {"encoder.dropout": 0.2, "encoder.attention_dropout": 0.2}
MODELS = {
    "gru4rec": (["GRU4Rec"], {"batch": 300}),  # users, of seven targets each
    "caser": (["Caser"], {"batch": 2048, "encoder.window": 10, "encoder.max_length": 10}),
    "hgn": (["HGN"], {"batch": 2048, "encoder.window": 50}),
    "sasrec": (["SASRec"], {"batch": 300, **SAME_DROPOUT}),
    "bert4rec": (["BERT4Rec"], {"batch": 2048, **SAME_DROPOUT}),
    "fdsa": (["FDSA"], {"batch": 300}),
    "s3rec-pretraining": (["S3Rec", "--pretrain"], {"pretraining.batch": 256}),
    "s3rec": (["S3Rec", "--loss", "BPR"], {"batch": 300, "pretraining.epochs": 0}),
    "lightgcn": (["LightGCN", "--loss", "BPR"], {"batch": 2048}),
    "hstu": (None, {"batch": 300}),
    "fmlp-rec": (None, {"batch": 2048}),
    "unisrec": (None, {"batch": 300}),
}


def run(command):
    """Standard output of a program, its processor seconds, and those over the wall seconds."""
    began = time.perf_counter()
    with tempfile.TemporaryFile("w+") as out:
        child = subprocess.Popen([str(word) for word in command], stdout=out)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode != 0:
            sys.exit("failed: " + " ".join(map(str, command)))
        out.seek(0)
        seconds = usage.ru_utime + usage.ru_stime
        return out.read(), seconds, min(1.0, seconds / (time.perf_counter() - began))


def ours(options, model, settings, folder):
    """Processor seconds of an epoch, and of the whole run."""
    log = os.path.join(folder, model + ".jsonl")
    words = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
    _, seconds, share = run([options.simgr, "fit", model, "--data", options.data, "--out", os.path.join(folder, model + ".simgr"),
                             "--epochs", 1, "--threads", 1, "--log", log, "--set", "evaluate_every=0", *words])
    with open(log) as lines:
        return json.loads(lines.readlines()[-1])["seconds"] * share, seconds


def epoch_of(options, name, settings, folder):
    model = name.removesuffix("-pretraining")
    if model == name:
        return ours(options, model, settings, folder)[0]
    without, once = (ours(options, model, {**settings, "pretraining.epochs": epochs}, folder)[1] for epochs in (0, 1))
    return once - without


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--simgr", required=True)
    arguments.add_argument("--data", required=True)
    arguments.add_argument("--core", type=int, default=0)
    arguments.add_argument("--steps", type=int, default=2)
    arguments.add_argument("--models", default=",".join(MODELS))
    options = arguments.parse_args()
    os.sched_setaffinity(0, {options.core})
    print("| model | simgr | RecBole | ratio |\n|---|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as folder:
        for model in options.models.split(","):
            peer, settings = MODELS[model]
            mine = epoch_of(options, model, settings, folder)
            if peer is None:
                print(f"| {model} | {mine:.2f} s | | |", flush=True)
                continue
            lines, _, _ = run([sys.executable, os.path.join(HERE, "train_recbole.py"), "--data", options.data, "--steps", options.steps,
                               "--model", *peer])
            theirs = json.loads([line for line in lines.splitlines() if line.startswith("{")][-1])["cpu_seconds_per_epoch"]
            print(f"| {model} | {mine:.2f} s | {theirs:.1f} s | {theirs / mine:.1f} |", flush=True)


if __name__ == "__main__":
    main()
