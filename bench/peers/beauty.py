# SPDX-License-Identifier: Apache-2.0
"""The training sequences of a data folder, as every peer script reads them."""
import gzip
import os
import resource

import numpy


def training_sequences(folder, max_length=50):
    """One int64 array a user: the history without its last two items, of which the newest
    max_length + 1 are kept (inputs and targets of at most max_length positions). Also the number of
    items."""
    plain = os.path.join(folder, "sequences.tsv")
    lines = open(plain) if os.path.exists(plain) else gzip.open(plain + ".gz", "rt")
    sequences, items = [], 0
    with lines:
        next(lines)
        for line in lines:
            history = numpy.array(line.split("\t")[1].split(), dtype=numpy.int64)
            items = max(items, int(history.max()) + 1)
            history = history[:-2][-(max_length + 1):]
            if len(history) >= 2:
                sequences.append(history)
    return sequences, items


def semantic_ids(path):
    """int64 codes [items, digits] of `simgr tokenize`."""
    with open(path) as lines:
        next(lines)
        return numpy.array([line.split("\t")[1].split() for line in lines], dtype=numpy.int64)


def peak_megabytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
