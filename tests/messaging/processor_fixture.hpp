// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "support/tally.hpp"
#include "support/temporary_folder.hpp"

#include <escqrs/commands/repository.hpp>
#include <escqrs/core/stop_token.hpp>
#include <escqrs/in_memory/message_queue.hpp>
#include <escqrs/messaging/cloud_events.hpp>
#include <escqrs/messaging/message_processor.hpp>
#include <escqrs/sqlite/stream_read_model.hpp>
#include <escqrs/testing/manual_clock.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// A queue, a processor and a read model, on a clock that stands still.
namespace processing {

using tally::Added;
using tally::Amounts;
using Messages = escqrs::CloudEvents<escqrs::EventList<Added>>;
using Contents = std::map<std::string, Amounts>; ///< of a read model: the amounts of each stream, in order

/// The log, and the messages that the relay makes of it.
struct Log {
    /// Adds amounts to a stream: 1 is its first event.
    void add(const std::string& id, const Amounts& amounts)
    {
        for (const std::int64_t amount : amounts) all.push_back({id, amount});
    }

    std::vector<escqrs::Message> messages() const
    {
        std::vector<escqrs::Message> messages;
        std::map<std::string, std::uint64_t> versions;
        for (const auto& [id, amount] : all) {
            const std::uint64_t version = ++versions[id];
            escqrs::Message message;
            message.message_id = id + "-" + std::to_string(version);
            message.session_id = stream_of(id);
            message.content_type = "application/json";
            message.body = "{\"amount\":" + std::to_string(amount) + "}";
            const auto put = [&](const char* name, const std::string& value) {
                message.properties.add(std::string{"cloudEvents:"} + name, value);
            };
            put("specversion", "1.0");
            put("id", escqrs::to_string(escqrs::random_uuid()));
            put("type", "Added");
            put("subject", message.session_id);
            put("time", "2024-05-01T12:00:00Z");
            put("streamversion", std::to_string(version));
            put("position", std::to_string(messages.size() + 1));
            put("schemaversion", "0");
            messages.push_back(std::move(message));
        }
        return messages;
    }

    /// What the read model must show.
    Contents fold() const
    {
        Contents contents;
        for (const auto& [id, amount] : all) contents[stream_of(id)].push_back(amount);
        return contents;
    }

    /// `id` is one digit.
    static std::string stream_of(const std::string& id) { return "tally-00000000-0000-4000-8000-00000000000" + id; }

    std::vector<std::pair<std::string, std::int64_t>> all{};
};

/// Writes a table without a key, so that an event that is handled twice shows.
class Table {
public:
    explicit Table(escqrs::sqlite::Database& database) : database_{&database} {}

    void handle(const Added& event, const escqrs::EventContext& context)
    {
        ++calls;
        insert_.run(context.stream.text(), event.amount);
        if (after) after(event);
    }

    std::function<void(const Added&)> after{}; ///< it has written
    int calls = 0;

private:
    static escqrs::sqlite::Database& with_table(escqrs::sqlite::Database& database)
    {
        database.execute("CREATE TABLE IF NOT EXISTS added (stream TEXT NOT NULL, amount INTEGER NOT NULL)");
        return database;
    }

    escqrs::sqlite::Database* database_;
    escqrs::sqlite::Statement insert_{with_table(*database_), "INSERT INTO added VALUES (?, ?)"};
};

/// A processor with a connection of its own to the read model: another process, as it were.
struct Worker {
    Worker(const std::string& path, escqrs::AnyMessageReceiver receiver, escqrs::MessageProcessorOptions options)
        : database{path, {.synchronous = escqrs::sqlite::Synchronous::normal, .busy_timeout = escqrs::Duration{0}}},
          processor{std::move(receiver), escqrs::sqlite::StreamReadModel{database, "tallies"}, Messages{"/test"}, table,
                    std::move(options)}
    {
    }

    escqrs::BatchResult work_once(escqrs::stop_token stop = {}) { return processor.work_once(std::move(stop)); }

    escqrs::sqlite::Database database;
    Table table{database};
    escqrs::MessageProcessor processor;
};

/// A queue's receiving side with something between it and the processor.
struct Receiver {
    std::vector<escqrs::ReceivedMessage> receive(std::size_t at_most, escqrs::Duration wait, escqrs::stop_token stop)
    {
        call();
        auto messages = queue->receive(at_most, wait, std::move(stop));
        if (after_receive && !messages.empty()) after_receive();
        return messages;
    }
    void settle(const escqrs::ReceivedMessage& message, const escqrs::Disposition& disposition)
    {
        call();
        queue->settle(message, disposition);
    }
    std::vector<escqrs::SettlementResult> settle(std::span<const escqrs::Settlement> settlements)
    {
        call();
        if (before_settle) before_settle();
        auto results = queue->settle(settlements);
        if (after_settle) after_settle();
        for (const auto result : results) lost += result == escqrs::SettlementResult::lock_lost ? 1 : 0;
        return results;
    }
    void renew_lock(escqrs::ReceivedMessage& message)
    {
        call();
        ++renewals;
        queue->renew_lock(message);
    }

    void call() const
    {
        if (on_call) on_call();
    }

    escqrs::in_memory::MessageQueue* queue = nullptr;
    std::function<void()> on_call{};
    std::function<void()> after_receive{};
    std::function<void()> before_settle{};
    std::function<void()> after_settle{};
    int renewals = 0;
    int lost = 0;
};

/// One that takes messages back.
struct ReleasingReceiver : Receiver {
    void release(std::span<const escqrs::ReceivedMessage> messages)
    {
        call();
        for (const auto& message : messages) released.push_back(message.message.message_id);
        locked_before = queue->counts().locked - messages.size();
    }

    std::vector<std::string> released{};
    std::uint64_t locked_before = 0; ///< of those that are not released
};

struct Workplace {
    Workplace() = default;

    /// As one more process has them, with the log lines in `lines`.
    escqrs::MessageProcessorOptions options()
    {
        escqrs::MessageProcessorOptions options;
        options.clock = &clock;
        options.max_wait = escqrs::Duration{0};
        options.max_attempts = 3;
        options.jitter = [] { return 0.5; };
        options.log = [this](std::string_view line) { lines.emplace_back(line); };
        return options;
    }

    void send(const std::vector<escqrs::Message>& messages) { queue.send(messages); }
    void send_all() { send(log.messages()); }

    escqrs::BatchResult work_once() { return own.work_once(); }

    /// Works until the queue has nothing more to give.
    void work()
    {
        while (work_once().received != 0) {}
    }

    Contents contents()
    {
        Contents contents;
        escqrs::sqlite::Statement select{seen_, "SELECT stream, amount FROM added ORDER BY rowid"};
        auto rows = select.query();
        while (rows.next()) contents[std::string{rows.text(0)}].push_back(rows.integer(1));
        return contents;
    }

    std::vector<escqrs::DeadLetteredMessage> dead_letters() { return queue.dead_letters(0, 1000); }

    TemporaryFolder folder;
    std::string path = folder.file("read-model.db");
    escqrs::testing::ManualClock clock;
    escqrs::in_memory::MessageQueue queue{queue_options(clock)};
    Log log;
    std::vector<std::string> lines;
    Worker own{path, queue, options()};

private:
    static escqrs::MessageQueueOptions queue_options(escqrs::Clock& clock)
    {
        escqrs::MessageQueueOptions options;
        options.clock = &clock;
        options.duplicate_detection_window = escqrs::Duration{0}; // duplicates reach the processor
        return options;
    }

    escqrs::sqlite::Database seen_{path};
};

} // namespace processing
