// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <simgr/core/parameter.hpp>
#include <simgr/io/model_folder.hpp>
#include <simgr/io/problem_list.hpp>
#include <simgr/io/tensor_names.hpp>

namespace simgr::SIMGR_ABI::io {

/// Which tensors of a model belong to a checkpoint.
struct WeightOptions {
  std::string prefix{};  // in front of our names; tensors without it are no part of the checkpoint
  Index added_tokens = 0;  // last rows of our tables of tokens, which the checkpoint does not have
};

/// A published tensor and what of ours it is.
struct PlannedTensor {
  const TensorView* published;
  TensorForm form;
  Index offset = 0;           // of our tensor in the block
  Index first = 0, size = 0;  // elements of it: those that `published` holds
  Index added = 0;            // elements behind them: rows of added tokens
  Storage storage = Storage::full;
};

namespace detail {

/// The name of a map's tensor as if the map had no adapter.
inline std::string without_base(std::string name) {
  for (const char* kind : {"weight", "bias"}) {
    const std::string end = std::string(".base.") + kind;
    if (name.ends_with(end)) {
      name.replace(name.size() - end.size(), end.size(), std::string(".") + kind);
    }
  }
  return name;
}

/// Finds the place of every tensor, and keeps what is wrong.
class TensorPlanner {
public:
  TensorPlanner(const ModelFolder& folder, const LanguageModelFacts& facts,
                const WeightOptions& options)
      : folder_(folder), options_(options), map_(name_map(facts)),
        family_(names_of(facts.family)[static_cast<std::size_t>(facts.family)]) {
    prefix_ = map_.prefixes.front();
    for (const std::string_view prefix : map_.prefixes) {
      if (find(std::string(prefix) + std::string(map_.body.front().published)) != nullptr) {
        prefix_ = prefix;
        break;
      }
    }
  }

  Result<std::vector<PlannedTensor>> plan(const ParameterTable& table) {
    for (const TensorEntry& tensor : table.tensors) {
      if (tensor.name.starts_with(options_.prefix) && !is_adapter(tensor.name) &&
          !is_of_items(tensor.name)) {
        place(tensor);
      }
    }
    if (plan_.empty() && !problems_.error("", "")) {
      return ConfigError("the model has no tensors of this prefix", {.field = options_.prefix});
    }
    std::sort(asked_for_.begin(), asked_for_.end());
    const std::vector<std::string_view> left_out = parts_left_out();
    for (const ModelFolder::Tensor& tensor : folder_.tensors()) {
      const bool known = std::binary_search(asked_for_.begin(), asked_for_.end(), tensor.view) ||
                         is_buffer(tensor.view->name) || matches_any(left_out, tensor.view->name);
      if (!known) {
        problems_.add(data::printable(tensor.view->name, 120),
                      "not expected, file has " + shape_text(tensor.view->shape));
      }
    }
    if (Failure failure = problems_.error(folder_.name(), "not match the model")) {
      return *std::move(failure);
    }
    return std::move(plan_);
  }

  bool is_buffer(std::string_view name) const { return matches_any(map_.buffers, name); }

  /// The name of an adapter among the tensors of the prefix, or empty.
  std::string first_adapter(const ParameterTable& table) const {
    for (const TensorEntry& tensor : table.tensors) {
      if (tensor.name.starts_with(options_.prefix) && is_adapter(tensor.name)) {
        return tensor.name;
      }
    }
    return {};
  }

private:
  // What items are beside the table of words: ours alone.
  static bool is_of_items(std::string_view name) noexcept {
    return name.ends_with("embedding.digits") || name.ends_with("embedding.head_digits") ||
           name.ends_with("embedding.map.weight") || name.ends_with("embedding.map.bias");
  }

  /// A matrix of low rank beside a map: ours alone.
  static bool is_adapter(std::string_view name) noexcept {
    return name.ends_with(".a") || name.ends_with(".b");
  }

  void place(const TensorEntry& tensor) {
    const std::string name = without_base(tensor.name.substr(options_.prefix.size()));
    bool found = false;
    const auto look_in = [&](std::span<const NameRule> rules, std::string_view prefix) {
      for (const NameRule& rule : rules) {
        std::string_view block;
        if (matches_pattern(rule.ours, name, &block)) {
          match(tensor, rule, std::string(prefix) + with_block(rule.published, block));
          found = true;
        }
      }
    };
    look_in(map_.body, prefix_);
    look_in(map_.net, prefix_);
    look_in(map_.heads, "");
    if (!found) {
      problems_.add(tensor.name, "no file of " + std::string(family_) + " has such a tensor");
    }
  }

  void match(const TensorEntry& tensor, const NameRule& rule, const std::string& name) {
    std::vector<Index> shape = tensor.shape;
    Index row = 1;
    for (std::size_t axis = 1; axis < shape.size(); ++axis) { row *= shape[axis]; }
    const Index added = rule.form == TensorForm::token_rows ? options_.added_tokens : 0;
    shape[0] = std::max<Index>(shape[0] - added, 0) / rule.parts;
    const Index size = shape[0] * row;
    if (rule.form == TensorForm::transposed) {
      std::reverse(shape.begin(), shape.end());
    }
    const TensorView* view = find(name);
    if (view != nullptr) {
      asked_for_.push_back(view);
    }
    if (view == nullptr) {
      problems_.add(name, "expected " + shape_text(shape) + ", file has none");
    } else if (view->shape != shape) {
      problems_.add(name,
                    "expected " + shape_text(shape) + ", file has " + shape_text(view->shape));
    } else if (view->dtype != Dtype::f32 && view->dtype != Dtype::f16 &&
               view->dtype != Dtype::bf16) {
      problems_.add(name,
                    "expected F32, F16 or BF16, file has " + std::string(name_of(view->dtype)));
    } else {
      plan_.push_back(
          {view, rule.form, tensor.offset, rule.part * size, size, added * row, tensor.storage});
    }
  }

  /// Under its name, or under an older form of it.
  const TensorView* find(const std::string& name) const {
    const TensorView* view = folder_.find(name);
    for (const OlderEnd& end : map_.older_ends) {
      if (view == nullptr && name.ends_with(end.now)) {
        view = folder_.find(name.substr(0, name.size() - end.now.size()) + std::string(end.before));
      }
    }
    return view;
  }

  /// Whether the name, with or without its prefix, is of one of the patterns.
  bool matches_any(std::span<const std::string_view> patterns, std::string_view name) const {
    const std::string_view bare = name.starts_with(prefix_) ? name.substr(prefix_.size()) : name;
    return std::any_of(patterns.begin(), patterns.end(), [&](std::string_view pattern) {
      return matches_pattern(pattern, name) || matches_pattern(pattern, bare);
    });
  }

  /// The parts of the checkpoint that the model has nothing of.
  std::vector<std::string_view> parts_left_out() const {
    std::vector<std::string_view> parts(map_.parts.begin(), map_.parts.end());
    std::erase_if(parts, [&](const std::string_view& part) {
      return std::any_of(asked_for_.begin(), asked_for_.end(), [&](const TensorView* view) {
        return matches_any({&part, 1}, view->name);
      });
    });
    return parts;
  }

  const ModelFolder& folder_;
  const WeightOptions& options_;
  NameMap map_;
  std::string_view family_, prefix_;
  std::vector<PlannedTensor> plan_;
  std::vector<const TensorView*> asked_for_;  // also those that do not fit
  ProblemList problems_;
};

}  // namespace detail

/// Finds for every tensor of a model what it is in a checkpoint. Nothing of the data is touched.
///
/// Errors  one DataError that lists every tensor that is missing, of another shape or of another
///         type, every one of ours that the family does not have, and every one too many: neither a
///         buffer nor of a part (a head, a pooler, T5's decoder) that the model has nothing of;
///         ConfigError: no tensor of the model has the prefix
inline Result<std::vector<PlannedTensor>> try_plan_tensors(const ModelFolder& folder,
                                                           const LanguageModelFacts& facts,
                                                           const ParameterTable& table,
                                                           const WeightOptions& options = {}) {
  return detail::TensorPlanner(folder, facts, options).plan(table);
}

}  // namespace simgr::SIMGR_ABI::io
