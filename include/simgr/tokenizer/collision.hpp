// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <numeric>  // std::iota
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <simgr/core/error.hpp>
#include <simgr/tokenizer/item_id.hpp>

// Items that share all digits of a semantic id: counting them, and telling them apart.

namespace simgr::SIMGR_ABI::tokenizer {

/// What becomes of items that share all digits. The last two need codebooks.
enum class Collision {
  keep,             // they stay equal: every score between them ties
  digit,            // every id gets one digit more: 0, 1, 2, … inside a group (TIGER)
  digit_if_shared,  // the same, 0 where the id is unique, else 1, 2, 3, …: where 0 means "none",
                    // ids of different lengths (MiniOneRec; GRID)
  sinkhorn,         // groups spread over last codes by optimal transport, the rest moves (LC-Rec)
  nearest_free,     // all but the closest move to the nearest unused id
};

constexpr std::array<std::string_view, 5> names_of(Collision) noexcept {
  return {"keep", "digit", "digit-if-shared", "sinkhorn", "nearest-free"};
}

/// Items by id: groups of equal ids one after another, inside a group in the order of the items.
struct IdGroups {
  std::vector<ItemId> items;  // [items]
  std::vector<Index> first;   // [groups + 1], group g: items[first[g]] … items[first[g + 1] - 1]

  Index groups() const noexcept { return std::ssize(first) - 1; }
  std::span<const ItemId> group(Index g) const noexcept {
    const Index begin = first[static_cast<std::size_t>(g)];
    return std::span(items).subspan(
        static_cast<std::size_t>(begin),
        static_cast<std::size_t>(first[static_cast<std::size_t>(g + 1)] - begin));
  }
};

/// The groups of ids with these codes [items, digits].
///
/// Cost  O(items · log(items) · digits)
inline IdGroups group_ids(MatrixArg<std::int32_t> codes) {
  IdGroups groups;
  groups.items.resize(static_cast<std::size_t>(codes.rows()));
  std::iota(groups.items.begin(), groups.items.end(), ItemId{0});
  const auto row = [&](ItemId item) { return codes.row(item); };
  std::sort(groups.items.begin(), groups.items.end(), [&](ItemId a, ItemId b) {
    const auto [x, y] = std::mismatch(row(a).begin(), row(a).end(), row(b).begin());
    return x != row(a).end() ? *x < *y : a < b;
  });
  for (std::size_t i = 0; i < groups.items.size(); ++i) {
    if (i == 0 || !std::equal(row(groups.items[i]).begin(), row(groups.items[i]).end(),
                              row(groups.items[i - 1]).begin())) {
      groups.first.push_back(static_cast<Index>(i));
    }
  }
  groups.first.push_back(std::ssize(groups.items));
  return groups;
}

/// How one digit uses its codes.
struct DigitUsage {
  Index codes = 0, used = 0;
  double entropy = 0;     // of the code of a random item, in nats; at most ln codes
  double perplexity = 0;  // exp(entropy): as many equally used codes would give it
  Index prefixes = 0;     // different ids, when they end with this digit
  double prefix_perplexity = 0;
};

/// Collisions of a set of ids, and how its digits use their codes.
struct CollisionReport {
  Index items = 0, distinct = 0;
  double collision_rate = 0;       // (items - distinct) / items
  Index largest_group = 0;         // items of one id
  Index items_in_groups = 0;       // items whose id is not theirs alone
  double share_in_groups = 0;      // the same as a fraction of all items
  std::vector<DigitUsage> digits;  // [digits]
};

namespace detail {

/// exp(entropy) of groups of these sizes among all items.
inline double perplexity(const std::vector<Index>& sizes, Index items) {
  double entropy = 0;
  for (const Index size : sizes) {
    if (size > 0) {
      const double share = static_cast<double>(size) / static_cast<double>(items);
      entropy -= share * std::log(share);
    }
  }
  return std::exp(entropy);
}

/// Items of every different prefix, [digits] lists; `sorted` are the items in the order of ids.
inline std::vector<std::vector<Index>> prefix_sizes(MatrixArg<std::int32_t> codes,
                                                    std::span<const ItemId> sorted) {
  std::vector<std::vector<Index>> sizes(static_cast<std::size_t>(codes.cols()));
  for (std::size_t i = 0; i < sorted.size(); ++i) {
    const auto row = codes.row(sorted[i]);
    const auto same =
        i == 0 ? 0
               : std::mismatch(row.begin(), row.end(), codes.row(sorted[i - 1]).begin()).first -
                     row.begin();
    for (Index digit = 0; digit < codes.cols(); ++digit) {
      std::vector<Index>& of_digit = sizes[static_cast<std::size_t>(digit)];
      if (i == 0 || digit >= same) {
        of_digit.push_back(0);
      }
      ++of_digit.back();
    }
  }
  return sizes;
}

}  // namespace detail

/// Counts collisions and usage.
///
/// Cost  O(items · log(items) · digits + all codes)
inline CollisionReport collision_report(const SemanticIds& ids) {
  CollisionReport report;
  const Matrix<const std::int32_t> codes = ids.codes;
  report.items = ids.items();
  const IdGroups groups = group_ids(codes);
  report.distinct = groups.groups();
  for (Index g = 0; g < groups.groups(); ++g) {
    const Index size = std::ssize(groups.group(g));
    report.largest_group = std::max(report.largest_group, size);
    report.items_in_groups += size > 1 ? size : 0;
  }
  const auto items = static_cast<double>(std::max<Index>(report.items, 1));
  report.collision_rate = static_cast<double>(report.items - report.distinct) / items;
  report.share_in_groups = static_cast<double>(report.items_in_groups) / items;
  const auto prefixes = detail::prefix_sizes(codes, groups.items);
  for (Index digit = 0; digit < ids.digits(); ++digit) {
    const auto d = static_cast<std::size_t>(digit);
    DigitUsage usage{.codes = ids.codes_per_digit[d]};
    std::vector<Index> count(static_cast<std::size_t>(usage.codes));
    for (Index item = 0; item < ids.items(); ++item) {
      ++count[static_cast<std::size_t>(codes(item, digit))];
    }
    usage.used = usage.codes - std::count(count.begin(), count.end(), 0);
    usage.perplexity = detail::perplexity(count, report.items);
    usage.entropy = std::log(usage.perplexity);
    usage.prefixes = std::ssize(prefixes[d]);
    usage.prefix_perplexity = detail::perplexity(prefixes[d], report.items);
    report.digits.push_back(usage);
  }
  return report;
}

namespace detail {

/// 12.34 %
inline std::string percent_text(double fraction) {
  const auto hundredths = static_cast<Index>(std::llround(fraction * 10000));
  const std::string rest = std::to_string(hundredths % 100);
  return std::to_string(hundredths / 100) + "." + (rest.size() < 2 ? "0" : "") + rest + " %";
}

}  // namespace detail

/// The report as the lines a tool prints.
inline std::string to_text(const CollisionReport& report) {
  std::string text =
      std::to_string(report.items) + " items, " + std::to_string(report.distinct) +
      " distinct ids: collision rate " + detail::percent_text(report.collision_rate) + ", " +
      detail::percent_text(report.share_in_groups) + " of the items in groups, largest group " +
      std::to_string(report.largest_group) + "\n";
  for (std::size_t digit = 0; digit < report.digits.size(); ++digit) {
    const DigitUsage& usage = report.digits[digit];
    text += "digit " + std::to_string(digit) + ": " + std::to_string(usage.used) + " of " +
            std::to_string(usage.codes) + " codes used, perplexity " +
            std::to_string(std::llround(usage.perplexity)) + "; " + std::to_string(usage.prefixes) +
            " prefixes, perplexity " + std::to_string(std::llround(usage.prefix_perplexity)) + "\n";
  }
  return text;
}

/// Appends the disambiguation digit to every id: 0 where the id is unique; where it is shared, from
/// `first` on in the order of the items: 0, 1, 2, … or 1, 2, 3, …. The new digit has as many codes
/// as the largest group needs.
///
/// Cost    that of group_ids
/// Source  Rajput et al., "Recommender Systems with Generative Retrieval" (TIGER), 2023,
///         section 3.1
inline SemanticIds append_digit(const SemanticIds& ids, std::int32_t first = 0) {
  SemanticIds longer;
  longer.codes = OwnedMatrix<std::int32_t>(ids.items(), ids.digits() + 1);
  longer.codes_per_digit = ids.codes_per_digit;
  const Matrix<const std::int32_t> codes = ids.codes;
  const Matrix<std::int32_t> out = longer.codes.view();
  const IdGroups groups = group_ids(codes);
  Index largest = 1;
  for (Index g = 0; g < groups.groups(); ++g) {
    std::int32_t place = groups.group(g).size() > 1 ? first : 0;
    for (const ItemId item : groups.group(g)) {
      std::copy_n(codes.row(item).begin(), ids.digits(), out.row(item).begin());
      out(item, ids.digits()) = place++;
    }
    largest = std::max<Index>(largest, place);
  }
  longer.codes_per_digit.push_back(largest);
  return longer;
}

/// The ids of a tokenizer without codebooks, with collisions treated as asked.
///
/// Errors  ConfigError: a treatment that needs codebooks
inline SemanticIds resolve_collisions(const SemanticIds& ids, Collision collision) {
  switch (collision) {
  case Collision::keep:
    break;
  case Collision::digit:
    return append_digit(ids);
  case Collision::digit_if_shared:
    return append_digit(ids, 1);
  case Collision::sinkhorn:
  case Collision::nearest_free:
    SIMGR_THROW(ConfigError("collision: these ids have no codebooks, so that no code is near "
                            "another; expected keep, digit or digit-if-shared"));
  }
  return ids;
}

}  // namespace simgr::SIMGR_ABI::tokenizer
