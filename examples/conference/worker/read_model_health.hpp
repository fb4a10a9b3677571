// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "../read_model/database.hpp"

#include <escqrs/identifiers.hpp>

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>

namespace conference {

/// Commits a transaction that changes nothing.
/// @throws StoreError if nothing can be written
void require_writable(read_model::DatabaseRef database);

/// How the read model is, on a connection of its own.
/// @par Thread safety  any thread
class ReadModelHealth {
public:
    /// @throws StoreError if `path` cannot be opened
    ReadModelHealth(const std::string& path, escqrs::sqlite::DatabaseOptions options);

    /// Why nothing can be written, after trying; nothing if it can.
    std::optional<std::string> problem();

    /// Position of the newest event in the read model.
    /// @throws StoreError
    escqrs::GlobalPosition position();

    /// How many events the read model has handled, each once.
    /// @throws StoreError
    std::uint64_t events();

    /// Mails that are owed and not sent yet.
    /// @throws StoreError
    std::uint64_t mails_waiting();

private:
    std::mutex mutex_;
    read_model::Database database_;
};

} // namespace conference
