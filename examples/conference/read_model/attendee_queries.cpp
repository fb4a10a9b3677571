// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "attendee_queries.hpp"

#include "../postgres/limits.hpp"
#include "failed_read.hpp"
#include "progress.hpp"
#include "read_model_file.hpp"

#include <algorithm>
#include <charconv>
#include <mutex>
#include <stdexcept>
#include <string_view>
#include <utility>

namespace conference {
namespace {

using read_model::Database;
using read_model::Statement;

std::string select_attendees(std::string_view rest)
{
    return std::string{"SELECT "}.append(attendee_columns).append(", list_position FROM attendee ").append(rest);
}
constexpr int list_position_column = 9;

/// Where a page ends: "<log position of the registration>-<attendee id>".
struct Cursor {
    std::int64_t list_position = 0;
    std::string attendee_id;
};

std::string to_text(const Cursor& cursor) { return std::to_string(cursor.list_position) + "-" + cursor.attendee_id; }

Cursor parse_cursor(const std::string& text)
{
    if (text.empty()) return {};
    Cursor cursor;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), cursor.list_position);
    const auto length = static_cast<std::size_t>(end - text.data());
    try {
        if (error == std::errc{} && cursor.list_position > 0 && length < text.size() && text[length] == '-') {
            cursor.attendee_id = to_string(AttendeeId::parse(std::string_view{text}.substr(length + 1)));
            return cursor;
        }
    } catch (const escqrs::InvalidIdentifier&) {
        throw std::invalid_argument{"not a cursor of this list"};
    }
    throw std::invalid_argument{"not a cursor of this list"};
}

Database open_reading(const std::string& path, const std::stop_token& give_up)
{
    return Database{path, {}, postgres::limited(postgres::answer_timeout, give_up)};
}

/// One reading connection, for one thread at a time.
class Reader {
public:
    Reader(const std::string& path, const std::stop_token& give_up) : database_{open_reading(path, give_up)} {}

    std::optional<AttendeeView> find(const AttendeeId& id)
    {
        const std::string text = to_string(id);
        auto rows = find_.query(text);
        if (!rows.next()) return std::nullopt;
        return read_attendee(rows);
    }

    std::optional<ConfirmationRequest> confirmation_request(const ConfirmationId& id)
    {
        const std::string text = to_string(id);
        auto rows = confirmation_request_.query(text);
        if (!rows.next()) return std::nullopt;
        return ConfirmationRequest{AttendeeId::parse(rows.text(0)), id, std::string{rows.text(1)}};
    }

    AttendeePage list(std::size_t limit, const Cursor& after)
    {
        limit = std::max<std::size_t>(limit, 1);
        AttendeePage page;
        Cursor last;
        auto rows = list_.query(after.list_position, after.attendee_id, limit + 1);
        while (rows.next()) {
            if (page.attendees.size() == limit) { // there is one more
                page.next = to_text(last);
                break;
            }
            page.attendees.push_back(read_attendee(rows));
            last = {rows.integer(list_position_column), std::string{rows.text(0)}};
        }
        return page;
    }

    AttendeeCounts count()
    {
        auto rows = count_.query();
        if (!rows.next()) return {};
        return {static_cast<std::uint64_t>(rows.integer(0)), static_cast<std::uint64_t>(rows.integer(1))};
    }

    std::vector<AttendeeView> changed_since(std::uint64_t& revision)
    {
        std::vector<AttendeeView> changed;
        if (this->revision() < revision) revision = 0; // of a read model that was lost
        auto rows = changed_.query(revision, AttendeeQueries::max_changes);
        std::uint64_t newest = revision;
        while (rows.next()) {
            changed.push_back(read_attendee(rows));
            newest = static_cast<std::uint64_t>(rows.integer(list_position_column + 1));
        }
        revision = newest;
        return changed;
    }

    /// Whether its file was deleted or replaced.
    bool has_moved() const { return database_.has_moved(); }

    std::uint64_t revision() { return number(revision_); }
    read_model::ProgressFigures progress() { return progress_.figures(); }
    std::optional<std::string> gap() { return progress_.gap(); }

private:
    static std::uint64_t number(Statement& statement)
    {
        auto rows = statement.query();
        return rows.next() ? static_cast<std::uint64_t>(rows.integer(0)) : 0;
    }

    Database database_;
    Statement find_{database_, select_attendees("WHERE id = $1")};
    Statement confirmation_request_{database_,
                                    "SELECT attendee_id, recipient FROM outgoing_mail WHERE confirmation_id = $1"};
    Statement list_{database_,
                    select_attendees("WHERE (list_position, id) > ($1, $2) ORDER BY list_position, id LIMIT $3")};
    Statement count_{database_, "SELECT count(*), count(*) FILTER (WHERE registered = 1) FROM attendee"};
    Statement changed_{database_, "SELECT " + std::string{attendee_columns} +
                                      ", list_position, revision FROM attendee WHERE revision > $1"
                                      " ORDER BY revision LIMIT $2"};
    Statement revision_{database_, "SELECT revision FROM progress"};
    read_model::Progress progress_{database_};
};

} // namespace

/// Lends each caller a connection of its own, so that readers wait neither for each other nor for the worker.
class AttendeeQueries::Implementation {
public:
    Implementation(std::string path, std::stop_token give_up) : path_{std::move(path)}, give_up_{std::move(give_up)}
    {
        give_back(std::make_unique<Reader>(path_, give_up_));
    }

    /// @param question  is put again after it has failed, so it holds copies of what it asks about
    template <class Question>
    auto ask(Question question)
    {
        try {
            return put(question);
        } catch (...) { // damaged bytes may make no sense, too
            failed_read_.remember([this, question] { (void)put(question); });
            throw;
        }
    }

    std::optional<std::string> problem() { return failed_read_.problem(); }

    const std::string& path() const noexcept { return path_; }
    Database open_database() const { return open_reading(path_, give_up_); }

private:
    template <class Question>
    auto put(const Question& question)
    {
        auto reader = borrow();
        try {
            auto answer = question(*reader);
            give_back(std::move(reader));
            return answer;
        } catch (const escqrs::StoreError&) {
            // The connection may be lost, and then the idle ones are, too: they are made anew.
            const std::scoped_lock lock{mutex_};
            idle_.clear();
            throw;
        }
    }

    std::unique_ptr<Reader> borrow()
    {
        {
            const std::scoped_lock lock{mutex_};
            if (!idle_.empty() && idle_.back()->has_moved()) idle_.clear();
            if (!idle_.empty()) {
                auto reader = std::move(idle_.back());
                idle_.pop_back();
                return reader;
            }
        }
        return std::make_unique<Reader>(path_, give_up_);
    }

    void give_back(std::unique_ptr<Reader> reader)
    {
        const std::scoped_lock lock{mutex_};
        idle_.push_back(std::move(reader));
    }

    const std::string path_;
    const std::stop_token give_up_;
    std::mutex mutex_;
    std::vector<std::unique_ptr<Reader>> idle_;
    FailedRead failed_read_;
};

AttendeeQueries::AttendeeQueries(const std::string& path, std::stop_token give_up)
    : implementation_{std::make_unique<Implementation>(path, std::move(give_up))}
{
}

AttendeeQueries::~AttendeeQueries() = default;

std::optional<AttendeeView> AttendeeQueries::find(const AttendeeId& id)
{
    return implementation_->ask([id](Reader& reader) { return reader.find(id); });
}

std::optional<ConfirmationRequest> AttendeeQueries::confirmation_request(const ConfirmationId& id)
{
    return implementation_->ask([id](Reader& reader) { return reader.confirmation_request(id); });
}

AttendeePage AttendeeQueries::list(std::size_t limit, const std::string& after)
{
    return implementation_->ask(
        [limit, cursor = parse_cursor(after)](Reader& reader) { return reader.list(limit, cursor); });
}

AttendeeCounts AttendeeQueries::count()
{
    return implementation_->ask([](Reader& reader) { return reader.count(); });
}

read_model::ProgressFigures AttendeeQueries::progress()
{
    return implementation_->ask([](Reader& reader) { return reader.progress(); });
}

std::optional<std::string> AttendeeQueries::gap()
{
    return implementation_->ask([](Reader& reader) { return reader.gap(); });
}

std::optional<std::string> AttendeeQueries::problem() { return implementation_->problem(); }

std::vector<AttendeeView> AttendeeQueries::changed_since(std::uint64_t& revision)
{
    auto [newest, changed] = implementation_->ask([revision](Reader& reader) {
        std::pair answer{revision, std::vector<AttendeeView>{}};
        answer.second = reader.changed_since(answer.first);
        return answer;
    });
    revision = newest;
    return std::move(changed);
}

std::uint64_t AttendeeQueries::revision()
{
    return implementation_->ask([](Reader& reader) { return reader.revision(); });
}

const std::string& AttendeeQueries::path() const noexcept { return implementation_->path(); }

Database AttendeeQueries::open_database() const { return implementation_->open_database(); }

} // namespace conference
