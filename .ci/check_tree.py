#!/usr/bin/env python3
"""Checks the rules of the tree that a compiler cannot see: who includes whom, sizes, names.

  check_tree.py [ROOT]     exits 1 and names file, line and rule for every break
  check_tree.py --planted  plants one break of each rule in a scratch tree and expects to find it
"""
import pathlib
import re
import statistics
import sys
import tempfile

LOWEST = {"core"}
POLICIES = {"encoder", "pooler", "similarity", "loss", "ranker", "data"}
BELOW_POLICIES = LOWEST | {"nn", "tokenizer", "text"}
TOP = {"version", "flow", "task", "catalogue"}  # files at the top that anyone above nn may include
BELOW_TRAINING = BELOW_POLICIES | POLICIES | TOP | {"cpu", "cuda", "recommender", "composition", "recommend_options", "scratch_pool", "item_keys", "recommender_bank", "recommender_decoding", "token_decoder"}
TRAINING = {"train", "eval", "analysis", "io", "distributed"}

# What each folder (or file at the top) may include besides itself. Missing here: anything.
MAY_INCLUDE = {
    "core": {"version"},
    "cpu": LOWEST,
    "cuda": LOWEST,
    "nn": LOWEST,
    "tokenizer": LOWEST | {"nn", "cpu"},
    "text": LOWEST | {"nn", "cpu"},
    **{folder: BELOW_POLICIES | TOP for folder in POLICIES},
    **{folder: BELOW_TRAINING | TRAINING for folder in TRAINING},
    "flow": LOWEST,
    "task": LOWEST,
    "catalogue": LOWEST | {"tokenizer"},
    "item_keys": LOWEST,
    "scratch_pool": LOWEST | {"cpu"},
    "composition": LOWEST | TOP | {"nn"},
    # Concrete policies stay out: a recommender names them only as template arguments. Serving needs
    # the CPU context and the ranker that is its default.
    "recommend_options": LOWEST | {"ranker"},
    "recommender_bank": {"recommender"},
    "recommender_decoding": {"recommender", "ranker"},
    "token_decoder": LOWEST,
    "recommender": LOWEST | TOP | {"composition", "scratch_pool", "recommend_options", "item_keys", "cpu", "ranker", "recommender_bank", "recommender_decoding", "token_decoder"},
}

# Who may include a third-party library: the one folder or file that answers for it.
THIRD_PARTY = [
    (r"(unsupported/)?Eigen/", r"cpu/"),
    (r"nlohmann/", r"data/json\.hpp$"),
    (r"zlib\.h$", r"data/zlib_inflater\.hpp$"),
    (r"isa-l/", r"data/isal_inflater\.hpp$"),
    (r"xtensor/|xtl/", r"interop/"),
    (r"mpi\.h$", r"distributed/mpi\.hpp$"),
    (r"cuda|cublas|nccl", r"cuda/"),
    (r"(doctest|benchmark|CLI)/|iostream$|execution$|regex$", r"$^"),
]

NAMES = re.compile(r"(^|_)(utils?|helpers?|common|misc|manager|fast|optimi[sz]ed|simple)(_|$)")
TYPES = re.compile(r"^\s*(?:class|struct|concept)\s+\w*(?:Utils?|Helpers?|Common|Misc|Manager|Fast|Impl|Base)\b(?=[^;]*$)")
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
LONGEST_HEADER, LONGEST_BASELINE, LONGEST_EXAMPLE = 450, 80, 80


def layer_of(path):
    """core/view.hpp -> core, flow.hpp -> flow"""
    return path.split("/")[0].removesuffix(".hpp") if "/" not in path else path.split("/")[0]


def check_header(path, lines, wrong):
    name = path.removeprefix("include/simgr/")
    layer = layer_of(name)
    if not lines or lines[0] != "// SPDX-License-Identifier: Apache-2.0":
        wrong(path, 1, "the first line is the SPDX line")
    if "#pragma once" not in lines:
        wrong(path, 1, "no #pragma once")
    longest = LONGEST_BASELINE if layer == "baselines" else LONGEST_HEADER
    if len(lines) > longest:
        wrong(path, len(lines), f"{len(lines)} lines, at most {longest}")
    for number, line in enumerate(lines, 1):
        if found := INCLUDE.match(line):
            check_include(path, name, layer, number, found[2], wrong)
        if re.match(r"\s*#\s*define\b", line) and name not in ("core/config.hpp", "cpu/compiled.hpp", "version.hpp"):
            wrong(path, number, "macros stand in core/config.hpp")
        if line.startswith("using namespace "):
            wrong(path, number, "no using-directives in headers")
        if re.match(r"\s*namespace\s*\{", line):
            wrong(path, number, "no anonymous namespaces in headers")


def check_include(path, name, layer, number, included, wrong):
    if included.startswith("simgr/"):
        other = layer_of(included.removeprefix("simgr/"))
        if other != layer and layer in MAY_INCLUDE and other not in MAY_INCLUDE[layer]:
            wrong(path, number, f"{layer} may not include {included}")
    for library, owner in THIRD_PARTY:
        if re.match(library, included) and not re.match(owner, name):
            wrong(path, number, f"{included} may only be included by {owner.rstrip('$')}")


def check_any(path, lines, wrong):
    stem = pathlib.PurePath(path).name.split(".")[0]
    if NAMES.search(stem):
        wrong(path, 1, "a file name that says nothing")
    for number, line in enumerate(lines, 1):
        if (found := INCLUDE.match(line)) and found[1] == '"':
            wrong(path, number, "angle brackets, never quotes")
        if re.search(r"\b(TODO|FIXME|XXX)\b", line):
            wrong(path, number, "unfinished work is an issue, not a comment")
        if TYPES.search(line) and not line.lstrip().startswith("//"):
            wrong(path, number, "a type name that says nothing")
        if re.search(r"(^|[^.\w])/(work|root|home)/", line):
            wrong(path, number, "a path of somebody's machine")


def check_test(root, path, lines, wrong):
    """tests/nn/linear.cpp includes simgr/nn/linear.hpp first: so the header stands alone."""
    header = "simgr/" + path.removeprefix("tests/").removesuffix(".cpp") + ".hpp"
    if (root / "include" / header).exists():
        first = next((m[2] for line in lines if (m := INCLUDE.match(line))), None)
        if first != header:
            wrong(path, 1, f"the first include is the header under test, {header}")


def check_umbrella(root, wrong):
    """simgr.hpp, or language_models.hpp beside it, reaches every header but those that bring threads
    or a library of their own."""
    folder = root / "include/simgr"
    if not (folder / "simgr.hpp").exists():
        return
    reached, open_files = set(), [folder / "simgr.hpp", folder / "language_models.hpp"]
    while open_files:
        file = open_files.pop()
        if file not in reached and file.exists():
            reached.add(file)
            included = (INCLUDE.match(line) for line in file.read_text(encoding="utf-8").splitlines())
            open_files += [root / "include" / m[2] for m in included if m and m[2].startswith("simgr/")]
    for file in sorted(set(folder.rglob("*.hpp")) - reached):
        name = file.relative_to(folder).as_posix()
        if not re.match(r"interop/|cuda/|distributed/|cpu/thread_pool\.hpp$", name):
            wrong(f"include/simgr/{name}", 1, "not reached from simgr/simgr.hpp or simgr/language_models.hpp")


def check(root):
    breaks = []

    def wrong(path, line, rule):
        breaks.append(f"{path}:{line}: {rule}")

    lengths = []
    for file in sorted(root.rglob("*")):
        path = file.relative_to(root).as_posix()
        if not re.match(r"(include|tests|examples|bench)/.*\.(hpp|cpp|cuh|cu)$", path):
            continue
        lines = file.read_text(encoding="utf-8").splitlines()
        check_any(path, lines, wrong)
        if path.startswith("include/simgr/"):
            lengths.append(len(lines))
            check_header(path, lines, wrong)
        elif path.startswith("tests/"):
            check_test(root, path, lines, wrong)
        elif re.match(r"examples/\d\d_\w+\.cpp$", path) and len(lines) >= LONGEST_EXAMPLE:
            wrong(path, len(lines), f"{len(lines)} lines, an example has fewer than {LONGEST_EXAMPLE}")
    check_umbrella(root, wrong)
    return breaks, lengths


PLANTED = {
    "include/simgr/core/up.hpp": ("#include <simgr/nn/linear.hpp>", "core may not include"),
    "include/simgr/nn/across.hpp": ("#include <simgr/cpu/gemm.hpp>", "nn may not include"),
    "include/simgr/loss/across.hpp": ("#include <simgr/pooler/mean.hpp>", "loss may not include"),
    "include/simgr/recommender.hpp": ("#include <simgr/encoder/transformer.hpp>", "recommender may not include"),
    "include/simgr/train/eigen.hpp": ("#include <Eigen/Core>", "Eigen/Core may only be"),
    "include/simgr/io/json.hpp": ("#include <nlohmann/json.hpp>", "nlohmann/json.hpp may only be"),
    "include/simgr/nn/macro.hpp": ("#define WIDTH 64", "macros stand in"),
    "include/simgr/nn/string_utils.hpp": ("", "a file name that says nothing"),
    "include/simgr/nn/type.hpp": ("struct LinearImpl {", "a type name that says nothing"),
    "include/simgr/nn/quotes.hpp": ('#include "linear.hpp"', "angle brackets"),
    "include/simgr/nn/long.hpp": ("\n" * 460, "at most 450"),
    "include/simgr/baselines/long.hpp": ("\n" * 100, "at most 80"),
    "include/simgr/nn/layer.hpp": ("", None),
    "include/simgr/simgr.hpp": ("#include <simgr/nn/layer.hpp>", None),
    "include/simgr/nn/rotary_layer.hpp": ("", None),
    "include/simgr/language_models.hpp": ("#include <simgr/nn/rotary_layer.hpp>", None),
    "include/simgr/nn/forgotten.hpp": ("", "not reached from"),
    "tests/nn/layer.cpp": ("#include <vector>\n#include <simgr/nn/layer.hpp>", "the first include"),
    "examples/01_host.cpp": ("\n" * 90, "fewer than 80"),
}


def find_planted():
    with tempfile.TemporaryDirectory() as scratch:
        root = pathlib.Path(scratch)
        for path, (text, _) in PLANTED.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(f"// SPDX-License-Identifier: Apache-2.0\n#pragma once\n{text}\n")
        breaks, _ = check(root)
    missed = [f"{path}: not found: {rule}" for path, (_, rule) in PLANTED.items()
              if rule and not any(b.startswith(path) and rule in b for b in breaks)]
    false = [b for b in breaks if re.match(r"include/simgr/nn/(rotary_)?layer\.hpp:", b)]
    return missed + false


def main():
    if sys.argv[1:] == ["--planted"]:
        breaks = find_planted()
        print("\n".join(breaks) or f"all {sum(bool(rule) for _, rule in PLANTED.values())} planted breaks were found")
    else:
        breaks, lengths = check(pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "."))
        print("\n".join(breaks))
        if lengths:
            p90 = sorted(lengths)[(len(lengths) * 9 - 1) // 10]
            print(f"{len(lengths)} headers: median {statistics.median(lengths):.0f} lines, "
                  f"90th percentile {p90}, longest {max(lengths)}; {len(breaks)} breaks")
    sys.exit(1 if breaks else 0)


main()
