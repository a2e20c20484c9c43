// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include <simgr/core/config.hpp>

namespace simgr::SIMGR_ABI {

namespace detail {

/// The name of a type as this compiler writes it, without namespaces and template arguments.
template <class T>
std::string bare_type_name() {
#if defined(_MSC_VER)
  std::string_view text = __FUNCSIG__;
  text = text.substr(text.find("bare_type_name<") + 15);
  for (const std::string_view word : {"class ", "struct ", "enum "}) {
    text.remove_prefix(text.starts_with(word) ? word.size() : 0);
  }
  text = text.substr(0, text.rfind(">("));
#else
  std::string_view text = __PRETTY_FUNCTION__;
  text = text.substr(text.find("T = ") + 4);
  text = text.substr(0, text.find_first_of(";]"));
#endif
  text = text.substr(0, text.find('<'));
  const std::size_t colon = text.rfind(':');
  return std::string(colon == std::string_view::npos ? text : text.substr(colon + 1));
}

template <class T>
struct TypeName {
  static std::string text() { return bare_type_name<T>(); }
};
template <template <class...> class Template, class... Arguments>
struct TypeName<Template<Arguments...>> {
  static std::string text() {
    std::string list;
    ((list += (list.empty() ? "" : ", ") + TypeName<Arguments>::text()), ...);
    return bare_type_name<Template<Arguments...>>() + "<" + list + ">";
  }
};

template <template <auto...> class Template, auto... Values>
struct TypeName<Template<Values...>> {
  static std::string text() {
    std::string list;
    ((list += (list.empty() ? "" : ", ") + std::to_string(static_cast<long long>(Values))), ...);
    return bare_type_name<Template<Values...>>() + "<" + list + ">";
  }
};

}  // namespace detail

/// What files call a type: its name without namespaces, and those of all its arguments, the default
/// ones included, so that it does not depend on the compiler or on the alias that was written.
///
///   TransformerEncoder<ItemEmbedding, Causal, PreNorm, GeluTanh>,  PositionPooler<0>
///
/// Arguments of a template that mixes types and values are left out.
template <class T>
std::string type_name() {
  return detail::TypeName<T>::text();
}

}  // namespace simgr::SIMGR_ABI
