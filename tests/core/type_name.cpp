// SPDX-License-Identifier: Apache-2.0
#include <simgr/core/type_name.hpp>

#include <cstddef>

#include <doctest/doctest.h>

using simgr::type_name;

namespace outer {
enum class Side { left, right };
struct Plain {};
template <class A, class B = Plain>
struct Pair {};
template <bool>
struct Flag {};
template <std::ptrdiff_t>
struct Count {};
template <Side>
struct Sided {};
template <class, int>
struct Mixed {};
template <class T>
using Alias = Pair<T>;
}  // namespace outer

namespace {
struct Hidden {};
}  // namespace

TEST_CASE("types are named without namespaces and with all their arguments") {
  CHECK(type_name<int>() == "int");
  CHECK(type_name<outer::Plain>() == "Plain");
  CHECK(type_name<Hidden>() == "Hidden");
  CHECK(type_name<outer::Pair<Hidden>>() == "Pair<Hidden, Plain>");
  CHECK(type_name<outer::Alias<outer::Flag<true>>>() == "Pair<Flag<1>, Plain>");
  CHECK(type_name<outer::Pair<outer::Count<-3>, outer::Sided<outer::Side::right>>>() ==
        "Pair<Count<-3>, Sided<1>>");
  CHECK(type_name<outer::Mixed<int, 3>>() == "Mixed");
}
