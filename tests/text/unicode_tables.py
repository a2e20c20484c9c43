#!/usr/bin/env python3
"""Writes include/simgr/text/unicode_{categories,lower_case,decomposition,composition}.hpp.

  unicode_tables.py [ROOT]   needs the PyPI package unicodedata2 (Unicode 16); without it Python's own tables are taken
"""
import pathlib
import sys

try:
    import unicodedata2 as ucd
except ImportError:
    import unicodedata as ucd

SCALARS = [c for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF]
HEAD = """// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include <simgr/core/config.hpp>

// Made by tests/text/unicode_tables.py from the Unicode Character Database {version}.
// clang-format off

namespace simgr::SIMGR_ABI::text::detail {{

"""
FOOT = "}  // namespace simgr::SIMGR_ABI::text::detail\n"


def numbers(items):
    """Comma-separated items in lines of at most 100 columns."""
    lines, line = [], ""
    for item in items:
        if len(line) + len(item) + 1 > 100:
            lines.append(line)
            line = ""
        line += item + ","
    return "\n".join(lines + [line])


def bounds(wanted):
    """The first scalar of every run, and the first behind it."""
    found, inside = [], False
    for c in list(range(0x110000)) + [0x110000]:
        now = c < 0x110000 and not 0xD800 <= c <= 0xDFFF and wanted(c)
        if now != inside:
            found.append(f"0x{c:X}")
            inside = now
    return found


def write(root, name, body):
    text = HEAD.format(version=ucd.unidata_version) + body + FOOT
    (root / f"include/simgr/text/{name}.hpp").write_text(text, encoding="utf-8")


def categories(root):
    def table(name, comment, wanted):
        return (f"/// {comment}\ninline constexpr std::uint32_t {name}[] = {{\n"
                f"{numbers(bounds(lambda c: wanted(ucd.category(chr(c)))))}}};\n\n")

    write(root, "unicode_categories",
          "// Each table is where runs of a class begin and end, in turns: a scalar belongs to the class where\n"
          "// an odd number of bounds is not above it.\n\n"
          + table("letter_bounds", "L*", lambda k: k[0] == "L")
          + table("number_bounds", "N*", lambda k: k[0] == "N")
          + table("punctuation_bounds", "P*", lambda k: k[0] == "P")
          + table("nonspacing_bounds", "Mn", lambda k: k == "Mn")
          + table("control_bounds", "Cc, Cf, Co", lambda k: k in ("Cc", "Cf", "Co")))


def lower_case(root):
    runs = []  # first, last, stride, delta
    for c in SCALARS:
        low = chr(c).lower()
        if low == chr(c) or len(low) > 1:
            continue
        delta = ord(low) - c
        if runs and runs[-1][3] == delta and (c - runs[-1][1] == runs[-1][2] or
                                              (runs[-1][0] == runs[-1][1] and c - runs[-1][1] <= 2)):
            runs[-1][2] = c - runs[-1][1]
            runs[-1][1] = c
        else:
            runs.append([c, c, 1, delta])
    write(root, "unicode_lower_case",
          "/// Capitals from `first` to `last`, every `stride`-th, whose small letter is `delta` further.\n"
          "struct LowerCaseRun {\n  std::uint32_t first, last, stride;\n  std::int32_t delta;\n};\n\n"
          "inline constexpr LowerCaseRun lower_case_runs[] = {\n"
          + numbers("{0x%X,0x%X,%d,%d}" % tuple(run) for run in runs) + "};\n\n")


def normal_forms(root):
    entries = []  # scalar, first, second or 0
    for c in SCALARS:
        parts = ucd.decomposition(chr(c)).split()
        if parts and not parts[0].startswith("<"):
            entries.append((c, int(parts[0], 16), int(parts[1], 16) if len(parts) > 1 else 0))
    runs = [(c, i) for i, (c, _, _) in enumerate(entries) if i == 0 or entries[i - 1][0] != c - 1]
    write(root, "unicode_decomposition",
          "/// Canonical decompositions of the scalars `first`, `first` + 1 … begin at `index`.\n"
          "struct DecompositionRun {\n  std::uint32_t first, index;\n};\n"
          "/// `second` is 0 where a scalar decomposes to one other.\n"
          "struct Decomposition {\n  std::uint32_t first, second;\n};\n\n"
          "inline constexpr DecompositionRun decomposition_runs[] = {\n"
          + numbers("{0x%X,%d}" % run for run in runs) + "};\n\n"
          "inline constexpr Decomposition decompositions[] = {\n"
          + numbers("{0x%X,%s}" % (first, "0x%X" % second if second else "0") for _, first, second in entries)
          + "};\n\n")

    composites = [(first, second, c) for c, first, second in entries
                  if second and ucd.normalize("NFC", chr(first) + chr(second)) == chr(c)]
    classes = []  # first, last, class
    for c in SCALARS:
        k = ucd.combining(chr(c))
        if k and classes and classes[-1][1] == c - 1 and classes[-1][2] == k:
            classes[-1][1] = c
        elif k:
            classes.append([c, c, k])
    write(root, "unicode_composition",
          "/// `first` and `second` side by side are `whole`. In order of the pair.\n"
          "struct Composition {\n  std::uint32_t first, second, whole;\n};\n"
          "struct CombiningClassRun {\n  std::uint32_t first, last, value;\n};\n\n"
          "inline constexpr Composition compositions[] = {\n"
          + numbers("{0x%X,0x%X,0x%X}" % entry for entry in sorted(composites)) + "};\n\n"
          "inline constexpr CombiningClassRun combining_class_runs[] = {\n"
          + numbers("{0x%X,0x%X,%d}" % tuple(run) for run in classes) + "};\n\n")


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    categories(root)
    lower_case(root)
    normal_forms(root)


main()
