// SPDX-License-Identifier: Apache-2.0
#include <simgr/encoder/frozen_tokens.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include <encoder/golden_causal_lm.hpp>

// Published weights that are bfloat16, kept as they are and widened to floats: the same model.

namespace {

using namespace simgr;
using simgr_test::GoldenModel;

/// A model of the maps `Projection` with the weights of `file`, and adapters of one seed.
template <class E, class T>
struct PublishedRun {
  typename E::Config config;
  ParameterTable table;
  std::vector<T> weights, gradients;
  typename E::template Params<T> params, grads;
  typename E::template Cache<T> cache;
  Arena arena;
  cpu::Context ctx{arena, true};

  PublishedRun(typename E::Config of, simgr_test::GoldenCase& file)
      : config(of), table(describe<E>(config)), weights(static_cast<std::size_t>(table.block_size)),
        gradients(static_cast<std::size_t>(table.trained_size)),
        params(bind<E>(config, weights.data())), grads(bind_trained<E>(config, gradients.data())) {
    for (const TensorEntry& tensor : table.tensors) {
      if (tensor.name.ends_with(".a") || tensor.name.ends_with(".b")) {
        initialise_tensor({.name = tensor.name,
                           .shape = tensor.shape,
                           .size = tensor.size,
                           .init = Init::normal(.1)},
                          weights.data() + tensor.offset, 3);
        continue;
      }
      std::string name = tensor.name;
      if (const auto base = name.find(".base."); base != std::string::npos) {
        name.replace(base, 6, ".");
      }
      name = name == "embedding.table" ? "embedding.items" : name;
      const auto values = file.tensor<float>(simgr_test::published<simgr_test::Llama>(name));
      REQUIRE(static_cast<Index>(values.size()) == tensor.size);
      T* const to = weights.data() + tensor.offset;
      for (std::size_t i = 0; i < values.size(); ++i) {
        if (tensor.storage == Storage::full) {
          to[i] = static_cast<T>(values[i]);
        } else {
          reinterpret_cast<BFloat16*>(to)[i].bits = bf16_from_float(values[i]);
        }
      }
    }
  }

  /// States of all tokens, then the gradient of a loss that is their weighted sum.
  Matrix<T> step(RaggedView<ItemId> history, Matrix<const T> rows) {
    const ItemsView<> tokens{config.catalogue.items, {}};
    const Matrix<T> states = E::forward(config, params, rows, tokens, history, cache, ctx);
    const Matrix<T> dstates = ctx.take<T>(states.rows(), states.cols());
    for (Index i = 0; i < dstates.size(); ++i) {
      dstates.data()[i] = static_cast<T>(std::sin(static_cast<double>(i)));
    }
    const Matrix<T> unread = ctx.take<T>(config.catalogue.items, config.width);
    E::backward(config, params, grads, dstates, unread, cache, ctx);
    return states;
  }
};

template <class T>
void check_narrow(GoldenModel& model, simgr_test::GoldenCase& file) {
  using Wide = CausalLm<ItemEmbedding, Lora<Linear>>;
  using Thin = CausalLm<FrozenTokens, Lora<Narrow<Linear>>>;
  const auto plain = simgr_test::causal_config<simgr_test::Llama>(model);
  const auto configured = [&](auto config) {
    config.catalogue = plain.catalogue;
    config.width = plain.width;
    config.layers = plain.layers;
    config.heads = plain.heads;
    config.kv_heads = plain.kv_heads;
    config.head_width = plain.head_width;
    config.inner = plain.inner;
    config.max_length = plain.max_length;
    config.epsilon = plain.epsilon;
    config.biased = plain.biased;
    config.head_norm = plain.head_norm;
    config.angles = plain.angles;
    config.adapters.rank = 2;
    return config;
  };
  PublishedRun<Wide, T> wide(configured(Wide::Config{}), file);
  PublishedRun<Thin, T> thin(configured(Thin::Config{}), file);
  CHECK(thin.table.parameters() == wide.table.parameters());
  CHECK(thin.table.block_size < wide.table.block_size * 6 / 10);
  simgr_test::GoldenCase& inputs = model.file("inputs");
  const simgr_test::Padding padding(inputs, "input_ids", "lengths");
  const auto ids = padding.pack(inputs.tensor<std::int32_t>("input_ids"));
  const RaggedView<ItemId> history{std::span<const ItemId>(ids), Offsets(padding.offsets)};
  const Matrix<T> expected = wide.step(history, wide.params.embedding.table),
                  states = thin.step(history, {});
  const double rounding = 100 * static_cast<double>(std::numeric_limits<T>::epsilon());
  const auto meets = [&](std::span<const T> found, std::span<const T> other) {
    REQUIRE(found.size() == other.size());
    double largest = 0, worst = 0;
    for (std::size_t i = 0; i < found.size(); ++i) {
      largest = std::max(largest, std::abs(static_cast<double>(other[i])));
      worst = std::max(worst, std::abs(static_cast<double>(found[i] - other[i])));
    }
    CHECK(largest > 0);
    CHECK(worst <= rounding * largest);
  };
  meets(states.span(), expected.span());
  Index adapters = 0;
  for (const TensorEntry& tensor : thin.table.trained_tensors()) {
    CAPTURE(tensor.name);
    const auto other = std::find_if(wide.table.tensors.begin(), wide.table.tensors.end(),
                                    [&](const TensorEntry& it) { return it.name == tensor.name; });
    REQUIRE(other != wide.table.tensors.end());
    const auto size = static_cast<std::size_t>(tensor.size);
    meets(
        std::span<const T>(thin.gradients).subspan(static_cast<std::size_t>(tensor.offset), size),
        std::span<const T>(wide.gradients).subspan(static_cast<std::size_t>(other->offset), size));
    ++adapters;
  }
  CHECK(adapters == 14 * thin.config.layers);
}

}  // namespace

namespace simgr_test {

Index check_narrow_lm(GoldenModel& model);
Index check_narrow_lm(GoldenModel& model) {
  Index checked = 0;
  for (GoldenCase& file : model.files.cases()) {
    if (file.name().ends_with(".bf16")) {
      INFO(file.name());
      check_narrow<double>(model, file);
      check_narrow<float>(model, file);
      ++checked;
    }
  }
  return checked;
}

}  // namespace simgr_test
