// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "database.hpp"

#include "../postgres/address.hpp"
#include "read_model_file.hpp"
#include "read_model_schema.hpp"

#include <escqrs/postgres/schema.hpp>

#include <string_view>
#include <type_traits>

namespace conference::read_model {
namespace {

/// A process that is paused within a transaction, or whose machine has fallen silent, loses its session, and with it the
/// locks and the right to go on. The other processes wait for it no longer than that.
constexpr std::string_view session_settings =
    "-c search_path=conference -c idle_in_transaction_session_timeout=10s -c lock_timeout=15s "
    "-c tcp_keepalives_idle=3 -c tcp_keepalives_interval=1 -c tcp_keepalives_count=3";

} // namespace

Database::Database(const std::string& place, escqrs::sqlite::DatabaseOptions file,
                   const escqrs::postgres::ConnectionOptions& server)
{
    if (!postgres::is_address(place)) {
        file_.emplace(place, read_model_schema, file);
        return;
    }
    server_.emplace(postgres::with_session_settings(place, session_settings), server);
    escqrs::postgres::migrate(*server_, "conference", read_model_tables);
}

DatabaseRef Database::ref()
{
    if (file_) return *file_;
    return escqrs::postgres::Dialect{*server_, "conference"};
}

bool Database::has_moved() const
{
    try {
        if (file_) file_->check_file();
        return false;
    } catch (const escqrs::StoreError&) {
        return true;
    }
}

Transaction::Transaction(const DatabaseRef& database) : transaction_{database}
{
    database.visit([]<class Given>(Given& given) {
        if constexpr (std::is_same_v<Given, escqrs::postgres::Connection>)
            given.execute("SELECT 1 FROM progress FOR UPDATE");
    });
}

} // namespace conference::read_model
