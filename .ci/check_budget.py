#!/usr/bin/env python3
"""Holds the compile budgets, in processor time and memory: check_budget.py LOG, written by the launcher compile_cost.

Budgets are for a machine that compiles <Eigen/Dense> in EIGEN_SECONDS. On a slower or a busier one they stretch in
proportion: the launcher looks at the machine after every file that counts. What exceeds its budget by half even so is
compiled again, alone, between two such looks, and fails when it exceeds it each time. Those looks are also at nlohmann/json, and
the slower counts: processors differ in which of the two they like (a Xeon: 1.04 and 1.16 times the reference).
"""
import json
import os
import pathlib
import re
import subprocess
import sys

EIGEN_SECONDS, JSON_SECONDS = 0.75, 1.1
ALLOWED = 1.5
TRIALS = 3
ROOT = pathlib.Path(__file__).resolve().parent.parent

# path below the root, seconds, megabytes; the first that fits. The README's program and the example like it bring every
# reader, the decomposition and a whole model at -O3; the tool is compiled three files at once, tests eight (Unity).
BUDGETS = [
    (r"examples/01_host_usage|.*/packaging/.*host\.cpp", 36, 2000),
    (r"cmake/kernels", 35, 1300),  # what models share, in float and double
    (r".*/simgr_cli\.dir/Unity/", 40, 1600),
    (r"examples/", 20, 1100),
    (r"bench/(beam|embed|language_model|recommend|train_minilm)", 20, 1100),  # whole models: an encoder-decoder and its beam; MiniLM and its files, and its training; Qwen2, served and adapted; SASRec, its file and its lists
    (r"bench/opq", 12, 1000),  # the decomposition besides
    (r"bench/", 10, 700),
    (r".*/test_\w+\.dir/Unity/", 20, 1400),
    (r"tests/", 10, 700),
]
# What one #include costs a host, g++ -O0. nlohmann/json is 1.1 s of the last two.
INCLUDES = [("simgr/fwd.hpp", 0.35, 150), ("simgr/serve.hpp", 3.2, 450), ("simgr/simgr.hpp", 5.0, 700)]


def run(command, folder=ROOT):
    """Processor seconds and megabytes of one compiler."""
    child = subprocess.Popen(command, cwd=folder, env=dict(os.environ, CCACHE_DISABLE="1", SIMGR_COMPILE_LOG=""))
    _, status, used = os.wait4(child.pid, 0)
    if status != 0:
        sys.exit(f"does not compile: {' '.join(map(str, command))}")
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def include(header):
    """The command that compiles one #include, at -O0."""
    return ["c++", "-std=c++20", "-O0", "-Iinclude", "-isystem", "/usr/include/eigen3", "-include", header, "-x", "c++", "-c",
            os.devnull, "-o", os.devnull]


def machine():
    """How many times slower than the reference; of three looks the fastest."""
    looks = {"Eigen/Dense": EIGEN_SECONDS, "nlohmann/json.hpp": JSON_SECONDS}
    return max(1.0, *(min(run(include(header))[0] for _ in range(3)) / seconds for header, seconds in looks.items()))


def measured(command, folder):
    """Reference seconds and megabytes of a command, between two looks at the machine."""
    before = machine()
    seconds, megabytes = run(command, folder)
    return seconds / max(before, machine()), megabytes


def units(log):
    """path, reference seconds, megabytes, both budgets, how to measure it again: of all that has a budget."""
    for header, *most in INCLUDES:
        yield [header, *measured(include(header), ROOT), *most, (include(header), ROOT)]
    built = {}
    for line in pathlib.Path(log).read_text(encoding="utf-8").splitlines():
        cost = json.loads(line)
        built[os.path.relpath(os.path.join(cost["folder"], cost["source"]), ROOT)] = cost
    for path, cost in built.items():
        for pattern, *most in BUDGETS:
            if re.match(pattern, path):
                slower = max(1.0, cost.get("eigen", 0) / EIGEN_SECONDS)
                yield [path, cost["seconds"] / slower, cost["megabytes"], *most, (cost["command"], cost["folder"])]
                break


def main():
    rows = list(units(sys.argv[1]))
    for row in rows:
        for _ in range(TRIALS - 1):
            if row[1] > ALLOWED * row[3]:
                row[1] = min(row[1], measured(*row[5])[0])
    rows.sort(key=lambda row: -row[1] / row[3])
    failed = 0
    print(f"seconds of a machine that compiles <Eigen/Dense> in {EIGEN_SECONDS} s and nlohmann/json in {JSON_SECONDS} s; "
          f"this one takes {machine():.2f} times as long")
    for path, seconds, megabytes, most_seconds, most_megabytes, _ in rows:
        over = seconds > ALLOWED * most_seconds or megabytes > ALLOWED * most_megabytes
        failed += over
        print(f"{path:72} {seconds:6.1f} s of {most_seconds:4}   {megabytes:6.0f} MB of {most_megabytes}" + ("   OVER BUDGET" if over else ""))
    print(f"{len(rows)} units, {failed} over budget by half")
    sys.exit(1 if failed else 0)


main()
