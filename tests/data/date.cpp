// SPDX-License-Identifier: Apache-2.0
#include <simgr/data/date.hpp>

#include <doctest/doctest.h>

using simgr::data::seconds_of_date;

TEST_CASE("dates of ISO 8601 are seconds, with and without times and zones") {
  CHECK(seconds_of_date("1970-01-01") == 0);
  CHECK(seconds_of_date("2014-07-23") == 1406073600);
  CHECK(seconds_of_date("1969-12-31 23:59:59") == -1);
  CHECK(seconds_of_date("2014-07-23T09:30") == 1406107800);
  CHECK(seconds_of_date("2014-07-23 09:30:15.25") == 1406107815);
  CHECK(seconds_of_date("2014-07-23T09:30:15Z") == 1406107815);
  CHECK(seconds_of_date("2014-07-23T09:30:15+02:00") == 1406107815 - 7200);
  CHECK(seconds_of_date("2014-07-23T09:30:15,999999-0530") == 1406107815 + 19800);
  CHECK(seconds_of_date("2014-07-23T09:30:15+02") == 1406107815 - 7200);
  CHECK(seconds_of_date("2024-02-29") == 1709164800);
}

TEST_CASE("what is no date of the calendar has no seconds") {
  for (const char* text : {"",
                           "2014",
                           "2014-7-23",
                           "2014-07-32",
                           "2023-02-29",
                           "2014-13-01",
                           "2014-00-10",
                           "14-07-23",
                           "2014/07/23",
                           "2014-07-23 ",
                           "2014-07-23T",
                           "2014-07-23T9:30",
                           "2014-07-23T24:00",
                           "2014-07-23T09:60",
                           "2014-07-23T09:30:61",
                           "2014-07-23T09:30:15.",
                           "2014-07-23T09:30:15+",
                           "2014-07-23T09:30:15+25:00",
                           "2014-07-23T09:30:15+02:0",
                           "2014-07-23T09:30:15Zulu",
                           "-2014-07-23",
                           "2014-07-23T09:30:15 UTC"}) {
    CAPTURE(text);
    CHECK_FALSE(seconds_of_date(text).has_value());
  }
}
