# SPDX-License-Identifier: Apache-2.0
"""Training of sequential models on one thread in RecBole: what our epoch times are compared with.

    taskset -c 0 python bench/peers/train_recbole.py --data DIR [--model SASRec|GRU4Rec|Caser|HGN|LightGCN] [--loss CE|BPR]

RecBole's own models, data pipeline and optimiser: every prefix of a history is an example, batches of 2,048 prefixes padded to
50 (Caser: 10), width 64. SASRec has 2 layers, 2 heads, feed-forward 256, dropout .2; GRU4Rec 128 hidden units; Caser 4 vertical and
8 horizontal filters; HGN averages; LightGCN has 3 layers. Prints one JSON line: seconds an epoch, scaled from --steps timed batches by their
number, and the peak of resident memory. traditional.py has the same models of ours beside them.
"""
import argparse
import gzip
import json
import os
import tempfile
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import torch

from beauty import peak_megabytes


MODELS = {
    "SASRec": {"n_layers": 2, "n_heads": 2, "hidden_size": 64, "inner_size": 256,
               "hidden_dropout_prob": 0.2, "attn_dropout_prob": 0.2},
    "GRU4Rec": {"embedding_size": 64, "hidden_size": 128, "num_layers": 1, "dropout_prob": 0.3},
    "Caser": {"embedding_size": 64, "n_v": 4, "n_h": 8, "reg_weight": 1e-4, "dropout_prob": 0.4,
              "MAX_ITEM_LIST_LENGTH": 10},
    "HGN": {"embedding_size": 64, "pool_type": "average", "reg_weight": [0.0, 0.0]},
    "LightGCN": {"embedding_size": 64, "n_layers": 3, "reg_weight": 1e-4},  # --loss BPR
}


def write_interactions(data, folder):
    """sequences.tsv as RecBole's atomic file; the position in the history serves as the time."""
    os.makedirs(os.path.join(folder, "peer"))
    plain = os.path.join(data, "sequences.tsv")
    lines = open(plain) if os.path.exists(plain) else gzip.open(plain + ".gz", "rt")
    with lines, open(os.path.join(folder, "peer", "peer.inter"), "w") as out:
        out.write("user_id:token\titem_id:token\ttimestamp:float\n")
        next(lines)
        for line in lines:
            user, items = line.rstrip("\n").split("\t")[:2]
            for time_step, item in enumerate(items.split()):
                out.write(f"{user}\t{item}\t{time_step}\n")


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--data", required=True)
    arguments.add_argument("--model", choices=sorted(MODELS), default="SASRec")
    arguments.add_argument("--loss", choices=["CE", "BPR"], default="CE")
    arguments.add_argument("--steps", type=int, default=3)
    arguments.add_argument("--warmup", type=int, default=1)
    options = arguments.parse_args()
    torch.set_num_threads(1)

    from recbole.config import Config
    from recbole.data import create_dataset, data_preparation
    from recbole.utils import get_model
    from scipy.sparse import dok_matrix

    if not hasattr(dok_matrix, "_update"):  # RecBole's LightGCN calls it; newer scipy has no such member
        dok_matrix._update = lambda self, entries: self._dict.update(entries)

    with tempfile.TemporaryDirectory() as folder:
        write_interactions(options.data, folder)
        settings = {
            "data_path": folder, "use_gpu": False, "seed": 1, "reproducibility": False,
            "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
            "loss_type": options.loss, "MAX_ITEM_LIST_LENGTH": 50,
            "train_neg_sample_args": None if options.loss == "CE" else
            {"distribution": "uniform", "sample_num": 1},
            "train_batch_size": 2048,
            "eval_args": {"split": {"LS": "valid_and_test"}, "order": "TO", "mode": "full"},
            "log_wandb": False, "show_progress": False, "checkpoint_dir": folder,
            "save_dataset": False, "save_dataloaders": False, **MODELS[options.model],
        }
        config = Config(model=options.model, dataset="peer", config_dict=settings)
        dataset = create_dataset(config)
        batches, _, _ = data_preparation(config, dataset)
        model = get_model(options.model)(config, batches.dataset)
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
        timed, last = 0, 0.0
        seconds = cpu = 0.0
        for index, batch in enumerate(batches):
            began, began_cpu = time.perf_counter(), time.process_time()
            optimizer.zero_grad()
            loss = model.calculate_loss(batch)
            loss.backward()
            optimizer.step()
            last = loss.item()
            if index >= options.warmup:
                timed += 1
                seconds += time.perf_counter() - began
                cpu += time.process_time() - began_cpu
            if timed == options.steps:
                break
    print(json.dumps({
        "peer": f"recbole 1.2.1 {options.model} {options.loss}",
        "threads": torch.get_num_threads(),
        "batches_per_epoch": len(batches),
        "steps_timed": timed,
        "seconds_per_epoch": round(seconds / timed * len(batches), 1),
        "cpu_seconds_per_epoch": round(cpu / timed * len(batches), 1),
        "peak_mb": round(peak_megabytes()),
        "last_loss": round(last, 4),
    }))


if __name__ == "__main__":
    main()
