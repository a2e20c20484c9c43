// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include <simgr/core/fields.hpp>
#include <simgr/io/checkpoint.hpp>

// What files of training that goes on have in common: states of runs, and of stages before them.

namespace simgr::SIMGR_ABI::train {

/// Appends what a file says otherwise of fields: "name was a, is b; …". What it does not say at all was
/// as usual: it was written before there was such a number.
inline void add_differences(std::string& differences, const io::Checkpoint& file,
                            std::string_view prefix, const std::vector<FieldText>& fields,
                            const std::vector<FieldText>& usual) {
  for (const FieldText& field : fields) {
    const std::string* saved = file.find_text(std::string(prefix) + field.name);
    const auto found = std::find_if(usual.begin(), usual.end(),
                                    [&](const FieldText& one) { return one.name == field.name; });
    if (saved == nullptr && found != usual.end()) {
      saved = &found->value;
    }
    if (saved == nullptr || *saved != field.value) {
      differences += (differences.empty() ? "" : "; ") + field.name + " was " +
                     (saved == nullptr ? "unknown" : *saved) + ", is " + field.value;
    }
  }
}

namespace detail {

/// Where block `i` of an optimiser's memory stands.
inline std::string moment_group(Index i) {
  return "moment_" + std::to_string(i);
}

}  // namespace detail
}  // namespace simgr::SIMGR_ABI::train
