// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fstream>
#include <sstream>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include <support/golden.hpp>

#include <simgr/core/parameter.hpp>
#include <simgr/cpu/cpu.hpp>

// How close a golden case must be met, and packed sequences out of padded tensors.

namespace simgr_test {

using simgr::Matrix;
using simgr::MatrixArg;

/// Largest absolute differences that a second float32 run showed (the table in golden/README.md)
/// and the magnitudes beside them. A case that is not listed has zeros.
struct FloatDifferences {
  double output = 0, output_scale = 0, gradient = 0, gradient_scale = 0;
  double after_adamw = 0;  // where gradients are no rounding noise

  static const FloatDifferences& of(const std::string& name) {
    static const std::map<std::string, FloatDifferences> table = read();
    static const FloatDifferences none;
    const auto found = table.find(name);
    return found == table.end() ? none : found->second;
  }

private:
  static std::map<std::string, FloatDifferences> read() {
    std::map<std::string, FloatDifferences> table;
    const auto shared = shared_folder();
    std::ifstream file(shared ? *shared / "golden/README.md" : std::filesystem::path());
    for (std::string line; std::getline(file, line);) {
      for (char& c : line) { c = c == '|' || c == '(' || c == ')' ? ' ' : c; }
      std::istringstream words(line);
      std::string name;
      FloatDifferences d;
      if (words >> name >> d.output >> d.output_scale) {
        words >> d.gradient >> d.gradient_scale >> d.after_adamw;
        table[name] = d;
      }
    }
    return table;
  }
};

/// Compares as the README of the vectors asks:
///
///   double  1e-6 of the largest stored element: the rounding of the stored floats
///   float   ten times the listed difference, and never less than 1e-6 of the listed magnitude
///           (where the case is not listed, of 10 or the largest stored element)
template <class T>
void meets(GoldenCase& golden, const std::string& tensor, std::span<const T> found) {
  double scale = 0;
  for (const double value : golden.tensor<double>(tensor)) {
    scale = std::isfinite(value) ? std::max(scale, std::abs(value)) : scale;
  }
  double allowed = 1e-6 * scale + 1e-12;
  if constexpr (std::is_same_v<T, float>) {
    const FloatDifferences& listed = FloatDifferences::of(golden.name());
    const bool gradient = tensor.starts_with("grad.");
    const double difference = gradient ? listed.gradient : listed.output;
    const double magnitude = gradient ? listed.gradient_scale : listed.output_scale;
    allowed = std::max(10 * difference, 1e-6 * (magnitude > 0 ? magnitude : std::max(10.0, scale)));
  }
  golden.check(tensor, found, allowed / std::max(1.0, scale));
}
template <class T, std::size_t Rank>
void meets(GoldenCase& golden, const std::string& tensor, simgr::View<T, Rank> found) {
  meets(golden, tensor, std::span<const std::remove_const_t<T>>(found.span()));
}
template <class T>
void meets(GoldenCase& golden, const std::string& tensor, const std::vector<T>& found) {
  meets(golden, tensor, std::span<const T>(found));
}

/// `loss` was summed in double from terms of T; stored are the float and the double of one sum.
template <class T>
void meets_loss(GoldenCase& golden, double loss) {
  const T found[] = {static_cast<T>(loss)};
  meets(golden, "output.loss", std::span<const T>(found));
  if constexpr (std::is_same_v<T, double>) {
    golden.check("output.loss_f64", loss, 1e-9);
  } else {
    golden.tensor<double>("output.loss_f64");
  }
}

/// Right-padded rows [sequences, longest, …] and packed ones [tokens, …].
struct Padding {
  std::vector<Index> offsets{0};
  Index longest = 0;

  Padding() = default;
  Padding(GoldenCase& golden, const std::string& padded,
          const std::string& lengths = "input.lengths") {
    for (const Index length : golden.tensor<Index>(lengths)) {
      offsets.push_back(offsets.back() + length);
    }
    longest = golden.shape(padded)[1];
  }
  Index sequences() const { return static_cast<Index>(offsets.size()) - 1; }
  Index tokens() const { return offsets.back(); }

  /// The real positions of a padded tensor.
  template <class V>
  std::vector<V> pack(const std::vector<V>& padded) const {
    return moved<V>(padded, true);
  }
  /// The padded form, zero at padding.
  template <class V>
  std::vector<V> unpack(std::span<const V> packed) const {
    return moved<V>(packed, false);
  }

private:
  template <class V>
  std::vector<V> moved(std::span<const V> from, bool packing) const {
    const auto rows = static_cast<std::size_t>(packing ? sequences() * longest : tokens());
    const std::size_t width = from.size() / rows;
    std::vector<V> to(static_cast<std::size_t>(packing ? tokens() : sequences() * longest) * width);
    for (Index s = 0; s < sequences(); ++s) {
      const auto i = static_cast<std::size_t>(s);
      const auto padded = static_cast<std::size_t>(s * longest) * width;
      const auto packed = static_cast<std::size_t>(offsets[i]) * width;
      const auto count = static_cast<std::size_t>(offsets[i + 1] - offsets[i]) * width;
      for (std::size_t k = 0; k < count; ++k) {
        (packing ? to[packed + k] : to[padded + k]) = packing ? from[padded + k] : from[packed + k];
      }
    }
    return to;
  }
};

/// Memory for one case: an arena and a context that is training.
struct Bench {
  simgr::Arena arena;
  simgr::cpu::Context ctx{arena, true, 1, 1};
};

template <class T>
double dot(std::span<const T> a, std::span<const T> b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  }
  return sum;
}

/// Fills parameters of a layer from "param.<name>" and compares gradients, which begin at zero,
/// with "grad.<name>".
template <class L, class T>
struct GoldenParameters {
  simgr::ParameterTable table;
  std::vector<T> weights, gradients;
  typename L::template Params<T> params, grads;

  explicit GoldenParameters(const typename L::Config& config)
      : table(simgr::describe<L>(config)), weights(static_cast<std::size_t>(table.block_size)),
        gradients(weights.size()), params(simgr::bind<L>(config, weights.data())),
        grads(simgr::bind<L>(config, gradients.data())) {}

  std::span<T> of(std::vector<T>& block, const simgr::TensorEntry& tensor) {
    return std::span<T>(block).subspan(static_cast<std::size_t>(tensor.offset),
                                       static_cast<std::size_t>(tensor.size));
  }
  /// `parts(name)`: the stored tensors that stand one after another in ours and fill it.
  template <class Parts>
  void load(GoldenCase& golden, Parts&& parts) {
    for (const simgr::TensorEntry& tensor : table.tensors) {
      std::span<T> to = of(weights, tensor);
      for (const std::string& part : parts(tensor.name)) {
        const std::vector<T> stored = golden.tensor<T>("param." + part);
        INFO(golden.name(), ": ", tensor.name, " from ", part);
        REQUIRE(stored.size() <= to.size());
        std::copy(stored.begin(), stored.end(), to.begin());
        to = to.subspan(stored.size());
      }
      INFO(golden.name(), ": ", tensor.name, " is filled");
      REQUIRE(to.empty());
    }
  }
  /// The same, the other way: each stored part against its place in our gradients.
  template <class Parts>
  void compare(GoldenCase& golden, Parts&& parts) {
    for (const simgr::TensorEntry& tensor : table.tensors) {
      std::span<const T> from = of(gradients, tensor);
      for (const std::string& part : parts(tensor.name)) {
        std::size_t count = 1;
        for (const Index extent : golden.shape("grad." + part)) {
          count *= static_cast<std::size_t>(extent);
        }
        meets(golden, "grad." + part, from.first(count));
        from = from.subspan(count);
      }
    }
  }
};

}  // namespace simgr_test
