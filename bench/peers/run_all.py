# SPDX-License-Identifier: Apache-2.0
"""Every line of speed and memory in one go: both sides of each ratio in turn, on one core, one table row a bound.

    python bench/peers/run_all.py --build build/release --data shared/data/amazon-beauty-2014 --core 0 --recbole DIR/bin/python

Runs under the Python of requirements.txt; --recbole names that of requirements-recbole.txt (left out: its rows are, too).
--only abcdef takes some of the parts. About ten minutes on an idle machine. Times are processor time where the programs
give it. Epochs of ours: a whole one, first of a fresh process; of PyTorch: steps, scaled by their positions; of RecBole: one
batch of 2,048 prefixes, scaled by the number of batches. A SimGR epoch stands beside SimGR's items in the tuned PyTorch; plain
PyTorch and RecBole have SASRec's, which are less work.
"""
import argparse
import gzip
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
WIDTH, LAYERS, INNER, ITEMS = 64, 2, 256, 12101
ROWS = []


def run(*command):
    """Last JSON lines of a program, its share of a core and its peak of resident memory in MB."""
    began = time.perf_counter()
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as errors:
        child = subprocess.Popen([str(word) for word in command], stdout=out, stderr=errors)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        share = (usage.ru_utime + usage.ru_stime) / (time.perf_counter() - began)
        out.seek(0), errors.seek(0)
        if child.returncode != 0:
            sys.exit(f"{' '.join(map(str, command))}\n{errors.read()[-2000:]}")
        lines = [json.loads(line) for line in out.read().splitlines() if line.startswith("{")]
    return lines, min(share, 1.0), usage.ru_maxrss / 1024


def peer(script, *arguments, python=sys.executable):
    return run(python, os.path.join(HERE, script), *arguments)[0]


def median(rows, key):
    return statistics.median(row[key] for row in rows)


def row(part, what, ours, theirs, ratio, bound, at_least, unit=""):
    met = ratio >= bound if at_least else ratio <= bound
    show = [f"{value:.4g}{unit}" if isinstance(value, (int, float)) else value for value in (ours, theirs)]
    ROWS.append(f"| {part} | {what} | {show[0]} | {show[1]} | {ratio:.3g} | {'≥' if at_least else '≤'} {bound:g} | "
                f"{'yes' if met else 'NO'} |")
    print(ROWS[-1], flush=True)


def epoch(options, folder, model, *settings):
    """Seconds of processor time and peak MB of one epoch of ours."""
    log = os.path.join(folder, model + ".jsonl")
    words = [word for setting in ("batch=256", *settings) for word in ("--set", setting)]
    _, share, peak = run(options.simgr, "fit", model, "--data", options.data, "--out", os.path.join(folder, model + ".simgr"),
                         "--epochs", 1, "--threads", 1, "--log", log, *words)
    with open(log) as lines:
        return json.loads(lines.readlines()[-1])["seconds"] * share, peak


def training(options, folder):
    shape = (f"encoder.width={WIDTH}", f"encoder.inner={INNER}", "encoder.dropout=0.2", "encoder.attention_dropout=0.2")
    ids = os.path.join(folder, "ids.tsv")
    run(options.simgr, "tokenize", "--data", options.data, "--out", ids)
    ours, tuned = {"sasrec": [], "simgr": []}, {"sasrec": [], "simgr": []}
    for _ in range(options.rounds):
        for model, variant in (("sasrec", "tuned"), ("simgr", "simgr")):
            ours[model].append(epoch(options, folder, model, *shape))
            tuned[model] += peer("train_pytorch.py", "--data", options.data, "--variant", variant, "--ids", ids, "--steps", 10)
    plain = peer("train_pytorch.py", "--data", options.data, "--variant", "plain", "--steps", 6)[0]
    recbole = peer("train_recbole.py", "--data", options.data, "--steps", 1, python=options.recbole) if options.recbole else []
    peak = run(os.path.join(options.bench, "bench_catalogue_softmax"), 3)[0][0]["peak"]
    work = plain["positions_per_epoch"] * 6e-9 * (ITEMS * WIDTH + LAYERS * (4 * WIDTH**2 + 2 * WIDTH * INNER))
    for model, found in ours.items():
        seconds = min(f[0] for f in found)
        fast = min(t["cpu_seconds_per_epoch"] for t in tuned[model])
        row("a", f"{model} epoch, PyTorch tuned fp32", seconds, fast, fast / seconds, 1.5, True, " s")
        slow = plain["cpu_seconds_per_epoch"]
        row("a", f"{model} epoch, PyTorch plain", seconds, slow, slow / seconds, 4, True, " s")
        for line in recbole:
            slow = line["cpu_seconds_per_epoch"]
            row("a", f"{model} epoch, RecBole CE (one batch, scaled)", seconds, slow, slow / seconds, 40, True, " s")
        row("a", f"{model} epoch, GFLOP/s against the measured peak", work / seconds, peak, work / seconds / peak, 0.5, True)
    bce = [epoch(options, folder, "sasrec-bce", *shape)[0] for _ in range(2)]
    slow = peer("train_pytorch.py", "--data", options.data, "--variant", "bce", "--steps", 20)[0]["cpu_seconds_per_epoch"]
    row("a", "sasrec-bce epoch, PyTorch plain", min(bce), slow, slow / min(bce), 10, True, " s")
    memory = max(f[1] for f in ours["sasrec"])
    row("b", "peak of sasrec training, MB", memory, f"PyTorch {plain['peak_mb']}", memory, 250, False)


def ranking(options):
    for found in peer("topk_faiss_torch.py", os.path.join(options.bench, "bench_topk"), 5):
        us, items, users = found["us"], found["items"], found["users"]
        what, ours = f"top-10 of {items:,} x {found['width']}, {users} users, ", us["simgr"]
        best = min(us["torch_topk"], us["torch_grouped"])
        bounds = {(12101, 256): (("faiss", us["faiss"], 2), ("torch", us["torch_topk"], 2), ("best PyTorch", best, 1.5)),
                  (1000000, 256): (("faiss", us["faiss"], 5), ("best PyTorch", best, 1.4))}
        if users > 1 and found["width"] == 64:
            for name, theirs, bound in bounds[(items, users)]:
                row("c", what + name, ours / 1e3, theirs / 1e3, theirs / ours, bound, True, " ms")
        elif users == 1:
            name, theirs, bound = ("faiss", us["faiss"], 1.05) if items == 12101 else ("table read once", us["read_table"], 1.2)
            row("c", what + name, ours, theirs, ours / theirs, bound, False, " us")


def answering(options):
    theirs, ours = peer("recommend_onnx.py", 3000, os.path.join(options.bench, "bench_recommend"), 5)
    row("d", "history to top-10, p50, ONNX Runtime", ours["p50_us"], theirs["p50_us"], ours["p50_us"] / theirs["p50_us"], 0.7,
        False, " us")
    row("d", "p99 against p50", ours["p99_us"], ours["p50_us"], ours["p99_us"] / ours["p50_us"], 2, False, " us")
    row("d", "first answer of a fresh process, ms", ours["first_ms"], theirs["first_ms"], ours["first_ms"], 20, False)
    row("d", "resident, MB", ours["resident_mb"], theirs["resident_mb"], ours["resident_mb"], 20, False)


def reading(options, folder):
    reader = os.path.join(options.bench, "bench_read_data")
    packed, plain = os.path.join(folder, "sequences.tsv.gz"), os.path.join(folder, "sequences.tsv")
    shutil.copy(os.path.join(options.data, "sequences.tsv.gz"), packed)
    with gzip.open(packed) as source, open(plain, "wb") as into:
        shutil.copyfileobj(source, into)
    table = os.path.join(folder, "table.csv")
    run(reader, "make-table", table, 10_000_000)
    for task, path, repeats, rounds in (("sequences", plain, 21, 3), ("table", table, 1, 3)):
        ours, theirs = [], []
        for _ in range(rounds):
            ours += run(reader, task, path, repeats)[0]
            theirs += peer("read_polars.py", task, path, repeats)
        mine, other = median(ours, "cpu"), median(theirs, "cpu")
        row("e", f"{task}, polars", mine * 1e3, other * 1e3, other / mine, 1, True, " ms")
        mine, other = median(ours, "peak_MB"), median(theirs, "peak_MB")
        row("e", f"{task}, memory, polars", mine, other, mine / other, 0.5, False, " MB")
    ours, theirs, bare = [], [], []
    for _ in range(5):
        ours += run(reader, "sequences", packed, 41)[0]
        theirs += run(reader, "zlib", packed, 41)[0]
        bare += run(reader, "inflate", packed, 41)[0]
    mine, other = median(ours, "cpu"), median(theirs, "cpu")
    row("e", f".gz, gzread of the file (inflating from memory: {median(bare, 'cpu') * 1e3:.3g} ms)", mine * 1e3, other * 1e3,
        mine / other, 1.1, False, " ms")
    if os.path.exists(reader + "_isal"):
        ours, theirs = [], []
        for _ in range(5):
            ours += run(reader + "_isal", "sequences", packed, 41)[0]
            theirs += run(reader, "zlib", packed, 41)[0]
        mine, other = median(ours, "cpu"), median(theirs, "cpu")
        row("e", ".gz with simgr::isal, gzread of the file", mine * 1e3, other * 1e3, mine / other, 1.1, False, " ms")
    vectors = os.path.join(options.data, "text_embeddings_minilm", "embeddings.npy.gz")
    found, opq = peer("kmeans_faiss.py", vectors, os.path.join(options.bench, "bench_kmeans"), 3,
                      os.path.join(options.bench, "bench_opq"))
    row("e", "residual k-means 4 x 256, faiss", found["simgr_processor_seconds"], found["faiss_processor_seconds"],
        found["simgr_speed_over_faiss"], 0.9, True, " s")
    row("e", "OPQ 32 x 256, faiss", opq["simgr_processor_seconds"], opq["faiss_processor_seconds"],
        opq["simgr_speed_over_faiss"], 2, True, " s")
    row("e", "... mean squared error", opq["simgr_error"], opq["faiss_error"], opq["simgr_error_over_faiss"], 1.01, False)


def evaluation(options):
    found = run(os.path.join(options.bench, "bench_evaluate"), 2)[0][0]
    for way in ("products", "scores"):
        row("f", f"evaluation of all users by {way}, bare product", found[f"evaluate_{way}_s"], found["bare_product_s"],
            found[f"ratio_{way}"], 1.5, False, " s")


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--build", required=True, help="folder of a build with -O3 -march=native")
    arguments.add_argument("--data", required=True, help="folder of Amazon Beauty")
    arguments.add_argument("--recbole", help="Python that has RecBole")
    arguments.add_argument("--simgr", help="the tool, where it is not in the build")
    arguments.add_argument("--core", type=int, help="the one core to run on")
    arguments.add_argument("--rounds", type=int, default=2, help="of the epochs of part a; the best counts")
    arguments.add_argument("--only", default="abcdef")
    options = arguments.parse_args()
    options.bench = os.path.join(options.build, "bench")
    options.simgr = options.simgr or os.path.join(options.build, "examples", "simgr")
    if options.core is not None:
        os.sched_setaffinity(0, {options.core})  # children inherit it
    print("| | what | ours | peer | ratio | bound | met |\n|---|---|---:|---:|---:|---:|---|")
    with tempfile.TemporaryDirectory() as folder:
        if set("ab") & set(options.only):
            training(options, folder)
        for part, measure in (("c", ranking), ("d", answering), ("f", evaluation)):
            if part in options.only:
                measure(options)
        if "e" in options.only:
            reading(options, folder)
    short = [line for line in ROWS if line.endswith("NO |")]
    print(f"\n{len(ROWS) - len(short)} met, {len(short)} short")


main()
