# SPDX-License-Identifier: Apache-2.0
"""Training of sequential models on one thread in RecBole: what our epoch times are compared with.

    taskset -c 0 python bench/peers/train_recbole.py --data DIR [--model SASRec|GRU4Rec|Caser|HGN|BERT4Rec|FDSA|S3Rec|LightGCN|ItemKNN]
        [--loss CE|BPR] [--pretrain] [--epochs N --rate RATE]

RecBole's own models, data pipeline and optimiser: every prefix of a history is an example, batches of 2,048 prefixes padded to
50 (Caser: 10), width 64. SASRec has 2 layers, 2 heads, feed-forward 256, dropout .2; GRU4Rec 128 hidden units; Caser 4 vertical and
8 horizontal filters; HGN averages; LightGCN has 3 layers. BERT4Rec, FDSA and S3Rec are SASRec's size; FDSA's feature of an item is the
mean of its attributes' vectors, and S3Rec knows the same attributes (items.jsonl). --pretrain is S3Rec's first stage, in batches of 256:
a batch of 2,048 would be a table of scores of several GB. Prints one JSON line: seconds an epoch, scaled from --steps timed batches by
their number, and the peak of resident memory. traditional.py has the same models of ours beside them. With --epochs RecBole's
own trainer runs to the end, validating every five epochs, and the line has the figures of the test part: all items ranked, those of
the history left out.
"""
import argparse
import gzip
import json
import os
import tempfile
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")  # RecBole's own files hold more than weights

import torch

from beauty import peak_megabytes


MODELS = {
    "SASRec": {"n_layers": 2, "n_heads": 2, "hidden_size": 64, "inner_size": 256,
               "hidden_dropout_prob": 0.2, "attn_dropout_prob": 0.2},
    "GRU4Rec": {"embedding_size": 64, "hidden_size": 128, "num_layers": 1, "dropout_prob": 0.3},
    "Caser": {"embedding_size": 64, "n_v": 4, "n_h": 8, "reg_weight": 1e-4, "dropout_prob": 0.4,
              "MAX_ITEM_LIST_LENGTH": 10},
    "HGN": {"embedding_size": 64, "pool_type": "average", "reg_weight": [0.0, 0.0]},
    "BERT4Rec": {"n_layers": 2, "n_heads": 2, "hidden_size": 64, "inner_size": 256, "mask_ratio": 0.2,
                 "hidden_dropout_prob": 0.2, "attn_dropout_prob": 0.2},
    "FDSA": {"n_layers": 2, "n_heads": 2, "hidden_size": 64, "inner_size": 256, "hidden_dropout_prob": 0.5,
             "attn_dropout_prob": 0.5, "selected_features": ["attributes"], "pooling_mode": "mean"},
    "S3Rec": {"n_layers": 2, "n_heads": 2, "hidden_size": 64, "inner_size": 256, "hidden_dropout_prob": 0.5,
              "attn_dropout_prob": 0.5, "item_attribute": "attributes", "mask_ratio": 0.2},
    "ItemKNN": {"k": 100, "shrink": 0.0},  # with --epochs 1 alone: it counts
    "LightGCN": {"embedding_size": 64, "n_layers": 3, "reg_weight": 1e-4},  # --loss BPR
}


def open_text(path):
    return open(path) if os.path.exists(path) else gzip.open(path + ".gz", "rt")


def write_interactions(data, folder):
    """sequences.tsv as RecBole's atomic file; the position in the history serves as the time."""
    os.makedirs(os.path.join(folder, "peer"))
    with open_text(os.path.join(data, "sequences.tsv")) as lines, open(os.path.join(folder, "peer", "peer.inter"), "w") as out:
        out.write("user_id:token\titem_id:token\ttimestamp:float\n")
        next(lines)
        for line in lines:
            user, items = line.rstrip("\n").split("\t")[:2]
            for time_step, item in enumerate(items.split()):
                out.write(f"{user}\t{item}\t{time_step}\n")


def write_attributes(data, folder):
    """Of items.jsonl, as the file of RecBole's item features."""
    with open_text(os.path.join(data, "items.jsonl")) as lines, open(os.path.join(folder, "peer", "peer.item"), "w") as out:
        out.write("item_id:token\tattributes:token_seq\n")
        for line in lines:
            item = json.loads(line)
            out.write(f"{item['id']}\t{' '.join(map(str, item['attributes']))}\n")


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--data", required=True)
    arguments.add_argument("--model", choices=sorted(MODELS), default="SASRec")
    arguments.add_argument("--loss", choices=["CE", "BPR"], default="CE")
    arguments.add_argument("--pretrain", action="store_true", help="S3Rec's first stage; without, its second")
    arguments.add_argument("--steps", type=int, default=3)
    arguments.add_argument("--warmup", type=int, default=1)
    arguments.add_argument("--epochs", type=int, help="train so many and evaluate, in place of timing")
    arguments.add_argument("--rate", type=float, default=1e-3, help="with --epochs")
    options = arguments.parse_args()
    torch.set_num_threads(1)

    from recbole.config import Config
    from recbole.data import create_dataset, data_preparation
    from recbole.utils import get_model, get_trainer
    from scipy.sparse import dok_matrix

    if not hasattr(dok_matrix, "_update"):  # RecBole's LightGCN calls it; newer scipy has no such member
        dok_matrix._update = lambda self, entries: self._dict.update(entries)

    with tempfile.TemporaryDirectory() as folder:
        write_interactions(options.data, folder)
        of_model = dict(MODELS[options.model])
        columns = {"inter": ["user_id", "item_id", "timestamp"]}
        if options.model in ("FDSA", "S3Rec"):
            write_attributes(options.data, folder)
            columns["item"] = ["item_id", "attributes"]
        if options.model == "S3Rec":
            of_model.update({"train_stage": "pretrain", "pre_model_path": os.path.join(folder, "begun.pth")})
        if options.pretrain:
            of_model["train_batch_size"] = 256
        settings = {
            "data_path": folder, "use_gpu": False, "seed": 1, "reproducibility": False,
            "load_col": columns,
            "loss_type": options.loss, "MAX_ITEM_LIST_LENGTH": 50,
            "train_neg_sample_args": None if options.loss == "CE" else
            {"distribution": "uniform", "sample_num": 1},
            "train_batch_size": 2048,
            "eval_args": {"split": {"LS": "valid_and_test"}, "order": "TO", "mode": "full"},
            "log_wandb": False, "show_progress": False, "checkpoint_dir": folder,
            "save_dataset": False, "save_dataloaders": False, **of_model,
        }
        if options.epochs:
            settings.update({"epochs": options.epochs, "learning_rate": options.rate, "eval_step": 5, "stopping_step": options.epochs,
                             "metrics": ["Recall", "NDCG"], "topk": [5, 10], "valid_metric": "NDCG@10",
                             "eval_batch_size": 4096})
        config = Config(model=options.model, dataset="peer", config_dict=settings)
        dataset = create_dataset(config)
        batches, validation, test = data_preparation(config, dataset)
        model = get_model(options.model)(config, batches.dataset)
        if options.model == "S3Rec" and not options.pretrain:  # its second stage begins with a file of the first
            torch.save({"state_dict": model.state_dict()}, config["pre_model_path"])
            config["train_stage"] = "finetune"
            model = get_model(options.model)(config, batches.dataset)
        if options.epochs:
            trainer = get_trainer(config["MODEL_TYPE"], config["model"])(config, model)
            validated, _ = trainer.fit(batches, validation, verbose=False, show_progress=False)
            tested = trainer.evaluate(test, load_best_model=True, show_progress=False)
            print(json.dumps({"peer": f"recbole 1.2.1 {options.model} {options.loss}", "epochs": options.epochs, "rate": options.rate,
                              "validation_ndcg@10": validated, **tested}))
            return
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
        "peer": f"recbole 1.2.1 {options.model} {'pre-training' if options.pretrain else options.loss}",
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
