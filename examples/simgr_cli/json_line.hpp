// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <charconv>
#include <cmath>
#include <string>
#include <string_view>

#include <simgr/core/types.hpp>
#include <simgr/data/json.hpp>

namespace simgr_cli {

/// One JSON object on one line. Numbers are the shortest texts that read back the same; what is
/// not finite is null.
class JsonLine {
public:
  void add(std::string_view key, std::string_view text) {
    member(key, simgr::data::json_quote(text));
  }
  void add(std::string_view key, simgr::Index number) { member(key, std::to_string(number)); }
  void add(std::string_view key, double number) {
    char text[32];
    const auto end = std::to_chars(text, text + sizeof text, number);
    member(key, std::isfinite(number) ? std::string(text, end.ptr) : "null");
  }
  void add_raw(std::string_view key, const std::string& json) { member(key, json); }
  std::string text() const { return "{" + members_ + "}"; }

private:
  void member(std::string_view key, const std::string& json) {
    members_ += (members_.empty() ? "" : ",") + simgr::data::json_quote(key) + ":" + json;
  }
  std::string members_;
};

}  // namespace simgr_cli
