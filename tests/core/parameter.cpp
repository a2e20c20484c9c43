// SPDX-License-Identifier: Apache-2.0
#include <simgr/core/parameter.hpp>

#include <cmath>
#include <string>
#include <vector>

#include <doctest/doctest.h>

using namespace simgr;

namespace {

struct Affine {
  struct Config {
    Index in = 0, out = 0;
  };
  template <class T, class Space = Host>
  struct Params {
    Matrix<T, Space> weight;
    Vector<T, Space> bias;
  };
  template <class F, class... P>
  static void for_each_parameter(const Config& c, F&& f, P&... p) {
    f(Spec<2>{"weight", {c.out, c.in}, Init::xavier()}, p.weight...);
    f(Spec<1>{"bias", {c.out}, Init::zeros(), Decay::no}, p.bias...);
  }
};

struct Stack {
  struct Config {
    Affine::Config affine;
    Index blocks = 0;
  };
  template <class T, class Space = Host>
  struct Params {
    std::vector<Affine::Params<T, Space>> blocks;
    Vector<T, Space> scale;
  };
  template <class F, class... P>
  static void for_each_parameter(const Config& c, F&& f, P&... p) {
    resize_blocks(c.blocks, p.blocks...);
    for (Index i = 0; i < c.blocks; ++i) {
      [[maybe_unused]] const auto at = static_cast<std::size_t>(i);
      Affine::for_each_parameter(c.affine, under("blocks." + std::to_string(i), f),
                                 p.blocks[at]...);
    }
    f(Spec<1>{"scale", {3}, Init::normal(0.5)}, p.scale...);
  }
};

const Stack::Config config{{5, 7}, 2};

std::vector<float> initialised(std::uint64_t seed) {
  const ParameterTable table = describe<Stack>(config);
  std::vector<float> block(static_cast<std::size_t>(table.block_size), 99.0f);
  initialise(table, std::span<float>(block), seed);
  return block;
}

}  // namespace

TEST_CASE("a walk composes names and keeps the order") {
  std::vector<std::string> names;
  for (const TensorEntry& tensor : describe<Stack>(config).tensors) {
    names.push_back(tensor.name);
  }
  CHECK(names == std::vector<std::string>{"blocks.0.weight", "blocks.0.bias", "blocks.1.weight",
                                          "blocks.1.bias", "scale"});
}

TEST_CASE("the table carries shapes, sizes and decay groups") {
  const ParameterTable table = describe<Stack>(config);
  CHECK(table.tensors[0].shape == std::vector<Index>{7, 5});
  CHECK(table.tensors[0].size == 35);
  CHECK(table.tensors[0].decay == Decay::yes);
  CHECK(table.tensors[1].decay == Decay::no);
  CHECK(table.parameters() == 2 * (35 + 7) + 3);
}

TEST_CASE("tensors begin on 64-byte boundaries and do not overlap") {
  const ParameterTable table = describe<Stack>(config);
  Index end = 0;
  for (const TensorEntry& tensor : table.tensors) {
    CHECK(tensor.offset % 16 == 0);
    CHECK(tensor.offset >= end);
    end = tensor.offset + tensor.size;
  }
  CHECK(table.block_size >= end);
  CHECK(table.block_size % 16 == 0);
}

TEST_CASE("bind points where describe says") {
  const ParameterTable table = describe<Stack>(config);
  std::vector<float> block(static_cast<std::size_t>(table.block_size));
  const auto params = bind<Stack>(config, block.data());
  REQUIRE(params.blocks.size() == 2);
  CHECK(params.blocks[0].weight.data() == block.data() + table.tensors[0].offset);
  CHECK(params.blocks[1].bias.data() == block.data() + table.tensors[3].offset);
  CHECK(params.scale.data() == block.data() + table.tensors[4].offset);
  CHECK(params.blocks[1].weight.shape() == Shape<2>{7, 5});
}

TEST_CASE("one walk visits several blocks in lockstep") {
  const ParameterTable table = describe<Stack>(config);
  std::vector<double> weights(static_cast<std::size_t>(table.block_size), 1.0);
  std::vector<double> gradients(weights.size(), 0.5);
  auto w = bind<Stack>(config, weights.data());
  auto g = bind<Stack>(config, gradients.data());
  auto descend = []<std::size_t Rank>(const Spec<Rank>&, View<double, Rank> p,
                                      View<double, Rank> d) {
    for (Index i = 0; i < p.size(); ++i) { p.data()[i] -= d.data()[i]; }
  };
  Stack::for_each_parameter(config, descend, w, g);
  CHECK(w.blocks[1].weight(6, 4) == 0.5);
  CHECK(w.scale[2] == 0.5);
}

TEST_CASE("initialisation obeys each tensor's rule and leaves the gaps zero") {
  const ParameterTable table = describe<Stack>(config);
  const std::vector<float> block = initialised(3);
  std::vector<bool> covered(block.size());
  const double bound = std::sqrt(6.0 / (5 + 7));
  for (const TensorEntry& tensor : table.tensors) {
    for (Index i = tensor.offset; i < tensor.offset + tensor.size; ++i) {
      const auto at = static_cast<std::size_t>(i);
      covered[at] = true;
      if (tensor.init.kind == Init::Kind::xavier_uniform) {
        CHECK(std::abs(block[at]) <= bound);
        CHECK(block[at] != 0.0f);
      } else if (tensor.init.kind == Init::Kind::constant) {
        CHECK(block[at] == 0.0f);
      } else {
        CHECK(std::abs(block[at]) < 0.5 * 6);
      }
    }
  }
  for (std::size_t i = 0; i < block.size(); ++i) {
    if (!covered[i]) {
      CHECK(block[i] == 0.0f);
    }
  }
}

TEST_CASE("normal and uniform beginnings have the moments they claim") {
  const Index count = 20'000;
  const auto moments = [](Init init) {
    std::vector<double> values(static_cast<std::size_t>(count));
    initialise_tensor(TensorEntry{"table", {count}, 0, count, init, Decay::yes}, values.data(), 5);
    double mean = 0, square = 0;
    for (const double value : values) {
      mean += value / static_cast<double>(count);
      square += value * value / static_cast<double>(count);
    }
    return std::pair(mean, std::sqrt(square - mean * mean));
  };
  const auto [normal_mean, normal_deviation] = moments(Init::normal(0.02));
  CHECK(std::abs(normal_mean) < 0.02 * 0.03);
  CHECK(normal_deviation == doctest::Approx(0.02).epsilon(0.02));
  const auto [uniform_mean, uniform_deviation] = moments(Init::uniform(0.3));
  CHECK(std::abs(uniform_mean) < 0.3 * 0.02);
  CHECK(uniform_deviation == doctest::Approx(0.3 / std::sqrt(3.0)).epsilon(0.02));
  const auto [ones_mean, ones_deviation] = moments(Init::ones());
  CHECK(ones_mean == doctest::Approx(1));
  CHECK(ones_deviation == doctest::Approx(0).epsilon(1e-6));
}

TEST_CASE("the same seed gives the same bits, another seed other bits") {
  CHECK(initialised(3) == initialised(3));
  CHECK(initialised(3) != initialised(4));
}

TEST_CASE("a tensor's beginning depends on its name alone, not on what stands beside it") {
  const Stack::Config deeper{{5, 7}, 3};
  const ParameterTable table = describe<Stack>(deeper);
  std::vector<float> block(static_cast<std::size_t>(table.block_size));
  initialise(table, std::span<float>(block), 3);
  const auto deep = bind<Stack>(deeper, block.data());
  std::vector<float> shallow_block = initialised(3);
  const auto shallow = bind<Stack>(config, shallow_block.data());
  CHECK(deep.scale[0] == shallow.scale[0]);
  CHECK(deep.blocks[1].weight(3, 3) == shallow.blocks[1].weight(3, 3));
  CHECK(deep.blocks[2].weight(3, 3) != deep.blocks[1].weight(3, 3));
}

namespace {

/// An affine map whose bias, and a stack whose first map, are frozen.
struct PartlyFrozen : Stack {
  template <class F, class... P>
  static void for_each_parameter(const Config& c, F&& f, P&... p) {
    auto freeze = [&](auto spec, auto&... views) {
      const bool frozen = spec.name.ends_with("bias") || spec.name.starts_with("blocks.0");
      spec.trained = frozen ? Trained::no : Trained::yes;
      f(spec, views...);
    };
    Stack::for_each_parameter(c, freeze, p...);
  }
};

}  // namespace

TEST_CASE("frozen tensors lie behind the trained ones, in every walk") {
  const ParameterTable table = describe<PartlyFrozen>(config);
  std::vector<std::string> names;
  for (const TensorEntry& tensor : table.tensors) { names.push_back(tensor.name); }
  CHECK(names == std::vector<std::string>{"blocks.1.weight", "scale", "blocks.0.weight",
                                          "blocks.0.bias", "blocks.1.bias"});
  CHECK(table.trained_tensors().size() == 2);
  CHECK(table.trained_size == table.tensors[2].offset);
  CHECK(table.block_size == describe<Stack>(config).block_size);

  std::vector<float> block(static_cast<std::size_t>(table.block_size)),
      gradient(static_cast<std::size_t>(table.trained_size));
  const auto params = bind<PartlyFrozen>(config, block.data());
  CHECK(params.blocks[1].weight.data() == block.data());
  CHECK(params.scale.data() == block.data() + table.tensors[1].offset);
  CHECK(params.blocks[0].weight.data() == block.data() + table.tensors[2].offset);
  CHECK(params.blocks[1].bias.data() == block.data() + table.tensors[4].offset);
  const auto grads = bind_trained<PartlyFrozen>(config, gradient.data());
  CHECK(grads.scale.data() == gradient.data() + table.tensors[1].offset);
  CHECK(grads.blocks[0].weight.empty());
  CHECK(grads.blocks[1].bias.empty());
}

TEST_CASE("where nothing is frozen all of a block is trained") {
  const ParameterTable table = describe<Stack>(config);
  CHECK(table.trained_size == table.block_size);
  CHECK(table.trained_tensors().size() == table.tensors.size());
}
