// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <simgr/core/error.hpp>
#include <simgr/core/fields.hpp>
#include <simgr/core/rng.hpp>
#include <simgr/data/interactions.hpp>
#include <simgr/data/item_text.hpp>
#include <simgr/tokenizer/item_id.hpp>

namespace simgr::SIMGR_ABI::data {

/// The world of synthetic_catalogue. All fields are checked by it.
struct SyntheticConfig {
  Index users = 2000;
  Index items = 600;
  Index categories = 8;     // codes of digit 1
  Index styles = 8;         // codes of digit 2
  Index personas = 20;      // kinds of users; each likes three pairs of category and style
  double mean_length = 10;  // items of a history; at least 5
  double noise = 0.1;       // share of next items that follow popularity alone
  double stay = 0.2;        // probability that the next item is of the same pair as the last
  double series = 0.6;      // probability that it is the volume behind the last one
  std::uint64_t seed = 1;

  template <class F, class C>
  static void for_each_field(C& c, F&& f) {
    f(Field{"users", 1, 1e7, "users"}, c.users);
    f(Field{"items", 16, 1e6, "items; at least one a pair of category and style"}, c.items);
    f(Field{"categories", 3, 1000, "codes of digit 1"}, c.categories);
    f(Field{"styles", 3, 1000, "codes of digit 2"}, c.styles);
    f(Field{"personas", 1, 1e5, "kinds of users"}, c.personas);
    f(Field{"mean_length", 5, 50, "items of a history"}, c.mean_length);
    f(Field{"noise", 0, 1, "share of items that follow popularity alone"}, c.noise);
    f(Field{"stay", 0, 1, "probability to stay with a category and style"}, c.stay);
    f(Field{"series", 0, 1, "probability to take the next volume"}, c.series);
    f(Field{"seed", 0, 1.8e19, "of all random numbers"}, c.seed);
  }
};

/// Sum of the entropies of two digits less the entropy of the pair, in nats, under `probabilities`
/// [items]: what a model that predicts digits apart from each other must lose.
///
/// Source  Watanabe 1960 (for two variables: mutual information)
inline double total_correlation(std::span<const double> probabilities, const SemanticIds& ids,
                                Index first, Index second) {
  const Index rows = ids.codes_per_digit[static_cast<std::size_t>(first)];
  const Index cols = ids.codes_per_digit[static_cast<std::size_t>(second)];
  std::vector<double> joint(static_cast<std::size_t>(rows * cols));
  std::vector<double> a(static_cast<std::size_t>(rows)), b(static_cast<std::size_t>(cols));
  const auto codes = ids.codes.view();
  for (Index item = 0; item < ids.items(); ++item) {
    const double p = probabilities[static_cast<std::size_t>(item)];
    const Index row = codes(item, first), col = codes(item, second);
    joint[static_cast<std::size_t>(row * cols + col)] += p;
    a[static_cast<std::size_t>(row)] += p;
    b[static_cast<std::size_t>(col)] += p;
  }
  const auto entropy = [](const std::vector<double>& p) {
    double sum = 0;
    for (const double value : p) { sum -= value > 0 ? value * std::log(value) : 0; }
    return sum;
  };
  return entropy(a) + entropy(b) - entropy(joint);
}

/// A small world whose truth is known: users, item texts, semantic ids and the very distribution
/// that next items are drawn from.
///
/// An item is a category, a style and a volume: its three true digits, all in its title. A user has
/// a persona, which likes three pairs (category, style) with no category and no style in common.
/// Given the user, category and style therefore depend on each other strongly (three pairs of the
/// nine combinations), which no model that adds up digits can express.
///
/// The next item, given persona and last item x, not among those the user has:
///
///   noise      any item, by popularity (1 / rank)
///   1 - noise  a pair of the persona: `stay` for the pair of x, else by taste; then in that pair:
///              `series` for the volume behind that of x, else 1 / volume
///
/// Where the user has all that this leaves, it is any item, by popularity.
class SyntheticCatalogue {
public:
  Interactions interactions{};
  std::vector<ItemText> items{};    // [items]
  SemanticIds ids{};                // [items, 3]: category, style, volume
  std::vector<Index> persona_of{};  // [users]

  /// P(next item | user, history): [items], sums to 1, zero for what is in the history.
  std::vector<double> next_item(Index user, std::span<const ItemId> history) const {
    std::vector<double> probabilities(items.size());
    next_item(persona_of[static_cast<std::size_t>(user)], history, probabilities);
    return probabilities;
  }

  /// Mean over users of the total correlation of digits 1 and 2 of the item behind their history,
  /// in nats, by exact enumeration.
  ///
  /// Cost  O(users · items)
  double planted_total_correlation() const {
    double sum = 0;
    for (Index user = 0; user < interactions.users(); ++user) {
      sum += total_correlation(next_item(user, interactions.histories[user]), ids, 0, 1);
    }
    return sum / static_cast<double>(interactions.users());
  }

  /// Errors  ConfigError: a field out of range, or too few items for the pairs or the histories
  static Result<SyntheticCatalogue> make(const SyntheticConfig& config) {
    if (std::string sentence = out_of_range(config); !sentence.empty()) {
      return ConfigError(sentence);
    }
    if (config.items < config.categories * config.styles) {
      return ConfigError("items: expected at least categories · styles = " +
                         std::to_string(config.categories * config.styles) + ", found " +
                         std::to_string(config.items));
    }
    // Nobody may run out of items, and lengths are capped at four times the mean.
    if (config.items < static_cast<Index>(8 * config.mean_length)) {
      return ConfigError("items: expected at least 8 · mean_length, found " +
                         std::to_string(config.items));
    }
    SyntheticCatalogue world;
    world.config_ = config;
    world.make_items();
    world.make_personas();
    world.make_histories();
    return world;
  }

private:
  static constexpr Index tastes = 3;
  struct Persona {
    std::array<Index, tastes> pairs;  // category · styles + style
  };

  Index pairs() const noexcept { return config_.categories * config_.styles; }
  Index pair_of(Index item) const noexcept {
    const auto codes = ids.codes.view();
    return codes(item, 0) * config_.styles + codes(item, 1);
  }

  /// Items are dealt to the pairs in turn, then get shuffled ids, so that ids tell nothing.
  void make_items() {
    const Index count = config_.items;
    std::vector<ItemId> order(static_cast<std::size_t>(count));
    for (Index i = 0; i < count; ++i) {
      order[static_cast<std::size_t>(i)] = static_cast<ItemId>(i);
    }
    Rng(config_.seed, 1).shuffle(std::span(order));
    ids.codes = OwnedMatrix<std::int32_t>(count, 3);
    ids.codes_per_digit = {config_.categories, config_.styles, (count + pairs() - 1) / pairs()};
    items.resize(static_cast<std::size_t>(count));
    popularity_.resize(static_cast<std::size_t>(count));
    in_pair_.resize(static_cast<std::size_t>(pairs()));
    for (Index i = 0; i < count; ++i) {
      const Index pair = i % pairs(), volume = i / pairs();
      const Index category = pair / config_.styles, style = pair % config_.styles;
      const ItemId item = order[static_cast<std::size_t>(i)];
      auto codes = ids.codes.view();
      codes(item, 0) = static_cast<std::int32_t>(category);
      codes(item, 1) = static_cast<std::int32_t>(style);
      codes(item, 2) = static_cast<std::int32_t>(volume);
      in_pair_[static_cast<std::size_t>(pair)].push_back(item);
      items[static_cast<std::size_t>(item)] = text_of(item, category, style, volume);
    }
    Rng(config_.seed, 2).shuffle(std::span(order));
    double sum = 0;
    for (Index rank = 0; rank < count; ++rank) { sum += 1.0 / static_cast<double>(rank + 1); }
    for (Index rank = 0; rank < count; ++rank) {
      popularity_[static_cast<std::size_t>(order[static_cast<std::size_t>(rank)])] =
          1.0 / static_cast<double>(rank + 1) / sum;
    }
  }

  static ItemText text_of(Index item, Index category, Index style, Index volume) {
    static constexpr std::array<std::string_view, 12> things = {
        "lamp",    "teapot", "rucksack", "notebook", "blanket", "speaker",
        "bicycle", "watch",  "chair",    "umbrella", "camera",  "mirror"};
    static constexpr std::array<std::string_view, 12> looks = {
        "nordic", "vintage", "industrial", "floral",  "minimal", "rustic",
        "retro",  "marine",  "tropical",   "graphic", "antique", "urban"};
    static constexpr std::array<std::string_view, 6> makers = {"Arvo",   "Belmont", "Castell",
                                                               "Dorian", "Elmwood", "Fjord"};
    const auto word = [](const auto& words, Index i) {
      const auto size = static_cast<Index>(words.size());
      std::string text(words[static_cast<std::size_t>(i % size)]);
      return i < size ? text : text + std::to_string(i / size + 1);
    };
    const std::string thing = word(things, category), look = word(looks, style);
    ItemText text;
    text.key = "item-" + std::to_string(item);
    text.title = look + " " + thing + " volume " + std::to_string(volume + 1);
    text.brand = makers[static_cast<std::size_t>((category + style + volume) %
                                                 static_cast<Index>(makers.size()))];
    text.categories = {{"goods", thing, look}};
    text.description = "A " + thing + " in the " + look + " style.";
    return text;
  }

  void make_personas() {
    Rng rng(config_.seed, 3);
    for (Index p = 0; p < config_.personas; ++p) {
      Persona persona{};
      for (Index t = 0; t < tastes;) {
        const Index category = rng.below(config_.categories), style = rng.below(config_.styles);
        bool apart = true;
        for (Index other = 0; other < t; ++other) {
          const Index pair = persona.pairs[static_cast<std::size_t>(other)];
          apart = apart && pair / config_.styles != category && pair % config_.styles != style;
        }
        if (apart) {
          persona.pairs[static_cast<std::size_t>(t++)] = category * config_.styles + style;
        }
      }
      personas_.push_back(persona);
    }
  }

  void make_histories() {
    std::vector<double> weights;  // personas are unequally common: 1 / (rank + 3)
    for (Index p = 0; p < config_.personas; ++p) {
      weights.push_back(1.0 / static_cast<double>(p + 4));
    }
    const auto draw = [](Rng& rng, const std::vector<double>& p, double sum) {
      double left = rng.uniform() * sum;
      std::size_t drawn = 0;  // the last that can be, where rounding leaves something
      for (std::size_t i = 0; i < p.size() && left >= 0; ++i) {
        left -= p[i];
        drawn = p[i] > 0 ? i : drawn;
      }
      return static_cast<Index>(drawn);
    };
    double weight_sum = 0;
    for (const double weight : weights) { weight_sum += weight; }

    const auto longest = static_cast<Index>(4 * config_.mean_length);
    const double another = (config_.mean_length - 5) / (config_.mean_length - 4);
    std::vector<double> next(items.size());
    std::vector<ItemId> history;
    for (Index user = 0; user < config_.users; ++user) {
      Rng rng(config_.seed, 16 + static_cast<std::uint64_t>(user));
      const Index persona = draw(rng, weights, weight_sum);
      persona_of.push_back(persona);
      Index length = 5;
      while (length < longest && rng.uniform() < another) { ++length; }
      std::int64_t time = 1577836800 + 86400 * rng.below(365);
      history.clear();
      for (Index i = 0; i < length; ++i) {
        next_item(persona, history, next);
        history.push_back(static_cast<ItemId>(draw(rng, next, 1)));
        interactions.times.push_back(time);
        time += 3600 + rng.below(14 * 86400);
      }
      interactions.histories.push_back(history);
    }
    interactions.items = config_.items;
  }

  void next_item(Index persona, std::span<const ItemId> history,
                 std::span<double> probabilities) const {
    constexpr std::array<double, tastes> taste = {0.4, 0.35, 0.25};
    const Persona& likes = personas_[static_cast<std::size_t>(persona)];
    Index last_taste = -1, last_volume = -1;
    if (!history.empty()) {
      const Index pair = pair_of(history.back());
      last_volume = ids.codes.view()(history.back(), 2);
      for (Index t = 0; t < tastes; ++t) {
        last_taste = likes.pairs[static_cast<std::size_t>(t)] == pair ? t : last_taste;
      }
    }
    for (std::size_t i = 0; i < popularity_.size(); ++i) {
      probabilities[i] = config_.noise * popularity_[i];
    }
    for (Index t = 0; t < tastes; ++t) {
      const auto at = static_cast<std::size_t>(t);
      double share = taste[at];
      if (last_taste >= 0) {
        const double others = 1 - taste[static_cast<std::size_t>(last_taste)];
        share = t == last_taste ? config_.stay : (1 - config_.stay) * taste[at] / others;
      }
      share *= 1 - config_.noise;
      const auto& volumes = in_pair_[static_cast<std::size_t>(likes.pairs[at])];
      double sum = 0;
      for (std::size_t v = 0; v < volumes.size(); ++v) { sum += 1.0 / static_cast<double>(v + 1); }
      const double series = last_volume >= 0 ? config_.series : 0;
      for (std::size_t v = 0; v < volumes.size(); ++v) {
        probabilities[static_cast<std::size_t>(volumes[v])] +=
            share * (1 - series) / static_cast<double>(v + 1) / sum;
      }
      const auto behind = static_cast<std::size_t>(last_volume + 1) % volumes.size();
      probabilities[static_cast<std::size_t>(volumes[behind])] += share * series;
    }
    const auto sum_without_history = [&] {
      for (const ItemId item : history) { probabilities[static_cast<std::size_t>(item)] = 0; }
      double sum = 0;
      for (const double p : probabilities) { sum += p; }
      return sum;
    };
    double sum = sum_without_history();
    if (sum == 0) {
      std::copy(popularity_.begin(), popularity_.end(), probabilities.begin());
      sum = sum_without_history();
    }
    for (double& p : probabilities) { p /= sum; }
  }

  SyntheticConfig config_{};
  std::vector<double> popularity_;            // [items], sums to 1
  std::vector<std::vector<ItemId>> in_pair_;  // [pairs][volumes]
  std::vector<Persona> personas_;
};

/// Makes the world.
///
/// Cost    O(interactions · items); 0.05 s for the default
/// Errors  those of SyntheticCatalogue::make
inline SyntheticCatalogue synthetic_catalogue(const SyntheticConfig& config = {}) {
  return SyntheticCatalogue::make(config).value_or_raise();
}

/// The form that throws nothing.
inline Result<SyntheticCatalogue> try_synthetic_catalogue(const SyntheticConfig& config = {}) {
  return SyntheticCatalogue::make(config);
}

}  // namespace simgr::SIMGR_ABI::data
