// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <string_view>

#include <simgr_cli/backbone.hpp>

namespace simgr_cli {

namespace {
constexpr std::array<std::string_view, 7> maps = {"query", "key", "value", "out",
                                                  "gate",  "up",  "down"};
}  // namespace

std::vector<Setting> settings_of_lora(const std::string& text) {
  const auto refuse = [&](const std::string& part) {
    return UsageError("--lora " + text + ": \"" + part +
                      "\": expected rank=R, alpha=A, dropout=D, and targets=query+value of query, "
                      "key, value, out, gate, up and down");
  };
  std::vector<Setting> settings = {{"encoder.frozen", "true"}};
  bool ranked = false;  // without a rank there would be no adapter
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    const std::string part = text.substr(begin, end - begin);
    const std::size_t equals = part.find('=');
    const std::string name = part.substr(0, equals),
                      value = equals == std::string::npos ? "" : part.substr(equals + 1);
    if (value.empty()) {
      throw refuse(part);
    }
    if (name == "targets") {
      std::string left = "+" + value + "+";
      for (const std::string_view map : maps) {
        const std::string wanted = "+" + std::string(map) + "+";
        const std::size_t at = left.find(wanted);
        settings.push_back(
            {"encoder.lora_" + std::string(map), at == std::string::npos ? "false" : "true"});
        if (at != std::string::npos) {
          left.replace(at, wanted.size(), "+");
        }
      }
      if (left != "+") {
        throw refuse(part);
      }
    } else if (name == "rank" || name == "alpha" || name == "dropout") {
      settings.push_back({"encoder.lora_" + name, value});
      ranked = ranked || name == "rank";
    } else {
      throw refuse(part);
    }
    begin = end + 1;
  }
  if (!ranked) {
    throw refuse("rank");
  }
  return settings;
}

}  // namespace simgr_cli
