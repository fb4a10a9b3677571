// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/config.hpp>
#include <escqrs/sqlite/database_error.hpp>

#include <sqlite3.h>

#include <cerrno>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>

namespace escqrs::inline v0::sqlite::detail {

/// The absolute path of a file that need not exist yet; its folder must.
///
/// A later change of the working directory does not affect it, and SQLite takes no absolute path for a URI or for
/// memory.
/// @throws StoreError if `path` is a URI or means memory, or there is no such folder
ESCQRS_INLINE std::string absolute_path(const std::string& path);

#if ESCQRS_HAS_BODIES

ESCQRS_INLINE std::string absolute_path(const std::string& path)
{
    if (path.empty() || path == ":memory:" || path.find('\0') != std::string::npos) {
        throw StoreError{"expected the path of an SQLite file, found '" + path + "'"};
    }
    if (path.starts_with("file:")) {
        throw StoreError{"expected the path of an SQLite file, found the URI '" + path + "'; './" + path +
                         "' is a file of that name"};
    }
    const std::size_t slash = path.rfind('/');
    const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
    const std::unique_ptr<char, decltype(&std::free)> resolved{::realpath(folder.c_str(), nullptr), &std::free};
    if (!resolved)
        throw DatabaseError{path, "cannot open", SQLITE_CANTOPEN, std::generic_category().message(errno).c_str()};
    return std::string{resolved.get()} + '/' + path.substr(slash + 1);
}

#endif // ESCQRS_HAS_BODIES

} // namespace escqrs::inline v0::sqlite::detail
