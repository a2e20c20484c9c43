// SPDX-License-Identifier: Apache-2.0
#include <cli/program.hpp>

#include <chrono>
#include <filesystem>
#include <string>
#include <thread>
#include <tuple>

#include <doctest/doctest.h>
#include <support/published_decoder.hpp>

#include <simgr/io/adapter_config.hpp>
#include <simgr/io/checkpoint.hpp>

namespace {

using simgr_test::PublishedQwen;
using simgr_test::Run;
using simgr_test::TemporaryFolder;

/// A run of `simgr fit` of a small data folder over a backbone.
struct FineTuning {
  TemporaryFolder folder;
  std::string data = folder.file("data"), file = folder.file("model.simgr"), backbone;

  explicit FineTuning(std::string path) : backbone(std::move(path)) {
    simgr_test::write_data_folder(data);
  }
  Run fit(const std::string& model, const std::vector<std::string>& more = {}) const {
    std::vector<std::string> words = {"fit",   model, "--backbone", backbone, "--data", data,
                                      "--out", file,  "--epochs",   "2",      "--set",  "batch=16"};
    words.insert(words.end(), more.begin(), more.end());
    return simgr_test::run_simgr(folder, words);
  }
  Run run(std::vector<std::string> words) const { return simgr_test::run_simgr(folder, words); }
};

void check_that_it_serves(const FineTuning& made, const std::string& kind) {
  const Run list = made.run({"recommend", made.file, "--history", "3 7 11", "--json"});
  CAPTURE(list.err);
  CHECK(list.code == 0);
  const Run metrics = made.run({"evaluate", made.file, "--data", made.data, "--json"});
  CAPTURE(metrics.err);
  CHECK(metrics.code == 0);
  CHECK(metrics.out.find("\"model\":\"" + kind + "\"") != std::string::npos);
}

}  // namespace

TEST_CASE("SimGR is fine-tuned over a BERT, and served without its folder") {
  for (const char* prompt : {"ids", "titles", "both"}) {
    CAPTURE(prompt);
    auto bert = std::make_unique<simgr_test::PublishedBert>();
    const FineTuning made(bert->folder.path().string());
    const Run fitted = made.fit("simgr", {"--prompt", prompt, "--prompt-text", "red{history}tea",
                                          "--title-words", "1", "--set", "encoder.max_length=3"});
    CAPTURE(fitted.err);
    REQUIRE(fitted.code == 0);
    CHECK(fitted.out.starts_with("simgr-bert: 2 epochs, best "));
    bert.reset();
    check_that_it_serves(made, "simgr-bert");
  }
}

TEST_CASE("models over a Qwen train all weights, adapters, or the tokens of ids alone") {
  const PublishedQwen qwen;
  for (const auto& [model, kind] :
       {std::pair("simgr", "simgr-decoder"), std::pair("lc-rec", "lc-rec-decoder"),
        std::pair("simgr-encoded", "simgr-encoded-decoder"), std::pair("rpg", "rpg-decoder")}) {
    CAPTURE(model);
    const FineTuning made(qwen.path().string());
    const Run fitted = made.fit(model, {"--lora", "rank=2,alpha=4,targets=query+value"});
    CAPTURE(fitted.err);
    REQUIRE(fitted.code == 0);
    CHECK(fitted.out.starts_with(std::string(kind) + ": 2 epochs, best "));
    check_that_it_serves(made, kind);
    const Run inspected = made.run({"inspect", made.file});
    CHECK(inspected.out.find("encoder.blocks.1.attention.query.a") != std::string::npos);
    CHECK(inspected.out.find("encoder.blocks.1.attention.key.a") == std::string::npos);
  }
  const FineTuning made(qwen.path().string());
  CHECK(made.fit("simgr").code == 0);
  CHECK(made.fit("simgr", {"--precision", "mixed"}).code == 0);
  CHECK(made.run({"inspect", made.file}).out.find("fit.precision = mixed") != std::string::npos);
  CHECK(made.fit("simgr", {"--lora", "rank=0"}).code == 0);
  const Run resumed = made.fit("simgr", {"--lora", "rank=0", "--prompt", "titles", "--resume"});
  CHECK(resumed.code == 1);
  CHECK(resumed.err.find("differs from this one: the prompt is another") != std::string::npos);
}

TEST_CASE("digits are aligned with titles before a Qwen is fine-tuned, and a killed run goes on") {
  const PublishedQwen qwen;
  const FineTuning made(qwen.path().string());
  const auto still = [&](std::vector<std::string> more) {
    more.insert(more.end(), {"--set", "optimizer.rate=0"});
    const Run fitted = made.fit("simgr", more);
    CAPTURE(fitted.err);
    REQUIRE(fitted.code == 0);
    return fitted;
  };
  // Fine-tuning that moves nothing shows what came before it.
  REQUIRE(still({}).err.find("aligning") == std::string::npos);
  const auto before = simgr::io::Checkpoint::read(made.file);
  const Run aligned = still(
      {"--set", "aligning.epochs=20", "--set", "aligning.rate=0.05", "--set", "aligning.batch=10"});
  const auto after = simgr::io::Checkpoint::read(made.file);
  int others = 0;
  for (const auto& tensor : before.tensors()) {
    const bool digits = tensor.name == "encoder.embedding.digits";
    CAPTURE(tensor.name);
    REQUIRE(after.find(tensor.name) != nullptr);
    CHECK((before.read<float>(tensor.name, tensor.shape) ==
           after.read<float>(tensor.name, tensor.shape)) != digits);
    others += digits ? 0 : 1;
  }
  CHECK(others > 10);
  const auto loss_of = [&](const char* epoch) {
    const std::string line = std::string("aligning: epoch ") + epoch + " of 20, loss ";
    REQUIRE(aligned.err.find(line) != std::string::npos);
    return std::stod(aligned.err.substr(aligned.err.find(line) + line.size()));
  };
  CHECK(loss_of("20") < 0.9 * loss_of("1"));
  CHECK(made.run({"inspect", made.file}).out.find("aligning.epochs = 20\n") != std::string::npos);

  const std::vector<std::string> both = {"--set", "aligning.epochs=2", "--set", "aligning.batch=4",
                                         "--set", "epochs=3"};
  const FineTuning whole(qwen.path().string());
  REQUIRE(whole.fit("lc-rec", both).code == 0);
  std::vector<std::string> words = {"fit",    "lc-rec",   "--backbone", made.backbone,
                                    "--data", made.data,  "--out",      made.file,
                                    "--set",  "batch=16", "--resume"};
  words.insert(words.end(), both.begin(), both.end());
  std::filesystem::remove(made.file + ".state");
  int killed = 0;
  for (int attempt = 0; attempt < 8; ++attempt) {
    const simgr_test::Process process(made.folder, words);
    std::this_thread::sleep_for(std::chrono::milliseconds(30 + 40 * attempt));
    process.kill();
    killed += process.wait().code == 0 ? 0 : 1;
  }
  CHECK(killed > 0);
  const Run finished = made.run(words);
  CAPTURE(finished.err);
  REQUIRE(finished.code == 0);
  CHECK(simgr_test::read_bytes(made.file) == simgr_test::read_bytes(whole.file));
  const Run again = made.run(words);
  CHECK(again.err.find("aligning") == std::string::npos);
  CHECK(simgr_test::read_bytes(made.file) == simgr_test::read_bytes(whole.file));
}

TEST_CASE("a frozen Qwen may stay in bfloat16") {
  const PublishedQwen qwen;
  for (const auto& [model, kind] :
       {std::pair("simgr", "simgr-decoder-bf16"), std::pair("lc-rec", "lc-rec-decoder-bf16")}) {
    CAPTURE(model);
    const FineTuning made(qwen.path().string());
    const Run fitted = made.fit(model, {"--precision", "bf16", "--lora", "rank=2,alpha=4"});
    CAPTURE(fitted.err);
    REQUIRE(fitted.code == 0);
    check_that_it_serves(made, kind);
  }
}

TEST_CASE("adapters are exported as peft keeps them, and training goes on from them") {
  const PublishedQwen qwen;
  const FineTuning made(qwen.path().string());
  const auto exported = [&](const std::string& out) {
    const std::string to = made.folder.file(out);
    const Run run = made.run({"export", made.file, "--backbone", made.backbone, "--out", to});
    CAPTURE(run.err);
    REQUIRE(run.code == 0);
    return simgr_test::read_bytes(to + "/adapter_model.safetensors");
  };
  REQUIRE(made.fit("simgr", {"--lora", "rank=2,alpha=4,dropout=0.1,targets=query+up"}).code == 0);
  const std::string first = exported("first"), adapter = made.folder.file("first");
  const simgr::io::AdapterFacts facts =
      simgr::io::read_adapter_config(adapter + "/adapter_config.json");
  CHECK(facts ==
        simgr::io::AdapterFacts{2, 4, 0.1, {"q_proj", "up_proj"}, made.backbone, "CAUSAL_LM"});
  CHECK(first.find("base_model.model.model.layers.1.mlp.up_proj.lora_B.weight") !=
        std::string::npos);

  // Without a step, what comes out is what went in; of the model in bfloat16, too.
  for (const char* precision : {"fp32", "bf16"}) {
    CAPTURE(precision);
    const std::vector<std::string> more = {"--adapter", adapter, "--precision", precision};
    std::vector<std::string> still = more;
    still.insert(still.end(), {"--set", "optimizer.rate=0"});
    REQUIRE(made.fit("simgr", still).code == 0);
    check_that_it_serves(made, std::string("simgr-decoder") + (precision[0] == 'b' ? "-bf16" : ""));
    CHECK(exported(std::string("still-") + precision) == first);
    REQUIRE(made.fit("simgr", more).code == 0);
    CHECK(exported(std::string("moved-") + precision) != first);
  }
}

TEST_CASE("over a GPT-2 and a BERT adapters are trained, exported and gone on from") {
  const simgr_test::PublishedGpt2 gpt2;
  const simgr_test::PublishedBert bert;
  for (const auto& [backbone, family, maps, written] :
       {std::tuple(gpt2.path().string(), "gpt2", "qkv", "h.1.attn.c_attn.lora_B.weight"),
        std::tuple(bert.folder.path().string(), "bert", "query+value",
                   "encoder.layer.1.attention.self.value.lora_B.weight")}) {
    for (const std::string model : {"simgr", "lc-rec"}) {
      CAPTURE(family);
      CAPTURE(model);
      const std::string plain = model + "-" + family, adapted = plain + "-lora";
      const FineTuning made(backbone);
      const auto fit = [&](std::vector<std::string> more) {
        more.insert(more.end(), {"--prompt-text", "red{history}", "--set", "encoder.max_length=2",
                                 "--set", "alignment=0"});
        return made.fit(model, more);
      };
      REQUIRE(fit({}).code == 0);
      check_that_it_serves(made, plain);
      const Run fitted = fit({"--lora", std::string("rank=2,alpha=4,targets=") + maps});
      CAPTURE(fitted.err);
      REQUIRE(fitted.code == 0);
      check_that_it_serves(made, adapted);
      const std::string adapter = made.folder.file("adapter");
      const Run exported =
          made.run({"export", made.file, "--backbone", backbone, "--out", adapter});
      CAPTURE(exported.err);
      REQUIRE(exported.code == 0);
      const std::string first = simgr_test::read_bytes(adapter + "/adapter_model.safetensors");
      CHECK(first.find(written) != std::string::npos);
      CHECK(first.find("lora_A") != std::string::npos);
      CHECK(first.find("c_fc") == std::string::npos);
      // Without a step, what comes out is what went in.
      REQUIRE(fit({"--adapter", adapter, "--set", "optimizer.rate=0"}).code == 0);
      check_that_it_serves(made, adapted);
      const std::string again = made.folder.file("again");
      REQUIRE(made.run({"export", made.file, "--backbone", backbone, "--out", again}).code == 0);
      CHECK(simgr_test::read_bytes(again + "/adapter_model.safetensors") == first);
    }
  }
}

TEST_CASE("what is no adapter of this language model is refused, to and fro") {
  const PublishedQwen qwen;
  const FineTuning made(qwen.path().string());
  const std::string to = made.folder.file("adapter"), config = to + "/adapter_config.json",
                    weights = to + "/adapter_model.safetensors";
  const auto refused = [&](const Run& run, int code, const std::string& sentence) {
    CAPTURE(run.err);
    CHECK(run.code == code);
    CHECK(run.err.find(sentence) != std::string::npos);
  };
  const auto exported = [&](const std::string& backbone) {
    return made.run({"export", made.file, "--backbone", backbone, "--out", to});
  };
  REQUIRE(made.fit("simgr").code == 0);
  refused(exported(made.backbone), 1, "the language model was trained, too");
  REQUIRE(made.fit("simgr", {"--lora", "rank=0"}).code == 0);
  refused(exported(made.backbone), 1, "the model has no adapters");
  REQUIRE(made.fit("simgr", {"--lora", "rank=2"}).code == 0);
  const simgr_test::PublishedBert bert;
  refused(exported(bert.folder.path().string()), 1, "expected a model of the family qwen2");
  refused(exported(made.folder.file("nowhere")), 1, "nowhere/config.json");
  const TemporaryFolder shallow;
  std::string text = simgr_test::read_bytes(qwen.file("config.json"));
  text.replace(text.find("layers\": 2"), 10, "layers\": 1");
  simgr_test::write_bytes(shallow.file("config.json"), text);
  refused(exported(shallow.path().string()), 1,
          "expected the language model that was trained over, with blocks.1.");
  CHECK_FALSE(std::filesystem::exists(to));
  REQUIRE(exported(made.backbone).code == 0);
  refused(exported(made.backbone), 1, "this is there already; it is not replaced");

  const std::string good_config = simgr_test::read_bytes(config),
                    good_weights = simgr_test::read_bytes(weights);
  std::filesystem::remove(made.file);
  const auto refuses_to_begin = [&](int code, const std::string& sentence,
                                    const std::vector<std::string>& more = {}) {
    std::vector<std::string> words = {"--adapter", to};
    words.insert(words.end(), more.begin(), more.end());
    refused(made.fit("simgr", words), code, sentence);
    CHECK_FALSE(std::filesystem::exists(made.file));
  };
  refuses_to_begin(2, "--lora", {"--lora", "rank=2"});
  refused(made.run({"fit", "simgr", "--adapter", to, "--data", made.data, "--out", made.file}), 2,
          "--adapter: it stands in a language model; give its folder by --backbone");
  const FineTuning over_bert(bert.folder.path().string());
  refused(over_bert.fit("simgr", {"--adapter", to}), 1,
          "target_modules: expected maps of every layer, some of query, key, value");
  simgr_test::write_bytes(weights, good_weights.substr(0, good_weights.size() - 8));
  refuses_to_begin(1, "adapter_model.safetensors");
  simgr_test::write_bytes(weights, good_weights);
  for (const auto& [from, replacement, sentence] :
       {std::tuple("\"r\": 2", "\"r\": 3", "expected the rank 3 of adapter_config.json, found 2"),
        std::tuple("\"r\": 2", "\"r\": -1", "r: expected an integer from 1"),
        std::tuple("\"o_proj\", ", "", "not expected"),
        std::tuple("q_proj", "c_attn", "target_modules: expected maps of every layer"),
        std::tuple("LORA", "IA3", "peft_type: expected LORA")}) {
    CAPTURE(replacement);
    std::string other = good_config;
    other.replace(other.find(from), std::string(from).size(), replacement);
    simgr_test::write_bytes(config, other);
    refuses_to_begin(1, sentence);
  }
  std::filesystem::remove(config);
  refuses_to_begin(1, "adapter_config.json");
}

TEST_CASE("a head apart from the table of words goes with the models that predict by it") {
  const PublishedQwen qwen(false);
  const FineTuning made(qwen.path().string());
  const auto tensors = [&] { return made.run({"inspect", made.file}).out; };
  for (const char* precision : {"fp32", "bf16"}) {
    CAPTURE(precision);
    const Run fitted =
        made.fit("lc-rec", {"--lora", "rank=2", "--precision", precision, "--tasks", "semantic"});
    CAPTURE(fitted.err);
    REQUIRE(fitted.code == 0);
    CHECK(tensors().find("encoder.embedding.head ") != std::string::npos);
    CHECK(tensors().find("encoder.embedding.head_digits") != std::string::npos);
    check_that_it_serves(made, precision[0] == 'b' ? "lc-rec-decoder-bf16" : "lc-rec-decoder");
    const Run exported = made.run({"export", made.file, "--backbone", made.backbone, "--out",
                                   made.folder.file(std::string("adapter-") + precision)});
    CAPTURE(exported.err);
    CHECK(exported.code == 0);
  }
  REQUIRE(made.fit("simgr", {"--lora", "rank=2"}).code == 0);
  CHECK(tensors().find("encoder.embedding.head") == std::string::npos);
}

TEST_CASE("LC-Rec over a Qwen is taught the neighbours of items where it is asked to") {
  const PublishedQwen qwen;
  const FineTuning made(qwen.path().string());
  const Run fitted = made.fit("lc-rec", {"--tasks", "collaborative=1,semantic=0.5"});
  CAPTURE(fitted.err);
  REQUIRE(fitted.code == 0);
  CHECK(fitted.err.find("collaborative neighbours: 0 of 30 items have none") != std::string::npos);
  CHECK(fitted.err.find("semantic neighbours: ") != std::string::npos);
  check_that_it_serves(made, "lc-rec-decoder");
  const std::string notes = made.run({"inspect", made.file}).out;
  CHECK(notes.find("fit.collaborative = 1") != std::string::npos);
  CHECK(notes.find("fit.semantic = 0.5") != std::string::npos);
  const Run without = made.fit("lc-rec");
  CHECK(without.code == 0);
  CHECK(without.err.find("neighbours") == std::string::npos);
  const Run refused = made.fit("simgr", {"--tasks", "semantic"});
  CHECK(refused.code == 2);
  CHECK(refused.err.find("simgr-decoder learns the next item alone") != std::string::npos);
  CHECK(refused.err.find(", lc-rec-decoder") != std::string::npos);
}

TEST_CASE("E4SRec reads the vectors of a SASRec") {
  const PublishedQwen qwen;
  const FineTuning made(qwen.path().string());
  const std::string sasrec = made.folder.file("sasrec.simgr");
  REQUIRE(made.run({"fit", "sasrec", "--data", made.data, "--out", sasrec, "--epochs", "1"}).code ==
          0);
  const Run without = made.fit("e4srec");
  CHECK(without.code == 1);
  CHECK(without.err.find("this model reads a vector of each item") != std::string::npos);
  const Run fitted = made.fit("e4srec", {"--item-vectors", sasrec});
  CAPTURE(fitted.err);
  REQUIRE(fitted.code == 0);
  check_that_it_serves(made, "e4srec-decoder");
}

TEST_CASE("what cannot be fine-tuned is refused before any work") {
  const PublishedQwen qwen;
  const FineTuning made(qwen.path().string());
  const auto refused = [&](const Run& run, int code, const char* sentence) {
    CAPTURE(run.err);
    CHECK(run.code == code);
    CHECK(run.err.find(sentence) != std::string::npos);
    CHECK_FALSE(std::filesystem::exists(made.file));
  };
  refused(
      made.fit("tiger"), 2,
      "no model named \"tiger\" reads a language model of the family qwen2 in fp32; there are: ");
  refused(made.run({"fit", "simgr-bert", "--data", made.data, "--out", made.file}), 2,
          "simgr-bert is simgr over a language model; give its folder by --backbone");
  refused(made.fit("simgr", {"--lora", "rank=2,size=3"}), 2, "\"size=3\": expected rank=R");
  refused(made.fit("simgr", {"--lora", "alpha=32"}), 2, "\"rank\": expected rank=R");
  refused(made.fit("simgr", {"--lora", "rank=2,targets=query+head"}), 2,
          "\"targets=query+head\": expected rank=R");
  refused(made.fit("simgr", {"--prompt-text", "no slot"}), 1,
          "a prompt of histories has one slot, {history}: no slot");
  refused(made.fit("simgr", {"--set", "encoder.embedding.longest=5"}), 1,
          "encoder.embedding.longest: expected at least ");
  const simgr_test::PublishedBert bert;
  const FineTuning over_bert(bert.folder.path().string());
  refused(over_bert.fit("simgr-bert", {"--lora", "rank=2"}), 2,
          "--lora: simgr-bert has no adapters; simgr has");
  refused(over_bert.fit("simgr", {"--lora", "rank=2,targets=qkv"}), 2,
          "targets=out+up of query, key, value, out, up, down");
  std::filesystem::remove(qwen.file("tokenizer.json"));
  refused(made.fit("simgr"), 1, "tokenizer.json");
}
