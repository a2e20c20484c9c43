# SPDX-License-Identifier: Apache-2.0
"""polars on the files of bench/read_data.cpp, one thread.  pip install polars==2.1.0

read_polars.py sequences FILE | table FILE [repeats]
"""

import json
import os
import resource
import sys
import time

os.environ["POLARS_MAX_THREADS"] = "1"
import polars  # noqa: E402


def sequences(path):
    frame = polars.read_csv(path, separator="\t", has_header=True)
    split = [
        polars.col(name).str.split(" ").list.eval(polars.element().cast(polars.Int64))
        for name in frame.columns[1:]
    ]
    return frame.select("user", *split)["items"].list.len().sum()


def table(path):
    frame = polars.read_csv(path)
    frame = frame.sort("user", "timestamp", maintain_order=True)
    return frame.group_by("user", maintain_order=True).agg("item", "timestamp")["item"].list.len().sum()


task, path = sys.argv[1:3]
walls, cpus = [], []
for _ in range(int(sys.argv[3]) if len(sys.argv) > 3 else 9):
    wall, cpu = time.perf_counter(), time.process_time()
    count = {"sequences": sequences, "table": table}[task](path)
    walls.append(time.perf_counter() - wall)
    cpus.append(time.process_time() - cpu)
walls.sort()
cpus.sort()
median = walls[len(walls) // 2]
print(json.dumps({
    "reader": f"polars {polars.__version__} {task}", "count": count, "seconds": round(median, 5), "best": round(walls[0], 5),
    "cpu": round(cpus[len(cpus) // 2], 5), "MB_per_s": round(os.path.getsize(path) / 1e6 / median),
    "peak_MB": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)}))
