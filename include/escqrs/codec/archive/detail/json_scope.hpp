// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace escqrs::inline v0::archive::detail {

class JsonFields;

/// One class, array or map being written or read; scopes are on the call stack, chained from the innermost to the root.
struct JsonScope {
    enum class Shape {
        undecided, ///< a class without a field so far
        object,    ///< a class with named fields: `{...}`
        /// A class of one unnamed value: written as that value.
        transparent,
        array
    };

    JsonScope* parent = nullptr;
    Shape shape = Shape::undecided;
    bool first = true;
    std::string_view field = {};  ///< the current field
    std::size_t index = 0;        ///< the current array element
    JsonFields* fields = nullptr; ///< of a class being read
};

/// Makes a scope the innermost one as long as it lives.
class JsonScopeGuard {
public:
    JsonScopeGuard(JsonScope*& current, JsonScope& scope) noexcept : current_{&current}
    {
        scope.parent = current;
        current = &scope;
    }
    ~JsonScopeGuard() { *current_ = (*current_)->parent; }
    JsonScopeGuard(const JsonScopeGuard&) = delete;
    JsonScopeGuard& operator=(const JsonScopeGuard&) = delete;

private:
    JsonScope** current_;
};

/// Appends `contact.phones[2]`, nothing at the root.
inline void append_path(std::string& text, const JsonScope* scope)
{
    if (scope == nullptr) return;
    append_path(text, scope->parent);
    if (scope->shape == JsonScope::Shape::array) text.append("[").append(std::to_string(scope->index)).append("]");
    else if (!scope->field.empty()) {
        if (!text.empty()) text += '.';
        text += scope->field.substr(0, 64);
    }
}

/// ` in 'contact.phones[2]'`, empty at the root.
inline std::string path_phrase(const JsonScope* scope)
{
    std::string path;
    append_path(path, scope);
    return path.empty() ? path : " in '" + path + "'";
}

} // namespace escqrs::inline v0::archive::detail
