#!/usr/bin/env python3
"""Holds the compile budgets: check_budget.py LOG, written by the launcher compile_cost.

Budgets are for the machine on which <Eigen/Dense> compiles in EIGEN_SECONDS with both cores busy; on a slower one
they stretch in proportion. A file fails when it exceeds its budget by half.
"""
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

EIGEN_SECONDS = 0.75
ALLOWED = 1.5
ROOT = pathlib.Path(__file__).resolve().parent.parent

# path, seconds, megabytes; the first that fits. A unit that instantiates whole models, with trainer and
# readers, costs more than one that tests a layer or only serves.
BUDGETS = [
    # Above DESIGN's 4 s and 10 s, and to come down: the umbrella at -O3 brings every reader, the SVD and a whole model.
    (r"examples/01_host_usage", 60, 2000),
    (r"bench/recommend|tests/io/model_file", 20, 1000),
    (r"tests/(model|baselines|serving|train|cli|encoder)/", 20, 1000),
    (r"tests/", 10, 700),
    (r"bench/", 10, 700),
    (r"examples/", 25, 1100),
]
# What one #include costs a host, g++ -O0. nlohmann/json is 1.1 s of the last two.
INCLUDES = [("simgr/fwd.hpp", 0.35, 150), ("simgr/serve.hpp", 3.2, 450), ("simgr/simgr.hpp", 9, 900)]


def compile_once(text):
    """Processor seconds and megabytes of one translation unit at -O0."""
    with tempfile.TemporaryDirectory() as scratch:
        source = pathlib.Path(scratch, "unit.cpp")
        source.write_text(text)
        command = ["c++", "-std=c++20", "-O0", f"-I{ROOT}/include", "-isystem", "/usr/include/eigen3", "-c", source,
                   "-o", os.devnull]
        child = subprocess.Popen(command)
        _, status, used = os.wait4(child.pid, 0)
        if status != 0:
            sys.exit(f"does not compile: {text}")
        return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def main():
    machine = min(compile_once("#include <Eigen/Dense>\n")[0] for _ in range(5)) / EIGEN_SECONDS
    stretch = max(1.0, machine)
    print(f"this machine: {machine:.2f} of the reference time")
    rows = []
    for header, seconds, megabytes in INCLUDES:
        if (ROOT / "include" / header).exists():
            costs = [compile_once(f"#include <{header}>\n") for _ in range(3)]
            rows.append((header, *min(costs), seconds, megabytes))
    for line in pathlib.Path(sys.argv[1]).read_text(encoding="utf-8").splitlines():
        cost = json.loads(line)
        path = os.path.relpath(cost["source"], ROOT)
        for pattern, seconds, megabytes in BUDGETS:
            if re.match(pattern, path):
                rows.append((path, cost["seconds"], cost["megabytes"], seconds, megabytes))
                break
    rows.sort(key=lambda row: -row[1] / row[3])
    failed = 0
    for path, seconds, megabytes, most_seconds, most_megabytes in rows:
        over = seconds > ALLOWED * stretch * most_seconds or megabytes > ALLOWED * most_megabytes
        failed += over
        print(f"{path:48} {seconds:6.1f} s of {most_seconds:4}   {megabytes:6.0f} MB of {most_megabytes}"
              + ("   OVER BUDGET" if over else ""))
    print(f"{len(rows)} files, {failed} over budget by half")
    sys.exit(1 if failed else 0)


main()
