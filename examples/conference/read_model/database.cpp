// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "database.hpp"

#include "../postgres/address.hpp"
#include "read_model_file.hpp"
#include "read_model_schema.hpp"

#include <escqrs/postgres/schema.hpp>

#include <type_traits>

namespace conference::read_model {
namespace {

template <class Given>
constexpr bool is_file = std::is_same_v<Given, escqrs::sqlite::Database>;

/// A process that is paused within a transaction, or whose machine has fallen silent, loses its session, and with it the
/// locks and the right to go on. The other processes wait for it no longer than that.
constexpr std::string_view session_settings =
    "-c search_path=conference -c idle_in_transaction_session_timeout=10s -c lock_timeout=15s "
    "-c tcp_keepalives_idle=3 -c tcp_keepalives_interval=1 -c tcp_keepalives_count=3";

} // namespace

std::int64_t DatabaseRef::query_integer(const std::string& sql) const
{
    Statement select{*this, sql};
    auto rows = select.query();
    return rows.next() ? rows.integer(0) : 0;
}

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

bool Database::has_moved() const
{
    try {
        if (file_) file_->check_file();
        return false;
    } catch (const escqrs::StoreError&) {
        return true;
    }
}

Statement::Either Statement::make(DatabaseRef database, const std::string& sql)
{
    return database.visit([&]<class Given>(Given& given) -> Either {
        if constexpr (is_file<Given>) return escqrs::sqlite::Statement{given, sql};
        else return escqrs::postgres::Statement{given, sql};
    });
}

Transaction::Transaction(DatabaseRef database)
{
    database.visit([this]<class Given>(Given& given) {
        if constexpr (is_file<Given>) {
            transaction_.emplace<escqrs::sqlite::Transaction>(given);
        } else {
            transaction_.emplace<escqrs::postgres::Transaction>(given);
            given.execute("SELECT 1 FROM progress FOR UPDATE");
        }
    });
}

void Transaction::commit()
{
    std::visit(
        [](auto& transaction) {
            if constexpr (!std::is_same_v<decltype(transaction), std::monostate&>) transaction.commit();
        },
        transaction_);
}

Savepoint::Savepoint(DatabaseRef database)
{
    database.visit([this]<class Given>(Given& given) {
        if constexpr (is_file<Given>) savepoint_.emplace<escqrs::sqlite::Savepoint>(given);
        else savepoint_.emplace<escqrs::postgres::Savepoint>(given);
    });
}

void Savepoint::commit()
{
    std::visit(
        [](auto& savepoint) {
            if constexpr (!std::is_same_v<decltype(savepoint), std::monostate&>) savepoint.commit();
        },
        savepoint_);
}

StreamCheckpoint::StreamCheckpoint(DatabaseRef database, const std::string& projection)
    : checkpoint_{make(database, projection)}
{
}

StreamCheckpoint::Either StreamCheckpoint::make(DatabaseRef database, const std::string& projection)
{
    return database.visit([&]<class Given>(Given& given) -> Either {
        if constexpr (is_file<Given>) {
            return Either{std::in_place_type<escqrs::sqlite::StreamCheckpoint>, given, projection};
        } else {
            return Either{std::in_place_type<escqrs::postgres::StreamCheckpoint>, given, projection, "conference"};
        }
    });
}

Advance StreamCheckpoint::advance(const escqrs::StreamId& stream, escqrs::StreamVersion version)
{
    return std::visit([&](auto& checkpoint) { return checkpoint.advance(stream, version); }, checkpoint_);
}

escqrs::StreamVersion StreamCheckpoint::version_of(const escqrs::StreamId& stream)
{
    return std::visit([&](auto& checkpoint) { return checkpoint.version_of(stream); }, checkpoint_);
}

void StreamCheckpoint::clear()
{
    std::visit([](auto& checkpoint) { checkpoint.clear(); }, checkpoint_);
}

} // namespace conference::read_model
