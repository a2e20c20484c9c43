// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include <simgr/train/search_journal.hpp>
#include <simgr/train/search_space.hpp>

/// The first line is a space, the others are lines of a journal.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace simgr::train;
  static const std::vector<simgr::FieldText> fields = {{"encoder.width", "64", {}, {}},
                                                       {"rate", "0.1", {}, {}}};
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const auto lines = detail::parts_of(input, '\n');
  if (const auto space = SearchSpace::try_parse(lines.front(), fields); space.ok()) {
    static_cast<void>(space.value().configuration(1, 2, {}));
  }
  for (std::size_t i = 1; i < lines.size(); ++i) {
    if (auto event = try_read_search_line(lines[i], {.file = "input"})) {
      const auto again = try_read_search_line(search_line(*event), {.file = "input"});
      if (!again.ok()) {
        __builtin_trap();
      }
    }
  }
  return 0;
}
