// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include <simgr/tokenizer/collision.hpp>
#include <simgr/tokenizer/residual_quantizer.hpp>

namespace simgr::SIMGR_ABI::tokenizer {

namespace detail {

/// Moves one item after another to the first free id in the order of nearness, depth first: the
/// nearest code of every level, then the other last codes from near to far, then the second nearest
/// code of the level above, and so on.
class FreeIdSearch {
public:
  FreeIdSearch(const ResidualQuantizer& quantizer, MatrixArg<float> vectors, SemanticIds& ids)
      : quantizer_(quantizer), vectors_(vectors), ids_(ids),
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
    std::vector<float> residual(vectors_.row(item).begin(), vectors_.row(item).end());
    if (!descend(std::move(residual), id)) {
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
  bool descend(std::vector<float> residual, std::vector<std::int32_t>& id) {
    const std::size_t level = id.size();
    if (level == below_.size() - 1) {
      return true;
    }
    const Matrix<float> row{residual.data(), {1, std::ssize(residual)}};
    quantizer_.begin_level(row);
    const auto codebook = quantizer_.codebooks[level].view();
    std::vector<std::pair<float, std::int32_t>> order;
    for (Index c = 0; c < codebook.rows(); ++c) {
      order.emplace_back(squared_distance(row.row(0), codebook.row(c)),
                         static_cast<std::int32_t>(c));
    }
    std::sort(order.begin(), order.end());
    for (const auto& [distance, code] : order) {
      id.push_back(code);
      const auto found = taken_.find(key(id.data(), id.size()));
      if (found == taken_.end() || found->second < below_[id.size()]) {
        std::vector<float> rest = residual;
        quantizer_.subtract(static_cast<Index>(level), code,
                            Vector<float>{rest.data(), {std::ssize(rest)}});
        if (descend(std::move(rest), id)) {
          return true;
        }
      }
      id.pop_back();
    }
    return false;
  }

  static constexpr Index cap_ = Index{1} << 31;
  const ResidualQuantizer& quantizer_;
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
/// Shapes  ids: the codes of vectors [items, width] under `quantizer`, without a further digit
/// Cost    O(moved items · levels · codes · width)
/// Errors  ConfigError: more items than ids
inline SemanticIds move_to_nearest_free(const ResidualQuantizer& quantizer,
                                        MatrixArg<float> vectors, SemanticIds ids) {
  SIMGR_ASSERT(vectors.rows() == ids.items() && ids.digits() == quantizer.levels(),
               "move_to_nearest_free: shapes");
  detail::FreeIdSearch search(quantizer, vectors, ids);
  if (ids.items() > search.capacity()) {
    SIMGR_THROW(ConfigError("collision: " + std::to_string(ids.items()) +
                            " items do not fit into " + std::to_string(search.capacity()) +
                            " ids; raise levels or codes"));
  }
  const auto left_over = [&](ItemId item) {
    std::vector<float> residual(vectors.row(item).begin(), vectors.row(item).end());
    const Matrix<float> row{residual.data(), {1, vectors.cols()}};
    for (Index level = 0; level < quantizer.levels(); ++level) {
      quantizer.begin_level(row);
      quantizer.subtract(level, ids.codes.view()(item, level), row.row(0));
    }
    return squared_length(row.row(0));
  };
  std::vector<std::pair<float, ItemId>> movers;
  const IdGroups groups = group_ids(ids.codes);
  for (Index g = 0; g < groups.groups(); ++g) {
    std::vector<std::pair<float, ItemId>> members;
    for (const ItemId item : groups.group(g)) {
      members.emplace_back(groups.group(g).size() > 1 ? left_over(item) : 0.0f, item);
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
