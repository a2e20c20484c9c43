// SPDX-License-Identifier: Apache-2.0
#include <support/tiny_encoder.hpp>
#include <support/whole_model.hpp>

#include <simgr/encoder/causal_lm.hpp>
#include <simgr/encoder/prompt_embedding.hpp>
#include <simgr/encoder/transformer.hpp>
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

// Whole models over prompts of a language model.

using namespace simgr;
using simgr_test::check_whole_model;
using simgr_test::ToyWorld;

namespace {

using Decoder = CausalLm<PromptEmbedding, Lora<Linear>>;
using Bert = TransformerEncoder<PromptEmbedding, Bidirectional, PostNorm, GeluErf>;

template <class D = Decoder>
typename D::Config small_decoder(bool frozen) {
  typename D::Config c;
  c.width = 8;
  c.layers = 2;
  c.heads = 2;
  c.kv_heads = 1;
  c.inner = 12;
  c.embedding.longest = 64;
  c.adapters = {.rank = frozen ? 2 : 0, .alpha = 4, .frozen = frozen};
  return c;
}
template <class E>
typename E::Config small_placed() {
  typename E::Config c;
  c.width = 8;
  c.layers = 2;
  c.heads = 2;
  c.inner = 12;
  c.places = 70;
  c.dropout = c.attention_dropout = 0;
  c.embedding.longest = 64;
  return c;
}

/// The tokens of one history, in words and then digits.
std::vector<std::int32_t> prompt_of(const ToyWorld& world, std::vector<ItemId> history,
                                    std::vector<ItemId> targets, Index longest) {
  const std::vector<Index> offsets{0, static_cast<Index>(history.size())};
  Arena arena;
  cpu::Context ctx{arena};
  const HistoryTokens tokens = PromptEmbedding::lay_out(
      {8, world.sizes, {.longest = longest}}, world.items(), {history, offsets}, targets, ctx);
  CHECK(tokens.offsets.back() == static_cast<Index>(tokens.rows.size()));
  return {tokens.rows.begin(), tokens.rows.end()};
}
using Tokens = std::vector<std::int32_t>;

}  // namespace

TEST_CASE("a history inside a prompt is not padded on the left") {
  auto config = small_placed<Bert>();
  config.left_padded = true;
  CHECK(Bert::check(config) ==
        "encoder.left_padded: expected 0 where histories are parts of prompts, found 1");
}

TEST_CASE("a prompt is the words around the items and each item's digits, words or both") {
  // Item 1 has digits 1, 5, 9 and the word 1; item 2 digits 2, 6, 10 and the words 2 and 4.
  CHECK(prompt_of(ToyWorld::with_prompt(true, false), {1, 2}, {}, 64) ==
        Tokens{0, 3, 10, 14, 18, 5, 11, 15, 19, 8, 3});
  CHECK(prompt_of(ToyWorld::with_prompt(false, true), {1, 2}, {}, 64) ==
        Tokens{0, 3, 1, 5, 2, 4, 8, 3});
  CHECK(prompt_of(ToyWorld::with_prompt(true, true), {1, 2}, {}, 64) ==
        Tokens{0, 3, 10, 14, 18, 1, 5, 11, 15, 19, 2, 4, 8, 3});
}

TEST_CASE("behind a prompt stand all digits of the target but the last") {
  CHECK(prompt_of(ToyWorld::with_prompt(true, false), {1}, {2}, 64) ==
        Tokens{0, 3, 10, 14, 18, 8, 3, 11, 15});
}

TEST_CASE("of a history too long for a prompt the oldest items are left out") {
  const ToyWorld world = ToyWorld::with_prompt(true, false);
  // Four words around, two digits of a target, three digits of an item and a word between two.
  CHECK(prompt_of(world, {1, 2}, {}, 12) == Tokens{0, 3, 11, 15, 19, 8, 3});
  CHECK(prompt_of(world, {1, 2}, {}, 13).size() == 11);
  CHECK(prompt_of(world, {1, 2}, {}, 7) == Tokens{0, 3, 8, 3});
  CHECK(PromptEmbedding::check({8, world.sizes, {.longest = 7}}).empty());
  CHECK(PromptEmbedding::check({8, world.sizes, {.longest = 6}}) ==
        "encoder.embedding.longest: expected at least 7, the words around the items and the tokens "
        "of one, found 6");
}

TEST_CASE("words and rows of items together have numbers of 32 bits") {
  ToyWorld world = ToyWorld::with_prompt(true, false);
  world.sizes.words = INT32_MAX - 11;
  CHECK(PromptEmbedding::check({8, world.sizes, {.longest = 64}}).empty());
  ++world.sizes.words;
  CHECK(PromptEmbedding::check({8, world.sizes, {.longest = 64}}) ==
        "catalogue.prompt.words: expected at most 2147483636 beside the rows of items, found "
        "2147483637");
}

TEST_CASE("a decoder over prompts that ranks by similarity has the gradients of its loss") {
  check_whole_model<Decoder, LastPosition, ScaledCosine<PooledDigits<Mean>>, ItemCrossEntropy<>>(
      {.encoder = small_decoder(false), .similarity = {.temperature = .5}}, 1e-7,
      ToyWorld::with_prompt(true, true));
}

TEST_CASE("a decoder over prompts that spells items has the gradients of its loss") {
  check_whole_model<Decoder, EveryDigitOfLast, InnerProduct<DigitCodebooks>, DigitCrossEntropy>(
      {.encoder = small_decoder(false)}, 1e-7, ToyWorld::with_prompt(true, false));
}

TEST_CASE("a decoder that predicts by other rows than it reads has the gradients of its loss") {
  using Narrow16 = CausalLm<NarrowPromptEmbedding, Lora<Narrow<Linear>>>;
  const auto untied = [](auto config) {
    config.embedding.untied = true;
    return config;
  };
  for (const bool frozen : {false, true}) {
    check_whole_model<Decoder, EveryDigitOfLast, InnerProduct<DigitCodebooks>, DigitCrossEntropy>(
        {.encoder = untied(small_decoder(frozen)), .candidates = {.support = DigitSupport::whole}},
        1e-7, ToyWorld::with_prompt(true, false));
  }
  check_whole_model<Narrow16, EveryDigitOfLast, InnerProduct<DigitCodebooks>, DigitCrossEntropy>(
      {.encoder = untied(small_decoder<Narrow16>(true))}, 1e-7, ToyWorld::with_prompt(true, false));
}

TEST_CASE("the head of words is frozen where the decoder is, the rows of digits never are") {
  using Model =
      Composition<Decoder, EveryDigitOfLast, InnerProduct<DigitCodebooks>, DigitCrossEntropy>;
  for (const bool frozen : {false, true}) {
    Model::Config config{.encoder = small_decoder(frozen)};
    config.encoder.catalogue = ToyWorld::with_prompt(true, true).sizes;
    const auto trained = [&](const std::string& name) {
      for (const TensorEntry& tensor : describe<Model>(config).tensors) {
        if (tensor.name == "encoder.embedding." + name) {
          return tensor.trained == Trained::yes ? "yes" : "no";
        }
      }
      return "none";
    };
    CHECK(std::string(trained("head")) == "none");
    config.encoder.embedding.untied = true;
    CHECK(std::string(trained("head")) == (frozen ? "no" : "yes"));
    CHECK(std::string(trained("head_digits")) == "yes");
  }
}

TEST_CASE("items that the decoder reads stand without a prompt, and train it") {
  check_whole_model<Decoder, LastPosition, ScaledCosine<EncodedItems>, ItemCrossEntropy<>>(
      {.encoder = small_decoder(false), .similarity = {.temperature = .5}}, 1e-7,
      ToyWorld::with_prompt(true, false));
}

TEST_CASE("BERT over prompts of titles has the gradients of its loss") {
  check_whole_model<Bert, SequenceMean, ScaledCosine<PooledDigits<Mean>>, ItemCrossEntropy<>>(
      {.encoder = small_placed<Bert>(), .similarity = {.temperature = .5}}, 1e-7,
      ToyWorld::with_prompt(false, true));
}

TEST_CASE("what is decoded behind a prompt, token by token, are the scores of teacher forcing") {
  using Speller = Recommender<Decoder, EveryDigitOfLast, InnerProduct<DigitCodebooks>,
                              DigitCrossEntropy, ranker::TrieBeam>;
  const ToyWorld world = ToyWorld::with_prompt(true, true);
  Catalogue catalogue{.items = 7, .prompt = world.prompt};
  catalogue.ids.codes_per_digit = {4, 4, 3};
  catalogue.ids.codes = OwnedMatrix<std::int32_t>(7, 3);
  for (std::size_t i = 0; i < world.rows.size(); ++i) {
    catalogue.ids.codes.values[i] = world.rows[i] - static_cast<std::int32_t>(world.starts[i % 3]);
  }
  Speller::Config config{.encoder = small_decoder(false),
                         .candidates = {.support = DigitSupport::whole}};
  config.encoder.deviation = config.encoder.embedding.deviation = 0.5;
  for (const bool untied : {false, true}) {
    CAPTURE(untied);
    config.encoder.embedding.untied = untied;
    const Speller model(catalogue, config, 4);
    const std::vector<ItemId> history{2, 5};
    const std::vector<Index> offsets{0, 2};
    std::vector<float> scores(7);
    model.score({history, offsets}, {scores.data(), {1, 7}});
    const auto& encoder = model.params().encoder;
    const MatrixArg<float> digits = encoder.embedding.table,
                           outputs = untied ? encoder.embedding.outputs : encoder.embedding.table;
    for (ItemId item = 0; item < 7; ++item) {
      Arena arena;
      cpu::Context ctx{arena};
      Decoder::Cache<float> cache;
      const std::vector<ItemId> target{item};
      const Matrix<float> states =
          Decoder::forward_targets(model.config().encoder, encoder, digits, model.items_view(),
                                   {history, offsets}, target, cache, ctx);
      double sum = 0;
      for (Index l = 0; l < 3; ++l) {
        std::vector<double> logits(11, 0.0);
        double total = 0;
        for (Index row = 0; row < 11; ++row) {
          double& logit = logits[static_cast<std::size_t>(row)];
          for (Index x = 0; x < 8; ++x) {
            logit += static_cast<double>(states(l, x)) * static_cast<double>(outputs(row, x));
          }
          total += std::exp(logit);
        }
        sum +=
            logits[static_cast<std::size_t>(world.rows[static_cast<std::size_t>(item * 3 + l)])] -
            std::log(total);
      }
      CAPTURE(item);
      CHECK(scores[static_cast<std::size_t>(item)] == doctest::Approx(sum).epsilon(1e-5));
    }
    const auto list = model.recommend(history, 5);
    REQUIRE(list.size() == 5);
    for (const Recommended& each : list) {
      CHECK(each.score ==
            doctest::Approx(scores[static_cast<std::size_t>(each.item)]).epsilon(1e-5));
    }
  }
}

TEST_CASE("items as vectors of another model are mapped into the prompt") {
  using Reader = CausalLm<VectorPromptEmbedding, Lora<Linear>>;
  ToyWorld world(5);
  const ToyWorld worded = ToyWorld::with_prompt(true, false);
  world.prompt = worded.prompt;
  world.sizes.words = worded.sizes.words;
  world.sizes.around = worded.sizes.around;
  Reader::Config c;
  c.width = 8;
  c.layers = 1;
  c.heads = 2;
  c.kv_heads = 2;
  c.embedding.longest = 32;
  c.adapters = {.rank = 0, .frozen = false};
  check_whole_model<Reader, LastPosition, InnerProduct<OwnItems>, ItemCrossEntropy<>>(
      {.encoder = c}, 1e-7, world);
  c.catalogue = world.sizes;
  c.catalogue.item_width = 0;
  CHECK(Reader::check(c) ==
        "catalogue.item_vectors: this model reads a vector of each item and the "
        "catalogue has none");
}

TEST_CASE("over a frozen decoder, also one kept as bf16, digits and adapters have the gradients") {
  using NarrowDecoder = CausalLm<NarrowPromptEmbedding, Lora<Narrow<Linear>>>;
  check_whole_model<Decoder, LastPosition, ScaledCosine<PooledDigits<Mean>>, ItemCrossEntropy<>>(
      {.encoder = small_decoder(true), .similarity = {.temperature = .5}}, 1e-7,
      ToyWorld::with_prompt(true, true));
  check_whole_model<NarrowDecoder, LastPosition, ScaledCosine<PooledDigits<Mean>>,
                    ItemCrossEntropy<>>(
      {.encoder = small_decoder<NarrowDecoder>(true), .similarity = {.temperature = .5}}, 1e-7,
      ToyWorld::with_prompt(true, true));
}

TEST_CASE_TEMPLATE(
    "over a frozen GPT-2 or BERT, digits and adapters have the gradients, and none else", E,
    AdaptedTransformer<PromptEmbedding, Causal, PreNorm, GeluTanh>,
    AdaptedTransformer<PromptEmbedding, Bidirectional, PostNorm, GeluErf>) {
  using Model = Composition<E, LastPosition, ScaledCosine<PooledDigits<Mean>>, ItemCrossEntropy<>>;
  typename Model::Config config{.encoder = small_placed<E>(), .similarity = {.temperature = .5}};
  config.encoder.adapters.rank = 2;
  config.encoder.adapters.alpha = 4;
  check_whole_model<E, LastPosition, ScaledCosine<PooledDigits<Mean>>, ItemCrossEntropy<>>(
      config, 1e-7, ToyWorld::with_prompt(true, true));
  config.encoder.catalogue = ToyWorld::with_prompt(true, true).sizes;
  Index adapters = 0;
  for (const TensorEntry& tensor : describe<Model>(config).tensors) {
    CAPTURE(tensor.name);
    const bool adapter = tensor.name.ends_with(".a") || tensor.name.ends_with(".b");
    adapters += adapter ? 1 : 0;
    CHECK((tensor.trained == Trained::yes) ==
          (adapter || tensor.name == "encoder.embedding.digits"));
  }
  CHECK(adapters == 2 * 2 * (config.encoder.adapters.joint ? 4 : 6));
}

TEST_CASE("where the decoder is frozen, digits and adapters alone have gradients") {
  using Model =
      Composition<Decoder, LastPosition, ScaledCosine<PooledDigits<Mean>>, ItemCrossEntropy<>>;
  Model::Config config{.encoder = small_decoder(true)};
  config.encoder.catalogue = ToyWorld::with_prompt(true, true).sizes;
  for (const TensorEntry& tensor : describe<Model>(config).tensors) {
    CAPTURE(tensor.name);
    const bool ours = tensor.name == "encoder.embedding.digits" || tensor.name.ends_with(".a") ||
                      tensor.name.ends_with(".b");
    CHECK((tensor.trained == Trained::yes) == ours);
  }
}

namespace {

/// States and gradients of three prompts, together and each alone.
template <class E>
void check_shared_beginning(typename E::Config config) {
  const ToyWorld world = ToyWorld::with_prompt(true, true);
  config.catalogue = world.sizes;
  const ParameterTable table = describe<E>(config);
  std::vector<double> weights = simgr_test::random_values(table.block_size, 5, 0.4);
  const auto params = bind<E>(config, weights.data());
  const RaggedView<ItemId> histories{world.history, world.offsets};
  Arena arena;
  cpu::Context ctx{arena, true, 3, 0};
  std::vector<double> together(weights.size()), apart(weights.size());
  const auto run = [&](RaggedView<ItemId> read, std::vector<double>& gradient) {
    typename E::template Cache<double> cache;
    const auto grads = bind<E>(config, gradient.data());
    const Matrix<double> states =
        E::forward(config, params, params.embedding.table, world.items(), read, cache, ctx);
    const Matrix<double> ends = ctx.take<double>(read.sequences(), config.width),
                         dstates = ctx.take<double>(states.rows(), states.cols());
    fill(ctx, dstates, 0.0);
    for (Index s = 0; s < read.sequences(); ++s) {
      const Index end = cache.offsets[static_cast<std::size_t>(s) + 1] - 1;
      copy(ctx, states.row(end), ends.row(s), Write::assign);
      for (Index x = 0; x < config.width; ++x) {
        dstates(end, x) = 0.1 * static_cast<double>(x + 1);
      }
    }
    CHECK(states.rows() == cache.offsets.back());
    E::backward(config, params, grads, dstates, grads.embedding.table, cache, ctx);
    return std::pair(ends, cache.packing.shared);
  };
  const auto [all, shared] = run(histories, together);
  CHECK(shared);
  typename E::template Cache<double> serving;
  ctx.training = false;
  const Matrix<double> last = E::forward_last(config, params, params.embedding.table, world.items(),
                                              histories, serving, ctx);
  CHECK(serving.packing.shared);
  ctx.training = true;
  for (Index s = 0; s < 3; ++s) {
    const std::vector<Index> ends{0, static_cast<Index>(histories[s].size())};
    const auto [one, alone] = run({histories[s], ends}, apart);
    CHECK_FALSE(alone);
    for (Index x = 0; x < config.width; ++x) {
      CHECK(std::abs(all(s, x) - one(0, x)) < 1e-12);
      CHECK(std::abs(last(s, x) - one(0, x)) < 1e-12);
    }
  }
  for (std::size_t i = 0; i < together.size(); ++i) {
    CHECK(std::abs(together[i] - apart[i]) < 1e-11);
  }
}

}  // namespace

TEST_CASE(
    "what all prompts begin with is computed once, and changes neither states nor gradients") {
  check_shared_beginning<Decoder>(small_decoder(false));
  check_shared_beginning<Decoder>(small_decoder(true));
  using Placed = TransformerEncoder<PromptEmbedding, Causal>;
  Placed::Config placed = small_placed<Placed>();
  check_shared_beginning<Placed>(placed);
  placed.recompute = true;
  check_shared_beginning<Placed>(placed);
}
