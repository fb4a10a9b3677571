// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "relay_place.hpp"

#include "../postgres/address.hpp"
#include "storage.hpp"

#include <escqrs/postgres/connection.hpp>
#include <escqrs/postgres/schema.hpp>
#include <escqrs/postgres/statement.hpp>
#include <escqrs/sqlite/checkpoint.hpp>

#include <array>
#include <string>

namespace conference {
namespace {

class FilePlace : public RelayPlace {
public:
    explicit FilePlace(const Settings& settings) : database_{path(settings), {synchronous_of(settings)}} {}

private:
    static std::string path(const Settings& settings)
    {
        return settings.store.scheme == "memory" ? ":memory:" : settings.store.rest + "-relay";
    }

    escqrs::GlobalPosition do_load() override { return checkpoint_.load(); }
    void do_save(escqrs::GlobalPosition position) override { checkpoint_.save(position); }

    escqrs::sqlite::Database database_;
    escqrs::sqlite::Checkpoint checkpoint_{database_, "relay"};
};

constexpr std::string_view schema = "conference";
constexpr std::array<const char*, 1> relay_steps{
    "CREATE TABLE {s}.relay (only_row integer PRIMARY KEY CHECK (only_row = 1), position bigint NOT NULL);"
    "INSERT INTO {s}.relay VALUES (1, 0)"};
constexpr escqrs::postgres::SchemaPart relay_part{"conference relay", relay_steps};

/// Who relays holds a lock of the session that also saves the position. The server ends the session, and with it the lock,
/// when the process dies, when its machine falls silent, and when it is paused; then nothing can be saved any more.
constexpr std::string_view session_settings = "-c tcp_keepalives_idle=3 -c tcp_keepalives_interval=1 "
                                              "-c tcp_keepalives_count=3 -c idle_session_timeout=15s";

class SharedPlace : public RelayPlace {
public:
    explicit SharedPlace(const std::string& address)
        : connection_{postgres::with_session_settings(address, session_settings)}
    {
        migrate(connection_, schema, relay_part);
    }

private:
    bool leads() const noexcept { return !connection_.is_lost() && leads_in_ == connection_.generation(); }

    void try_to_lead()
    {
        if (leads()) return;
        auto rows = lock_.query(); // connects again if need be
        if (rows.next() && rows.integer(0) != 0) leads_in_ = connection_.generation();
        else throw RelayedElsewhere{"relayed by another process"};
    }

    escqrs::GlobalPosition do_load() override
    {
        const auto stored = [this] {
            auto rows = select_.query();
            rows.next();
            return escqrs::GlobalPosition{static_cast<std::uint64_t>(rows.integer(0))};
        };
        if (!leads()) show(stored());
        try_to_lead();
        return stored(); // what another saved before it lost the lock is seen now
    }

    void do_save(escqrs::GlobalPosition position) override
    {
        if (!leads()) throw RelayedElsewhere{"the right to relay was lost with the connection"};
        update_.run(position.value());
    }

    escqrs::postgres::Connection connection_;
    std::uint64_t leads_in_ = 0; ///< generation of the connection; 0: in none
    // Two numbers: the event store's locks are of the kind with one.
    escqrs::postgres::Statement lock_{connection_, "SELECT pg_try_advisory_lock(hashtext('conference relay'), 1)"};
    escqrs::postgres::Statement select_{connection_,
                                        escqrs::postgres::with_schema("SELECT position FROM {s}.relay", schema)};
    escqrs::postgres::Statement update_{connection_,
                                        escqrs::postgres::with_schema("UPDATE {s}.relay SET position = $1", schema)};
};

} // namespace

escqrs::GlobalPosition RelayPlace::load()
{
    const auto position = do_load();
    show(position);
    return position;
}

void RelayPlace::save(escqrs::GlobalPosition position)
{
    do_save(position);
    show(position);
}

std::unique_ptr<RelayPlace> open_relay_place(const Settings& settings)
{
    if (settings.store.scheme == "postgres") return std::make_unique<SharedPlace>(settings.store.rest);
    return std::make_unique<FilePlace>(settings);
}

} // namespace conference
