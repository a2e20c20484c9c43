# SPDX-License-Identifier: Apache-2.0
"""What the scripts about TIGER share: simgr's model file, T5's distances, and the trie of all items as tables."""
import math

import numpy
import torch
from safetensors import safe_open

BEAM, EPSILON, BUCKETS, FARTHEST = 20, 1e-6, 32, 128


def read_simgr(path):
    """A model file is safetensors: its texts, and its tensors by name."""
    with safe_open(path, "numpy") as file:
        return dict(file.metadata()), {name: file.get_tensor(name) for name in file.keys()}


def bucket(distance, both):
    count = BUCKETS // 2 if both else BUCKETS
    base = (distance > 0).long() * count if both else 0
    gap = distance.abs() if both else (-distance).clamp(min=0)
    near = count // 2
    far = near + (torch.log(gap.float().clamp(min=1) / near) / math.log(FARTHEST / near) * (count - near)).long()
    return base + torch.where(gap < near, gap, far.clamp(max=count - 1))


def trie_tables(codes, first):
    """tables[l][node, code]: the node of depth l + 1, or -1; and the leaf of each row of `codes`.

    first[l] is where digit l's codes begin in the table of all."""
    tables, nodes = [], numpy.zeros(len(codes), dtype=numpy.int64)
    for l in range(codes.shape[1]):
        count = first[l + 1] - first[l]
        found, below = numpy.unique(nodes * count + codes[:, l], return_inverse=True)
        table = numpy.full((nodes.max() + 1) * count, -1, dtype=numpy.int64)
        table[found] = numpy.arange(len(found))
        tables.append(torch.from_numpy(table.reshape(-1, count)))
        nodes = below
    return tables, nodes
