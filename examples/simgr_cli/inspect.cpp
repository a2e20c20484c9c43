// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include <simgr_cli/commands.hpp>

#include <simgr/io/catalogue_file.hpp>
#include <simgr/io/checkpoint.hpp>
#include <simgr/io/model_file.hpp>

namespace simgr_cli {

namespace {

/// A line of /proc/self/status in MB; negative where there is none.
double status_megabytes(const std::string& name) {
  std::ifstream status("/proc/self/status");
  std::string line;
  while (std::getline(status, line)) {
    if (line.starts_with(name + ":")) {
      return std::stod(line.substr(name.size() + 1)) / 1024;
    }
  }
  return -1;
}

void print_catalogue(const simgr::Catalogue& catalogue) {
  std::printf("catalogue: %td items, %s", catalogue.items,
              catalogue.keys.empty() ? "no keys" : "keys");
  if (catalogue.ids.empty()) {
    std::printf(", no semantic ids");
  } else {
    std::printf(", semantic ids of %td digits (", catalogue.ids.digits());
    for (std::size_t digit = 0; digit < catalogue.ids.codes_per_digit.size(); ++digit) {
      std::printf("%s%td", digit > 0 ? " " : "", catalogue.ids.codes_per_digit[digit]);
    }
    std::printf(" codes)");
  }
  if (!catalogue.text_vectors.empty()) {
    std::printf(", text vectors of width %td", catalogue.text_vectors.cols);
  }
  std::printf(", %s\n", catalogue.popularity.empty() ? "popularity unknown" : "popularity");
}

/// Returns whether this program can serve what the file holds.
bool print_file(const std::string& file) {
  const auto checkpoint = simgr::io::Checkpoint::read(file);
  for (const simgr::io::MetadataEntry& entry : checkpoint.texts()) {
    if (!entry.key.starts_with("simgr.crc32c") && !entry.key.starts_with("simgr.header")) {
      std::printf("%s = %s\n", entry.key.c_str(), entry.text.c_str());
    }
  }
  print_catalogue(simgr::io::try_read_catalogue(checkpoint).value_or_raise());
  Index parameters = 0, tensors = 0;
  for (const simgr::io::TensorView& tensor : checkpoint.tensors()) {
    const bool weight = tensor.name.find('/') == std::string::npos;
    if (weight) {
      std::printf("%-48s %s %s\n", tensor.name.c_str(),
                  std::string(simgr::io::name_of(tensor.dtype)).c_str(),
                  simgr::io::shape_text(tensor.shape).c_str());
      parameters += tensor.size();
      ++tensors;
    }
  }
  std::printf("%td parameters in %td tensors\n", parameters, tensors);
  return kind_of_file(checkpoint) != nullptr;
}

}  // namespace

void inspect(const InspectOptions& options) {
  const std::string& file = options.path;
  if (std::filesystem::is_directory(file)) {
    return inspect_folder(options);
  }
  if (!print_file(file)) {
    std::printf("this program does not have a model of its type and cannot serve it\n");
    return;
  }
  const double before = status_megabytes("VmRSS");
  const auto model = open_model(file).model;
  const ItemId one = 0;
  const auto list = model->recommend({&one, 1}, 10, {});
  std::printf("resident memory: %.1f MB with the model loaded and serving, %.1f MB before\n",
              status_megabytes("VmRSS"), before);
}

}  // namespace simgr_cli
