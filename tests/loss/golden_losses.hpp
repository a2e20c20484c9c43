// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <support/given_scores.hpp>
#include <support/golden_compare.hpp>

#include <simgr/core/product_scores.hpp>
#include <simgr/loss/cross_entropy.hpp>
#include <simgr/loss/pairwise.hpp>
#include <simgr/loss/self_supervised.hpp>
#include <simgr/nn/info_nce.hpp>

// The family losses/, one scalar for each translation unit.

namespace simgr_test {

inline bool defined_by(GoldenCase& golden, const char* words) {
  const std::string* text = golden.json().find("definition")->as_text();
  return text->find(words) != std::string::npos;
}

template <class T>
T share_of(Index rows) {
  return T(1) / static_cast<T>(rows);
}

/// Item cross-entropy of a given matrix, over the temperature where there is one.
template <class T>
void check_catalogue(GoldenCase& golden) {
  Bench bench;
  OwnedMatrix<T> scores = golden.matrix<T>("input.scores");
  OwnedMatrix<T> gradient(scores.rows, scores.cols);
  const std::vector<ItemId> targets = golden.tensor<ItemId>("input.targets");
  const T inverse = static_cast<T>(1 / golden.number("tau", 1.0));
  scale(bench.ctx, scores.view(), inverse);
  const ItemCrossEntropy<>::Config config{.label_smoothing = golden.number("smoothing", 0.0)};
  const GivenScores<T> scorer{scores, gradient.view()};
  const double loss = ItemCrossEntropy<>::value_and_gradient(
      config, scorer, LossBatch{targets, {}, {}, {}, {}}, share_of<T>(scores.rows), bench.ctx);
  scale(bench.ctx, gradient.view(), inverse);
  meets_loss<T>(golden, loss);
  meets(golden, "grad.scores", gradient.view());
  if (golden.has("output.per_row")) {
    std::vector<T> rows;
    for (Index r = 0; r < scores.rows; ++r) {
      rows.push_back(static_cast<T>(cross_entropy_row(bench.ctx, scores.view().row(r),
                                                      targets[static_cast<std::size_t>(r)], T(1))));
    }
    meets(golden, "output.per_row", rows);
  }
}

template <class T>
void check_mass(GoldenCase& golden) {
  Bench bench;
  OwnedMatrix<T> scores = golden.matrix<T>("input.scores");
  const OwnedMatrix<T> mass = golden.matrix<T>("input.mass");
  const T share = share_of<T>(scores.rows);
  double loss = 0;
  for (Index r = 0; r < scores.rows; ++r) {
    loss +=
        cross_entropy_row(bench.ctx, scores.view().row(r), VectorArg<T>(mass.view().row(r)), share);
  }
  meets_loss<T>(golden, loss * static_cast<double>(share));
  meets(golden, "grad.scores", scores.view());
}

template <class T>
void check_log_softmax(GoldenCase& golden) {
  Bench bench;
  const OwnedMatrix<T> x = golden.matrix<T>("input.scores"),
                       dy = golden.matrix<T>("input.upstream");
  OwnedMatrix<T> y(x.rows, x.cols), dx(x.rows, x.cols);
  log_softmax_rows(bench.ctx, x.view(), y.view());
  meets(golden, "output.y", y.view());
  log_softmax_rows_backward(bench.ctx, y.view(), dy.view(), dx.view());
  meets(golden, "grad.scores", dx.view());
  meets_loss<T>(golden, dot<T>(y.values, dy.values));
}

/// A loss of one positive against given negatives: input.positive [rows], input.negative(s).
template <template <class> class Loss, class T, Index negatives>
void check_drawn(GoldenCase& golden, const std::string& others, auto config) {
  using L = Loss<GivenNegatives<negatives>>;
  Bench bench;
  const std::vector<T> positive = golden.tensor<T>("input.positive"),
                       negative = golden.tensor<T>("input." + others);
  const auto rows = static_cast<Index>(positive.size());
  OwnedMatrix<T> scores(rows, 1 + negatives), gradient(rows, 1 + negatives);
  for (Index r = 0; r < rows; ++r) {
    scores.view()(r, 0) = positive[static_cast<std::size_t>(r)];
    for (Index j = 0; j < negatives; ++j) {
      scores.view()(r, 1 + j) = negative[static_cast<std::size_t>(r * negatives + j)];
    }
  }
  GivenNegatives<negatives>::drawn = 0;
  const FirstColumn batch(rows);
  const double loss =
      L::value_and_gradient(config(typename L::Config{}), GivenScores<T>{scores, gradient.view()},
                            batch.batch(), share_of<T>(rows), bench.ctx);
  meets_loss<T>(golden, loss);
  std::vector<T> dpositive, dnegative;
  for (Index r = 0; r < rows; ++r) {
    dpositive.push_back(gradient.view()(r, 0));
    for (Index j = 0; j < negatives; ++j) { dnegative.push_back(gradient.view()(r, 1 + j)); }
  }
  meets(golden, "grad.positive", dpositive);
  meets(golden, "grad." + others, dnegative);
  if (golden.has("output.weights")) {
    std::vector<T> weights(static_cast<std::size_t>(1 + negatives)), all;
    for (Index r = 0; r < rows; ++r) {
      bpr_max_row(bench.ctx, scores.view().row(r), 0, 1.0,
                  Vector<T>(weights.data(), {1 + negatives}));
      all.insert(all.end(), weights.begin() + 1, weights.end());
    }
    meets(golden, "output.weights", all);
  }
}

/// The same for whichever count of negatives a case has.
template <template <class> class Loss, class T>
void check_drawn(GoldenCase& golden, auto config) {
  if (golden.has("input.negative")) {
    check_drawn<Loss, T, 1>(golden, "negative", config);
  } else if (golden.shape("input.negatives").back() == 5) {
    check_drawn<Loss, T, 5>(golden, "negatives", config);
  }  // another count is a template of its own: the family then says that nobody read the case
}

template <class T>
void check_bpr_max_in_batch(GoldenCase& golden) {
  Bench bench;
  const OwnedMatrix<T> scores = golden.matrix<T>("input.scores");
  OwnedMatrix<T> gradient(scores.rows, scores.cols), weights(scores.rows, scores.cols);
  std::vector<ItemId> items;
  for (Index r = 0; r < scores.rows; ++r) { items.push_back(static_cast<ItemId>(r)); }
  using L = BprMax<InBatch<false>>;
  const double loss = L::value_and_gradient(
      {.regularisation = golden.number("lambda")}, GivenScores<T>{scores, gradient.view()},
      LossBatch{items, {}, {}, {}, {}}, share_of<T>(scores.rows), bench.ctx);
  meets_loss<T>(golden, loss);
  meets(golden, "grad.scores", gradient.view());
  OwnedMatrix<T> again = scores;
  for (Index r = 0; r < scores.rows; ++r) {
    bpr_max_row(bench.ctx, again.view().row(r), r, 1.0, weights.view().row(r));
  }
  meets(golden, "output.weights", weights.view());
}

/// Rows of users against the vectors of the batch's items.
template <class T>
void check_in_batch(GoldenCase& golden) {
  Bench bench;
  OwnedMatrix<T> users = golden.matrix<T>("input.users");
  const OwnedMatrix<T> items = golden.matrix<T>("input.items");
  const std::vector<ItemId> ids = golden.tensor<ItemId>("input.item_ids");
  const std::vector<double> log_q = golden.tensor<double>("input.log_q");
  const bool corrects = golden.has("output.masked_logits"), masks = defined_by(golden, "-inf");
  const T inverse = static_cast<T>(1 / golden.number("tau")), share = share_of<T>(users.rows);
  scale(bench.ctx, users.view(), inverse);
  OwnedMatrix<T> dusers(users.rows, users.cols), ditems(items.rows, items.cols);
  const ProductScores<T> products{users.view(), items.view(), dusers.view(), ditems.view()};
  std::vector<ItemId> places;
  for (Index r = 0; r < users.rows; ++r) { places.push_back(static_cast<ItemId>(r)); }
  const Matrix<T> s = bench.ctx.take<T>(users.rows, users.rows);
  products.tile(bench.ctx, 0, users.rows, s);
  double loss = 0;
  std::vector<T> logits;
  for (Index r = 0; r < users.rows; ++r) {
    correct_sampled(
        std::span<const ItemId>(masks ? ids : places), r,
        [&](Index j) { return corrects ? log_q[static_cast<std::size_t>(j)] : 0.0; }, s.row(r));
    logits.insert(logits.end(), s.row(r).begin(), s.row(r).end());
    loss += cross_entropy_row(bench.ctx, s.row(r), r, share);
  }
  products.tile_backward(bench.ctx, 0, users.rows, s);
  scale(bench.ctx, dusers.view(), inverse);
  if (corrects) {
    meets(golden, "output.masked_logits", logits);
  }
  meets_loss<T>(golden, loss * static_cast<double>(share));
  meets(golden, "grad.users", dusers.view());
  meets(golden, "grad.items", ditems.view());
}

template <class T>
void check_sampled(GoldenCase& golden) {
  Bench bench;
  const std::vector<T> positive = golden.tensor<T>("input.positive"),
                       negative = golden.tensor<T>("input.negatives");
  const std::vector<double> log_q = golden.tensor<double>("input.log_q_positive"),
                            log_q_negative = golden.tensor<double>("input.log_q_negatives");
  const std::vector<ItemId> ids = golden.tensor<ItemId>("input.positive_ids"),
                            negative_ids = golden.tensor<ItemId>("input.negative_ids");
  const std::size_t rows = positive.size(), others = negative.size() / rows;
  std::vector<T> logits, dpositive, dnegative;
  double loss = 0;
  for (std::size_t r = 0; r < rows; ++r) {
    std::vector<T> s{positive[r]};
    std::vector<ItemId> row{ids[r]};
    std::vector<double> correction{log_q[r]};
    for (std::size_t j = r * others; j < (r + 1) * others; ++j) {
      s.push_back(negative[j]);
      row.push_back(negative_ids[j]);
      correction.push_back(log_q_negative[j]);
    }
    const Vector<T> view(s.data(), {static_cast<Index>(s.size())});
    correct_sampled(
        row, 0, [&](Index j) { return correction[static_cast<std::size_t>(j)]; }, view);
    logits.insert(logits.end(), s.begin(), s.end());
    loss += cross_entropy_row(bench.ctx, view, 0, share_of<T>(static_cast<Index>(rows)));
    dpositive.push_back(s.front());
    dnegative.insert(dnegative.end(), s.begin() + 1, s.end());
  }
  meets(golden, "output.masked_logits", logits);
  meets_loss<T>(golden, loss / static_cast<double>(rows));
  meets(golden, "grad.positive", dpositive);
  meets(golden, "grad.negatives", dnegative);
}

template <class T>
void check_info_nce(GoldenCase& golden) {
  Bench bench;
  const OwnedMatrix<T> a = golden.matrix<T>("input.a"), b = golden.matrix<T>("input.b");
  OwnedMatrix<T> da(a.rows, a.cols), db(b.rows, b.cols);
  const InfoNce::Config config{.temperature = golden.number("tau"),
                               .symmetric = defined_by(golden, "columns")};
  const double loss = InfoNce::value_and_gradient(config, a.view(), b.view(), share_of<T>(a.rows),
                                                  da.view(), db.view(), bench.ctx);
  meets_loss<T>(golden, loss);
  meets(golden, "grad.a", da.view());
  meets(golden, "grad.b", db.view());
}

/// States and a table under a cosine: what ScaledCosine does on both sides of the loss.
template <class T>
void check_cosine(GoldenCase& golden) {
  Bench bench;
  const OwnedMatrix<T> states = golden.matrix<T>("input.states"),
                       table = golden.matrix<T>("input.table");
  const std::vector<ItemId> targets = golden.tensor<ItemId>("input.targets");
  const T inverse = static_cast<T>(1 / golden.number("tau"));
  const auto like = [&](const OwnedMatrix<T>& x) { return bench.ctx.take<T>(x.rows, x.cols); };
  const Matrix<T> queries = like(states), keys = like(table), dqueries = like(states),
                  dkeys = like(table);
  const Vector<T> query_scale = bench.ctx.take<T>(states.rows),
                  key_scale = bench.ctx.take<T>(table.rows);
  normalise_rows(bench.ctx, states.view(), inverse, queries, query_scale);
  normalise_rows(bench.ctx, table.view(), T(1), keys, key_scale);
  fill(bench.ctx, dkeys, T(0));
  const ProductScores<T> scores{queries, keys, dqueries, dkeys};
  const double loss = ItemCrossEntropy<>::value_and_gradient(
      {}, scores, LossBatch{targets, {}, {}, {}, {}}, share_of<T>(states.rows), bench.ctx);
  meets_loss<T>(golden, loss);
  OwnedMatrix<T> dstates(states.rows, states.cols), dtable(table.rows, table.cols);
  normalise_rows_backward(bench.ctx, states.view(), inverse, query_scale, dqueries, dstates.view(),
                          Write::assign);
  normalise_rows_backward(bench.ctx, table.view(), T(1), key_scale, dkeys, dtable.view(),
                          Write::assign);
  meets(golden, "grad.states", dstates.view());
  meets(golden, "grad.table", dtable.view());
}

/// S3-Rec's: pairs behind sigmoids, or all labels of each row.
template <class T>
void check_self_supervised(GoldenCase& golden) {
  Bench bench;
  double loss = 0;
  if (golden.has("input.labels")) {
    const OwnedMatrix<T> scores = golden.matrix<T>("input.scores");
    const OwnedMatrix<std::int32_t> labels = golden.matrix<std::int32_t>("input.labels");
    OwnedMatrix<T> gradient = scores;
    for (Index r = 0; r < scores.rows; ++r) {
      std::vector<std::int32_t> of_row;
      for (Index j = 0; j < scores.cols; ++j) {
        if (labels.view()(r, j) != 0) {
          of_row.push_back(static_cast<std::int32_t>(j));
        }
      }
      loss += binary_of_labels(bench.ctx, gradient.view().row(r), of_row);
    }
    meets(golden, "grad.scores", gradient.values);
  } else {
    std::vector<T> right = golden.tensor<T>("input.positive"),
                   wrong = golden.tensor<T>("input.negative");
    for (std::size_t r = 0; r < right.size(); ++r) { loss += squashed_pair(right[r], wrong[r]); }
    meets(golden, "grad.positive", right);
    meets(golden, "grad.negative", wrong);
  }
  meets_loss<T>(golden, loss);
}

const auto unchanged = [](auto config) { return config; };

template <class T>
void check_loss(GoldenCase& golden) {
  if (golden.has("input.states")) {
    check_cosine<T>(golden);
  } else if (golden.has("input.a")) {
    check_info_nce<T>(golden);
  } else if (golden.has("input.users")) {
    check_in_batch<T>(golden);
  } else if (golden.has("input.negative_ids")) {
    check_sampled<T>(golden);
  } else if (golden.has("input.mass")) {
    check_mass<T>(golden);
  } else if (golden.has("input.upstream")) {
    check_log_softmax<T>(golden);
  } else if (golden.has("input.targets")) {
    check_catalogue<T>(golden);
  } else if (golden.has_config("lambda") && golden.has("input.scores")) {
    check_bpr_max_in_batch<T>(golden);
  } else if (golden.has_config("lambda")) {
    check_drawn<BprMax, T>(golden, [&](auto config) {
      config.regularisation = golden.number("lambda");
      return config;
    });
  } else if (defined_by(golden, "log(1 - sig(s_neg))")) {
    check_drawn<BinaryCrossEntropy, T>(golden, [](auto config) {
      config.averaged = true;
      return config;
    });
  } else if (defined_by(golden, "sig(s_pos - s_neg)")) {
    check_drawn<Bpr, T>(golden, unchanged);
  } else if (defined_by(golden, "S3-Rec")) {
    check_self_supervised<T>(golden);
  }
}

}  // namespace simgr_test
