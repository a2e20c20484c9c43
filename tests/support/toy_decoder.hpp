// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <functional>
#include <map>
#include <vector>

#include <doctest/doctest.h>

#include <simgr/core/rng.hpp>
#include <simgr/cpu/cpu.hpp>
#include <simgr/cpu/topk.hpp>
#include <simgr/ranker/child_scores.hpp>
#include <simgr/ranker/seen_items.hpp>
#include <simgr/tokenizer/trie.hpp>

namespace simgr_test {

using namespace simgr;

/// Rows of the digit table, from the first digit on.
using Prefix = std::vector<std::int32_t>;

/// A token model that is a table: any function of history, prefix and next row of the digit table
/// gives the logit. Histories are numbers, so that they can be permuted. Counts the nodes it has
/// stepped.
struct ToyDecoder {
  std::vector<int> histories;
  std::function<double(int history, const Prefix& prefix, std::int32_t row)> logit;
  Index stepped = 0;
  DigitSupport trained = DigitSupport::level;

  struct Node {
    int history;
    Prefix prefix;
  };
  std::vector<std::vector<Node>> nodes{};  // of each depth

  Index rows() const { return static_cast<Index>(histories.size()); }
  DigitSupport support() const { return trained; }

  Matrix<const float> begin(cpu::Context& ctx) {
    nodes.assign(1, {});
    for (const int history : histories) { nodes[0].push_back({history, {}}); }
    return name_nodes(ctx);
  }
  Matrix<const float> step(cpu::Context& ctx, Index depth, std::span<const std::int32_t> parents,
                           std::span<const std::int32_t> rows) {
    REQUIRE(depth >= 1);
    REQUIRE(depth <= static_cast<Index>(nodes.size()));
    REQUIRE(std::is_sorted(parents.begin(), parents.end()));
    nodes.resize(static_cast<std::size_t>(depth));  // forgets this depth and those below
    nodes.emplace_back();
    for (std::size_t n = 0; n < parents.size(); ++n) {
      Node node =
          nodes[static_cast<std::size_t>(depth) - 1].at(static_cast<std::size_t>(parents[n]));
      node.prefix.push_back(rows[n]);
      nodes.back().push_back(node);
    }
    stepped += static_cast<Index>(parents.size());
    return name_nodes(ctx);
  }
  void scores(cpu::Context&, Matrix<const float> queries, Index first, Matrix<float> out) const {
    for (Index r = 0; r < out.rows(); ++r) {
      const Node& node = nodes[static_cast<std::size_t>(queries(r, 0))].at(
          static_cast<std::size_t>(queries(r, 1)));
      for (Index j = 0; j < out.cols(); ++j) {
        out(r, j) = static_cast<float>(
            logit(node.history, node.prefix, static_cast<std::int32_t>(first + j)));
      }
    }
  }

  // A query says where its node stands.
  Matrix<const float> name_nodes(cpu::Context& ctx) const {
    const Matrix<float> queries = ctx.take<float>(static_cast<Index>(nodes.back().size()), 2);
    for (Index n = 0; n < queries.rows(); ++n) {
      queries(n, 0) = static_cast<float>(nodes.size() - 1);
      queries(n, 1) = static_cast<float>(n);
    }
    return queries;
  }
};

/// Logits without any pattern.
inline double arbitrary_logit(int history, const Prefix& prefix, std::int32_t row) {
  std::uint64_t hash = static_cast<std::uint64_t>(history) * 1000003 + 17;
  for (const std::int32_t digit : prefix) {
    hash = hash * 1000003 + static_cast<std::uint64_t>(digit) + 1;
  }
  Rng rng(hash * 1000003 + static_cast<std::uint64_t>(row), 5);
  return 2 * rng.normal();
}

/// Random tuples, some of them shared.
inline SemanticIds random_tuples(Index items, std::vector<Index> codes, std::uint64_t seed) {
  Rng rng(seed, 9);
  SemanticIds ids;
  ids.codes = OwnedMatrix<std::int32_t>(items, static_cast<Index>(codes.size()));
  for (Index i = 0; i < items; ++i) {
    for (Index l = 0; l < ids.digits(); ++l) {
      ids.codes.view()(i, l) =
          static_cast<std::int32_t>(rng.below(codes[static_cast<std::size_t>(l)]));
    }
  }
  ids.codes_per_digit = std::move(codes);
  return ids;
}

/// Rows of the digit table of a node's digits.
inline Prefix prefix_of(const Trie& trie, Index depth, Index node) {
  Prefix prefix;
  for (; depth > 0; node = trie.parent(depth--, node)) {
    prefix.insert(prefix.begin(), trie.row(depth, node));
  }
  return prefix;
}

/// log p of the last digit of a node, by definition, in double.
inline double log_probability(const ToyDecoder& decoder, const Trie& trie, ranker::Support support,
                              int history, Index depth, Index node) {
  Prefix prefix = prefix_of(trie, depth, node);
  const std::int32_t own = prefix.back();
  prefix.pop_back();
  const auto siblings = trie.children(depth - 1, trie.parent(depth, node));
  double all = 0;
  for (std::int32_t row = 0; row < trie.table_rows(); ++row) {
    const bool of_level = row >= trie.first_row(depth - 1) && row < trie.first_row(depth);
    bool of_sibling = false;
    for (Index n = siblings.begin; n < siblings.end; ++n) {
      of_sibling |= trie.row(depth, n) == row;
    }
    if (support == ranker::Support::whole || (support == ranker::Support::level && of_level) ||
        (support == ranker::Support::children && of_sibling)) {
      all += std::exp(decoder.logit(history, prefix, row));
    }
  }
  return decoder.logit(history, prefix, own) - std::log(all);
}
/// The same of all digits of an item's tuple.
inline double log_probability(const ToyDecoder& decoder, const Trie& trie, ranker::Support support,
                              int history, ItemId item) {
  double sum = 0;
  Index node = trie.leaf(item);
  for (Index depth = trie.digits(); depth > 0; node = trie.parent(depth--, node)) {
    sum += log_probability(decoder, trie, support, history, depth, node);
  }
  return sum;
}

struct Lists {
  std::vector<std::vector<ItemId>> ids;
  std::vector<std::vector<float>> scores;
  bool operator==(const Lists&) const = default;
};

/// What a ranker of token models lists.
template <class R, class Decoder>
Lists rank_tokens(const typename R::Config& config, const Trie& trie, Decoder& decoder, Index k,
                  const ranker::ItemFilter& filter = {}) {
  Arena arena;
  cpu::Context ctx{arena};
  const Index rows = decoder.rows();
  const auto ids = ctx.take<ItemId>(rows, k);
  const auto best = ctx.take<float>(rows, k);
  const auto found = ctx.take<Index>(rows);
  R::rank(ctx, config, trie, decoder, filter, ids, best, found);
  Lists lists;
  for (Index row = 0; row < rows; ++row) {
    lists.ids.emplace_back(ids.row(row).data(), ids.row(row).data() + found[row]);
    lists.scores.emplace_back(best.row(row).data(), best.row(row).data() + found[row]);
  }
  return lists;
}

}  // namespace simgr_test
