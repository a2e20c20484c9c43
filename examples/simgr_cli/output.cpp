// SPDX-License-Identifier: Apache-2.0
#include <filesystem>
#include <fstream>
#include <string>

#include <simgr_cli/output.hpp>
#include <unistd.h>  // access

#include <simgr/core/error.hpp>
#include <simgr/io/atomic_file.hpp>

namespace simgr_cli {

namespace {

namespace fs = std::filesystem;

std::string beginning_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text(std::size_t{1} << 16, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(file.gcount()));
  return text;
}

}  // namespace

bool is_kind(const std::string& path, Output kind) {
  const std::string text = beginning_of(path);
  if (text.empty()) {
    return true;
  }
  switch (kind) {
  case Output::model:  // damaged ones too
    return text.find("\"simgr.format\":") != std::string::npos;
  case Output::log:
    return text.starts_with("{\"epoch\":");
  case Output::ids:
    return text.starts_with("item\tdigits");  // an index may be somebody's own
  case Output::report:
    return text.find("content=\"simgr\"") != std::string::npos;
  case Output::vectors:
    return text.starts_with("\x93NUMPY");
  }
  return false;
}

namespace {

const char* name_of(Output kind) {
  switch (kind) {
  case Output::model:
    return "simgr model";
  case Output::log:
    return "training log";
  case Output::ids:
    return "ids.tsv";
  case Output::vectors:
    return ".npy file";
  case Output::report:
    break;
  }
  return "simgr report";
}

void require_replaceable(const std::string& path, Output kind) {
  std::error_code error;
  if (fs::exists(path, error) && (!fs::is_regular_file(path, error) || !is_kind(path, kind))) {
    throw simgr::IoError(std::string("this is there already and is no ") + name_of(kind) +
                             "; it is not replaced: give another name, or move it away",
                         {.file = path});
  }
}

}  // namespace

void require_output(const std::string& path, Output kind) {
  std::error_code error;
  fs::path folder = fs::path(path).parent_path();
  folder = folder.empty() ? fs::path(".") : folder;
  if (!fs::is_directory(folder, error)) {
    throw simgr::IoError("there is no folder " + folder.string(), {.file = path});
  }
  if (::access(folder.c_str(), W_OK) != 0) {
    throw simgr::IoError("the folder " + folder.string() + " cannot be written to", {.file = path});
  }
  require_replaceable(path, kind);
  if (kind == Output::model) {  // the model before goes there
    require_replaceable(simgr::io::previous_path(path), kind);
  }
}

void make_folder(const std::string& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error || !fs::is_directory(path, error)) {
    throw simgr::IoError("cannot make the folder" +
                             (error ? ": " + error.message() : std::string()),
                         {.file = path});
  }
}

}  // namespace simgr_cli
