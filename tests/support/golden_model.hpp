// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include <support/golden_compare.hpp>

#include <simgr/train/optimizer.hpp>

// Whole language models of the family models/, one folder each.

namespace simgr_test {

using namespace simgr;

/// One folder of models/: its config, and each of its files as a golden case.
struct GoldenModel {
  std::string name;
  data::JsonValue config;
  GoldenFamily files;

  GoldenModel(const std::string& folder, data::JsonValue json)
      : name(folder), config(std::move(json)), files(folder) {}
  bool has_file(const std::string& which) { return find(which) != nullptr; }
  GoldenCase& file(const std::string& which) {
    GoldenCase* golden = find(which);
    INFO("no file ", which, " in ", name);
    REQUIRE(golden != nullptr);
    return *golden;
  }
  Index integer(const char* key) const { return static_cast<Index>(number(key)); }
  double number(const char* key) const {
    const auto* value = config.find(key);
    INFO(name, ": config.json: ", key);
    REQUIRE((value != nullptr && value->as_number().has_value()));
    return *value->as_number();
  }
  /// Another JSON file of the folder.
  data::JsonValue json(const char* file) const {
    const std::filesystem::path path = *shared_folder() / "golden" / name / file;
    std::ifstream stream(path);
    return data::parse_json(std::string{std::istreambuf_iterator<char>(stream), {}},
                            {.file = path.string()});
  }
  bool flag(const char* key) const { return config.find(key)->as_boolean().value_or(false); }

private:
  GoldenCase* find(const std::string& which) {
    for (GoldenCase& golden : files.cases()) {
      if (golden.name() == name + "/" + which) {
        return &golden;
      }
    }
    return nullptr;
  }
};

/// The folders of models/ with a config.json: name, contents.
inline std::vector<std::pair<std::string, data::JsonValue>> all_golden_models() {
  std::vector<std::pair<std::string, data::JsonValue>> found;
  const auto shared = shared_folder();
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(
           shared ? *shared / "golden/models" : std::filesystem::path(), error)) {
    std::ifstream file(entry.path() / "config.json");
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    if (!text.empty()) {
      found.emplace_back("models/" + entry.path().filename().string(),
                         data::parse_json(text, {.file = entry.path().string()}));
    }
  }
  std::sort(found.begin(), found.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  return found;
}
inline std::string model_type(const data::JsonValue& config) {
  const auto* type = config.find("model_type");
  return type != nullptr && type->as_text() != nullptr ? *type->as_text() : std::string();
}

/// Those of one model type.
inline std::vector<std::pair<std::string, data::JsonValue>> golden_models(const std::string& type) {
  auto found = all_golden_models();
  std::erase_if(found, [&](const auto& model) { return model_type(model.second) != type; });
  return found;
}

/// Parameters and gradients of a model that a folder holds. The model has, besides what a layer has,
///
///   Config(GoldenModel&)
///   stored(config, our name) -> the published names whose tensors fill ours, one after another
///   transposed(published name) -> whether they are published transposed; where there is no such member,
///                        none is
template <class M, class T>
struct GoldenWeights {
  Bench bench;
  typename M::Config config;
  ParameterTable table;
  std::vector<T> weights, gradients;
  typename M::template Params<T> params, grads;

  explicit GoldenWeights(GoldenModel& model)
      : config(model), table(describe<M>(config)),
        weights(static_cast<std::size_t>(table.block_size)), gradients(weights.size()),
        params(bind<M>(config, weights.data())), grads(bind<M>(config, gradients.data())) {
    for (const TensorEntry& tensor : table.tensors) {
      const bool of_adapter = tensor.name.ends_with(".a") || tensor.name.ends_with(".b");
      for_parts_of(tensor, model.file(of_adapter ? "adapter_model" : "model"),
                   [&](GoldenCase& golden, const std::string& name, auto at) {
                     const auto values = ours(golden, name, golden.tensor<T>(name));
                     std::copy(values.begin(), values.end(), weights.begin() + at);
                   });
    }
  }

  /// A published tensor in our order.
  template <class V>
  std::vector<V> ours(GoldenCase& golden, const std::string& name, std::vector<V> values) const {
    return turned(values, golden.shape(name), name, 0);
  }
  /// A tensor of a block in the published order.
  std::vector<T> theirs(GoldenCase& golden, const std::string& name, const std::vector<T>& block,
                        std::ptrdiff_t at) const {
    const std::vector<Index> shape = golden.shape(name);
    std::ptrdiff_t size = 1;
    for (const Index extent : shape) { size *= extent; }
    return turned(std::vector<T>(block.begin() + at, block.begin() + at + size), shape, name, 1);
  }

  /// f(golden, stored name, place in the block), for every tensor that is trained
  template <class F>
  void for_each_part(GoldenCase& golden, F&& f) {
    for (const TensorEntry& tensor : table.tensors) {
      if (tensor.trained == Trained::yes) {
        for_parts_of(tensor, golden, f);
      }
    }
  }

private:
  template <class F>
  void for_parts_of(const TensorEntry& tensor, GoldenCase& golden, F&& f) {
    const std::string around_adapters = "base_model.model.";  // names of PEFT
    std::ptrdiff_t at = tensor.offset;
    for (std::string part : M::stored(config, tensor.name)) {
      if (!golden.has(part) && golden.has(around_adapters + part)) {
        part = around_adapters + part;
      }
      std::ptrdiff_t size = 1;
      for (const Index extent : golden.shape(part)) { size *= extent; }
      f(golden, part, at);
      at += size;
    }
    INFO(golden.name(), ": ", tensor.name, " is filled");
    REQUIRE(at == tensor.offset + tensor.size);
  }
  /// Transposed where the model says so; `from` is the axis of `shape` that rows of `values` are.
  template <class V>
  static std::vector<V> turned(const std::vector<V>& values, const std::vector<Index>& shape,
                               const std::string& name, std::size_t from) {
    if constexpr (requires { M::transposed(name); }) {
      if (M::transposed(name)) {
        const auto rows = static_cast<std::size_t>(shape[from]),
                   cols = static_cast<std::size_t>(shape[1 - from]);
        std::vector<V> result(values.size());
        for (std::size_t i = 0; i < rows; ++i) {
          for (std::size_t j = 0; j < cols; ++j) { result[j * rows + i] = values[i * cols + j]; }
        }
        return result;
      }
    }
    return values;
  }
};

/// The mean cross-entropy of the rows whose label is not negative, and its gradient.
template <class T>
std::pair<double, Matrix<T>> mean_cross_entropy(cpu::Context& ctx, Matrix<T> logits,
                                                std::span<const std::int64_t> labels) {
  const Matrix<T> dlogits = ctx.take<T>(logits.rows(), logits.cols());
  copy(ctx, logits, dlogits, Write::assign);
  const auto counted =
      std::count_if(labels.begin(), labels.end(), [](auto label) { return label >= 0; });
  double loss = 0;
  for (Index i = 0; i < logits.rows(); ++i) {
    const Index label = labels[static_cast<std::size_t>(i)];
    if (label < 0) {
      fill(ctx, dlogits.row(i), T(0));
    } else {
      loss += cross_entropy_row(ctx, dlogits.row(i), label, T(1) / static_cast<T>(counted)) /
              static_cast<double>(counted);
    }
  }
  return {loss, dlogits};
}

/// As meets() does, by the row of the folder in the table of differences.
template <class T>
void meets_model(const GoldenModel& model, GoldenCase& golden, const std::string& tensor,
                 std::span<const T> found, bool gradient) {
  double scale = 0;
  for (const double value : golden.tensor<double>(tensor)) {
    scale = std::max(scale, std::abs(value));
  }
  double allowed = 1e-6 * scale + 1e-12;
  if constexpr (std::is_same_v<T, float>) {
    const FloatDifferences& listed = FloatDifferences::of(model.name);
    REQUIRE(listed.output_scale > 0);
    allowed = gradient ? std::max(10 * listed.gradient, 1e-6 * listed.gradient_scale)
                       : std::max(10 * listed.output, 1e-6 * listed.output_scale);
  }
  golden.check(tensor, found, allowed / std::max(1.0, scale));
}

/// The loss that a step left behind.
template <class T, class Run>
void meets_loss_of(GoldenModel& model, const Run& run) {
  GoldenCase& outputs = model.file("outputs");
  const T loss[] = {static_cast<T>(run.loss)};
  meets_model<T>(model, outputs, "loss", loss, false);
  outputs.check("loss_f64", run.loss, std::is_same_v<T, double> ? 1e-9 : 1e-5);
}

/// Every gradient, after run.step().
template <class M, class T>
void meets_gradients(GoldenModel& model, GoldenWeights<M, T>& run) {
  run.for_each_part(
      model.file("gradients"), [&](GoldenCase& golden, const std::string& name, auto at) {
        meets_model<T>(model, golden, name, run.theirs(golden, name, run.gradients, at), true);
      });
}

/// Three steps of AdamW after run.step(): the losses on the way, and every weight at the end.
template <class Run>
void meets_three_steps(GoldenModel& model, Run& run) {
  using T = typename decltype(run.weights)::value_type;
  const double listed = FloatDifferences::of(model.name).after_adamw;
  const std::vector<T> first = run.gradients;
  train::OptimizerState<T> adam({.rate = 1e-3, .weight_decay = 1e-2}, run.table.trained_size);
  std::vector<double> losses;
  for (int step = 0; step < 3; ++step) {
    run.step();
    losses.push_back(run.loss);
    adam.step(run.table, run.weights, run.gradients, 1e-3);
  }
  run.step();
  losses.push_back(run.loss);
  // A loss after steps moves with the weights, whose difference is listed.
  model.file("outputs").check("adamw_losses_f64", losses,
                              std::is_same_v<T, double> ? 1e-6 : std::max(10 * listed, 1e-5));
  if (!model.has_file("after_adamw")) {
    return;  // the losses on the way say as much
  }
  run.for_each_part(model.file("after_adamw"), [&](GoldenCase& golden, const std::string& name,
                                                   auto at) {
    const std::vector<T> stored = golden.tensor<T>(name);
    const std::vector<T> weights = run.theirs(golden, name, run.weights, at);
    const std::vector<T> at_first = run.theirs(golden, name, first, at);
    const std::vector<double> gradient = model.file("gradients").template tensor<double>(name);
    double worst = 0;
    for (std::size_t i = 0; i < stored.size(); ++i) {
      // Adam divides by the size of the gradient: where that is noise, so is the step. Biases of keys
      // have no effect, so that theirs is noise.
      const bool of_key = name.ends_with(".key.bias") ||
                          (name.ends_with(".c_attn.bias") && i / (stored.size() / 3) == 1);
      const bool told = std::abs(gradient[i]) > 1e-5 || (gradient[i] == 0 && at_first[i] == 0);
      if (told && !of_key) {
        const T found = weights[i];
        const double gap = std::abs(static_cast<double>(found) - static_cast<double>(stored[i]));
        worst = gap <= worst ? worst : gap;
      }
    }
    INFO(golden.name(), ": ", name);
    CHECK(worst <= (std::is_same_v<T, double> ? 1e-6 : std::max(10 * listed, 1e-6)));
  });
}

}  // namespace simgr_test
