// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <concepts>
#include <cstdint>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include <simgr/core/error.hpp>
#include <simgr/tokenizer/collision.hpp>

namespace simgr::SIMGR_ABI::tokenizer {

/// What a tokenizer must tell so that items can move to other ids: how far what is left over of a
/// vector, after the digits of a prefix, is from every code of the next digit.
template <class C>
concept Codebooks = requires(const C& codebooks, std::span<const std::int32_t> prefix,
                             std::int32_t code, Vector<float> rest, std::vector<float>& found) {
  { codebooks.levels() } -> std::convertible_to<Index>;
  codebooks.distances(prefix, rest, found);
  codebooks.leave_over(prefix, code, rest);
};

namespace detail {

inline Vector<float> as_vector(std::vector<float>& values) noexcept {
  return {values.data(), {std::ssize(values)}};
}

/// Distances from a vector to the codes that may end an id with these digits.
template <Codebooks C>
void last_distances(const C& codebooks, VectorArg<float> vector,
                    std::span<const std::int32_t> prefix, std::vector<float>& found) {
  std::vector<float> rest(vector.begin(), vector.end());
  for (std::size_t level = 0; level < prefix.size(); ++level) {
    codebooks.distances(prefix.first(level), as_vector(rest), found);
    codebooks.leave_over(prefix.first(level), prefix[level], as_vector(rest));
  }
  codebooks.distances(prefix, as_vector(rest), found);
}

/// Moves one item after another to the first free id in the order of nearness, depth first: the
/// nearest code of every level, then the other last codes from near to far, then the second nearest
/// code of the level above, and so on.
template <Codebooks C>
class FreeIdSearch {
public:
  FreeIdSearch(const C& codebooks, MatrixArg<float> vectors, SemanticIds& ids)
      : codebooks_(codebooks), vectors_(vectors), ids_(ids),
        below_(static_cast<std::size_t>(ids.digits()) + 1, 1) {
    // Ids below a prefix; capped, it only has to tell full prefixes from the others.
    for (std::size_t l = below_.size() - 1; l-- > 0;) {
      const Index codes = ids.codes_per_digit[l];
      below_[l] = std::min(cap_, below_[l + 1] * std::min(cap_, codes));
    }
  }

  Index capacity() const noexcept { return below_.front(); }
  void occupy(ItemId item) { count_prefixes(ids_.codes.view().row(item)); }
  bool move(ItemId item) {
    std::vector<std::int32_t> id;
    if (!descend({vectors_.row(item).begin(), vectors_.row(item).end()}, id)) {
      return false;
    }
    std::copy(id.begin(), id.end(), ids_.codes.view().row(item).begin());
    occupy(item);
    return true;
  }

private:
  static std::string key(const std::int32_t* codes, std::size_t count) {
    return {reinterpret_cast<const char*>(codes), count * sizeof(std::int32_t)};
  }
  void count_prefixes(VectorArg<std::int32_t> id) {
    for (std::size_t l = 1; l <= static_cast<std::size_t>(id.size()); ++l) {
      ++taken_[key(id.data(), l)];
    }
  }
  bool descend(std::vector<float> rest, std::vector<std::int32_t>& id) {
    if (id.size() == below_.size() - 1) {
      return true;
    }
    std::vector<float> distances;
    codebooks_.distances(id, as_vector(rest), distances);
    std::vector<std::pair<float, std::int32_t>> order;
    for (const float distance : distances) {
      order.emplace_back(distance, static_cast<std::int32_t>(order.size()));
    }
    std::sort(order.begin(), order.end());
    for (const auto& [distance, code] : order) {
      id.push_back(code);
      const auto found = taken_.find(key(id.data(), id.size()));
      if (found == taken_.end() || found->second < below_[id.size()]) {
        std::vector<float> next = rest;
        codebooks_.leave_over(std::span(id).first(id.size() - 1), code, as_vector(next));
        if (descend(std::move(next), id)) {
          return true;
        }
      }
      id.pop_back();
    }
    return false;
  }

  static constexpr Index cap_ = Index{1} << 31;
  const C& codebooks_;
  MatrixArg<float> vectors_;
  SemanticIds& ids_;
  std::vector<Index> below_;                      // [digits + 1], ids under a prefix of l digits
  std::unordered_map<std::string, Index> taken_;  // items under a prefix
};

}  // namespace detail

/// Makes ids unique: of the items that share one, the item closest to it keeps it, the others,
/// closest first, move to the nearest free id: another last code where the prefix has one free,
/// else another code of the level above, and so on. Ties go to the lower item; equal vectors are
/// told apart too.
///
/// Shapes  ids: the codes of vectors [items, width] under `codebooks`, without a further digit
/// Cost    O(moved items · levels · codes · width)
/// Errors  ConfigError: more items than ids
template <Codebooks C>
SemanticIds move_to_nearest_free(const C& codebooks, MatrixArg<float> vectors, SemanticIds ids) {
  SIMGR_ASSERT(vectors.rows() == ids.items() && ids.digits() == codebooks.levels(),
               "move_to_nearest_free: shapes");
  detail::FreeIdSearch<C> search(codebooks, vectors, ids);
  if (ids.items() > search.capacity()) {
    SIMGR_THROW(ConfigError("collision: " + std::to_string(ids.items()) +
                            " items do not fit into " + std::to_string(search.capacity()) +
                            " ids; raise levels or codes"));
  }
  const auto prefixes = static_cast<std::size_t>(ids.digits() - 1);
  std::vector<float> distances;
  std::vector<std::pair<float, ItemId>> movers;
  const IdGroups groups = group_ids(ids.codes);
  for (Index g = 0; g < groups.groups(); ++g) {
    std::vector<std::pair<float, ItemId>> members;
    for (const ItemId item : groups.group(g)) {
      const auto id = std::as_const(ids.codes).view().row(item).span();
      if (groups.group(g).size() > 1) {
        detail::last_distances(codebooks, vectors.row(item), id.first(prefixes), distances);
      }
      members.emplace_back(
          groups.group(g).size() > 1 ? distances[static_cast<std::size_t>(id.back())] : 0.0f, item);
    }
    std::sort(members.begin(), members.end());
    search.occupy(members.front().second);
    movers.insert(movers.end(), members.begin() + 1, members.end());
  }
  std::sort(movers.begin(), movers.end());
  for (const auto& [distance, item] : movers) {
    if (!search.move(item)) {
      SIMGR_THROW(ConfigError("collision: no free id is left; raise levels or codes"));
    }
  }
  return ids;
}

}  // namespace simgr::SIMGR_ABI::tokenizer
