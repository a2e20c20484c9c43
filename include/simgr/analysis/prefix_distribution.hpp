// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include <simgr/core/error.hpp>
#include <simgr/tokenizer/trie.hpp>

// Distributions over the tuples of a trie as log-probabilities, in double: what a model says about
// one user, laid open. Everything here is a function of them alone, so it can be held against closed
// forms, and says the same of any model.

namespace simgr::SIMGR_ABI::analysis {

/// ln sum exp; minus infinity of nothing.
inline double log_sum(std::span<const double> logs) noexcept {
  double most = -std::numeric_limits<double>::infinity(), sum = 0;
  for (const double value : logs) { most = std::max(most, value); }
  if (!std::isfinite(most)) {
    return most;
  }
  for (const double value : logs) { sum += std::exp(value - most); }
  return most + std::log(sum);
}

/// Makes log-masses log-probabilities.
///
/// @return ln of the mass that they had: 0 where nothing was missing
///
/// Errors  DataError: a value that is NaN or plus infinity, or no mass at all
inline double normalise(std::span<double> logs) {
  for (std::size_t i = 0; i < logs.size(); ++i) {
    if (!(logs[i] < std::numeric_limits<double>::infinity())) {
      SIMGR_THROW(
          DataError("log-probability " + std::to_string(i) + " is no number below infinity"));
    }
  }
  const double mass = log_sum(logs);
  if (!std::isfinite(mass)) {
    SIMGR_THROW(DataError("no item has a probability"));
  }
  for (double& value : logs) { value -= mass; }
  return mass;
}

/// -sum p ln p, in nats.
inline double entropy(std::span<const double> logs) noexcept {
  double sum = 0;
  for (const double value : logs) { sum -= value > -745 ? std::exp(value) * value : 0; }
  return sum;
}

/// Log-masses of every prefix: the sum of the tuples below it, whatever model they are from.
struct PrefixLogs {
  std::vector<std::vector<double>> at;  // [digits + 1][nodes of that depth]

  /// The distribution over whole tuples, by leaf.
  std::span<const double> leaves() const noexcept { return at.back(); }
};

/// Prefixes of a distribution over tuples.
///
/// @param leaves  [trie.nodes(trie.digits())] log-masses
///
/// Cost    O(nodes of the trie)
/// Errors  ShapeError: another number of leaves
inline PrefixLogs prefix_logs(const Trie& trie, std::span<const double> leaves) {
  const Index digits = trie.digits();
  if (static_cast<Index>(leaves.size()) != trie.nodes(digits)) {
    SIMGR_THROW(ShapeError("leaves: expected [" + std::to_string(trie.nodes(digits)) +
                           "], found [" + std::to_string(leaves.size()) + "]"));
  }
  PrefixLogs prefixes;
  prefixes.at.resize(static_cast<std::size_t>(digits) + 1);
  prefixes.at.back().assign(leaves.begin(), leaves.end());
  for (Index depth = digits - 1; depth >= 0; --depth) {
    const auto& below = prefixes.at[static_cast<std::size_t>(depth) + 1];
    auto& here = prefixes.at[static_cast<std::size_t>(depth)];
    here.reserve(static_cast<std::size_t>(trie.nodes(depth)));
    for (Index node = 0; node < trie.nodes(depth); ++node) {
      const Trie::Range children = trie.children(depth, node);
      here.push_back(log_sum(std::span(below).subspan(static_cast<std::size_t>(children.begin),
                                                      static_cast<std::size_t>(children.size()))));
    }
  }
  return prefixes;
}

/// A distribution over items as one over tuples: items that share a tuple are added.
///
/// @param items  [trie.items()] log-masses
/// Errors  ShapeError: another number of items
inline std::vector<double> leaf_logs(const Trie& trie, std::span<const double> items) {
  if (static_cast<Index>(items.size()) != trie.items()) {
    SIMGR_THROW(ShapeError("items: expected [" + std::to_string(trie.items()) + "], found [" +
                           std::to_string(items.size()) + "]"));
  }
  std::vector<double> leaves, sharing;
  for (Index leaf = 0; leaf < trie.nodes(trie.digits()); ++leaf) {
    sharing.clear();
    for (const ItemId item : trie.items_below(trie.digits(), leaf)) {
      sharing.push_back(items[static_cast<std::size_t>(item)]);
    }
    leaves.push_back(log_sum(sharing));
  }
  return leaves;
}

/// The prefixes that a beam keeps at each depth, best first.
struct BeamTrace {
  std::vector<std::vector<Index>> kept;  // [digits], nodes of depth 1 … digits

  std::span<const Index> leaves() const noexcept { return kept.back(); }
};

/// What a beam of `width` prefixes does to a known distribution: at each depth, the `width` best
/// extensions of what it kept. Ties go to the lower node. This is what trie beam search does with
/// the sums of the model's conditional log-probabilities; with the model at hand, give those as
/// `prefixes`, where a prefix may weigh more than the tuples below it.
///
/// Cost    O(digits · extensions · log(width)); no model is asked
/// Errors  ConfigError: width below 1
inline BeamTrace beam_through(const Trie& trie, const PrefixLogs& prefixes, Index width) {
  if (width < 1) {
    SIMGR_THROW(ConfigError("beam width: expected at least 1, found " + std::to_string(width)));
  }
  BeamTrace trace;
  std::vector<Index> beam{0};
  for (Index depth = 0; depth < trie.digits(); ++depth) {
    const auto& logs = prefixes.at[static_cast<std::size_t>(depth) + 1];
    std::vector<Index> extensions;
    for (const Index node : beam) {
      const Trie::Range children = trie.children(depth, node);
      for (Index child = children.begin; child < children.end; ++child) {
        extensions.push_back(child);
      }
    }
    const auto better = [&](Index a, Index b) {
      const double left = logs[static_cast<std::size_t>(a)],
                   right = logs[static_cast<std::size_t>(b)];
      return left != right ? left > right : a < b;
    };
    const auto end = extensions.begin() + std::min(width, static_cast<Index>(extensions.size()));
    std::partial_sort(extensions.begin(), end, extensions.end(), better);
    extensions.erase(end, extensions.end());
    beam = extensions;
    trace.kept.push_back(std::move(extensions));
  }
  return trace;
}

/// How many digits of an item's prefix a beam kept: digits where the item was reached.
inline Index survived(const Trie& trie, const BeamTrace& trace, ItemId item) {
  Index node = trie.leaf(item), deepest = 0;
  for (Index depth = trie.digits(); depth >= 1; --depth) {
    const auto& kept = trace.kept[static_cast<std::size_t>(depth) - 1];
    if (std::find(kept.begin(), kept.end(), node) != kept.end()) {
      deepest = depth;
      break;  // its prefixes were kept, or it would not be here
    }
    node = trie.parent(depth, node);
  }
  return deepest;
}

}  // namespace simgr::SIMGR_ABI::analysis
