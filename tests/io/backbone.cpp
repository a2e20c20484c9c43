// SPDX-License-Identifier: Apache-2.0
#include <simgr/io/backbone.hpp>

#include <doctest/doctest.h>

#include <algorithm>

#include <support/published_bert.hpp>
#include <support/published_decoder.hpp>
#include <support/temporary_folder.hpp>

#include <simgr/encoder/causal_lm.hpp>
#include <simgr/encoder/prompt_embedding.hpp>
#include <simgr/io/model_export.hpp>
#include <simgr/io/model_file.hpp>
#include <simgr/loss/cross_entropy.hpp>
#include <simgr/loss/digit_cross_entropy.hpp>
#include <simgr/pooler/every_digit.hpp>
#include <simgr/pooler/positions.hpp>
#include <simgr/pooler/sequence.hpp>
#include <simgr/ranker/trie_beam.hpp>
#include <simgr/recommender.hpp>
#include <simgr/similarity/candidates.hpp>
#include <simgr/similarity/digit_codebooks.hpp>
#include <simgr/similarity/inner_product.hpp>
#include <simgr/similarity/scaled_cosine.hpp>

using namespace simgr;
using simgr_test::PublishedBert;

namespace {

using Reader = TransformerEncoder<PromptEmbedding, Bidirectional, PostNorm, GeluErf>;
using OverBert =
    Recommender<Reader, SequenceMean, ScaledCosine<PooledDigits<Mean>>, ItemCrossEntropy<>>;

// Of these words the small tokenizer knows tea (4), cup (5), ##s (6), red (7) and green (8).
const io::PromptOptions wording{.pattern = "green{history}red", .between = "tea"};
const std::vector<std::string> titles{"red cup", "cups", "green tea"};

Catalogue titled_catalogue() {
  Catalogue catalogue{.items = 3};
  catalogue.ids.codes.values = {0, 1, 1, 0, 1, 1};
  catalogue.ids.codes.rows = 3;
  catalogue.ids.codes.cols = 2;
  catalogue.ids.codes_per_digit = {2, 2};
  return catalogue;
}
OverBert small_model(const io::Backbone& backbone, bool texts) {
  Catalogue catalogue = titled_catalogue();
  io::PromptOptions how = wording;
  how.texts = texts;
  how.ids = !texts;
  catalogue.prompt = backbone.prompt(how, titles);
  OverBert::Config config;
  backbone.configure<Reader>(config.encoder);
  return OverBert(std::move(catalogue), config, backbone.weights<Reader>(3));
}
using Words = std::vector<std::int32_t>;

}  // namespace

TEST_CASE("a prompt is tokens of the backbone, its special ones around all") {
  const PublishedBert bert;
  const auto backbone = io::Backbone::open(bert.folder.path());
  io::PromptOptions how = wording;
  how.texts = true;
  how.longest_text = 2;
  const Prompt prompt = backbone.prompt(how, std::vector<std::string>{"red cups", "", "tea"});
  CHECK(prompt.words == 9);
  CHECK(prompt.ids);
  CHECK(prompt.wording.before == Words{2, 8});
  CHECK(prompt.wording.between == Words{4});
  CHECK(prompt.wording.behind == Words{7, 3});
  CHECK(prompt.texts.values == Words{7, 5, 4});
  CHECK(prompt.texts.offsets == std::vector<Index>{0, 2, 2, 3});
}

TEST_CASE("what ends a text and how long it may be is the tokenizer's to say, then the model's") {
  const PublishedBert bert;
  const std::string path = bert.folder.path().string();
  const auto end_of = [&](Index words = 2) {
    return io::Backbone::open(path)
        .prompt({.pattern = "green{history}", .longest_text = words}, titles)
        .end;
  };
  const auto say = [&](const std::string& text) {
    simgr_test::write_bytes(bert.folder.file("tokenizer_config.json"), text);
  };
  const auto longest = [&] {
    OverBert::Config config;
    io::Backbone::open(path).configure<OverBert>(config);
    return config.encoder.embedding.longest;
  };
  CHECK(end_of() == -1);
  std::string text = simgr_test::read_bytes(bert.folder.file("config.json"));
  text.insert(text.find('{') + 1, R"("eos_token_id": [7, 3],)");
  simgr_test::write_bytes(bert.folder.file("config.json"), text);
  CHECK(end_of() == 7);
  say(R"({"eos_token": "[SEP]", "model_max_length": 1000000000000000019884624838656})");
  CHECK(end_of() == 3);
  CHECK(longest() == 12);  // positions
  say(R"({"eos_token": "not a token of it", "model_max_length": 10})");
  CHECK(end_of() == 7);
  CHECK(longest() == 10);
  CHECK(io::Backbone::open(path).prompt({.longest_text = 5}, titles).longest_text == 5);
}

TEST_CASE("a prompt needs one slot for the history, and something to read of an item") {
  const PublishedBert bert;
  const auto backbone = io::Backbone::open(bert.folder.path());
  CHECK_THROWS_WITH_AS(backbone.prompt({.pattern = "no slot"}),
                       "a prompt of histories has one slot, {history}: no slot", ConfigError);
  CHECK_THROWS_AS(backbone.prompt({.pattern = "{history} and {other}"}), ConfigError);
  CHECK_THROWS_WITH_AS(backbone.prompt({.ids = false}),
                       "prompt: expected ids, texts, or both, found neither", ConfigError);
}

TEST_CASE("over a prompt of titles BERT's states are those it has as a reader of that text") {
  const PublishedBert bert;
  const std::string path = bert.folder.path();
  const auto backbone = io::Backbone::open(path);
  const OverBert model = small_model(backbone, true);
  const std::vector<ItemId> history{1, 0};
  const std::vector<Index> offsets{0, 2};
  std::vector<float> query(32), expected(32);
  model.encode({history, offsets}, {query.data(), {1, 32}});

  const auto facts = io::read_model_config(path + "/config.json");
  MaskedLm<>::Config config;
  REQUIRE_FALSE(io::BackboneForm<MaskedLm<>>::configure(facts, config));
  const ParameterTable table = describe<MaskedLm<>>(config);
  std::vector<float> weights(static_cast<std::size_t>(table.block_size));
  io::load_parameters(io::ModelFolder::try_open(path).value_or_raise(), facts, table,
                      std::span<float>(weights));
  const auto params = bind<MaskedLm<>>(config, weights.data());
  // [CLS] green cup ##s tea red cup red [SEP]
  const Words tokens{2, 8, 5, 6, 4, 7, 5, 7, 3};
  const std::vector<Index> ends{0, 9};
  Arena arena;
  cpu::Context ctx{arena};
  const Matrix<float> states = MaskedLm<>::serve(config, params, {tokens, ends}, {}, ctx);
  float length = 0;
  for (Index x = 0; x < 32; ++x) {
    float sum = 0;
    for (Index t = 0; t < 9; ++t) { sum += states(t, x); }
    expected[static_cast<std::size_t>(x)] = sum;
    length += sum * sum;
  }
  const float temperature = static_cast<float>(model.config().similarity.temperature);
  for (std::size_t x = 0; x < 32; ++x) {
    CAPTURE(x);
    CHECK(query[x] * temperature == doctest::Approx(expected[x] / std::sqrt(length)).epsilon(1e-4));
  }
}

TEST_CASE("a model over a backbone is saved with its prompt and needs no backbone again") {
  const PublishedBert bert;
  const auto backbone = io::Backbone::open(bert.folder.path());
  for (const bool texts : {false, true}) {
    CAPTURE(texts);
    const OverBert model = small_model(backbone, texts);
    const simgr_test::TemporaryFolder folder;
    const std::string path = folder.file("model.simgr");
    io::ModelFile<OverBert>::save(model, path);
    const OverBert again = io::ModelFile<OverBert>::load(path);
    const Prompt &before = model.catalogue().prompt, &after = again.catalogue().prompt;
    CHECK(after.words == before.words);
    CHECK(after.ids == before.ids);
    CHECK(after.wording.before == before.wording.before);
    CHECK(after.wording.between == before.wording.between);
    CHECK(after.wording.behind == before.wording.behind);
    CHECK(after.read_texts == texts);
    CHECK(after.texts.values ==
          (texts ? before.texts.values : Words()));  // who reads none keeps none
    CHECK(after.texts.sequences() == (texts ? 3 : 0));
    const std::vector<ItemId> history{1};
    const auto list = model.recommend(history, 2), other = again.recommend(history, 2);
    REQUIRE(list.size() == 2);
    for (std::size_t i = 0; i < list.size(); ++i) {
      CHECK(list[i].item == other[i].item);
      CHECK(list[i].score == other[i].score);
    }
  }
}

TEST_CASE("digits that are terms begin as the mean of their words, in fp32 and in bfloat16") {
  using NarrowReader = CausalLm<NarrowPromptEmbedding, Lora<Narrow<Linear>>>;
  const PublishedBert bert;
  const auto of_bert = io::Backbone::open(bert.folder.path());
  const std::vector<std::vector<std::string>> terms{{"red-cups", "tea"}, {"cups", "red"}};
  const Ragged<std::int32_t> words = of_bert.words_of(terms);
  REQUIRE(words.sequences() == 4);
  CHECK(std::ssize(words[0]) == 3);  // red, cup, ##s
  const auto begin = [&](const Ragged<std::int32_t>& said) {
    Catalogue catalogue = titled_catalogue();
    catalogue.prompt = of_bert.prompt(wording);
    OverBert::Config config;
    of_bert.configure<Reader>(config.encoder);
    return OverBert(std::move(catalogue), config, of_bert.weights<Reader>(3, said));
  };
  Ragged<std::int32_t> some;  // the second code of the first digit says nothing
  some.push_back(words[0]);
  some.push_back({});
  some.push_back(words[2]);
  some.push_back(words[3]);
  const OverBert told = begin(some), untold = begin({});
  const auto& tables = told.params().encoder.embedding;
  for (Index code = 0; code < 4; ++code) {
    for (Index k = 0; k < 32; ++k) {
      double sum = 0;
      for (const std::int32_t word : some[code]) {
        sum += static_cast<double>(tables.words(word, k)) / static_cast<double>(some[code].size());
      }
      const float drawn = untold.params().encoder.embedding.table(code, k);
      if (code == 1) {
        CHECK(tables.table(code, k) == drawn);
      } else {
        CHECK(tables.table(code, k) == doctest::Approx(sum).epsilon(1e-6));
      }
    }
  }
  some.push_back(words[3]);
  CHECK_THROWS_WITH_AS(begin(some), "words of digits: expected those of 4 codes, found those of 5",
                       ConfigError);
  Ragged<std::int32_t> far = words;
  far.values[0] = 9;
  CHECK_THROWS_WITH_AS(begin(far), "words of digits: expected 0 to 8, found 9", ConfigError);

  using OverNarrow =
      Recommender<NarrowReader, LastPosition, ScaledCosine<PooledDigits<Mean>>, ItemCrossEntropy<>>;
  const simgr_test::PublishedQwen qwen;
  const auto of_qwen = io::Backbone::open(qwen.path().string());
  Catalogue catalogue = titled_catalogue();
  catalogue.prompt = of_qwen.prompt(wording);
  OverNarrow::Config config;
  of_qwen.configure<NarrowReader>(config.encoder);
  config.encoder.adapters = {.rank = 0, .frozen = true};
  Ragged<std::int32_t> two;
  for (int code = 0; code < 4; ++code) { two.push_back(std::vector<std::int32_t>{code, 5}); }
  const OverNarrow narrow(std::move(catalogue), config, of_qwen.weights<NarrowReader>(3, two));
  const auto& of_narrow = narrow.params().encoder.embedding;
  for (Index code = 0; code < 4; ++code) {
    CHECK(
        of_narrow.table(code, 1) ==
        doctest::Approx((widened(of_narrow.words(code, 1)) + widened(of_narrow.words(5, 1))) / 2));
  }
}

TEST_CASE("over a BERT with adapters a model begins where they are") {
  using Adapted = AdaptedTransformer<PromptEmbedding, Bidirectional, PostNorm, GeluErf>;
  using OverAdapted =
      Recommender<Adapted, SequenceMean, ScaledCosine<PooledDigits<Mean>>, ItemCrossEntropy<>>;
  const PublishedBert bert;
  const std::string path = bert.folder.path(), adapter = bert.folder.file("adapter");
  const auto backbone = io::Backbone::open(path);
  const auto begin = [&](const io::Backbone& from) {
    Catalogue catalogue = titled_catalogue();
    io::PromptOptions how = wording;
    how.texts = true;
    how.ids = false;
    catalogue.prompt = from.prompt(how, titles);
    OverAdapted::Config config;
    config.encoder.adapters.rank = 2;
    from.configure<Adapted>(config.encoder);
    return OverAdapted(std::move(catalogue), config, from.weights<Adapted>(3));
  };
  const std::vector<ItemId> history{1, 0};
  const std::vector<Index> offsets{0, 2};
  const auto state = [&](const auto& model) {
    std::vector<float> query(32);
    model.encode({history, offsets}, {query.data(), {1, 32}});
    return query;
  };
  OverAdapted fresh = begin(backbone);
  const std::vector<float> plain = state(small_model(backbone, true));
  const std::vector<float> same = state(fresh);
  for (std::size_t i = 0; i < plain.size(); ++i) {
    CHECK(same[i] == doctest::Approx(plain[i]).epsilon(1e-6));
  }
  for (const TensorEntry& tensor : fresh.table().trained_tensors()) {
    for (Index i = 0; i < tensor.size && tensor.name.ends_with(".b"); ++i) {
      fresh.weights()[static_cast<std::size_t>(tensor.offset + i)] =
          0.01f * static_cast<float>(i % 7);
    }
  }
  fresh.refresh();
  const std::vector<float> moved = state(fresh);
  CHECK(moved != same);
  io::save_adapters(adapter, path, fresh.config().encoder.adapters, backbone.facts(), fresh.table(),
                    std::as_const(fresh).weights(), {.weights = {.prefix = "encoder."}});

  const auto with_adapters = io::Backbone::open(path, adapter);
  CHECK(state(begin(with_adapters)) == moved);
  Reader::Config unadapted;
  // A config that claims more is found out before a model of that size is made.
  const std::string config_file = adapter + "/adapter_config.json";
  std::string claims = simgr_test::read_bytes(config_file);
  const auto at = claims.find("\"r\"");
  REQUIRE(at != std::string::npos);
  claims.replace(claims.find('2', at), 1, "65536");
  simgr_test::write_bytes(config_file, claims);
  CHECK_THROWS_WITH_AS(io::Backbone::open(path, adapter),
                       doctest::Contains("expected the rank 65536 of adapter_config.json, found 2"),
                       DataError);
  CHECK_THROWS_WITH_AS(with_adapters.configure<Reader>(unadapted),
                       doctest::Contains("expected an encoder with adapters"), ConfigError);
  CHECK_THROWS_AS(io::Backbone::open(path, bert.folder.file("nowhere")), IoError);
}

namespace {

template <class E>
using SpelledBy = Recommender<E, EveryDigitOfLast, InnerProduct<DigitCodebooks>, DigitCrossEntropy,
                              ranker::TrieBeam>;
using Decoder = CausalLm<PromptEmbedding, Lora<Linear>>;

template <class Model>
Model over_qwen(const io::Backbone& backbone, const Adapters& adapters,
                const Ragged<std::int32_t>& words_of_digits = {}) {
  Catalogue catalogue = titled_catalogue();
  catalogue.prompt = backbone.prompt(wording, titles);
  typename Model::Config config;
  config.encoder.adapters = adapters;
  backbone.configure<Model>(config);
  return Model(std::move(catalogue), config, backbone.weights<Model>(3, words_of_digits));
}
template <class Model>
const TensorEntry* find_tensor(const Model& model, std::string_view name) {
  const auto& tensors = model.table().tensors;
  const auto at = std::find_if(tensors.begin(), tensors.end(),
                               [&](const TensorEntry& tensor) { return tensor.name == name; });
  return at == tensors.end() ? nullptr : &*at;
}
std::vector<float> values_in_folder(const std::string& folder, const std::string& name) {
  const io::ModelFolder files = io::ModelFolder::open(folder);
  const io::TensorView* view = files.find(name);
  REQUIRE(view != nullptr);
  std::vector<float> values(static_cast<std::size_t>(view->size()));
  REQUIRE_FALSE(io::convert(*view, values.data(), folder));
  return values;
}

}  // namespace

TEST_CASE("a head of its own is read by models that predict tokens, and by none else") {
  const simgr_test::PublishedQwen untied(false), tied;
  const auto backbone = io::Backbone::open(untied.path().string());
  using Similar =
      Recommender<Decoder, LastPosition, ScaledCosine<PooledDigits<Mean>>, ItemCrossEntropy<>>;
  CHECK(find_tensor(over_qwen<Similar>(backbone, {.rank = 0}), "encoder.embedding.head") ==
        nullptr);
  const auto same = io::Backbone::open(tied.path().string());
  CHECK(find_tensor(over_qwen<SpelledBy<Decoder>>(same, {.rank = 0}), "encoder.embedding.head") ==
        nullptr);

  const auto head = values_in_folder(untied.path().string(), "lm_head.weight");
  CHECK(head != values_in_folder(untied.path().string(), "model.embed_tokens.weight"));
  SpelledBy<Decoder> model = over_qwen<SpelledBy<Decoder>>(backbone, {.rank = 2});
  CHECK(std::ranges::equal(model.params().encoder.embedding.head, head));
  const TensorEntry* digits = find_tensor(model, "encoder.embedding.head_digits");
  REQUIRE(digits != nullptr);
  CHECK(digits->shape == std::vector<Index>{4, 16});
  CHECK(digits->trained == Trained::yes);
  CHECK(find_tensor(model, "encoder.embedding.head")->trained == Trained::no);
  using Narrow16 = CausalLm<NarrowPromptEmbedding, Lora<Narrow<Linear>>>;
  const auto narrow = over_qwen<SpelledBy<Narrow16>>(backbone, {.rank = 2});
  CHECK(std::ranges::equal(narrow.params().encoder.embedding.head, head, {},
                           [](BFloat16 value) { return widened(value); }));

  Ragged<std::int32_t> words;  // of four codes
  for (const auto& each : {std::vector<std::int32_t>{2, 3}, {}, {1}, {4}}) {
    words.push_back(each);
  }
  const auto told = over_qwen<SpelledBy<Decoder>>(backbone, {.rank = 2}, words);
  const auto& tables = told.params().encoder.embedding;
  CHECK(tables.table(0, 5) == doctest::Approx((tables.words(2, 5) + tables.words(3, 5)) / 2));
  CHECK(tables.outputs(0, 5) == doctest::Approx((tables.head(2, 5) + tables.head(3, 5)) / 2));
  CHECK(tables.outputs(2, 7) == tables.head(1, 7));
  CHECK(tables.outputs(1, 7) == model.params().encoder.embedding.outputs(1, 7));

  // What a digit is compared with decides, and not what is read of it.
  const auto scores = [](const auto& of) {
    const std::vector<ItemId> history{1, 0};
    const std::vector<Index> ends{0, 2};
    std::vector<float> found(3);
    of.score({history, ends}, {found.data(), {1, 3}});
    return found;
  };
  const std::vector<float> before = scores(model);
  for (Index i = 0; i < digits->size; ++i) {
    model.weights()[static_cast<std::size_t>(digits->offset + i)] +=
        0.1f * static_cast<float>(i % 3);
  }
  model.refresh();
  CHECK(scores(model) != before);
  const simgr_test::TemporaryFolder folder;
  model.save(folder.file("model.simgr"));
  CHECK(scores(SpelledBy<Decoder>::load(folder.file("model.simgr"))) == scores(model));
}

TEST_CASE("a head that was trained is written where it was read") {
  const simgr_test::PublishedQwen qwen(false);
  const std::string path = qwen.path().string();
  const auto backbone = io::Backbone::open(path);
  auto plain = over_qwen<SpelledBy<CausalLm<PromptEmbedding>>>(backbone, {});
  const TensorEntry* head = find_tensor(plain, "encoder.embedding.head");
  REQUIRE(head != nullptr);
  CHECK(head->trained == Trained::yes);
  plain.weights()[static_cast<std::size_t>(head->offset)] = 7;
  const simgr_test::TemporaryFolder to;
  io::save_model_folder(to.path().string(), io::ModelFolder::open(path), backbone.facts(),
                        plain.table(), std::as_const(plain).weights(),
                        {.weights = {.prefix = "encoder."}});
  CHECK(values_in_folder(to.path().string(), "lm_head.weight")[0] == 7);
  const auto words = values_in_folder(path, "model.embed_tokens.weight");
  CHECK(values_in_folder(to.path().string(), "model.embed_tokens.weight") == words);
}

TEST_CASE("a folder that names a head of its own and has none is refused") {
  const simgr_test::PublishedQwen qwen;
  std::string text = simgr_test::read_bytes(qwen.file("config.json"));
  text.replace(text.find("embeddings\": true"), 17, "embeddings\": false");
  simgr_test::write_bytes(qwen.file("config.json"), text);
  const auto backbone = io::Backbone::open(qwen.path().string());
  CHECK_THROWS_WITH_AS(over_qwen<SpelledBy<Decoder>>(backbone, {.rank = 0}),
                       doctest::Contains("lm_head.weight: expected [9, 16], file has none"),
                       DataError);
}

TEST_CASE("a model over prompts refuses a catalogue without one, and one of other words") {
  const PublishedBert bert;
  const auto backbone = io::Backbone::open(bert.folder.path());
  OverBert::Config config;
  backbone.configure<Reader>(config.encoder);
  CHECK_THROWS_AS(OverBert(titled_catalogue(), config), ConfigError);
  Catalogue catalogue = titled_catalogue();
  catalogue.prompt = backbone.prompt(wording);
  catalogue.prompt.wording.between = {9};
  CHECK_THROWS_WITH_AS(OverBert(std::move(catalogue), config),
                       "catalogue.prompt: between: expected 0 to 8, found 9", ConfigError);
}

TEST_CASE("a backbone of another family is refused by the encoder") {
  const PublishedBert bert;
  const auto backbone = io::Backbone::open(bert.folder.path());
  CausalLm<PromptEmbedding, Lora<Linear>>::Config config;
  CHECK_THROWS_AS((backbone.configure<CausalLm<PromptEmbedding, Lora<Linear>>>(config)),
                  ConfigError);
}
