// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "read_model_health.hpp"

#include "../application/readable_text.hpp"

#include <chrono>
#include <cstddef>

namespace conference {
namespace {

constexpr std::size_t max_problem_length = 300;
constexpr std::chrono::seconds time_between_tries{1};

} // namespace

void require_writable(const read_model::DatabaseRef& database)
{
    read_model::Transaction transaction{database};
    for (const char* const change : {"+ 1", "- 1"}) { // SQLite writes nothing for an update that changes nothing
        read_model::Statement{database, std::string{"UPDATE progress SET revision = revision "} + change}.run();
    }
    transaction.commit();
}

ReadModelHealth::ReadModelHealth(const std::string& path, escqrs::sqlite::DatabaseOptions file, escqrs::Clock& clock,
                                 const escqrs::postgres::ConnectionOptions& server)
    : database_{path, file, server}, clock_{&clock}
{
}

std::optional<std::string> ReadModelHealth::problem()
{
    const std::scoped_lock lock{mutex_};
    if (!tried_at_ || clock_->steady() - *tried_at_ >= time_between_tries) {
        problem_ = try_to_write();
        tried_at_ = clock_->steady();
    }
    return problem_;
}

std::optional<std::string> ReadModelHealth::try_to_write()
{
    try {
        require_writable(database_);
        return std::nullopt;
    } catch (const escqrs::StoreError& error) {
        return "cannot be written: " + readable(error.what(), max_problem_length);
    }
}

read_model::ProgressFigures ReadModelHealth::progress()
{
    const std::scoped_lock lock{mutex_};
    return progress_.figures();
}

std::uint64_t ReadModelHealth::mails_waiting()
{
    const std::scoped_lock lock{mutex_};
    return static_cast<std::uint64_t>(database_.ref().query_integer(
        "SELECT count(*) FROM outgoing_mail WHERE sent_at IS NULL AND given_up_at IS NULL"));
}

std::uint64_t ReadModelHealth::mails_given_up()
{
    const std::scoped_lock lock{mutex_};
    return static_cast<std::uint64_t>(database_.ref().query_integer(
        "SELECT count(*) FROM outgoing_mail WHERE given_up_at IS NOT NULL AND last_error IS NOT NULL"));
}

} // namespace conference
