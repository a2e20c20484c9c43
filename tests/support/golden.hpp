// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <exception>  // std::uncaught_exceptions
#include <filesystem>
#include <fstream>
#include <iterator>
#include <list>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <doctest/doctest.h>
#include <support/shared_folder.hpp>

#include <simgr/core/owned_matrix.hpp>
#include <simgr/data/json.hpp>
#include <simgr/io/safetensors.hpp>

// How a golden test looks: one test owns one family, and finds its cases by what they hold.
//
//   TEST_SUITE("golden") {
//     TEST_CASE("SimGR reproduces the reference") {
//       simgr_test::GoldenFamily family("simgr");
//       for (simgr_test::GoldenCase& golden : family.cases()) {
//         if (golden.text("pooler") == "mean" && golden.has("input.log_q")) { … }
//         else if (…) { golden.still_to_come("needs the sampled softmax"); }
//       }
//     }  // here: a case nobody touched, or a tensor nobody read, fails the test
//   }
//
// Where the folder with the vectors is absent, cases() is empty and nothing fails.

namespace simgr_test {

using simgr::Index;

/// One `.safetensors` file of a family and the `.json` beside it; knows which tensors were read.
class GoldenCase {
public:
  GoldenCase(const std::string& name, const std::filesystem::path& file)
      : name_(name), tensors_(simgr::io::read_safetensors(file.string())) {
    std::ifstream json(std::filesystem::path(file).replace_extension(".json"));
    const std::string text{std::istreambuf_iterator<char>(json), {}};
    if (!text.empty()) {
      json_ = simgr::data::parse_json(text, {.file = file.string()});
    }
  }

  /// "simgr/mean_cosine": for messages; do not choose by it, unseen cases have other names.
  const std::string& name() const noexcept { return name_; }

  bool has(std::string_view tensor) const { return tensors_.find(tensor) != nullptr; }

  /// Names that begin with `prefix`, in the order of the file; the prefix stays in front.
  std::vector<std::string> tensors(std::string_view prefix = "") const {
    std::vector<std::string> names;
    for (const auto& tensor : tensors_.tensors()) {
      if (tensor.name.starts_with(prefix)) {
        names.push_back(tensor.name);
      }
    }
    return names;
  }

  /// The shape of a tensor. Does not count as reading.
  std::vector<Index> shape(std::string_view tensor) const { return require(tensor).shape; }

  /// The elements of a tensor as T: double, float, std::int32_t, std::int64_t …
  template <class T>
  std::vector<T> tensor(std::string_view tensor) {
    read_.insert(require(tensor).name);
    return tensors_.read<T>(tensor);
  }

  /// The same as a matrix [first extent, product of the others].
  template <class T>
  simgr::OwnedMatrix<T> matrix(std::string_view name) {
    simgr::OwnedMatrix<T> matrix;
    matrix.values = tensor<T>(name);
    matrix.rows = shape(name).empty() ? 1 : shape(name).front();
    matrix.cols = matrix.rows > 0 ? static_cast<Index>(matrix.values.size()) / matrix.rows : 0;
    return matrix;
  }

  /// The only element of a tensor.
  template <class T>
  T scalar(std::string_view name) {
    const std::vector<T> values = tensor<T>(name);
    INFO(name_, ": ", std::string(name));
    REQUIRE(values.size() == 1);
    return values.front();
  }

  /// Checks every element, and counts as reading:
  ///
  ///   |found - stored| <= tolerance · max(1, largest |stored|)
  template <class T>
  void check(std::string_view name, std::span<const T> found, double tolerance) {
    const std::vector<double> stored = tensor<double>(name);
    INFO(name_, ": ", std::string(name));
    REQUIRE(stored.size() == found.size());
    double scale = 1, worst = 0;
    std::size_t where = 0;
    for (const double value : stored) {
      scale = std::isfinite(value) ? std::max(scale, std::fabs(value)) : scale;
    }
    for (std::size_t i = 0; i < stored.size(); ++i) {
      const double value = static_cast<double>(found[i]);
      const bool same = value == stored[i] || (std::isnan(value) && std::isnan(stored[i]));
      const double gap = same ? 0 : std::fabs(value - stored[i]);
      if (!(gap <= worst)) {  // a NaN is the worst
        worst = gap;
        where = i;
      }
    }
    const bool close = worst <= tolerance * scale;
    CHECK_MESSAGE(close, "element ", where, ": expected ", stored.empty() ? 0.0 : stored[where],
                  ", found ", found.empty() ? 0.0 : static_cast<double>(found[where]), ", allowed ",
                  tolerance * scale);
  }
  template <class T>
  void check(std::string_view name, const std::vector<T>& found, double tolerance) {
    check(name, std::span<const T>(found), tolerance);
  }
  template <class T>
  void check(std::string_view name, T found, double tolerance) requires std::is_arithmetic_v<T> {
    check(name, std::span<const T>(&found, 1), tolerance);
  }

  /// Fields of "config". Without a default, a missing one fails the test.
  bool has_config(std::string_view key) const { return config(key) != nullptr; }
  double number(std::string_view key) const { return number(key, nullptr); }
  double number(std::string_view key, double otherwise) const { return number(key, &otherwise); }
  Index integer(std::string_view key) const { return static_cast<Index>(number(key)); }
  Index integer(std::string_view key, Index otherwise) const {
    return static_cast<Index>(number(key, static_cast<double>(otherwise)));
  }
  bool flag(std::string_view key, bool otherwise = false) const {
    const auto* value = config(key);
    return value == nullptr ? otherwise : value->as_boolean().value_or(otherwise);
  }
  /// Empty where the field is missing or no text.
  std::string text(std::string_view key) const {
    const auto* value = config(key);
    return value != nullptr && value->as_text() != nullptr ? *value->as_text() : std::string();
  }
  std::vector<double> numbers(std::string_view key) const {
    std::vector<double> list;
    const auto* value = config(key);
    if (value != nullptr && value->as_array() != nullptr) {
      for (const auto& element : *value->as_array()) {
        list.push_back(element.as_number().value_or(std::nan("")));
      }
    }
    return list;
  }
  /// The whole JSON document, for what has another layout.
  const simgr::data::JsonValue& json() const noexcept { return json_; }

  /// Declares that a tensor is knowingly not compared; printed with its reason.
  void not_compared(std::string_view name, const std::string& reason) {
    excused_[require(name).name] = reason;
  }
  /// Declares that a later issue builds what this case tests; printed with its reason.
  void still_to_come(const std::string& reason) { to_come_ = reason; }

private:
  friend class GoldenFamily;

  const simgr::io::TensorView& require(std::string_view tensor) const {
    const auto* found = tensors_.find(tensor);
    INFO(name_, " has no tensor ", std::string(tensor));
    REQUIRE(found != nullptr);
    return *found;
  }
  const simgr::data::JsonValue* config(std::string_view key) const {
    const auto* fields = json_.find("config");
    return fields == nullptr ? nullptr : fields->find(key);
  }
  double number(std::string_view key, const double* otherwise) const {
    const auto* value = config(key);
    if (value == nullptr && otherwise != nullptr) {
      return *otherwise;
    }
    INFO(name_, " has no number \"", std::string(key), "\" in its config");
    REQUIRE((value != nullptr && value->as_number().has_value()));
    return *value->as_number();
  }

  std::string name_;
  simgr::io::Safetensors tensors_;
  simgr::data::JsonValue json_;
  std::set<std::string> read_;
  std::map<std::string, std::string> excused_;
  std::string to_come_;
};

/// All cases of one folder under `<shared>/golden`, found by listing it. Its end fails the test for
/// every case nobody touched and every tensor nobody read, and prints how many were checked.
class GoldenFamily {
public:
  explicit GoldenFamily(std::string name) : name_(std::move(name)) {
    if (const auto shared = shared_folder()) {
      open(*shared / "golden" / name_);
    }
  }
  /// For tests of this class itself.
  GoldenFamily(std::string name, const std::filesystem::path& folder) : name_(std::move(name)) {
    open(folder);
  }
  GoldenFamily(const GoldenFamily&) = delete;
  ~GoldenFamily() {
    if (std::uncaught_exceptions() > 0) {
      return;  // a REQUIRE failed: that is the message
    }
    for (const std::string& sentence : finish()) { FAIL_CHECK(sentence); }
  }

  std::list<GoldenCase>& cases() noexcept { return cases_; }

  /// What was left out, as sentences; prints the count. The destructor calls it.
  std::vector<std::string> finish() {
    if (!present_ || finished_) {
      return {};
    }
    finished_ = true;
    std::vector<std::string> left_out;
    if (cases_.empty()) {
      left_out.push_back("golden/" + name_ + " holds no case");
    }
    std::size_t checked = 0, tensors = 0;
    std::string notes;
    for (const GoldenCase& golden : cases_) {
      tensors += golden.read_.size();
      if (!golden.to_come_.empty()) {
        notes += "\n  still to come: " + golden.name_ + " (" + golden.to_come_ + ")";
        continue;
      }
      if (golden.read_.empty()) {
        left_out.push_back(golden.name_ + ": no test recognised this case");
        continue;
      }
      ++checked;
      for (const auto& tensor : golden.tensors_.tensors()) {
        if (const auto excuse = golden.excused_.find(tensor.name);
            excuse != golden.excused_.end()) {
          notes +=
              "\n  not compared: " + golden.name_ + " " + tensor.name + " (" + excuse->second + ")";
        } else if (!golden.read_.contains(tensor.name)) {
          left_out.push_back(golden.name_ + ": no test read " + tensor.name);
        }
      }
    }
    std::printf("golden/%s: %zu of %zu cases, %zu tensors checked%s\n", name_.c_str(), checked,
                cases_.size(), tensors, notes.c_str());
    return left_out;
  }

private:
  void open(const std::filesystem::path& folder) {
    present_ = true;
    std::set<std::filesystem::path> files;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
      if (entry.path().extension() == ".safetensors") {
        files.insert(entry.path());
      }
    }
    for (const auto& file : files) {
      cases_.emplace_back(name_ + "/" + file.stem().string(), file);
    }
  }

  std::string name_;
  std::list<GoldenCase> cases_;
  bool present_ = false, finished_ = false;
};

}  // namespace simgr_test
