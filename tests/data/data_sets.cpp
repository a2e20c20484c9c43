// SPDX-License-Identifier: Apache-2.0
#include <simgr/data/sequences.hpp>

#include <filesystem>
#include <string>

#include <doctest/doctest.h>

#include <simgr/data/lc_rec.hpp>
#include <simgr/data/npy.hpp>
#include <simgr/data/prepare.hpp>
#include <simgr/data/split.hpp>
#include <simgr/data/tables.hpp>

#include <support/shared_folder.hpp>

TEST_SUITE("data") {
  TEST_CASE("the real data sets have the published counts and stable fingerprints") {
    const auto shared = simgr_test::shared_folder();
    if (!shared) {
      return;
    }
    struct Expected {
      const char* folder;
      simgr::Index users, items, items_seen, interactions, shortest, longest, rarest;
      const char* fingerprint;
    };
    const Expected sets[] = {
        {"amazon-beauty-2014", 22363, 12101, 12101, 198502, 5, 204, 5, "d85cca9a4db2ec75"},
        {"amazon-sports-2014", 35598, 18357, 18357, 296337, 5, 296, 5, "bde1852a403589f1"},
        {"amazon-scientific-2018-unisrec", 8442, 4385, 4385, 59427, 5, 80, 5, "c064a55aa4ce5b96"},
        {"amazon-instruments-2018", 24772, 9922, 9922, 206153, 5, 218, 5, "4ff4e88b1854aa9d"},
        {"amazon-games-2018", 50546, 16859, 16859, 452989, 5, 771, 5, "6fb2ca249a669eee"},
        {"amazon-industrial-2018-minionerec", 3285, 3686, 3541, 22743, 5, 34, 1,
         "9ac0eea4c04780e4"},
    };
    for (const Expected& expected : sets) {
      CAPTURE(expected.folder);
      const auto folder = *shared / "data" / expected.folder;
      const auto read = simgr::data::read_sequences((folder / "sequences.tsv.gz").string());
      const auto counts = simgr::data::count(read);
      CHECK(counts.users == expected.users);
      CHECK(counts.items == expected.items);
      CHECK(counts.items_seen == expected.items_seen);
      CHECK(counts.interactions == expected.interactions);
      CHECK(counts.shortest == expected.shortest);
      CHECK(counts.longest == expected.longest);
      CHECK(counts.rarest == expected.rarest);
      CHECK(simgr::data::fingerprint(read) == expected.fingerprint);
      const auto split = simgr::data::leave_one_out(read);
      CHECK(split.too_short == 0);
      CHECK(simgr::data::leakage(split, read).sound());
      if (expected.rarest == 5) {  // they are published as 5-cores, and are
        const auto core = simgr::data::k_core(read, 5, 5);
        CHECK(core.histories.values == read.histories.values);
      }
    }
  }

  TEST_CASE("Beauty has its ties, texts, vectors and eight indexes") {
    const auto shared = simgr_test::shared_folder();
    if (!shared) {
      return;
    }
    const auto folder = *shared / "data" / "amazon-beauty-2014";
    const auto read = simgr::data::read_sequences((folder / "sequences.tsv.gz").string());
    CHECK(simgr::data::count(read).tied == 77402);  // 43.9 % of 176139 neighbours
    simgr::Index last_two = 0;
    for (simgr::Index user = 0; user < read.users(); ++user) {
      const auto times = read.times_of(user);
      last_two += times[times.size() - 1] == times[times.size() - 2] ? 1 : 0;
    }
    CHECK(last_two == 9719);  // users whose target has the time of the item before
    const auto items = simgr::data::read_items((folder / "items.jsonl.gz").string());
    CHECK(items.size() == 12101);
    simgr::Index titled = 0;
    for (const auto& item : items) {
      titled += item.title.empty() ? 0 : 1;
      CHECK_FALSE(simgr::data::item_text(item).empty());
    }
    CHECK(titled == 12094);
    const auto vectors = simgr::data::read_npy(
        (folder / "text_embeddings_minilm" / "embeddings.npy.gz").string(), {.rows = 12101});
    CHECK(vectors.cols == 384);
    const auto inter = simgr::data::read_lc_rec_inter(
        (folder / "published" / "letter" / "Beauty.inter.json.gz").string());
    CHECK(inter.histories.values == read.histories.values);
    int indexes = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder / "published")) {
      if (entry.path().string().ends_with(".index.json.gz")) {
        const auto ids = simgr::data::try_read_lc_rec_index(entry.path().string());
        CHECK_MESSAGE(ids.ok(), (ids.ok() ? "" : ids.error().what()));
        ++indexes;
      }
    }
    CHECK(indexes > 0);
    const auto ids = simgr::data::read_lc_rec_index(
        (folder / "published" / "letter" / "Beauty.index.json.gz").string());
    CHECK(ids.items() == 12101);
    CHECK(ids.digits() == 4);
    CHECK(ids.codes_per_digit[3] == 256);
  }

  TEST_CASE("published files of other projects are read, or refused for what they are") {
    const auto shared = simgr_test::shared_folder();
    if (!shared) {
      return;
    }
    const auto data = *shared / "data";
    const auto games = simgr::data::read_lc_rec_inter(
        (data / "amazon-games-2018/published/wncfht-genrec/Games.inter.json.gz").string());
    CHECK(games.histories.tokens() == 452989);
    const auto industrial = data / "amazon-industrial-2018-minionerec/published/minionerec";
    CHECK(simgr::data::read_lc_rec_items(
              (industrial / "Industrial_and_Scientific.item.json.gz").string())
              .size() == 3686);
    CHECK(simgr::data::read_lc_rec_index(
              (industrial / "Industrial_and_Scientific.index.json.gz").string())
              .digits() == 3);
    const auto windows = simgr::data::try_read_inter(
        (data / "amazon-scientific-2018-unisrec/published/cowpirec/Scientific.test.inter.gz")
            .string());
    REQUIRE_FALSE(windows.ok());
    CHECK(std::string(windows.error().what()).find("whole histories") != std::string::npos);
    const auto valid = simgr::data::read_table((industrial / "valid.csv.gz").string(),
                                               {.user = "user_id", .item = "item_id", .time = ""});
    CHECK(valid.histories.tokens() == 4532);
  }
}
