// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include <sys/mman.h>
#include <unistd.h>

#include <simgr/io/safetensors.hpp>

/// The whole reader, copied and mapped, over a file in memory; every tensor that it names is read.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const int file = ::memfd_create("input", 0);
  static const std::string path = "/proc/self/fd/" + std::to_string(file);
  if (::ftruncate(file, 0) != 0 || ::pwrite(file, data, size, 0) != static_cast<::ssize_t>(size)) {
    std::abort();
  }
  for (const auto residence : {simgr::io::Residence::copied, simgr::io::Residence::mapped}) {
    const auto tensors = simgr::io::try_read_safetensors(path, residence);
    if (!tensors) {
      continue;
    }
    for (const auto& tensor : tensors.value().tensors()) {
      if (tensors.value().find(tensor.name) == nullptr) {
        std::abort();
      }
      static_cast<void>(tensors.value().try_read<float>(tensor.name));
    }
  }
  return 0;
}
