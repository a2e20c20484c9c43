// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <simgr/core/fields.hpp>
#include <simgr/core/parameter.hpp>
#include <simgr/core/ragged.hpp>
#include <simgr/flow.hpp>

// From token states to user states. A pooler of states is a type with
//
//   In = flow::TokenStates, Out, Config (with for_each_field), Params, Cache
//   for_each_parameter(PoolerShape, f, params...)
//   examples                                          how training examples are cut from a user's
//                                                     sequence
//   forward(shape, params, states, offsets, cache, ctx)
//                                                     -> [rows, width]: a row for each training
//                                                     example, or for each sequence
//   backward(shape, params, grad, dy, offsets, cache, ctx)      -> dstates
//
// `offsets` counts tokens; `tokens_per_item` of them make an item, and the last one has seen all of it.

namespace simgr::SIMGR_ABI {

namespace detail {

/// Token indices of the positions that are read: one an item of every sequence, or the last of each.
template <class Ctx>
std::span<const std::int32_t> read_positions(Index tokens_per_item, Offsets offsets, bool all,
                                             Ctx& ctx) {
  const Index sequences = static_cast<Index>(offsets.size()) - 1;
  const Index count = all ? offsets.back() / tokens_per_item : sequences;
  const auto positions = ctx.template take<std::int32_t>(count);
  if (all) {
    for (Index i = 0; i < count; ++i) {
      positions[i] = static_cast<std::int32_t>((i + 1) * tokens_per_item - 1);
    }
  } else {
    for (Index s = 0; s < sequences; ++s) {
      positions[s] = static_cast<std::int32_t>(offsets[static_cast<std::size_t>(s) + 1] - 1);
    }
  }
  return std::span<const std::int32_t>(positions.span());
}

}  // namespace detail

/// Reads states at positions and nothing else. Trains on every position or on every prefix; serves
/// the last position.
///
/// @tparam cut   how training examples are cut
template <Examples cut>
struct PositionPooler {
  using In = flow::TokenStates;
  using Out = flow::UserStates;
  using Config = NoFields;
  static constexpr Examples examples = cut;
  static constexpr bool serves_last_position = true;

  template <class T, class S = Host>
  struct Params {};
  template <class T, class S = Host>
  struct Cache {
    std::span<const std::int32_t> positions;
    Index tokens = 0;
  };
  template <class F, class... P>
  static void for_each_parameter(const PoolerShape&, F&&, P&...) {}

  template <class T, class S, class Ctx>
  static Matrix<T, S> forward(const PoolerShape& shape, const Params<T, S>&, MatrixArg<T, S> states,
                              Offsets offsets, Cache<T, S>& cache, Ctx& ctx) {
    const bool all = ctx.training && cut == Examples::every_position;
    cache.positions = detail::read_positions(shape.tokens_per_item, offsets, all, ctx);
    cache.tokens = states.rows();
    Matrix<T, S> y = ctx.template take<T>(static_cast<Index>(cache.positions.size()), shape.width);
    gather_rows(ctx, states, cache.positions, y);
    return y;
  }
  template <class T, class S, class Ctx>
  static Matrix<T, S> backward(const PoolerShape& shape, const Params<T, S>&, const Params<T, S>&,
                               MatrixArg<T, S> dy, Offsets, const Cache<T, S>& cache, Ctx& ctx) {
    Matrix<T, S> dstates = ctx.template take<T>(cache.tokens, shape.width);
    fill(ctx, dstates, T(0));
    scatter_add_rows(ctx, dy, cache.positions, T(1), dstates);
    return dstates;
  }
};

/// Every position of a sequence predicts its next item (training); the last one serves.
using EveryPosition = PositionPooler<Examples::every_position>;
/// One target for each prefix (training); the last position reads it, as in serving.
using LastPosition = PositionPooler<Examples::every_prefix>;

}  // namespace simgr::SIMGR_ABI
