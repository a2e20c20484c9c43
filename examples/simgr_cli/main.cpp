// SPDX-License-Identifier: Apache-2.0
// simgr: train, evaluate and serve recommenders by similarity ranking from the command line.

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>  // std::strerror
#include <exception>
#include <iostream>
#include <limits>
#include <memory>
#include <new>
#include <string>

#include <CLI/CLI.hpp>
#include <simgr_cli/commands.hpp>
#include <simgr_cli/decoding.hpp>

#include <simgr/core/fields.hpp>
#include <simgr/version.hpp>

namespace {

using namespace simgr_cli;

/// Options with their type, the default behind the meaning, nothing wider than a terminal.
class HelpPage : public CLI::Formatter {
public:
  HelpPage() { column_width(30); }
  std::string make_option_opts(const CLI::Option* option) const override {
    const std::string type = option->get_type_name();
    return type.empty() ? "" : " " + type;
  }
  std::string make_option_desc(const CLI::Option* option) const override {
    std::string text = option->get_description();
    if (!option->get_default_str().empty()) {
      text += " [" + option->get_default_str() + "]";
    } else if (option->get_required() && !option->get_positional()) {
      text += " (required)";
    }
    constexpr std::size_t width = 66;
    for (std::size_t line = 0; text.size() > line + width;) {
      const std::size_t blank = text.rfind(' ', line + width);
      if (blank == std::string::npos || blank <= line) {
        break;
      }
      text[blank] = '\n';
      line = blank + 1;
    }
    return text;
  }
};

CLI::Option* one_of(CLI::Option* option, const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) { text += (text.empty() ? "" : "|") + word; }
  return option->type_name(text)
      ->check(CLI::IsMember(words).description(""))
      ->capture_default_str();
}
template <class T>
CLI::Option* number(CLI::Option* option, T least, T most) {
  return option->type_name("N")->check(CLI::Range(least, most).description(""));
}
void add_data(CLI::App& command, std::string& data) {
  command.add_option("--data", data, "folder with sequences.tsv[.gz] and perhaps items.jsonl[.gz]")
      ->type_name("DIR")
      ->required();
}
CLI::Option* add_seed(CLI::App& command, auto& seed, const char* meaning) {
  return number(command.add_option("--seed", seed, meaning), std::int64_t{0},
                std::numeric_limits<std::int64_t>::max());
}
void add_training(CLI::App& command, TrainingOptions& training) {
  number(command.add_option("--epochs", training.epochs, "passes over the training sequences"), 1,
         1000000);
  add_seed(command, training.seed, "of weights, order, dropout and negatives");
  command
      .add_option("--set", training.set,
                  "any setting by its dotted name, for instance encoder.dropout=0.3; may be given "
                  "several times; 'simgr settings MODEL' lists them")
      ->type_name("NAME=VALUE")
      ->allow_extra_args(false);
}
void add_threads(CLI::App& command, Index& threads) {
  number(command.add_option("--threads", threads,
                            "default: all of the machine; results do not "
                            "depend on it"),
         1, 1024);
}
void add_ids(CLI::App& command, IdSource& ids) {
  command
      .add_option("--text-vectors", ids.text_vectors,
                  "item vectors to make semantic ids from, and for models that read vectors of "
                  "texts, .npy[.gz]; default: text_embeddings_minilm/embeddings.npy[.gz] of the "
                  "data folder, else TF-IDF of the texts")
      ->type_name("FILE");
  command
      .add_option("--ids", ids.ids,
                  "semantic ids made by 'simgr tokenize', an index of LC-Rec's form, or terms of "
                  "every item in JSON, in place of ids from vectors")
      ->type_name("FILE");
  command
      .add_option("--item-vectors", ids.item_vectors,
                  "of setrec, vectors of items that stay as they are: the model of 'simgr fit "
                  "sasrec', as its authors take, or .npy[.gz]; without, they are trained along")
      ->type_name("FILE");
}
void add_backbone(CLI::App& command, BackboneOptions& options) {
  CLI::Option* folder =
      command
          .add_option("--backbone", options.folder,
                      "folder of a published language model, which is fine-tuned: config.json, "
                      "tokenizer.json, safetensors")
          ->type_name("DIR");
  CLI::Option* prompt =
      command.add_option("--prompt", options.prompt, "what the language model reads of an item");
  one_of(prompt, {"ids", "titles", "both"});
  prompt->needs(folder);
  command
      .add_option("--prompt-text", options.pattern,
                  "how a history is put into words: a text with {history}")
      ->type_name("TEXT")
      ->needs(folder);
  command
      .add_option("--title-words", options.title_words, "tokens of a title that are read; 0: all")
      ->type_name("N")
      ->needs(folder);
  one_of(command.add_option("--precision", options.precision,
                            "of the weights; bf16: the language model is frozen and kept in half "
                            "the memory; mixed: what is trained is bfloat16, rounded from fp32"),
         {"fp32", "bf16", "mixed"});
  CLI::Option* lora =
      command
          .add_option(
              "--lora", options.lora,
              "train adapters and the tokens of ids alone, for instance rank=8,alpha=32; "
              "besides dropout=0.1 and targets=query+value, of a GPT-2 targets=qkv. rank=0: "
              "the tokens alone")
          ->type_name("LIST");
  command
      .add_option("--adapter", options.adapter,
                  "folder of adapters, by Python's peft or 'simgr export', that training goes on "
                  "from: adapter_config.json, adapter_model.safetensors")
      ->type_name("DIR")
      ->excludes(lora);
}
void add_tasks(CLI::App& command, TaskOptions& options) {
  command
      .add_option("--tasks", options.mix,
                  "what is learnt besides the next item, with weights, for instance "
                  "collaborative=1,semantic=1: the neighbours of an item in histories, and by text")
      ->type_name("LIST");
  command
      .add_option("--collaborative-neighbours", options.collaborative,
                  "a file of neighbours, in place of those counted in the training part")
      ->type_name("FILE");
  command
      .add_option("--semantic-neighbours", options.semantic,
                  "a file of neighbours, in place of the nearest text vectors")
      ->type_name("FILE");
}
std::string list_of_models() {
  std::string models = "Models:";
  bool over_language_models = false;  // they come last
  for (const ModelKind* kind : all_kinds()) {
    if (kind->reads_backbone && !over_language_models) {
      over_language_models = true;
      models += "\nModels over a language model, by the name before the hyphen and --backbone:";
    }
    models += "\n  " + kind->name +
              std::string(18 - std::min<std::size_t>(17, kind->name.size()), ' ') + kind->summary;
  }
  return models;
}

/// What ends up on standard error is one line, whatever the message holds.
int fail(const char* what, int code) {
  std::string line = what;
  for (char& c : line) { c = c == '\n' || c == '\r' ? ' ' : c; }
  std::fflush(stdout);
  std::fprintf(stderr, "simgr: %s\n", line.c_str());
  return code;
}

/// A result that could not be written is no success.
int after_output(int code) {
  errno = 0;
  std::cout.flush();
  const bool written = std::fflush(stdout) == 0 && std::ferror(stdout) == 0 && std::cout.good();
  if (written || code != 0) {
    return code;
  }
  return fail((std::string("cannot write to standard output") +
               (errno != 0 ? std::string(": ") + std::strerror(errno) : std::string()))
                  .c_str(),
              1);
}

void add_import(CLI::App& app, ImportOptions& options) {
  CLI::App* command =
      app.add_subcommand("import", "make a data folder from a table, such as a CSV");
  command->footer(
      "One interaction a row: comma, tab or semicolon, with a header, plain or gzip. Histories "
      "are\nsorted by time; names become keys, which 'simgr recommend' takes and prints.\n\n"
      "Example:\n  simgr import purchases.csv --user customer --item product --time when --out "
      "shop\n  simgr fit sasrec --data shop --out model.simgr");
  command->add_option("TABLE", options.table, "the file")->required()->type_name("");
  command->add_option("--out", options.out, "the folder, made where it is not there")
      ->type_name("DIR")
      ->required();
  const auto column = [&](const char* name, std::string& value, const char* meaning) {
    command->add_option(name, value, meaning)->type_name("COLUMN");
  };
  column("--user", options.user, "default: user, user_id, customer_id, reviewerID …");
  column("--item", options.item, "default: item, item_id, product_id, asin …");
  column("--time", options.time,
         "in seconds, no dates; default: time, timestamp …, where there is one");
  command->callback([&] { import_table(options); });
}

void add_fit(CLI::App& app, FitOptions& options) {
  CLI::App* command = app.add_subcommand("fit", "train a model and save it");
  command->footer(
      list_of_models() +
      "\n\nExample:\n  simgr fit simgr --data data --out model.simgr --epochs 20 --set "
      "encoder.width=128\n\nWithout --ids an item has 4 digits of 256 codes and one that tells "
      "equal ones apart;\n'simgr tokenize' makes others, with --method opq those of "
      "RPG's paper.\n\nThe state of the run lies beside the model, in FILE.state. An "
      "existing FILE is replaced\nonly if it is a simgr model; it stays as FILE.previous.");
  command->add_option("MODEL", options.model, "one of the models below")->required()->type_name("");
  add_data(*command, options.data);
  command->add_option("--out", options.out, "the model file")->type_name("FILE")->required();
  add_ids(*command, options.ids);
  add_backbone(*command, options.backbone);
  add_tasks(*command, options.tasks);
  add_training(*command, options.training);
  add_threads(*command, options.training.threads);
  command->add_option("--log", options.log, "one JSON line an epoch")->type_name("FILE");
  command
      ->add_option("--warm-start", options.warm_start,
                   "a model file of this kind and these semantic ids, whose weights training "
                   "begins with")
      ->type_name("FILE");
  command->add_flag("--resume", options.resume,
                    "go on from the state beside the model file, where there is one");
  command->callback([&] { fit(options); });
}

void add_export(CLI::App& app, ExportOptions& options) {
  CLI::App* command =
      app.add_subcommand("export", "the adapters of a trained model as a folder of Python's peft");
  command->footer(
      "Of a model that 'simgr fit --backbone --lora' made. The folder holds adapter_config.json "
      "and\n"
      "adapter_model.safetensors; 'simgr fit --adapter' goes on from it. What is trained of "
      "items,\n"
      "such as the tokens of semantic ids, is no part of it: the model file keeps that.\n\n"
      "Example:\n  simgr fit simgr --backbone Qwen2-0.5B --lora rank=8 --data data --out m.simgr\n"
      "  simgr export m.simgr --backbone Qwen2-0.5B --out adapter");
  command->add_option("FILE", options.file, "a model file")->required()->type_name("");
  command->add_option("--backbone", options.backbone, "folder of the language model below")
      ->type_name("DIR")
      ->required();
  command->add_option("--out", options.out, "the folder, made where it is not there")
      ->type_name("DIR")
      ->required();
  command->callback([&] { export_adapters(options); });
}

void add_search(CLI::App& app, SearchOptions& options) {
  CLI::App* command =
      app.add_subcommand("search", "try many settings of a model, and save the best");
  command->footer(
      list_of_models() +
      "\n\nThe first trial has the settings that fit has, the others are drawn. Of nine trials "
      "that "
      "are\ntrained for a ninth of their epochs three go on to a third, and one to the end; then "
      "come nine\nothers, as long as the budget leaves the best one time to be trained to its end. "
      "With --method\nrandom all are. The validation target decides, the test target is not looked "
      "at.\n\nA space names settings, or their ends where no other setting ends so: NAME=A..B, "
      "behind it\n:log where ratios count, :int for whole numbers; or NAME=A|B|C. 'simgr settings "
      "MODEL' prints\nthe model's own.\n\nJournal and states lie in FILE.search: a search that was "
      "stopped goes on from them, with --trials\nto the same bits; one that is over goes on where "
      "it is given more.\n\nExamples:\n  simgr search sasrec --data data --out best.simgr --budget "
      "30m\n  simgr search simgr --data data --out best.simgr --trials 27 --space "
      "\"rate=1e-4..1e-2:log,encoder.width=64|128\"");
  FitOptions& fit = options.fit;
  command->add_option("MODEL", fit.model, "one of the models below")->required()->type_name("");
  add_data(*command, fit.data);
  command->add_option("--out", fit.out, "the model file")->type_name("FILE")->required();
  command
      ->add_option("--budget", options.budget,
                   "time of training and validation, all trials together: 90s, 30m, 1h30m. The "
                   "epoch that is running is finished")
      ->type_name("TIME");
  number(
      command->add_option("--trials", options.trials,
                          "configurations that are tried; default: as many as the budget allows"),
      Index{1}, Index{1000000});
  command->add_option("--space", options.space, "what is tried; default: the model's own")
      ->type_name("LIST");
  one_of(command->add_option("--method", options.method, "who is trained how far"),
         {"halving", "random"});
  command->add_flag("--json", options.json, "one JSON line on standard output");
  add_ids(*command, fit.ids);
  add_backbone(*command, fit.backbone);
  add_training(*command, fit.training);
  add_threads(*command, fit.training.threads);
  command->callback([&] { search(options); });
}

void add_evaluate(CLI::App& app, EvaluateOptions& options) {
  CLI::App* command = app.add_subcommand("evaluate", "measure a model on held-out items");
  command->footer("Every user's last item is the test target, the one before it the validation "
                  "target.\nAll items are ranked. Items of the history compete like all others "
                  "unless --seen\nsays otherwise.\n\nExample:\n  simgr evaluate model.simgr --data "
                  "data --json");
  command->add_option("FILE", options.file, "a model file")->required()->type_name("");
  add_data(*command, options.data);
  one_of(command->add_option("--split", options.split, "which target"), {"test", "validation"});
  one_of(command->add_option("--seen", options.seen, "what becomes of items of the history"),
         {"keep", "zero", "remove"});
  one_of(command->add_option("--rank", options.rank,
                             "the target's place in the served list (ties by id), or its mean over "
                             "ties"),
         {"served", "half-tie"});
  command
      ->add_option(
          "--as", options.as,
          "another model of the same weights, whose lists are made otherwise: rpg-graph of "
          "what was fitted as rpg, liger-dense of liger")
      ->type_name("MODEL");
  command
      ->add_option("--set", options.set,
                   "what lists are made with, other than the file says: names that begin with "
                   "ranker. or candidates., for instance ranker.width=50; choose by --split "
                   "validation")
      ->type_name("NAME=VALUE")
      ->allow_extra_args(false);
  command->add_flag("--json", options.json, "one JSON line on standard output");
  add_threads(*command, options.threads);
  command->callback([&] { evaluate(options); });
}

void add_recommend(CLI::App& app, RecommendCommand& options) {
  CLI::App* command = app.add_subcommand("recommend", "the best items for a history");
  command->footer(
      "Items are ids (0, 1, 2 … in the order of items.jsonl) or keys, separated by blanks "
      "or\ncommas. An empty history gets the most popular items.\n\nExamples:\n  simgr recommend "
      "model.simgr --history \"3 17 9\" --k 5\n  simgr recommend model.simgr --history "
      "\"B000142FVW B0006Z4YUG\" --json");
  command->add_option("FILE", options.file, "a model file")->required()->type_name("");
  command->add_option("--history", options.history, "items, oldest first")
      ->type_name("ITEMS")
      ->required();
  number(command->add_option(
             "--k", options.k,
             "places of the list; a beam (lc-rec, tiger, liger) fills at most ranker.width"),
         Index{1}, Index{1} << 31)
      ->capture_default_str();
  one_of(command->add_option("--seen", options.seen, "what becomes of items of the history"),
         {"keep", "zero", "remove"});
  command->add_option("--allow", options.allow, "list only these items")->type_name("ITEMS");
  command->add_option("--deny", options.deny, "never list these items; wins over --allow")
      ->type_name("ITEMS");
  command->add_flag("--keys", options.keys, "read all items as keys, numbers too");
  command->add_flag("--json", options.json, "one JSON line on standard output");
  command->callback([&] { recommend(options); });
}

void add_tokenize(CLI::App& app, TokenizeOptions& options) {
  CLI::App* command =
      app.add_subcommand("tokenize", "make semantic ids and report collisions and usage");
  command->footer(
      "The file is ids.tsv, or an index of LC-Rec's form where its name ends with .json.\n\n"
      "Examples:\n  simgr tokenize --data data --levels 3 --codes 64 --out ids.tsv\n  simgr fit "
      "simgr "
      "--data data --ids ids.tsv --out model.simgr\n  simgr tokenize --data data --method opq "
      "--digits "
      "32 --fit-on training --out opq.tsv\n  simgr tokenize --data data --method letter --out "
      "letter.tsv\n  simgr tokenize --data data --method plum --out plum.tsv\n  simgr tokenize "
      "--data data "
      "--ids published.index.json "
      "--out ids.tsv");
  add_data(*command, options.data);
  command
      ->add_option("--text-vectors", options.text_vectors,
                   "item vectors, .npy[.gz]; default as in 'simgr fit'")
      ->type_name("FILE");
  command
      ->add_option(
          "--collaborative-vectors", options.collaborative_vectors,
          "item vectors by who buys them, for method letter and for the report: .npy[.gz], "
          "or the model of 'simgr fit sasrec'; default of letter: those of a SASRec that is "
          "trained first, on the training part alone, and kept beside the ids")
      ->type_name("FILE");
  command
      ->add_option(
          "--collaborative-neighbours", options.collaborative_neighbours,
          "a file of neighbours, for method plum and for the report; default of plum: those "
          "counted in the training part, filled along the nearest text vectors")
      ->type_name("FILE");
  CLI::Option* method = one_of(command->add_option("--method", options.method, "how ids are made"),
                               tokenizer_names());
  command->add_option("--ids", options.ids, "report and convert these ids instead of making some")
      ->type_name("FILE")
      ->excludes(method);
  number(command->add_option("--levels,--digits", options.levels,
                             "digits of an id; default: 4, of rq-vae and plum 3, of opq 32"),
         Index{1}, Index{4096});
  number(command->add_option(
             "--codes", options.codes,
             "codes of a digit; default: 256, of hierarchical 16, of plum 1024 and half "
             "of that at each next; a catalogue of "
             "a few hundred items wants fewer, else no two of them share a code"),
         Index{1}, Index{1} << 20);
  number(command->add_option("--iterations", options.iterations, "of k-means"), Index{0},
         Index{1000000});
  number(command->add_option("--whiten", options.whiten,
                             "use this many principal coordinates of variance 1"),
         Index{0}, Index{65536});
  one_of(command->add_option("--fit-on", options.fit_on,
                             "items that codebooks are fitted to: all, or those that occur in the "
                             "training part"),
         {"all", "training"});
  add_seed(*command, options.seed, "of all draws");
  one_of(command->add_option("--collision", options.collision,
                             "items with equal digits stay equal, get one digit more (all, or "
                             "those that need it), spread over last codes, or move to the nearest "
                             "free id; default: digit, for opq, plum and --ids keep"),
         {"keep", "digit", "digit-if-shared", "sinkhorn", "nearest-free"});
  command
      ->add_option("--set", options.set,
                   "any setting of the method by name; a wrong name lists the near ones")
      ->type_name("NAME=VALUE")
      ->allow_extra_args(false);
  command->add_flag("--json", options.json, "the report as one JSON line");
  command->add_option("--out", options.out, "the file of ids")->type_name("FILE")->required();
  add_threads(*command, options.threads);
  command->callback([&] { tokenize(options); });
}

void add_embed(CLI::App& app, EmbedOptions& options) {
  CLI::App* command =
      app.add_subcommand("embed", "vectors of the items' texts by a published language model");
  command->footer(
      "The folder holds config.json, tokenizer.json and model.safetensors of a BERT such as\n"
      "all-MiniLM-L6-v2, of a decoder (Qwen2, Qwen3, Llama, GPT-2) or of T5, and perhaps what\n"
      "sentence-transformers writes beside them. A run that was stopped goes on: parts lie beside\n"
      "the file until it is whole.\n\nExample:\n  simgr embed --backbone all-MiniLM-L6-v2 --data "
      "data --out "
      "vectors.npy\n"
      "  simgr tokenize --data data --text-vectors vectors.npy --out ids.tsv");
  command->add_option("--backbone", options.backbone, "folder of the model")
      ->type_name("FOLDER")
      ->required();
  command->add_option("--data", options.data, "folder with items.jsonl[.gz]")
      ->type_name("DIR")
      ->required();
  command->add_option("--out", options.out, "the vectors, items in the order of their ids, .npy")
      ->type_name("FILE")
      ->required();
  one_of(command->add_option("--pooling", options.pooling,
                             "which states stand for a text: the mean of all, the first or the "
                             "last; default: what 1_Pooling/config.json says, else the last of a "
                             "decoder and the mean of others"),
         {"mean", "first", "last"});
  command->add_flag("--unscaled", options.unscaled, "vectors as they are, not of length 1");
  command->add_flag("--titles", options.titles,
                    "titles alone; default: with brand, categories and description");
  number(command->add_option("--longest", options.longest,
                             "tokens of a text that are read; default: what "
                             "sentence_bert_config.json says or tokenizer.json truncates to, else "
                             "as many as the model has positions"),
         Index{1}, Index{1} << 20);
  add_threads(*command, options.threads);
  command->callback([&] { embed(options); });
}

void add_compare(CLI::App& app, CompareOptions& options) {
  CLI::App* command = app.add_subcommand(
      "compare", "train models on the same data, or read trained ones, and report");
  command->footer(list_of_models() +
                  "\n\nModels, states and logs lie in --out: a run that was stopped goes on, and "
                  "one that is\nfinished is not repeated. A setting goes to the models that have "
                  "it. A model file is measured as\nit is, with the ids that it has.\n\nExamples:\n"
                  "  simgr compare --data data --models popularity,sasrec,simgr --out runs\n"
                  "  simgr compare --data data --models mine/a.simgr,mine/b.simgr --out both");
  add_data(*command, options.data);
  command->add_option("--models", options.models, "some of the models below, or model files")
      ->type_name("A,B,…")
      ->delimiter(',')
      ->required();
  command->add_option("--out", options.out, "folder of the models, made where it is not there")
      ->type_name("DIR")
      ->required();
  command->add_option("--report", options.report, "the page; default: report.html in --out")
      ->type_name("FILE");
  number(command->add_option(
             "--users", options.users,
             "drawn from the test split: every item is scored exactly for them, to hold "
             "beams against; over a language model this takes seconds a user; 0: none"),
         Index{0}, Index{1} << 31)
      ->capture_default_str();
  add_ids(*command, options.ids);
  add_training(*command, options.training);
  add_threads(*command, options.training.threads);
  command->callback([&] { compare(options); });
}

void add_analyse_decoding(CLI::App& command, AnalyseOptions& options) {
  CLI::App* decoding = command.add_subcommand(
      "decoding", "what lists, beams and independent digits make of a model's distribution");
  decoding->footer(
      "Of a softmax over items or over digits in turn: beams of several widths through its own\n"
      "distribution, the mass they capture, at which digit the target is lost, and their lists\n"
      "against the exact ones. Of digits predicted apart: their distance from the first model\n"
      "given that spells digits in turn, else from the first with a softmax over items; no such\n"
      "model comes nearer than the total correlation.\n"
      "Of every model: what its lists show of the catalogue, against what users chose.\n\n"
      "Example:\n  simgr analyse decoding --model runs/simgr.simgr runs/rpg.simgr --data data");
  decoding->add_option("--model", options.models, "model files")->type_name("FILE…")->required();
  add_data(*decoding, options.data);
  number(decoding->add_option("--users", options.users, "drawn from the test split"), Index{1},
         Index{1} << 31)
      ->capture_default_str();
  number(decoding->add_option("--k", options.k, "places of the lists that are compared"), Index{1},
         Index{1} << 31)
      ->capture_default_str();
  options.widths = usual_widths;
  std::string widths;
  for (const Index width : usual_widths) {
    widths += (widths.empty() ? "" : ",") + std::to_string(width);
  }
  number(decoding->add_option("--widths", options.widths, "beams that are tried"), Index{1},
         Index{1} << 31)
      ->delimiter(',')
      ->type_name("N,N,…")
      ->default_str(widths);
  add_seed(*decoding, options.seed, "of the draw of users")->capture_default_str();
  decoding->add_flag("--json", options.json, "one JSON line a model on standard output");
  add_threads(*decoding, options.threads);
  decoding->callback([&] { analyse_decoding(options); });
}

void add_analyse_memorization(CLI::App& app, MemorizationOptions& options) {
  CLI::App* command = app.add_subcommand(
      "memorization", "how much of what systems list directly followed the input in training");
  command->footer(
      "Candidates of a user: what directly followed any item of the input in training, the most\n"
      "frequent. Group M has the users whose target is one of them, group N the others. MemRatio "
      "is\n"
      "the part of a list that is candidates; of it and of recall the page draws pictures. "
      "Rankings\n"
      "are lines user<TAB>items, ids with a blank between them, best first, users as in\n"
      "sequences.tsv, one line for each that is evaluated. Two tables stand beside what is given:\n"
      "the most popular items, and the first candidates ('one hop').\n\nExample:\n  simgr analyse "
      "memorization --data data --model sasrec.simgr --rankings theirs.tsv --report page.html");
  add_data(*command, options.data);
  command->add_option("--model", options.models, "model files")->type_name("FILE…");
  command->add_option("--rankings", options.rankings, "lists of other systems, plain or gzip")
      ->type_name("FILE…");
  command
      ->add_option("--against", options.against,
                   "whom gains are over: a file given, 'most popular' or 'one hop'; default: the "
                   "first of several, else most popular")
      ->type_name("SYSTEM");
  number(command->add_option("--k", options.k, "places of a list that are read"), Index{1},
         Index{1} << 31)
      ->capture_default_str();
  number(command->add_option("--last", options.last,
                             "items of the input that candidates follow, from its end; 0: all"),
         Index{0}, Index{1} << 31)
      ->capture_default_str();
  number(command->add_option("--candidates", options.candidates, "at most so many a user; 0: all"),
         Index{0}, Index{1} << 31)
      ->capture_default_str();
  one_of(command->add_option("--candidates-seen", options.candidates_seen,
                             "whether items of the input may be candidates"),
         {"keep", "remove"});
  one_of(
      command->add_option("--seen", options.seen, "whether models may list items of the history"),
      {"keep", "remove"});
  number(command->add_option("--hops", options.hops, "distances in training that are looked at"),
         Index{1}, Index{16})
      ->capture_default_str();
  command->add_flag("--json", options.json, "one JSON line on standard output");
  command->add_option("--report", options.report, "a page with pictures")->type_name("FILE");
  add_threads(*command, options.threads);
  command->callback([&] { analyse_memorization(options); });
}

void add_analyse(CLI::App& app, AnalyseOptions& decoding, MemorizationOptions& memorization) {
  CLI::App* command = app.add_subcommand(
      "analyse", "where trained models lose what they know, and what they know by heart");
  command->require_subcommand(1);
  add_analyse_decoding(*command, decoding);
  add_analyse_memorization(*command, memorization);
}

/// A word where a command should stand: the message names what there is.
void require_command(const CLI::App& app, int argc, char** argv) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands({})) { names.push_back(command->get_name()); }
  std::string list;
  for (const std::string& name : names) { list += " " + name; }
  const std::string word = argc > 1 ? argv[1] : "";
  if (word.empty()) {
    throw UsageError("which command? There are:" + list + "; simgr --help says more");
  }
  if (!word.starts_with("-") && std::find(names.begin(), names.end(), word) == names.end()) {
    throw UsageError("no command is named \"" + word.substr(0, 60) + "\"; did you mean " +
                     simgr::nearest_names(word, names).front() + "? There are:" + list);
  }
}

void add_inspect(CLI::App& app, InspectOptions& options) {
  CLI::App* command =
      app.add_subcommand("inspect", "what a model file or a published checkpoint holds");
  command->add_option("FILE", options.path, "a model file, or the folder of a checkpoint")
      ->required()
      ->type_name("");
  const CLI::Range some(1, 1 << 24);
  command->add_option("--texts", options.texts, "of a checkpoint: texts of a training step")
      ->check(some)
      ->type_name("N")
      ->capture_default_str();
  command->add_option("--tokens", options.tokens, "tokens of each")
      ->check(some)
      ->type_name("N")
      ->capture_default_str();
  command->add_option("--rank", options.rank, "of adapters")
      ->check(CLI::Range(1, 65536))
      ->type_name("N")
      ->capture_default_str();
  command->footer(
      "Of a checkpoint (config.json and safetensors, as published) it says what model it "
      "is, how many\nparameters it has, and what memory serving and training need. "
      "Weights are not read.");
  command->callback([&options] { inspect(options); });
}

int run(int argc, char** argv) {
  CLI::App app("Recommendation by similarity ranking: train, evaluate and serve from the command "
               "line.",
               "simgr");
  app.require_subcommand(1);
  app.formatter(std::make_shared<HelpPage>());
  app.footer("'simgr COMMAND --help' says the rest, with examples.\n\nExit codes: 0, 1 for bad "
             "input with one line on standard error, 2 for wrong usage.\nResults go to standard "
             "output, progress to standard error.");
  app.set_version_flag("--version", std::to_string(SIMGR_VERSION_MAJOR) + "." +
                                        std::to_string(SIMGR_VERSION_MINOR) + "." +
                                        std::to_string(SIMGR_VERSION_PATCH));

  QuickstartOptions quickstart_options;
  CLI::App* quickstart_command = app.add_subcommand(
      "quickstart", "train and compare models of every family on the embedded catalogue");
  quickstart_command->add_option("--out", quickstart_options.out, "folder of models and report")
      ->type_name("DIR")
      ->capture_default_str();
  quickstart_command->footer(
      "Two or three minutes on two cores. DIR/data is a data folder like any other: try every\n"
      "other command on it.");
  add_threads(*quickstart_command, quickstart_options.threads);
  quickstart_command->callback([&] { quickstart(quickstart_options); });

  ImportOptions import_options;
  add_import(app, import_options);
  EmbedOptions embed_options;
  add_embed(app, embed_options);
  TokenizeOptions tokenize_options;
  add_tokenize(app, tokenize_options);
  FitOptions fit_options;
  add_fit(app, fit_options);
  ExportOptions export_options;
  add_export(app, export_options);
  SearchOptions search_options;
  add_search(app, search_options);
  EvaluateOptions evaluate_options;
  add_evaluate(app, evaluate_options);
  RecommendCommand recommend_options;
  add_recommend(app, recommend_options);
  CompareOptions compare_options;
  add_compare(app, compare_options);

  AnalyseOptions analyse_options;
  MemorizationOptions memorization_options;
  add_analyse(app, analyse_options, memorization_options);

  InspectOptions inspect_options;
  add_inspect(app, inspect_options);

  std::string listed;
  CLI::App* settings_command =
      app.add_subcommand("settings", "what --set takes: names, defaults, ranges and meanings");
  settings_command->footer(list_of_models());
  settings_command->add_option("MODEL", listed, "one of the models below")
      ->required()
      ->type_name("");
  settings_command->callback([&] { list_settings(listed); });

  require_command(app, argc, argv);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& help) {
    return app.exit(help);
  } catch (const CLI::ParseError& error) { return fail(error.what(), 2); }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return after_output(run(argc, argv));
  } catch (const simgr_cli::UsageError& error) {
    return fail(error.what(), 2);
  } catch (const std::bad_alloc&) {
    return fail("out of memory", 1);
  } catch (const std::exception& error) { return fail(error.what(), 1); }
}
