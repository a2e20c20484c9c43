// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <support/golden_compare.hpp>

#include <simgr/core/product_scores.hpp>
#include <simgr/loss/cross_entropy.hpp>
#include <simgr/loss/pairwise.hpp>
#include <simgr/nn/hierarchical_gating.hpp>
#include <simgr/nn/window_convolution.hpp>

// Caser and HGN of the family traditional/, whose users are rows of a table. All windows are full.

namespace simgr_test {

using namespace simgr;

/// The stored negative of each row.
struct StoredNegative {
  static constexpr Index per_row = 1;
  static inline std::vector<ItemId> items;

  static Index draw(Rng&, Index, const LossBatch& batch) {
    return items[static_cast<std::size_t>(row_of(batch))];
  }
  // Each draw is for the next row, as often as it is refused.
  static inline Index row = -1, refusals = 0;
  static Index row_of(const LossBatch& batch) {
    const auto known = [&](Index r) {
      const std::span<const ItemId> seen = batch.history[r];
      const ItemId item = items[static_cast<std::size_t>(r)];
      return std::find(seen.begin(), seen.end(), item) != seen.end() ||
             item == batch.targets[static_cast<std::size_t>(r)];
    };
    if (row >= 0 && known(row) && ++refusals < 100) {
      return row;
    }
    refusals = 0;
    return ++row;
  }
};

/// One step of a reader over stored tables of items and users, whose states are compared with the rows of
/// `keys` under the loss L.
template <class Reader, class L, class T>
struct WindowModel {
  Bench bench;
  GoldenCase& golden;
  typename Reader::Config config;
  GoldenParameters<Reader, T> p;
  OwnedMatrix<T> table, users;
  std::vector<ItemId> history, targets, who;
  std::vector<Index> offsets{0};
  OwnedMatrix<T> dtable, dusers, dkeys;
  typename Reader::template Cache<T> cache;
  Matrix<T> states;

  template <class Names>
  WindowModel(GoldenCase& stored, typename Reader::Numbers numbers, Names&& names)
      : golden(stored), config{stored.integer("width"), stored.integer("length"), numbers},
        p(config), table(stored.matrix<T>("param.item.weight")),
        users(stored.matrix<T>("param.user.weight")),
        history(stored.tensor<ItemId>("input.input_ids")),
        targets(stored.tensor<ItemId>("input.targets")), who(stored.tensor<ItemId>("input.users")),
        dtable(table.rows, table.cols), dusers(users.rows, users.cols) {
    p.load(golden, names);
    for (std::size_t s = 0; s < targets.size(); ++s) {
      offsets.push_back(offsets.back() + config.window);
    }
  }

  /// @param bias  [items], or empty; its gradient is the last column of dkeys
  template <class Names>
  void step(const OwnedMatrix<T>& keys, const std::vector<T>& bias, typename L::Config loss,
            T weight, Names&& names) {
    auto& ctx = bench.ctx;
    const Index rows = static_cast<Index>(targets.size()), width = config.width,
                more = bias.empty() ? 0 : 1;
    const Matrix<T> x = ctx.template take<T>(rows * config.window, width),
                    u = ctx.template take<T>(rows, width);
    gather_rows(ctx, table.view(), std::span<const ItemId>(history), x);
    gather_rows(ctx, users.view(), std::span<const ItemId>(who), u);
    states = Reader::forward(config, p.params, x, u, offsets, cache, ctx);

    // (state, 1) · (key, bias)
    const Matrix<T> q = ctx.template take<T>(rows, width + more),
                    dq = ctx.template take<T>(rows, width + more),
                    k = ctx.template take<T>(keys.rows, width + more);
    fill(ctx, q, T(1));
    copy_to_columns(ctx, states, Columns<T>{q, 0});
    copy_to_columns(ctx, keys.view(), Columns<T>{k, 0});
    if (more > 0) {
      copy_to_columns(ctx, MatrixArg<T>(bias.data(), {keys.rows, 1}), Columns<T>{k, width});
    }
    dkeys = OwnedMatrix<T>(keys.rows, width + more);
    const Matrix<T> scores = ctx.template take<T>(rows, keys.rows);
    gemm_nt(ctx, q, k, scores, Write::assign);
    meets(golden, "output.scores", scores);
    const LossBatch batch{targets, {history, offsets}, {}, {}, {}};
    meets_loss<T>(golden, L::value_and_gradient(loss, ProductScores<T>{q, k, dq, dkeys.view()},
                                                batch, weight, ctx));

    const Matrix<T> dstates = ctx.template take<T>(rows, width),
                    du = ctx.template take<T>(rows, width);
    copy_columns(ctx, Columns<const T>{dq, 0}, dstates);
    const Matrix<T> dx = Reader::backward(config, p.params, p.grads, dstates, du, cache, ctx);
    scatter_add_rows(ctx, dx, std::span<const ItemId>(history), T(1), dtable.view());
    scatter_add_rows(ctx, du, std::span<const ItemId>(who), T(1), dusers.view());
    p.compare(golden, names);
    meets(golden, "grad.user.weight", dusers.view());
  }
};

template <class T>
void check_caser(GoldenCase& golden) {
  const auto names = [&](const std::string& name) {
    const std::string tail = name.substr(name.rfind('.'));
    if (name.starts_with("horizontal")) {
      std::vector<std::string> parts;
      for (Index i = 0; i < golden.integer("length"); ++i) {
        parts.push_back("horizontal." + std::to_string(i) + tail);
      }
      return parts;
    }
    return std::vector<std::string>{name.starts_with("inner")   ? "fc1" + tail
                                    : name.starts_with("outer") ? "fc2" + tail
                                                                : name};
  };
  WindowModel<WindowConvolution, ItemCrossEntropy<>, T> model(
      golden, {golden.integer("vertical"), golden.integer("horizontal"), 0}, names);
  model.step(model.table, {}, {}, T(1) / static_cast<T>(model.targets.size()), names);
  for (Index i = 0; i < model.table.rows; ++i) {
    copy(model.bench.ctx, model.dkeys.view().row(i), model.dtable.view().row(i), Write::add);
  }
  meets(golden, "grad.item.weight", model.dtable.view());
  meets(golden, "output.user_states", model.states);
  const Index of_vertical = golden.shape("output.vertical")[1];
  const Index rows = model.states.rows();
  OwnedMatrix<T> vertical(rows, of_vertical),
      horizontal(rows, model.cache.filtered.cols() - of_vertical);
  copy_columns(model.bench.ctx, Columns<const T>{model.cache.filtered, 0}, vertical.view());
  copy_columns(model.bench.ctx, Columns<const T>{model.cache.filtered, of_vertical},
               horizontal.view());
  meets(golden, "output.vertical", vertical.view());
  meets(golden, "output.horizontal", horizontal.view());
}

template <class L, class T>
void check_hgn(GoldenCase& golden, typename L::Config loss, bool mean) {
  const auto names = [](const std::string& name) {
    return std::vector<std::string>{name == "user.bias"             ? "gate.bias"
                                    : name.starts_with("instance_") ? name
                                                                    : "gate_" + name};
  };
  WindowModel<HierarchicalGating, L, T> model(golden, {}, names);
  const OwnedMatrix<T> keys = golden.matrix<T>("param.out.weight");
  const bool biased = golden.has("param.out.bias");
  if (golden.has("input.negatives")) {
    StoredNegative::items = golden.tensor<ItemId>("input.negatives");
    StoredNegative::row = -1;
    StoredNegative::refusals = 0;
  }
  model.step(keys, biased ? golden.tensor<T>("param.out.bias") : std::vector<T>(), loss,
             mean ? T(1) / static_cast<T>(model.targets.size()) : T(1), names);
  meets(golden, "grad.item.weight", model.dtable.view());
  OwnedMatrix<T> dkeys(keys.rows, keys.cols);
  copy_columns(model.bench.ctx, Columns<const T>{model.dkeys.view(), 0}, dkeys.view());
  meets(golden, "grad.out.weight", dkeys.view());
  if (biased) {
    std::vector<T> dbias;
    for (Index i = 0; i < keys.rows; ++i) { dbias.push_back(model.dkeys.view()(i, keys.cols)); }
    meets(golden, "grad.out.bias", dbias);
  }
  meets(golden, "output.pooled", model.cache.pooled);
}

template <class T>
void check_window_model(GoldenCase& golden) {
  if (golden.has("output.vertical")) {
    check_caser<T>(golden);
  } else if (golden.text("loss") == "bpr" || golden.has("param.out.bias")) {
    check_hgn<Bpr<StoredNegative>, T>(golden, {.epsilon = 1e-8}, false);
  } else {
    check_hgn<ItemCrossEntropy<>, T>(golden, {}, true);
  }
}

}  // namespace simgr_test
