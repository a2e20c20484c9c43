// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <support/golden.hpp>

#include <simgr/analysis/decoding_bias.hpp>
#include <simgr/eval/evaluator.hpp>

namespace {

using namespace simgr::eval;
using simgr::Index;
using simgr::ItemId;

/// Where row `u` of a 0/1 matrix is 1.
std::vector<ItemId> marked(const simgr::OwnedMatrix<std::int64_t>& matrix, Index u) {
  std::vector<ItemId> ids;
  for (Index i = 0; i < matrix.cols; ++i) {
    if (matrix.view()(u, i) != 0) {
      ids.push_back(static_cast<ItemId>(i));
    }
  }
  return ids;
}

void check_ranking(simgr_test::GoldenCase& golden) {
  const auto scores = golden.matrix<float>("input.scores");
  const auto seen = golden.matrix<std::int64_t>("input.seen");
  const auto relevant = golden.matrix<std::int64_t>("input.relevant");
  const auto targets = golden.tensor<std::int64_t>("input.targets");
  const auto cutoffs = golden.tensor<std::int64_t>("input.k");
  const auto stored_popularity = golden.tensor<std::int64_t>("input.popularity");
  const std::vector<Index> popularity(stored_popularity.begin(), stored_popularity.end());
  const Index users = scores.rows, items = scores.cols;

  const auto head = head_items(popularity);
  golden.check("input.head", std::vector<int>(head.begin(), head.end()), 0);

  simgr::data::Evaluation evaluation;
  for (Index u = 0; u < users; ++u) {
    evaluation.histories.push_back(marked(seen, u));
    evaluation.targets.push_back(static_cast<ItemId>(targets[static_cast<std::size_t>(u)]));
  }
  const auto scorer = [&](float shift) {
    return [&scores, items, shift](Index first, Index count, simgr::Matrix<float> out) {
      for (Index i = 0; i < count * items; ++i) {
        out.data()[i] = scores.values[static_cast<std::size_t>(first * items + i)] - shift;
      }
    };
  };
  const auto run = [&](simgr::ranker::Seen treatment, bool half_ties, float shift) {
    EvaluateOptions options;
    options.seen = treatment;
    options.half_ties = half_ties;
    options.cutoffs.assign(cutoffs.begin(), cutoffs.end());
    options.tile_rows = 5;
    return evaluate(evaluation, items, popularity, options, scorer(shift));
  };
  using simgr::ranker::Seen;
  const Metrics by_id = run(Seen::keep, false, 0), half = run(Seen::keep, true, 0);

  std::vector<double> better, ties, optimistic, pessimistic;
  std::vector<Index> ranking, counts;
  std::vector<std::vector<ItemId>> lists;
  simgr::Arena arena;
  simgr::cpu::Context ctx{arena};
  for (Index u = 0; u < users; ++u) {
    const auto row = scores.view().row(u);
    const Standing standing =
        standing_of(row.span(), evaluation.targets[static_cast<std::size_t>(u)]);
    better.push_back(static_cast<double>(standing.better));
    ties.push_back(static_cast<double>(standing.ties));
    optimistic.push_back(static_cast<double>(1 + standing.better));
    pessimistic.push_back(static_cast<double>(1 + standing.better + standing.ties));
    std::vector<ItemId> ids(static_cast<std::size_t>(items));
    std::vector<float> best(ids.size());
    simgr::cpu::top_k(ctx, row, simgr::ranker::RowRule{}, {ids.data(), {items}},
                      {best.data(), {items}});
    ranking.insert(ranking.end(), ids.begin(), ids.end());
    lists.push_back(std::move(ids));
  }
  golden.check("output.better", better, 0);
  golden.check("output.ties", ties, 0);
  golden.check("output.rank_optimistic", optimistic, 0);
  golden.check("output.rank_pessimistic", pessimistic, 0);
  golden.check("output.ranking", ranking, 0);
  golden.check("output.rank_by_id", by_id.ranks, 0);
  golden.check("output.rank_half_ties", half.ranks, 0);
  golden.check("output.seen_remove.rank_half_ties", run(Seen::remove, true, 0).ranks, 0);
  golden.check("output.seen_zero.rank_half_ties", run(Seen::zero, true, 0.625f).ranks, 0);

  // One value a cutoff, collected under the name of its tensor.
  std::map<std::string, std::vector<double>> values;
  double first_hits = 0;
  for (std::size_t c = 0; c < cutoffs.size(); ++c) {
    const MetricsAt &at = by_id.cutoffs[c], &at_half = half.cutoffs[c];
    values["by_id.hr"].push_back(at.all.hr);
    values["by_id.ndcg"].push_back(at.all.ndcg);
    values["by_id.mrr_at_k"].push_back(at.all.mrr);
    values["half_ties.hr"].push_back(at_half.all.hr);
    values["half_ties.ndcg"].push_back(at_half.all.ndcg);
    values["half_ties.mrr_at_k"].push_back(at_half.all.mrr);
    values["coverage"].push_back(at.lists.coverage);
    values["entropy_nats"].push_back(at.lists.entropy);
    values["entropy_bits"].push_back(at.lists.entropy_bits);
    values["entropy_over_log_items"].push_back(at.lists.entropy_normalised);
    values["gini"].push_back(at.lists.gini);
    values["average_recommendation_popularity"].push_back(at.mean_popularity);
    values["mgu"].push_back(at.group_unfairness);
    for (const Index count : at.frequency) {
      values["counts"].push_back(static_cast<double>(count));
    }
    Relevance sum{0, 0, 0, 0, 0};
    first_hits = 0;
    for (Index u = 0; u < users; ++u) {
      const auto& list = lists[static_cast<std::size_t>(u)];
      const auto set = marked(relevant, u);
      const Relevance one = relevance(list, set, static_cast<Index>(cutoffs[c]));
      sum.recall += one.recall;
      sum.precision += one.precision;
      sum.ndcg += one.ndcg;
      sum.map += one.map;
      first_hits += relevance(list, set, items).mrr;
    }
    const auto mean = static_cast<double>(users);
    values["multi.recall"].push_back(sum.recall / mean);
    values["multi.precision"].push_back(sum.precision / mean);
    values["multi.ndcg"].push_back(sum.ndcg / mean);
    values["multi.map"].push_back(sum.map / mean);
  }
  values["multi.mrr"] = {first_hits / static_cast<double>(users)};
  values["by_id.mrr"] = {by_id.mrr};
  values["half_ties.mrr"] = {half.mrr};
  for (const auto& [name, found] : values) { golden.check("output." + name, found, 1e-7); }
}

/// Tuples of two digits by their number, first digit slowest.
simgr::Trie trie_of_pairs(const std::vector<Index>& tuples, Index codes) {
  simgr::SemanticIds ids;
  ids.codes_per_digit = {codes, codes};
  ids.codes = simgr::OwnedMatrix<std::int32_t>(static_cast<Index>(tuples.size()), 2);
  for (std::size_t i = 0; i < tuples.size(); ++i) {
    ids.codes.view()(static_cast<Index>(i), 0) = static_cast<std::int32_t>(tuples[i] / codes);
    ids.codes.view()(static_cast<Index>(i), 1) = static_cast<std::int32_t>(tuples[i] % codes);
  }
  return simgr::Trie(ids);
}

void check_decoding_bias(simgr_test::GoldenCase& golden) {
  namespace analysis = simgr::analysis;
  const auto joint = golden.matrix<double>("input.joint");
  const auto valid = golden.tensor<std::int64_t>("input.valid");
  const Index codes = golden.integer("codes"), users = joint.rows;
  REQUIRE(golden.integer("levels") == 2);
  std::vector<Index> every, items;
  for (Index tuple = 0; tuple < joint.cols; ++tuple) {
    every.push_back(tuple);
    if (valid[static_cast<std::size_t>(tuple)] != 0) {
      items.push_back(tuple);
    }
  }
  const simgr::Trie all = trie_of_pairs(every, codes), trie = trie_of_pairs(items, codes);
  std::map<std::string, std::vector<double>> values;
  for (Index u = 0; u < users; ++u) {
    std::vector<double> logs, of_items;
    for (const double share : joint.view().row(u)) { logs.push_back(std::log(share)); }
    analysis::normalise(logs);  // stored in float32: the sum is 1 but for rounding
    for (const Index tuple : items) { of_items.push_back(logs[static_cast<std::size_t>(tuple)]); }
    const auto marginals = analysis::digit_marginals(all, logs);
    for (const double value : analysis::independent_logs(all, marginals)) {
      values["independent"].push_back(std::exp(value));
    }
    const auto bias = analysis::independence_bias(trie, of_items, marginals, 1);
    values["total_correlation"].push_back(bias.total_correlation);
    values["valid_mass"].push_back(bias.valid_mass);
    values["kl_restricted"].push_back(bias.kl_restricted);
    const auto prefixes = analysis::prefix_logs(trie, of_items);
    for (Index width = 1; golden.has("output.beam" + std::to_string(width) + ".mass"); ++width) {
      const std::string beam = "beam" + std::to_string(width) + ".";
      const auto trace = analysis::beam_through(trie, prefixes, width);
      const auto captured = analysis::captured(of_items, trace.leaves());
      values[beam + "mass"].push_back(captured.mass);
      values[beam + "kl"].push_back(captured.kl);
      values[beam + "tv"].push_back(captured.tv);
      std::vector<double> reached(every.size(), 0.0);
      for (const Index leaf : trace.leaves()) {
        reached[static_cast<std::size_t>(items[static_cast<std::size_t>(leaf)])] = 1;
      }
      auto& rows = values[beam + "reached"];
      rows.insert(rows.end(), reached.begin(), reached.end());
    }
  }
  for (const auto& [name, found] : values) { golden.check("output." + name, found, 1e-7); }
}

}  // namespace

TEST_SUITE("golden") {
  TEST_CASE("Metrics agree with the reference") {
    simgr_test::GoldenFamily family("metrics");
    for (simgr_test::GoldenCase& golden : family.cases()) {
      if (golden.has("input.joint")) {
        check_decoding_bias(golden);
      } else if (golden.has("input.scores") && golden.has("output.rank_by_id")) {
        check_ranking(golden);
      }
    }
  }
}
