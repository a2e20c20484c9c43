// SPDX-License-Identifier: Apache-2.0
#include <type_traits>

#include <simgr/data/byte_source.hpp>

int main(int, char** argv) {
  static_assert(std::is_same_v<simgr::data::Inflater, simgr::data::IsalInflater>);
  return simgr::data::try_read_bytes(argv[0]) ? 0 : 1;
}
