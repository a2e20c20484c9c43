// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <simgr/core/float_formats.hpp>
#include <simgr/core/rng.hpp>
#include <simgr/core/view.hpp>

// One list of tensors. A layer names its parameters once, in
//
//   template <class F, class... P>
//   static void for_each_parameter(const Config& c, F&& f, P&... p) {
//     f(Spec<2>{"weight", {c.out, c.in}, Init::xavier()}, p.weight...);
//     f(Spec<1>{"bias", {c.out}, Init::zeros(), Decay::no}, p.bias...);
//   }
//
// and names, sizes, binding, initialisation, optimiser groups and checkpoints are walks over it.

namespace simgr::SIMGR_ABI {

/// How a tensor begins. `scale` is the constant, the standard deviation, or the bound.
///
///   xavier_uniform  uniform in ± scale · sqrt(6 / (rows + cols)) of the tensor as a matrix
///
/// Source  Glorot & Bengio 2010, equation 16 (xavier)
struct Init {
  enum class Kind { constant, normal, uniform, xavier_uniform };
  Kind kind = Kind::constant;
  double scale = 0;

  static constexpr Init zeros() { return {Kind::constant, 0}; }
  static constexpr Init ones() { return {Kind::constant, 1}; }
  static constexpr Init constant(double value) { return {Kind::constant, value}; }
  static constexpr Init normal(double deviation) { return {Kind::normal, deviation}; }
  static constexpr Init uniform(double bound) { return {Kind::uniform, bound}; }
  static constexpr Init xavier() { return {Kind::xavier_uniform, 1}; }
};

/// Whether weight decay applies.
enum class Decay { yes, no };

/// Whether an optimiser moves a tensor. A frozen one has no gradient and no moments.
enum class Trained { yes, no };

/// How a tensor lies in its block: in the scalar of the block, or as BFloat16, two in the room of one.
/// Only a frozen one may be narrow.
enum class Storage { full, bf16 };

/// Name, shape, beginning and optimiser group of one tensor.
template <std::size_t Rank>
struct Spec {
  std::string name;
  Shape<Rank> shape;
  Init init;
  Decay decay = Decay::yes;
  Trained trained = Trained::yes;
  Storage storage = Storage::full;
};

/// A walk that passes every tensor on with its name under a prefix. What stands below such a walk is
/// walked by the same type again, so that a layer is compiled once, however deep it stands.
template <class F>
struct Under {
  std::string prefix;
  F& walk;

  template <std::size_t Rank, class... Views>
  void operator()(Spec<Rank> spec, Views&&... views) const {
    spec.name = prefix + "." + spec.name;
    walk(spec, views...);
  }
};

///   Linear::for_each_parameter(c.qkv(), under("qkv", f), p.qkv...);     // qkv.weight, qkv.bias
template <class F>
Under<F> under(std::string prefix, F& walk) {
  return {std::move(prefix), walk};
}
template <class F>
Under<F> under(std::string prefix, Under<F>& outer) {
  return {outer.prefix + "." + prefix, outer.walk};
}

/// Gives every Params struct of a walk as many repeated blocks as the config asks for; those that
/// are const are left alone.
template <class... Blocks>
void resize_blocks(Index count, Blocks&... blocks) {
  [[maybe_unused]] const auto fit = [count](auto& list) {
    if constexpr (!std::is_const_v<std::remove_reference_t<decltype(list)>>) {
      if (static_cast<Index>(list.size()) != count) {
        list.resize(static_cast<std::size_t>(count));
      }
    }
  };
  (fit(blocks), ...);
}

/// One tensor inside a flat block.
struct TensorEntry {
  std::string name;
  std::vector<Index> shape;
  Index offset = 0;  // elements from the start of the block, a multiple of 16
  Index size = 0;    // elements
  Init init;
  Decay decay = Decay::yes;
  Trained trained = Trained::yes;
  Storage storage = Storage::full;

  /// Elements of the block that it takes.
  Index room() const noexcept { return storage == Storage::full ? size : (size + 1) / 2; }
};

/// The layout of a block: the trained tensors in the order of the walk, behind them the frozen ones,
/// each beginning at a multiple of 16 elements. Gradients, moments and averages are the first part of
/// this layout over different memory; the gaps stay zero.
struct ParameterTable {
  std::vector<TensorEntry> tensors;  // in the order of their offsets
  Index block_size = 0;              // elements, gaps included
  Index trained_size = 0;            // those of them before the first frozen tensor

  std::span<const TensorEntry> trained_tensors() const noexcept {
    const auto frozen = std::find_if(tensors.begin(), tensors.end(), [](const TensorEntry& tensor) {
      return tensor.trained == Trained::no;
    });
    return {tensors.data(), static_cast<std::size_t>(frozen - tensors.begin())};
  }
  /// Elements without the gaps.
  Index parameters() const noexcept {
    Index count = 0;
    for (const TensorEntry& tensor : tensors) { count += tensor.size; }
    return count;
  }
};

namespace detail {
constexpr Index block_alignment = 16;
constexpr Index aligned(Index offset) {
  return (offset + block_alignment - 1) / block_alignment * block_alignment;
}

// The walks of describe() and bind(): types of their own, so that models share them.
struct Describe {
  std::vector<TensorEntry>& tensors;

  template <std::size_t Rank, class... Views>
  void operator()(const Spec<Rank>& spec, Views&...) const {
    SIMGR_ASSERT(spec.storage == Storage::full || spec.trained == Trained::no,
                 "a trained tensor is not narrow");
    TensorEntry entry{spec.name,
                      {spec.shape.begin(), spec.shape.end()},
                      0,
                      1,
                      spec.init,
                      spec.decay,
                      spec.trained,
                      spec.storage};
    for (const Index extent : spec.shape) { entry.size *= extent; }
    tensors.push_back(std::move(entry));
  }
};
template <class T, class Space>
struct Bind {
  T* memory;
  Trained wanted = Trained::yes;
  bool others = false;  // whether some were passed by
  Index offset = 0;

  template <std::size_t Rank>
  void operator()(const Spec<Rank>& spec, View<T, Rank, Space>& view) {
    if (spec.trained != wanted) {
      others = true;
      return;
    }
    view = {memory + offset, spec.shape};
    offset = aligned(offset + view.size());
  }
  template <std::size_t Rank>
  void operator()(const Spec<Rank>& spec, View<BFloat16, Rank, Space>& view) {
    if (spec.trained != wanted) {
      others = true;
      return;
    }
    view = {reinterpret_cast<BFloat16*>(memory + offset), spec.shape};
    offset = aligned(offset + (view.size() + 1) / 2);
  }
};
}  // namespace detail

/// Gives every tensor of a list its place in a block.
inline ParameterTable lay_out(std::vector<TensorEntry> tensors) {
  std::stable_partition(tensors.begin(), tensors.end(),
                        [](const TensorEntry& tensor) { return tensor.trained == Trained::yes; });
  ParameterTable table{std::move(tensors)};
  for (TensorEntry& tensor : table.tensors) {
    tensor.offset = table.block_size;
    table.block_size = detail::aligned(tensor.offset + tensor.room());
    if (tensor.trained == Trained::yes) {
      table.trained_size = table.block_size;
    }
  }
  return table;
}

/// Walks `Layer` once and writes down what it finds.
template <class Layer>
ParameterTable describe(const typename Layer::Config& config) {
  std::vector<TensorEntry> tensors;
  detail::Describe note{tensors};
  Layer::for_each_parameter(config, note);
  return lay_out(std::move(tensors));
}

/// Points the views of `Layer::Params` into `memory` [block_size], in the layout that describe()
/// gives.
template <class Layer, class T, class Space = Host>
typename Layer::template Params<T, Space> bind(const typename Layer::Config& config, T* memory) {
  typename Layer::template Params<T, Space> params;
  detail::Bind<T, Space> point{memory};
  Layer::for_each_parameter(config, point, params);
  if (point.others) {
    point.wanted = Trained::no;
    Layer::for_each_parameter(config, point, params);
  }
  return params;
}
/// The same for gradients, `memory` [trained_size]: views of frozen tensors are empty.
template <class Layer, class T, class Space = Host>
typename Layer::template Params<T, Space> bind_trained(const typename Layer::Config& config,
                                                       T* memory) {
  typename Layer::template Params<T, Space> params;
  detail::Bind<T, Space> point{memory};
  Layer::for_each_parameter(config, point, params);
  return params;
}

/// Fills one tensor by its Init. Every tensor draws from a stream of its own, the hash of its name,
/// so adding one changes no other.
template <class T>
void initialise_tensor(const TensorEntry& tensor, T* data, std::uint64_t seed) {
  std::uint64_t stream = 0xcbf29ce484222325u;  // FNV-1a of the name
  for (const char c : tensor.name) {
    stream = (stream ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  }
  Rng rng(seed, stream);
  const auto fan = [&] {
    const Index out = tensor.shape.front();
    return static_cast<double>(out + tensor.size / (out > 0 ? out : 1));
  };
  const double bound = tensor.init.kind == Init::Kind::xavier_uniform
                           ? tensor.init.scale * std::sqrt(6.0 / fan())
                           : tensor.init.scale;
  const auto put = [&](Index i, double value) {
    if (tensor.storage == Storage::bf16) {
      reinterpret_cast<BFloat16*>(data)[i].bits = bf16_from_float(static_cast<float>(value));
    } else {
      data[i] = static_cast<T>(value);
    }
  };
  for (Index i = 0; i < tensor.size; ++i) {
    switch (tensor.init.kind) {
    case Init::Kind::constant:
      put(i, bound);
      break;
    case Init::Kind::normal:
      put(i, bound * rng.normal());
      break;
    default:
      put(i, bound * (2 * rng.uniform() - 1));
      break;
    }
  }
}

/// Fills a whole block; the gaps become zero.
template <class T>
void initialise(const ParameterTable& table, std::span<T> block, std::uint64_t seed) {
  for (T& value : block) { value = T{}; }
  for (const TensorEntry& tensor : table.tensors) {
    initialise_tensor(tensor, block.data() + tensor.offset, seed);
  }
}

}  // namespace simgr::SIMGR_ABI
