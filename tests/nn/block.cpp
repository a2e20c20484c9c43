// SPDX-License-Identifier: Apache-2.0
#include <simgr/nn/block.hpp>

#include <string>
#include <type_traits>
#include <utility>

#include <support/gradient_check.hpp>

using namespace simgr;

namespace {
const std::vector<Index> ragged{0, 3, 4, 8};
}

TEST_CASE_TEMPLATE("blocks give the gradients of their forward pass, dropout included", Placement,
                   PreNorm, PostNorm, QueryNorm) {
  using B = TransformerBlock<Causal, Placement, GeluTanh>;
  simgr_test::check_sequence_gradients<B>(
      {.width = 6, .heads = 2, .inner = 5, .dropout = .3, .attention_dropout = .4}, ragged, 6);
}
TEST_CASE("a bidirectional block without an output projection gives its gradients") {
  using B = TransformerBlock<Bidirectional, QueryNorm, Relu>;
  simgr_test::check_sequence_gradients<B>({.width = 6, .heads = 3, .inner = 5, .projected = false},
                                          ragged, 6);
}

namespace {

/// Adapters of queries, keys and values, one each, or one of all.
template <class B>
typename B::Config adapted_block(bool joint, bool frozen, double dropout) {
  typename B::Config config{.width = 6, .heads = 2, .inner = 5, .dropout = dropout};
  config.attention_dropout = dropout;
  config.adapters = {.rank = 3, .alpha = 2, .dropout = dropout, .frozen = frozen};
  config.adapters.joint = joint;
  config.adapters.query = config.adapters.key = config.adapters.value = !joint;
  return config;
}
using AdaptedGpt = TransformerBlock<Causal, PreNorm, GeluTanh, Lora<Linear>>;
using AdaptedBert = TransformerBlock<Bidirectional, PostNorm, GeluErf, Lora<Linear>>;

}  // namespace

TEST_CASE("a block under adapters gives the gradients of its forward pass, base frozen or not") {
  for (const bool frozen : {true, false}) {
    simgr_test::check_sequence_gradients<AdaptedGpt>(adapted_block<AdaptedGpt>(true, frozen, .3),
                                                     ragged, 6);
    simgr_test::check_sequence_gradients<AdaptedBert>(adapted_block<AdaptedBert>(false, frozen, .3),
                                                      ragged, 6);
  }
  auto some = adapted_block<AdaptedBert>(false, true, 0);
  some.adapters.key = some.adapters.up = some.adapters.out = false;
  const ParameterTable table = describe<AdaptedBert>(some);
  std::string trained;
  for (const TensorEntry& tensor : table.trained_tensors()) { trained += tensor.name + " "; }
  CHECK(trained == "attention.query.a attention.query.b attention.value.a attention.value.b down.a "
                   "down.b ");
  simgr_test::check_sequence_gradients<AdaptedBert>(some, ragged, 6);
}

TEST_CASE_TEMPLATE("a block under adapters is the block that they are merged into", B, AdaptedGpt,
                   AdaptedBert) {
  using Plain =
      std::conditional_t<std::is_same_v<B, AdaptedGpt>, TransformerBlock<Causal, PreNorm, GeluTanh>,
                         TransformerBlock<Bidirectional, PostNorm, GeluErf>>;
  const auto config = adapted_block<B>(std::is_same_v<B, AdaptedGpt>, true, 0);
  const typename Plain::Config plain{.width = 6, .heads = 2, .inner = 5};
  const ParameterTable table = describe<B>(config), merged_table = describe<Plain>(plain);
  std::vector<double> weights = simgr_test::random_values(table.block_size, 1),
                      merged(static_cast<std::size_t>(merged_table.block_size));
  const auto p = bind<B>(config, weights.data());
  const auto q = bind<Plain>(plain, merged.data());
  Arena arena;
  cpu::Context ctx{arena, true};
  const auto same = [&](const auto& from, const auto& to) {
    std::copy(from.begin(), from.end(), to.begin());
  };
  for (const auto& [from, to] : {std::pair(p.norm1, q.norm1), std::pair(p.norm2, q.norm2)}) {
    same(from.weight, to.weight);
    same(from.bias, to.bias);
  }
  using Map = Lora<Linear>;
  Map::merge(config.up(), p.up, q.up.weight, ctx);
  Map::merge(config.down(), p.down, q.down.weight, ctx);
  Map::merge(config.mixer().out(), p.mixer.out, q.mixer.out.weight, ctx);
  same(p.up.base.bias, q.up.bias);
  same(p.down.base.bias, q.down.bias);
  same(p.mixer.out.base.bias, q.mixer.out.bias);
  same(p.mixer.qkv.weight, q.mixer.qkv.weight);
  same(p.mixer.qkv.bias, q.mixer.qkv.bias);
  for (std::size_t i = 0; i < B::Mixer::stacked.size(); ++i) {
    const auto update = config.mixer().update(i);
    if (update.rank > 0) {
      LowRank::merge(update, p.mixer.updates[i],
                     q.mixer.qkv.weight.slice(6 * B::Mixer::stacked[i].begin, update.out), ctx);
    }
  }
  const std::vector<double> x = simgr_test::random_values(8 * 6, 2);
  const MatrixArg<double> input(x.data(), {8, 6});
  const Packing packing = Offsets(ragged);
  const std::vector<std::int32_t> last{2, 3, 7};
  const Matrix<double> kv = ctx.take<double>(8, 12), other = ctx.take<double>(8, 12);
  typename B::template Cache<double> cache;
  typename Plain::template Cache<double> plain_cache;
  const auto meets = [](Matrix<double> y, Matrix<double> expected) {
    for (Index i = 0; i < y.size(); ++i) {
      CHECK(y.data()[i] == doctest::Approx(expected.data()[i]).epsilon(1e-11));
    }
  };
  meets(B::forward(config, p, input, packing, cache, ctx),
        Plain::forward(plain, q, input, packing, plain_cache, ctx));
  meets(B::serve_all(config, p, input, packing, kv, ctx),
        Plain::serve_all(plain, q, input, packing, other, ctx));
  meets(kv, other);
  meets(B::serve_last(config, p, input, packing, last, kv, ctx),
        Plain::serve_last(plain, q, input, packing, last, other, ctx));
}
