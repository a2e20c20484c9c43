// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <limits>

#include <simgr/core/op_tags.hpp>
#include <simgr/cpu/context.hpp>
#include <simgr/cpu/eigen.hpp>
#include <simgr/cpu/elementwise.hpp>
#include <simgr/cpu/head_products.hpp>

// Attention over packed sequences: one [queries, keys] block of probabilities for each sequence and
// head.

namespace simgr::SIMGR_ABI::cpu {

namespace detail {

template <class T>
using Strided =
    Eigen::Map<std::conditional_t<std::is_const_v<T>, const EigenMatrix<std::remove_const_t<T>>,
                                  EigenMatrix<T>>,
               0, Eigen::OuterStride<>>;

/// Head `head` of rows [row, row + rows).
template <class T>
Strided<T> panel(Columns<T> x, Index row, Index rows, Index head, Index width) noexcept {
  return {x.matrix.data() + row * x.matrix.cols() + x.begin + head * width, rows, width,
          Eigen::OuterStride<>(x.matrix.cols())};
}

/// The same for products of heads.
template <class T>
HeadRows<T> rows_of_head(Columns<T> x, Index row, Index head, Index width) noexcept {
  return {x.matrix.data() + row * x.matrix.cols() + x.begin + head * width, x.matrix.cols()};
}

template <class T>
T temperature(HeadShape shape) noexcept {
  return shape.scaled ? T(1) / std::sqrt(static_cast<T>(shape.width)) : T(1);
}

/// One block of probabilities, and the rows of queries and keys that it stands for.
struct AttentionBlock {
  Index first_query, queries, first_key, keys, head;
  Index at;  // where the block begins

  /// What query i is told of the keys, by their distances: entry j is that of key j. Where `together`
  /// tokens share a position, each distance stands so many times in a row.
  template <class T>
  EigenRow<T> relative(Matrix<T> all, Index i, Index visible, Index together) const noexcept {
    const Index middle = all.cols() / together / 2;
    return {all.row(head).data() + (middle - i / together) * together, visible};
  }
};

template <class F>
void for_each_attention_block(Offsets queries, Offsets keys, Index heads, F&& f) {
  Index at = 0;
  for (std::size_t s = 0; s + 1 < queries.size(); ++s) {
    AttentionBlock block{queries[s], queries[s + 1] - queries[s], keys[s], keys[s + 1] - keys[s], 0,
                         0};
    for (; block.head < heads; ++block.head) {
      block.at = at;
      at += block.queries * block.keys;
      f(block);
    }
  }
}

/// A block of P that dropout may act on: a copy, because the backward pass needs P itself.
template <class T>
Matrix<T> copy_of_block(Context& ctx, MatrixArg<T> p) noexcept {
  const Matrix<T> copy = ctx.take<T>(p.rows(), p.cols());
  std::copy(p.begin(), p.end(), copy.begin());
  return copy;
}

}  // namespace detail

/// y = dropout(P) v,   P = softmax(mask(r q k' + relative)), by sequence and head; r is 1 or
/// 1 / sqrt(head width), as `shape` says.
///
/// Shapes  q, y [query tokens, heads · width];  k, v [key tokens, kv_heads · width];  heads stand in
///         consecutive column blocks; a sequence of queries reads the sequence of keys of its place,
///         which is not empty; under a causal mask queries are as many as the last keys
///         relative [heads, 2 longest - 1], whose middle column is distance 0, key minus query; or
///         empty; where tokens share positions, longest counts those, and every column is repeated
///         probabilities [Σ heads · queries · keys], keeps P before dropout
/// Cost    O(Σ queries · keys · heads · width)
template <class Mask, class T>
void attention(Context& ctx, Mask, Columns<const T> q, Columns<const T> k, Columns<const T> v,
               Offsets queries, Offsets keys, HeadShape shape, MatrixArg<T> relative, float rate,
               std::uint32_t stream, Vector<T> probabilities, Matrix<T> y) noexcept {
  using Products = detail::HeadProducts<T>;
  const T temperature = detail::temperature<T>(shape);
  const bool dropping = ctx.training && rate > 0;
  DropoutMask<T> mask(ctx, rate, stream);
  detail::for_each_attention_block(
      queries, keys, shape.heads, [&](const detail::AttentionBlock& block) {
        SIMGR_ASSERT((!std::is_same_v<Mask, Causal> || block.queries <= block.keys),
                     "attention: a causal mask needs as many keys as queries");
        const Index before = block.keys - block.queries;  // keys that stand before all queries
        const Index kv = shape.kv(block.head);
        const Matrix<T> p(probabilities.data() + block.at, {block.queries, block.keys});
        Products::multiply_pairs(
            ctx, detail::rows_of_head(q, block.first_query, block.head, shape.width),
            detail::rows_of_head(k, block.first_key, kv, shape.width), p.data(), block.queries,
            shape.width, block.keys);
        for (Index i = 0; i < block.queries; ++i) {
          const Index visible = std::is_same_v<Mask, Causal> ? before + i + 1 : block.keys;
          EigenRow<T> row(p.row(i).data(), visible);
          if (relative.empty()) {
            const T largest = row.maxCoeff();
            row = ((row - largest) * temperature).exp();
          } else {
            row =
                row * temperature + block.relative(relative, i, visible, shape.tokens_per_position);
            const T largest = row.maxCoeff();
            row = (row - largest).exp();
          }
          row *= T(1) / row.sum();
          std::fill(p.row(i).data() + visible, p.row(i).data() + block.keys, T(0));
        }
        Arena::Scope scope(ctx.arena);
        const Matrix<T> used = dropping ? detail::copy_of_block<T>(ctx, p) : p;
        if (dropping) {
          mask.apply(block.at, used.size(), used.data());
        }
        Products::multiply(
            {used.data(), block.keys}, detail::rows_of_head(v, block.first_key, kv, shape.width),
            detail::rows_of_head(Columns<T>{y}, block.first_query, block.head, shape.width),
            block.queries, block.keys, shape.width);
      });
}

namespace detail {

/// Where the keys of each sequence begin, those of a shared beginning counted again for each.
inline Vector<Index> continued_offsets(Context& ctx, const Packing& packing) {
  const Vector<Index> offsets = ctx.take<Index>(static_cast<Index>(packing.offsets.size()));
  offsets[0] = 0;
  for (std::size_t s = 0; s < packing.sequences(); ++s) {
    const auto place = static_cast<Index>(s);
    offsets[place + 1] = offsets[place] + packing.before(s) + packing.length(s);
  }
  return offsets;
}
/// visit(row of x, row of y, rows that stand together), where y has the shared beginning before each.
template <class Visit>
void for_continued_rows(const Packing& packing, Visit&& visit) {
  Index row = 0;
  for (std::size_t s = 0; s < packing.sequences(); ++s) {
    visit(0, row, packing.before(s));
    visit(packing.offsets[s], row + packing.before(s), packing.length(s));
    row += packing.before(s) + packing.length(s);
  }
}
/// Keys and values with those of the shared beginning before each sequence.
template <class T>
struct ContinuedKeys {
  Vector<Index> offsets;  // [sequences + 1]
  Matrix<T> k, v;         // [rows, kv_heads · width]

  ContinuedKeys(Context& ctx, Columns<const T> keys, Columns<const T> values,
                const Packing& packing, HeadShape shape)
      : offsets(continued_offsets(ctx, packing)) {
    const Index rows = offsets[offsets.size() - 1], cols = shape.kv_heads * shape.width;
    k = ctx.take<T>(rows, cols);
    v = ctx.take<T>(rows, cols);
    for_continued_rows(packing, [&](Index from, Index to, Index count) {
      as_eigen(k.slice(to, count)) = panel(keys, from, count, 0, cols);
      as_eigen(v.slice(to, count)) = panel(values, from, count, 0, cols);
    });
  }
  Columns<const T> keys() const noexcept { return {k}; }
  Columns<const T> values() const noexcept { return {v}; }
};

}  // namespace detail

/// The same within each sequence, by products alone; where a beginning is shared, its keys and values
/// stand before those of each.
template <class Mask, class T>
void attention(Context& ctx, Mask mask, Columns<const T> q, Columns<const T> k, Columns<const T> v,
               const Packing& packing, HeadShape shape, float rate, std::uint32_t stream,
               Vector<T> probabilities, Matrix<T> y) noexcept {
  if (!packing.shared) {
    attention(ctx, mask, q, k, v, packing.offsets, packing.offsets, shape, MatrixArg<T>{}, rate,
              stream, probabilities, y);
    return;
  }
  Arena::Scope scope(ctx.arena);
  const detail::ContinuedKeys<T> all(ctx, k, v, packing, shape);
  attention(ctx, mask, q, all.keys(), all.values(), packing.offsets, Offsets(all.offsets.span()),
            shape, MatrixArg<T>{}, rate, stream, probabilities, y);
}

/// What attention() gives within each sequence, with nothing kept for a backward pass and no dropout:
/// serving needs no more. Rows of scores are padded to whole packets, so that sequences of a dozen
/// tokens are computed by packets, too.
///
/// Shapes  q, y [tokens, heads · width];  k, v [tokens, kv_heads · width];  no sequence is empty
template <class Mask, class T>
void attention_of_all(Context& ctx, Mask, Columns<const T> q, Columns<const T> k,
                      Columns<const T> v, const Packing& packing, HeadShape shape,
                      Matrix<T> y) noexcept {
  if (packing.shared) {
    Arena::Scope scope(ctx.arena);
    attention(ctx, Mask{}, q, k, v, packing, shape, 0.0f, 0,
              ctx.take<T>(probability_count(packing, shape.heads)), y);
    return;
  }
  const Offsets offsets = packing.offsets;
  using Products = detail::HeadProducts<T>;
  const T temperature = detail::temperature<T>(shape);
  for (std::size_t s = 0; s + 1 < offsets.size(); ++s) {
    const Index first = offsets[s], length = offsets[s + 1] - first;
    const Index padded = Products::padded(length);
    Arena::Scope scope(ctx.arena);
    const Matrix<T> p = ctx.take<T>(length, padded), turned = ctx.take<T>(shape.width, padded);
    for (Index h = 0; h < shape.heads; ++h) {
      Products::turn(detail::rows_of_head(k, first, shape.kv(h), shape.width), length, shape.width,
                     turned.data());
      Products::multiply(detail::rows_of_head(q, first, h, shape.width), {turned.data(), padded},
                         {p.data(), padded}, length, shape.width, padded);
      for (Index i = 0; i < length; ++i) {
        const Index visible = std::is_same_v<Mask, Causal> ? i + 1 : length;
        EigenRow<T> row = as_row(p.row(i));
        const auto hide = [&](T value) {
          std::fill(p.row(i).data() + visible, p.row(i).end(), value);
        };
        hide(std::numeric_limits<T>::lowest());
        const T largest = row.maxCoeff();
        hide(largest);
        row = ((row - largest) * temperature).exp();
        hide(T(0));
        row *= T(1) / row.sum();
      }
      Products::multiply(
          {p.data(), padded}, detail::rows_of_head(v, first, shape.kv(h), shape.width),
          detail::rows_of_head(Columns<T>{y}, first, h, shape.width), length, length, shape.width);
    }
  }
}

/// What the last position of each sequence gets from attention(), without the others: serving needs
/// no more. No dropout.
///
/// Shapes  q, y [sequences, heads · width], without a shared beginning;  k, v [tokens, kv_heads ·
///         width];  no sequence is empty
template <class T>
void attention_of_last(Context& ctx, MatrixArg<T> q, Columns<const T> k, Columns<const T> v,
                       const Packing& packing, HeadShape shape, Matrix<T> y) noexcept {
  if (packing.shared) {
    Arena::Scope scope(ctx.arena);
    const detail::ContinuedKeys<T> all(ctx, k, v, packing, shape);
    const Offsets own = Offsets(all.offsets.span()).subspan(1);  // of those that ask
    attention_of_last(ctx, q, all.keys(), all.values(), own, shape, y);
    return;
  }
  const Offsets offsets = packing.offsets;
  const T temperature = detail::temperature<T>(shape);
  for (Index s = 0; s < y.rows(); ++s) {
    const Index first = offsets[static_cast<std::size_t>(s)];
    const Index length = offsets[static_cast<std::size_t>(s) + 1] - first;
    Arena::Scope scope(ctx.arena);
    const Matrix<T> p = ctx.take<T>(1, length);
    for (Index h = 0; h < shape.heads; ++h) {
      as_eigen(p).noalias() =
          detail::panel(Columns<const T>{q}, s, 1, h, shape.width)
              .lazyProduct(detail::panel(k, first, length, shape.kv(h), shape.width).transpose());
      EigenRow<T> row = as_row(p.row(0));
      const T largest = row.maxCoeff();
      row = ((row - largest) * temperature).exp();
      row *= T(1) / row.sum();
      detail::panel(Columns<T>{y}, s, 1, h, shape.width).noalias() =
          as_eigen(p).lazyProduct(detail::panel(v, first, length, shape.kv(h), shape.width));
    }
  }
}

/// dq, dk, dv from dy, all assigned; drelative accumulates where there is one. `probabilities` is
/// what attention() kept; rate and stream are those of the forward call.
///
/// Cost  twice that of attention()
// forward: y = D(P) v, P = softmax(S), S = r q k' + b, where D is the dropout mask, scale included.
//
//   dv = D(P)' dy;   dP = D(dy v');   dS = P (dP - sum(P dP));   db = dS;   dq = r dS k;
//   dk = r dS' q
//
// A key head that several query heads share sums their gradients.
template <class T>
void attention_backward(Context& ctx, Columns<const T> q, Columns<const T> k, Columns<const T> v,
                        Offsets queries, Offsets keys, HeadShape shape, float rate,
                        std::uint32_t stream, VectorArg<T> probabilities, MatrixArg<T> dy,
                        Columns<T> dq, Columns<T> dk, Columns<T> dv, Matrix<T> drelative) noexcept {
  const T temperature = detail::temperature<T>(shape);
  using Products = detail::HeadProducts<T>;
  const bool dropping = ctx.training && rate > 0;
  DropoutMask<T> mask(ctx, rate, stream);
  detail::for_each_attention_block(
      queries, keys, shape.heads, [&](const detail::AttentionBlock& block) {
        const Index kv = shape.kv(block.head);
        const bool first_of_group = block.head == 0 || kv != shape.kv(block.head - 1);
        const Write of_keys = first_of_group ? Write::assign : Write::add;
        const auto of_queries = [&](auto x) {
          return detail::rows_of_head(x, block.first_query, block.head, shape.width);
        };
        const auto of_memory = [&](auto x) {
          return detail::rows_of_head(x, block.first_key, kv, shape.width);
        };
        const detail::HeadRows<const T> out = of_queries(Columns<const T>{dy});
        const Matrix<const T> p(probabilities.data() + block.at, {block.queries, block.keys});
        Arena::Scope scope(ctx.arena);
        const Matrix<T> ds = ctx.take<T>(block.queries, block.keys);
        Products::multiply_pairs(ctx, out, of_memory(v), ds.data(), block.queries, shape.width,
                                 block.keys);
        Matrix<const T> used = p;
        if (dropping) {
          const Matrix<T> copy = detail::copy_of_block<T>(ctx, p);
          mask.apply(block.at, copy.size(), copy.data(), ds.data());
          used = copy;
        }
        const detail::HeadRows<const T> weights{used.data(), block.keys},
            scores{ds.data(), block.keys};
        Products::multiply(weights.transposed(), out, of_memory(dv), block.keys, block.queries,
                           shape.width, of_keys);
        for (Index i = 0; i < block.queries; ++i) {
          const T inner = (as_row(p.row(i)) * as_row(ds.row(i))).sum();
          as_row(ds.row(i)) = as_row(p.row(i)) * (as_row(ds.row(i)) - inner);
          if (!drelative.empty()) {
            block.relative(drelative, i, block.keys, shape.tokens_per_position) +=
                as_row(ds.row(i));
          }
          as_row(ds.row(i)) *= temperature;
        }
        Products::multiply(scores, of_memory(k), of_queries(dq), block.queries, block.keys,
                           shape.width);
        Products::multiply(scores.transposed(), of_queries(q), of_memory(dk), block.keys,
                           block.queries, shape.width, of_keys);
      });
}

/// The same within each sequence, by products alone; a shared beginning sums the gradients of all.
template <class T>
void attention_backward(Context& ctx, Columns<const T> q, Columns<const T> k, Columns<const T> v,
                        const Packing& packing, HeadShape shape, float rate, std::uint32_t stream,
                        VectorArg<T> probabilities, MatrixArg<T> dy, Columns<T> dq, Columns<T> dk,
                        Columns<T> dv) noexcept {
  if (!packing.shared) {
    attention_backward(ctx, q, k, v, packing.offsets, packing.offsets, shape, rate, stream,
                       probabilities, dy, dq, dk, dv, Matrix<T>{});
    return;
  }
  Arena::Scope scope(ctx.arena);
  const detail::ContinuedKeys<T> all(ctx, k, v, packing, shape);
  const Index rows = all.k.rows(), cols = all.k.cols();
  const Matrix<T> dkeys = ctx.take<T>(rows, cols), dvalues = ctx.take<T>(rows, cols);
  attention_backward(ctx, q, all.keys(), all.values(), packing.offsets, Offsets(all.offsets.span()),
                     shape, rate, stream, probabilities, dy, dq, Columns<T>{dkeys},
                     Columns<T>{dvalues}, Matrix<T>{});
  const auto gather = [&](Matrix<T> from, Columns<T> into) {
    detail::for_continued_rows(packing, [&](Index to, Index row, Index count) {
      detail::Strided<T> place = detail::panel(into, to, count, 0, cols);
      const bool again = to == 0 && row > 0;  // of the shared beginning
      if (again) {
        place += as_eigen(from.slice(row, count));
      } else {
        place = as_eigen(from.slice(row, count));
      }
    });
  };
  gather(dkeys, dk);
  gather(dvalues, dv);
}

}  // namespace simgr::SIMGR_ABI::cpu
