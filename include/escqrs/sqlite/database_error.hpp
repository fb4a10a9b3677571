// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/error.hpp>

#include <sqlite3.h>

#include <string>
#include <string_view>

namespace escqrs::sqlite {

/// SQLite refused to do something. The text names the file and holds SQLite's own message.
class DatabaseError : public StoreError {
public:
    DatabaseError(const std::string& path, std::string_view what, int code, const char* message)
        : StoreError{"sqlite '" + path + "': " + std::string{what} + ": " + message + " (code " + std::to_string(code) +
                     ")"},
          code_{code}
    {
    }
    DatabaseError(const std::string& text, int code) : StoreError{text}, code_{code} {}

    /// SQLite's extended result code.
    int code() const noexcept { return code_; }

private:
    int code_;
};

} // namespace escqrs::sqlite
