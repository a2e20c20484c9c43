// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <simgr_cli/kind.hpp>

#include <simgr/analysis/decoding_bias.hpp>
#include <simgr/tokenizer/trie.hpp>

namespace simgr_cli {

/// Beams that are tried, from greedy to wide.
inline const std::vector<Index> usual_widths{1, 2, 5, 10, 20, 50, 100, 200};

/// `users` of the cases, drawn without replacement; all of them where there are not more.
simgr::data::Evaluation sample_of(const simgr::data::Evaluation& cases, Index users,
                                  std::uint64_t seed);

/// What decoding makes of a model, in the mean over users.
struct DecodingBias {
  /// A softmax over items or over digits in turn: beams through its distribution, by width. Items
  /// that are not spelt are beamed through as if they were.
  std::vector<simgr::analysis::BeamBias> beams;
  double leaked = simgr::eval::absent;  // probability of digits that spell no item
  /// The model against its own marginals, or digits predicted apart against the reference.
  std::optional<simgr::analysis::IndependenceBias> independence;
};

/// Lays the distributions of a model of items, or of digits in turn, open for some users; empty of
/// other families.
///
/// @param trie  of the model's own ids where it spells them, else of those that it would be spelt by
/// @param k     length of the lists that are compared
DecodingBias decoding_bias(const ServedModel& model, const simgr::Trie& trie,
                           const simgr::data::Evaluation& sample, const std::vector<Index>& widths,
                           Index k, simgr::cpu::ThreadPool& pool);

/// What training interactions say of the next item: how often an item came after the last one of the
/// history, drawn towards how often it came at all, as if by `weight` further interactions.
///
///   p(i | last) = (n(last, i) + weight · n(i) / n) / (n(last) + weight)
class EmpiricalNext {
public:
  static constexpr double weight = 10;
  EmpiricalNext(const simgr::RaggedView<simgr::ItemId>& train, simgr::Index items);
  /// Log-probabilities of all items. Each counts half an interaction more than it has, so none is 0.
  std::vector<double> logs(std::span<const simgr::ItemId> history) const;

private:
  std::vector<double> share_;                                        // [items]
  std::vector<std::pair<simgr::ItemId, simgr::ItemId>> neighbours_;  // (item, next), sorted
};

/// Digits predicted apart against what training interactions say.
DecodingBias independence_of(const ServedModel& model, const simgr::Trie& trie,
                             const EmpiricalNext& reference, const simgr::data::Evaluation& sample,
                             simgr::Index k, simgr::cpu::ThreadPool& pool);

/// Digits predicted apart against a model of items, or of digits in turn.
///
/// @param trie  of the model's ids;  @param reference_trie  as in decoding_bias, of the reference
DecodingBias independence_of(const ServedModel& model, const simgr::Trie& trie,
                             const ServedModel& reference, const simgr::Trie& reference_trie,
                             const simgr::data::Evaluation& sample, Index k,
                             simgr::cpu::ThreadPool& pool);

}  // namespace simgr_cli
