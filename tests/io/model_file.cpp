// SPDX-License-Identifier: Apache-2.0
#include <simgr/io/model_file.hpp>

#include <limits>

#include <doctest/doctest.h>

#include <simgr/baselines/sasrec.hpp>
#include <simgr/baselines/simgr.hpp>

#include <support/temporary_folder.hpp>

namespace {

using simgr::Catalogue;
using simgr::Index;
using simgr::ItemId;
using Model = simgr::baselines::SimGrMean;
using File = simgr::io::ModelFile<Model>;

Catalogue small_catalogue(Index items = 23) {
  Catalogue catalogue{.items = items};
  catalogue.ids.codes = simgr::OwnedMatrix<std::int32_t>(items, 2);
  catalogue.ids.codes_per_digit = {5, 7};
  for (Index i = 0; i < items; ++i) {
    catalogue.ids.codes.view()(i, 0) = static_cast<std::int32_t>(i % 5);
    catalogue.ids.codes.view()(i, 1) = static_cast<std::int32_t>(i % 7);
    catalogue.keys.push_back("key " + std::to_string(i));
    catalogue.popularity.push_back(100 - i);
  }
  return catalogue;
}

Model small_model() {
  return Model(small_catalogue(),
               {.encoder = {.width = 8, .layers = 1, .heads = 2, .max_length = 6},
                .similarity = {.temperature = 0.25}},
               7);
}

std::string sentence_of(const std::string& path) {
  const auto model = File::try_load(path);
  return model ? "loaded" : model.error().what();
}

TEST_CASE("a model that is saved and loaded has the same bits, config, keys and popularity") {
  const simgr_test::TemporaryFolder folder;
  const Model model = small_model();
  const std::vector<simgr::io::MetadataEntry> extra = {{"note", "a text"}};
  File::save(model, folder.file("m"), extra);
  const Model loaded = File::load(folder.file("m"));
  CHECK(std::equal(model.weights().begin(), model.weights().end(), loaded.weights().begin()));
  CHECK(std::equal(model.keys().begin(), model.keys().end(), loaded.keys().begin()));
  CHECK(loaded.config().similarity.temperature == 0.25);
  CHECK(loaded.config().encoder.max_length == 6);
  CHECK(loaded.catalogue().keys == model.catalogue().keys);
  CHECK(loaded.catalogue().popularity == model.catalogue().popularity);
  CHECK(loaded.catalogue().ids.codes_per_digit == model.catalogue().ids.codes_per_digit);
  CHECK(simgr::io::Checkpoint::read(folder.file("m")).text("note") == "a text");
}

TEST_CASE("a model loads with the items that were added after training") {
  const simgr_test::TemporaryFolder folder;
  Model model = small_model();
  simgr::OwnedMatrix<std::int32_t> codes(1, 2);
  codes.values = {4, 6};
  model.add_items(codes, {"new"});
  model.save(folder.file("m"));
  const Model loaded = Model::load(folder.file("m"));
  CHECK(loaded.items() == 24);
  CHECK(std::equal(model.keys().begin(), model.keys().end(), loaded.keys().begin()));
}

TEST_CASE("saving again keeps the file before under .previous") {
  const simgr_test::TemporaryFolder folder;
  const Model model = small_model();
  model.save(folder.file("m"));
  const std::string first = simgr_test::read_bytes(folder.file("m"));
  Model other(small_catalogue(), model.config(), 8);
  other.save(folder.file("m"));
  CHECK(simgr_test::read_bytes(folder.file("m.previous")) == first);
  CHECK(simgr_test::read_bytes(folder.file("m")) != first);
}

TEST_CASE("metadata of a host come back; keys of the library are refused and nothing is written") {
  const simgr_test::TemporaryFolder folder;
  const std::vector<simgr::io::MetadataEntry> own{{"run", "7"}}, foreign{{"simgr.encoder", "mine"}};
  File::save(small_model(), folder.file("m"), own);
  CHECK(simgr::io::Checkpoint::read(folder.file("m")).text("run") == "7");
  const auto failure = File::try_save(small_model(), folder.file("n"), foreign);
  REQUIRE(failure);
  CHECK(std::string(failure->what()) ==
        "simgr.encoder: metadata keys that begin with \"simgr.\" belong to the library");
  CHECK(folder.entries() == 1);
}

TEST_CASE("a file cut at any byte, or with any bit turned, is refused") {
  const simgr_test::TemporaryFolder folder;
  small_model().save(folder.file("m"));
  const std::string whole = simgr_test::read_bytes(folder.file("m"));
  for (std::size_t size = 0; size < whole.size(); size += size < 64 ? 1 : 97) {
    simgr_test::write_bytes(folder.file("cut"), std::string_view(whole).substr(0, size));
    CHECK_FALSE(File::try_load(folder.file("cut")).ok());
  }
  for (std::size_t at = 0; at < whole.size(); at += 61) {
    std::string turned = whole;
    turned[at] = static_cast<char>(turned[at] ^ 16);
    simgr_test::write_bytes(folder.file("turned"), turned);
    CHECK_FALSE(File::try_load(folder.file("turned")).ok());
  }
}

TEST_CASE("a file of another model says which one it holds") {
  const simgr_test::TemporaryFolder folder;
  const simgr::baselines::SasRec model({.items = 23}, {.encoder = {.width = 8, .heads = 1}});
  model.save(folder.file("m"));
  const std::string sentence = sentence_of(folder.file("m"));
  CHECK(sentence.find("simgr.type: expected TransformerEncoder<PooledDigitEmbedding<") !=
        std::string::npos);
  CHECK(sentence.find("the file holds TransformerEncoder<ItemEmbedding") != std::string::npos);
}

TEST_CASE("the file names the types of its model, the same however they were written") {
  const simgr_test::TemporaryFolder folder;
  small_model().save(folder.file("m"));
  const auto file = simgr::io::Checkpoint::read(folder.file("m"));
  CHECK(file.text("simgr.type") ==
        "TransformerEncoder<PooledDigitEmbedding<DigitSum<1>>, Causal, PreNorm, GeluTanh> > "
        "PositionPooler<0> > ScaledCosine<PooledDigits<DigitSum<1>>>");
  CHECK(file.text("simgr.loss") == "ItemCrossEntropy<FullCatalogue>");
  using Spelled =
      simgr::Recommender<simgr::TransformerEncoder<simgr::PooledDigitEmbedding<simgr::Mean>,
                                                   simgr::Causal, simgr::PreNorm, simgr::GeluTanh>,
                         simgr::EveryPosition,
                         simgr::ScaledCosine<simgr::PooledDigits<simgr::Mean>>,
                         simgr::ItemCrossEntropy<>>;
  CHECK(simgr::io::ModelFile<Spelled>::type() == File::type());
}

// Writes a valid checkpoint of a model that `change` has touched.
template <class F>
std::string sentence_after(F&& change) {
  const simgr_test::TemporaryFolder folder;
  const Model model = small_model();
  std::vector<float> weights(model.weights().begin(), model.weights().end());
  Catalogue catalogue = model.catalogue();
  auto config = model.config();
  simgr::ParameterTable table = model.table();
  std::vector<std::pair<std::string, std::string>> texts;
  change(weights, catalogue, config, table, texts);
  simgr::io::CheckpointWriter writer;
  const auto whole = [&] {
    File::save(model, folder.file("whole"));
    return simgr::io::Checkpoint::read(folder.file("whole"));
  }();
  writer.set("simgr.type", whole.text("simgr.type"));
  for (const simgr::FieldText& field : simgr::list_fields(config)) {
    writer.set("simgr.config." + field.name, field.value);
  }
  for (const auto& [key, text] : texts) { writer.set(key, text); }
  simgr::io::add_catalogue(writer, catalogue);
  simgr::io::add_parameters(writer, table, weights);
  writer.write(folder.file("m"));
  return sentence_of(folder.file("m"));
}

TEST_CASE("what a file says is checked before anything is believed") {
  using Weights = std::vector<float>;
  using Texts = std::vector<std::pair<std::string, std::string>>;
  const auto contains = [](const std::string& sentence, const char* part) {
    INFO(sentence);
    CHECK(sentence.find(part) != std::string::npos);
  };
  contains(sentence_after([](Weights&, Catalogue&, auto&, auto&, Texts&) {}), "loaded");
  contains(sentence_after([](Weights& weights, Catalogue&, auto&, auto&, Texts&) {
             weights[3] = std::numeric_limits<float>::quiet_NaN();
           }),
           "encoder.embedding.digits: element 3 is not a finite number");
  contains(sentence_after([](Weights&, Catalogue&, auto& config, auto&, Texts&) {
             config.encoder.width = 60000;  // 10 GB, if it were believed
             config.encoder.heads = 1;
           }),
           "encoder.embedding.digits: expected [12, 60000], file has [12, 8]");
  contains(sentence_after(
               [](Weights&, Catalogue&, auto& config, auto&, Texts&) { config.encoder.heads = 3; }),
           "encoder.heads: expected a divisor of encoder.width 8, found 3");
  contains(sentence_after([](Weights&, Catalogue&, auto&, auto&, Texts& texts) {
             texts.emplace_back("simgr.config.encoder.widht", "8");
           }),
           "no setting is named \"encoder.widht\"; near names: encoder.width");
  contains(sentence_after([](Weights&, Catalogue& catalogue, auto&, auto&, Texts&) {
             catalogue.ids.codes.view()(9, 1) = 7;
           }),
           "catalogue/codes: digit 1 of item 9: expected 0 to 6, found 7");
  contains(sentence_after([](Weights&, Catalogue& catalogue, auto&, auto&, Texts&) {
             catalogue.keys.pop_back();
           }),
           "catalogue/keys: expected 23 keys, found 22");
  contains(sentence_after([](Weights&, Catalogue& catalogue, auto&, auto&, Texts&) {
             catalogue.ids.codes_per_digit = {2000000000, 2000000000};
           }),
           "catalogue/codes_per_digit: expected 1 to 147483647 codes, found 2000000000");
  contains(sentence_after([](Weights&, Catalogue&, auto&, simgr::ParameterTable& table, Texts&) {
             table.tensors[0].name = "encoder.embedding.rows";
             table.tensors[1].shape = {table.tensors[1].size};
           }),
           "3 tensors do not match the model");
}

TEST_CASE("text vectors stand in the file of who reads them, and are checked like all else") {
  const simgr_test::TemporaryFolder folder;
  Catalogue catalogue = small_catalogue();
  catalogue.text_vectors = simgr::OwnedMatrix<float>(23, 3);
  for (std::size_t i = 0; i < 69; ++i) {
    catalogue.text_vectors.values[i] = 0.1f * static_cast<float>(i);
  }
  const auto read = [&](const auto& write) {
    simgr::io::CheckpointWriter writer;
    write(writer);
    writer.write(folder.file("c"));
    return simgr::io::try_read_catalogue(simgr::io::Checkpoint::read(folder.file("c")));
  };
  const auto of = [&](const Catalogue& stored) {
    return read([&](auto& writer) { simgr::io::add_catalogue(writer, stored); });
  };
  auto back = of(catalogue);
  REQUIRE(back);
  CHECK(back->text_vectors.values == catalogue.text_vectors.values);
  CHECK(back->text_vectors.rows == 23);
  CHECK(back->text_vectors.cols == 3);

  // A model of ids keeps none: they are large, and have served.
  CHECK(Model(catalogue, small_model().config(), 7).catalogue().text_vectors.empty());

  const auto contains = [](auto result, const char* part) {
    REQUIRE(!result);
    const std::string sentence = result.error().what();
    INFO(sentence);
    CHECK(sentence.find(part) != std::string::npos);
  };
  Catalogue odd = catalogue;
  odd.text_vectors.values[31] = std::numeric_limits<float>::infinity();
  contains(of(odd), "catalogue/text_vectors: item 10: found a number that is not finite");
  Catalogue few = catalogue;
  few.text_vectors.values.resize(66);
  few.text_vectors.rows = 22;
  contains(of(few), "catalogue/text_vectors: expected [23, 3], file has [22, 3]");
  catalogue.text_vectors = {};
  for (const std::vector<Index>& shape : {std::vector<Index>{0}, std::vector<Index>{23, 0}}) {
    contains(read([&](auto& writer) {
               simgr::io::add_catalogue(writer, catalogue);
               writer.add_copy("catalogue/text_vectors", shape, std::span<const float>());
             }),
             "catalogue/text_vectors: expected [23, 1]");
  }
}

}  // namespace
