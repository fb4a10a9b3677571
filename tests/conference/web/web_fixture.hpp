// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "../http/client.hpp"
#include "application/attendee_events.hpp"
#include "application/attendee_handlers.hpp"
#include "application/email_changes.hpp"
#include "read_model/read_model_file.hpp"
#include "support/temporary_folder.hpp"
#include "web/command_middleware.hpp"
#include "web/web_role.hpp"
#include "worker/worker_role.hpp"

#include <escqrs/in_memory/checkpoint.hpp>
#include <escqrs/in_memory/event_store.hpp>
#include <escqrs/in_memory/message_queue.hpp>
#include <escqrs/messaging/any_message_queue.hpp>
#include <escqrs/messaging/cloud_events.hpp>
#include <escqrs/messaging/relay.hpp>
#include <escqrs/store/any_event_store.hpp>
#include <escqrs/store/forwarding_event_store.hpp>
#include <escqrs/testing/catch2.hpp>
#include <escqrs/testing/manual_clock.hpp>

#include <boost/json/object.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace conference::test {

namespace json = boost::json;

/// Threads that pass it wait while it is closed.
class Gate {
public:
    void close() { is_open_ = false; }
    void open()
    {
        is_open_ = true;
        is_open_.notify_all();
    }
    void pass()
    {
        ++waiting_;
        waiting_.notify_all();
        is_open_.wait(false);
        --waiting_;
        ++passed_;
        passed_.notify_all();
    }
    /// Returns when so many are held up.
    void wait_for(int count) const { wait(waiting_, count); }
    /// Returns when so many have passed, all in all.
    void wait_for_passed(int count) const { wait(passed_, count); }

private:
    static void wait(const std::atomic<int>& number, int count)
    {
        for (int now = number; now < count; now = number) number.wait(now);
    }

    std::atomic<bool> is_open_{true};
    std::atomic<int> waiting_{0};
    std::atomic<int> passed_{0};
};

/// Refuses or delays what a test says, and counts what is read.
class FailingStore : public escqrs::ForwardingEventStore<escqrs::in_memory::EventStore> {
public:
    escqrs::AppendResult append(const escqrs::StreamId& stream, escqrs::ExpectedVersion expected,
                                std::span<const escqrs::NewEvent> events)
    {
        appends.pass();
        if (fails) throw escqrs::StoreError{"disk full"};
        return store().append(stream, expected, events);
    }
    void read_stream(const escqrs::StreamId& stream, escqrs::StreamVersion from, escqrs::EventSink sink)
    {
        ++streams_read;
        reads.pass();
        if (fails_to_read) throw escqrs::StoreError{"cannot be read"};
        store().read_stream(stream, from, [&](const escqrs::RecordedEvent& event) {
            ++events_read;
            return sink(event);
        });
    }
    std::optional<escqrs::EventLocation> locate(escqrs::EventId id)
    {
        ++events_located;
        return store().locate(id);
    }

    Gate appends;
    Gate reads; ///< of streams
    std::atomic<bool> fails{false};
    std::atomic<bool> fails_to_read{false};
    std::atomic<int> events_read{0};
    std::atomic<int> streams_read{0};
    std::atomic<int> events_located{0};
};

/// The whole conference in one process, in memory but for the read model.
class Installation {
public:
    explicit Installation(web::WebRoleOptions options = {})
    {
        handle_attendee_commands(bus_, attendees_, store_, escqrs::random_uuid, clock);
        web::use_command_middleware(bus_, attendees_, metrics_);
        options.server.port = 0;
        options.organiser_token = "the-organiser's-token";
        options.max_read_wait = std::chrono::milliseconds{300};
        options.checks = {{"example", [this] { return problem; }}};
        options.log = [this](std::string_view line) {
            const std::scoped_lock lock{log_mutex_};
            log_.append(line).append("\n");
        };
        role.emplace(options, bus_, store_, queries_, any_queue_, metrics_);
    }

    void start_worker()
    {
        relay_thread_ = std::jthread{[this](const std::stop_token& stop) {
            escqrs::Relay relay{store_, place_, queue, AttendeeMessages{"/conference"}};
            relay.run(stop);
        }};
        worker_.emplace(WorkerRoleOptions{path_, "dir:" + folder_.file("mail"), "http://localhost"}, queue, metrics_,
                        [](std::string_view) {});
        worker_->start();
    }

    Client client() const { return Client{role->port()}; }

    /// Registers an attendee who has asked for other addresses until there are `events` events, more than the rules
    /// allow today, and shows them. Needs no worker.
    std::string attendee_with(std::size_t events)
    {
        const AttendeeId id{escqrs::random_uuid()};
        const AttendeeCodec codec;
        const auto append = [&](const auto& event) {
            std::vector<std::byte> payload;
            codec.encode(event, payload);
            escqrs::NewEvent stored;
            stored.id = escqrs::EventId{escqrs::random_uuid()};
            stored.type = event.event_name;
            stored.content_type = AttendeeCodec::content_type;
            stored.payload = payload;
            return store_.append({Attendee::category, id.value()}, escqrs::ExpectedVersion::any(), {&stored, 1});
        };
        append(AttendeeRegistered{"ada@example.org"});
        const EmailChangeRequested request{"lovelace@example.net", ConfirmationId{escqrs::random_uuid()}};
        while (append(request).version.value() < events) {}

        escqrs::sqlite::Database database{path_, read_model_schema};
        const std::string text = to_string(id);
        escqrs::sqlite::Statement insert{database, "INSERT INTO attendee SELECT ?, 1, 'ada@example.org', NULL, NULL, ?,"
                                                   " ?, 0, 0, ?, max(revision) + 1 FROM progress"};
        insert.run(text, events, store_.head().value(), store_.head().value());
        return to_string(id);
    }

    std::vector<EmailChange> changes(const std::string& attendee)
    {
        return email_changes(store_, AttendeeId::parse(attendee));
    }

    std::string log_text()
    {
        const std::scoped_lock lock{log_mutex_};
        return log_;
    }

    std::shared_ptr<FailingStore> failing_store = std::make_shared<FailingStore>();
    escqrs::in_memory::MessageQueue queue;
    std::optional<std::string> problem;
    escqrs::testing::ManualClock clock{escqrs::system_clock().now()}; ///< of the handlers

private:
    std::mutex log_mutex_;
    std::string log_;
    TemporaryFolder folder_;
    std::string path_ = folder_.file("read-model.db");
    http::Metrics metrics_;
    escqrs::AnyEventStore store_{failing_store};
    AttendeeRepository attendees_{store_, one_attempt};
    escqrs::CommandBus bus_;
    AttendeeQueries queries_{path_};
    escqrs::AnyMessageQueue any_queue_{queue};
    escqrs::in_memory::Checkpoint place_;
    std::jthread relay_thread_;
    std::optional<WorkerRole> worker_;

public:
    std::optional<web::WebRole> role; // last, so that it ends before what it refers to
};

inline const std::map<std::string, std::string> organiser{{"Authorization", "Bearer the-organiser's-token"}};

inline std::string text_of(const json::object& object, const char* name)
{
    return std::string{object.at(name).as_string()};
}

inline std::string register_attendee(Client& client, const std::string& email = "ada@example.org")
{
    const auto reply = client.request("POST", "/api/attendee/register", R"({"email":")" + email + R"("})");
    REQUIRE(reply.status == 202);
    return text_of(reply.object(), "attendeeId");
}

/// Registers, and waits until the read model shows it.
inline std::string register_and_see(Client& client)
{
    const auto id = register_attendee(client);
    REQUIRE(client.request("GET", "/api/attendee/" + id + "?position=1").status == 200);
    return id;
}

inline void check_problem(const Reply& reply, unsigned status, const std::string& type)
{
    CAPTURE(reply.body);
    CHECK(reply.status == status);
    CHECK(reply.headers.at("Content-Type") == "application/problem+json");
    const auto problem = reply.object();
    CHECK(problem.at("status").as_int64() == status);
    CHECK(text_of(problem, "type") == type);
    CHECK_FALSE(text_of(problem, "title").empty());
    CHECK_FALSE(text_of(problem, "detail").empty());
}

} // namespace conference::test
