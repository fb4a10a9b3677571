// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "../read_model/database.hpp"
#include "../read_model/progress.hpp"

#include <escqrs/core/clock.hpp>

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>

namespace conference {

/// Commits a transaction that writes and, in the end, changes nothing.
/// @throws StoreError if nothing can be written
void require_writable(const read_model::DatabaseRef& database);

/// Checks the read model, on its own connection.
/// @par Thread safety  any thread
class ReadModelHealth {
public:
    /// @throws StoreError if `path` cannot be opened
    ReadModelHealth(const std::string& path, escqrs::sqlite::DatabaseOptions file,
                    escqrs::Clock& clock = escqrs::system_clock(),
                    const escqrs::postgres::ConnectionOptions& server = {});

    /// Why nothing can be written; nothing if it can. That is tried once a second at most, however many ask.
    std::optional<std::string> problem();

    /// How far the read model has come.
    /// @throws StoreError
    read_model::ProgressFigures progress();

    /// Mails that are owed and not sent yet.
    /// @throws StoreError
    std::uint64_t mails_waiting();

    /// Mails that will not be sent though they were owed: refused, or failed or held back for too long.
    /// @throws StoreError
    std::uint64_t mails_given_up();

private:
    std::optional<std::string> try_to_write();

    std::mutex mutex_;
    read_model::Database database_;
    read_model::Progress progress_{database_};
    escqrs::Clock* clock_;
    std::optional<std::string> problem_;
    std::optional<escqrs::SteadyTime> tried_at_;
};

} // namespace conference
