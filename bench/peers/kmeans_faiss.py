# SPDX-License-Identifier: Apache-2.0
"""Residual k-means and OPQ in faiss, one thread, on all rows: the peer of bench/kmeans.cpp and bench/opq.cpp.

Needs: pip install -r bench/peers/requirements.txt
Runs the given benches between its own rounds, so both sides see the same machine; one JSON line each:

    python bench/peers/kmeans_faiss.py VECTORS.npy[.gz] [path/to/bench_kmeans] [rounds] [path/to/bench_opq]

Both sides: 4 levels of 256 codes, 20 Lloyd iterations, and the assignment whose residual the next
level takes. faiss starts from random rows, simgr from k-means++, whose time is in its figure.
OPQ: 32 x 256 codes, 50 rotations, 40 Lloyd iterations first, 4 between rotations, 25 at the end (faiss's
defaults); one round. The OPQ line is there only where bench_opq is given.
"""
import gzip
import json
import os
import statistics
import subprocess
import sys
import time

for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[name] = "1"
import faiss
import numpy

faiss.omp_set_num_threads(1)
LEVELS, CODES, ITERATIONS = 4, 256, 20


def faiss_round(vectors):
    wall, processor = time.perf_counter(), time.process_time()
    residual, errors = vectors.copy(), []
    for level in range(LEVELS):
        kmeans = faiss.Kmeans(vectors.shape[1], CODES, niter=ITERATIONS, seed=level + 1,
                              max_points_per_centroid=len(vectors))
        kmeans.train(residual)
        _, codes = kmeans.index.search(residual, 1)
        residual -= kmeans.centroids[codes[:, 0]]
        errors.append(float((residual ** 2).sum(1).mean()))
    return time.perf_counter() - wall, time.process_time() - processor, errors


def faiss_opq(vectors):
    wall, processor = time.perf_counter(), time.process_time()
    rotation = faiss.OPQMatrix(vectors.shape[1], 32)
    rotation.train(vectors)
    rotated = rotation.apply(vectors)
    quantizer = faiss.ProductQuantizer(vectors.shape[1], 32, 8)
    quantizer.train(rotated)
    decoded = quantizer.decode(quantizer.compute_codes(rotated))
    error = float(((rotated - decoded) ** 2).sum(1).mean())
    return time.perf_counter() - wall, time.process_time() - processor, error


def compare_opq(vectors, path, bench):
    wall, processor, error = faiss_opq(vectors)
    line = json.loads(subprocess.run([bench, path, "1"], capture_output=True, text=True, check=True).stdout)
    print(json.dumps({"peer": "faiss " + faiss.__version__, "shape": line["opq"], "faiss_seconds": wall,
                      "faiss_processor_seconds": processor, "faiss_error": round(error, 5),
                      "simgr_seconds": line["seconds"], "simgr_processor_seconds": line["processor_seconds"],
                      "simgr_error": round(line["error"], 5),
                      "simgr_error_over_faiss": round(line["error"] / error, 4),
                      "simgr_speed_over_faiss": round(processor / line["processor_seconds"], 3)}))


def main():
    path = sys.argv[1]
    bench = sys.argv[2] if len(sys.argv) > 2 else None
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 5
    with gzip.open(path) if path.endswith(".gz") else open(path, "rb") as file:
        vectors = numpy.load(file).astype(numpy.float32)
    theirs, ours = [], []
    for _ in range(rounds):
        wall, processor, errors = faiss_round(vectors)
        theirs.append((wall, processor))
        if bench:
            line = json.loads(subprocess.run([bench, path, "1"], capture_output=True, text=True,
                                             check=True).stdout)
            ours.append((line["seconds"], line["processor_seconds"]))
    report = {"peer": "faiss " + faiss.__version__,
              "shape": f"{LEVELS} x {CODES} of {vectors.shape[0]} x {vectors.shape[1]}",
              "faiss_seconds": statistics.median(t[0] for t in theirs),
              "faiss_processor_seconds": statistics.median(t[1] for t in theirs),
              "faiss_errors": [round(e, 4) for e in errors]}
    if ours:
        report["simgr_seconds"] = statistics.median(t[0] for t in ours)
        report["simgr_processor_seconds"] = statistics.median(t[1] for t in ours)
        report["simgr_errors"] = [round(e, 4) for e in line["errors"]]
        report["simgr_speed_over_faiss"] = round(statistics.median(
            t[1] / o[1] for t, o in zip(theirs, ours)), 3)
    print(json.dumps(report))
    if len(sys.argv) > 4:
        compare_opq(vectors, path, sys.argv[4])


main()
