// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "../read_model/read_model_fixture.hpp"
#include "application/attendee_events.hpp"
#include "domain/rule_violation.hpp"
#include "worker/message_worker.hpp"

#include <escqrs/commands/repository.hpp>
#include <escqrs/in_memory/event_store.hpp>
#include <escqrs/in_memory/message_queue.hpp>
#include <escqrs/messaging/cloud_events.hpp>
#include <escqrs/testing/manual_clock.hpp>

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <span>
#include <stop_token>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace conference::test {

/// A store, people who use it at random, and what a read model of it must show.
class History {
public:
    AttendeeId register_attendee(const std::string& email = "ada@example.org")
    {
        auto attendee = Attendee::register_with(new_attendee_id(), Email::parse(email));
        attendees_.save(attendee);
        ids_.push_back(attendee.id());
        return attendee.id();
    }

    template <class Change>
    void change(const AttendeeId& id, Change change)
    {
        attendees_.execute(id, change);
    }

    void request_email(const AttendeeId& id, const std::string& email)
    {
        change(id, [&](Attendee& attendee) {
            attendee.change_email(Email::parse(email), ConfirmationId{escqrs::random_uuid()});
        });
    }

    /// Somebody does something; what the domain refuses has not happened.
    void happen(std::mt19937& chance)
    {
        const auto draw = [&](std::size_t below) {
            return std::uniform_int_distribution<std::size_t>{0, below - 1}(chance);
        };
        if (ids_.empty() || draw(6) == 0) {
            register_attendee("visitor" + std::to_string(ids_.size()) + "@example.org");
            return;
        }
        const AttendeeId id = ids_[draw(ids_.size())];
        const std::size_t what = draw(10);
        try {
            change(id, [&](Attendee& attendee) {
                if (what < 5) {
                    const ConfirmationId confirmation{escqrs::random_uuid()};
                    attendee.change_email(Email::parse("address" + std::to_string(draw(5)) + "@example.net"),
                                          confirmation);
                    confirmations_[id] = confirmation;
                } else if (what < 9) {
                    attendee.confirm_email(confirmations_[id]);
                } else {
                    attendee.unregister("other plans");
                }
            });
        } catch (const RuleViolation&) {
            ++refused;
        }
    }

    /// The log as the relay would send it.
    std::vector<escqrs::Message> messages()
    {
        AttendeeMessages translate{"/conference"};
        std::vector<escqrs::Message> messages;
        read([&](const escqrs::RecordedEvent& event) { messages.push_back(translate(event)); });
        return messages;
    }

    /// What the events add up to, told independently of the projection.
    std::map<AttendeeId, AttendeeView> fold()
    {
        std::map<AttendeeId, AttendeeView> views;
        const AttendeeCodec codec;
        read([&](const escqrs::RecordedEvent& recorded) {
            const auto event = codec.decode(encoded(recorded)).at(0);
            AttendeeView& view = views[AttendeeId::parse(recorded.stream.id())];
            if (const auto* registered = std::get_if<AttendeeRegistered>(&event)) {
                view.id = AttendeeId::parse(recorded.stream.id());
                view.registered = true;
                view.email = registered->email;
                view.registered_at = recorded.recorded_at;
            } else if (const auto* requested = std::get_if<EmailChangeRequested>(&event)) {
                view.pending_email = requested->email;
            } else if (const auto* confirmed = std::get_if<EmailChangeConfirmed>(&event)) {
                view.email = confirmed->email;
                view.pending_email.reset();
            } else {
                view.registered = false;
                view.reason = std::get<AttendeeUnregistered>(event).reason;
            }
            view.version = recorded.version;
            view.position = recorded.position;
            view.updated_at = recorded.recorded_at;
        });
        return views;
    }

    std::map<std::string, std::string> owed_mails() // recipient by event id
    {
        std::map<std::string, std::string> mails;
        const AttendeeCodec codec;
        read([&](const escqrs::RecordedEvent& recorded) {
            const auto event = codec.decode(encoded(recorded)).at(0);
            if (const auto* registered = std::get_if<AttendeeRegistered>(&event)) {
                mails[to_string(recorded.id)] = registered->email;
            } else if (const auto* requested = std::get_if<EmailChangeRequested>(&event)) {
                mails[to_string(recorded.id)] = requested->email;
            }
        });
        return mails;
    }

    escqrs::AnyEventStore log() { return escqrs::AnyEventStore{store_}; }

    int refused = 0;

private:
    void read(const std::function<void(const escqrs::RecordedEvent&)>& use)
    {
        store_->read_log({}, 1'000'000, [&](const escqrs::RecordedEvent& event) {
            use(event);
            return true;
        });
    }

    std::shared_ptr<escqrs::in_memory::EventStore> store_ = std::make_shared<escqrs::in_memory::EventStore>();
    escqrs::Repository<Attendee, escqrs::in_memory::EventStore, AttendeeCodec> attendees_{*store_};
    std::vector<AttendeeId> ids_;
    std::map<AttendeeId, ConfirmationId> confirmations_;
};

/// A read model file, as it can be seen from outside.
class SeenModel {
public:
    explicit SeenModel(const std::string& path) : queries{path}, database_{path, read_model_schema} {}

    std::map<AttendeeId, AttendeeView> attendees()
    {
        std::map<AttendeeId, AttendeeView> views;
        std::uint64_t revision = 0;
        for (bool is_whole = false; !is_whole;) {
            const auto page = queries.changed_since(revision);
            for (const auto& view : page) views[view.id] = view;
            is_whole = page.size() < AttendeeQueries::max_changes;
        }
        return views;
    }

    std::map<std::string, std::string> mails()
    {
        std::map<std::string, std::string> mails;
        escqrs::sqlite::Statement select{database_, "SELECT event_id, recipient FROM outgoing_mail"};
        auto rows = select.query();
        while (rows.next()) mails[std::string{rows.text(0)}] = rows.text(1);
        return mails;
    }

    AttendeeQueries queries;

private:
    escqrs::sqlite::Database database_;
};

/// A worker with its own connection to the read model: another process, as it were.
struct Worker {
    Worker(const std::string& path, escqrs::AnyMessageReceiver receiver, escqrs::Clock& clock,
           std::vector<std::string>* log = nullptr, std::uint32_t max_attempts = 3, escqrs::Duration busy_timeout = {})
        : Worker{path, std::move(receiver), options(clock, log, max_attempts), busy_timeout}
    {
    }

    Worker(const std::string& path, escqrs::AnyMessageReceiver receiver, MessageWorkerOptions options,
           escqrs::Duration busy_timeout = {})
        : database{path,
                   read_model_schema,
                   {.synchronous = escqrs::sqlite::Synchronous::normal, .busy_timeout = busy_timeout}},
          worker{std::move(receiver), database, bus, std::move(options)}
    {
    }

    static MessageWorkerOptions options(escqrs::Clock& clock, std::vector<std::string>* log, std::uint32_t max_attempts)
    {
        MessageWorkerOptions options;
        options.clock = &clock;
        options.max_wait = escqrs::Duration{0};
        options.max_attempts = max_attempts;
        options.jitter = [] { return 0.5; };
        if (log != nullptr) options.log = [log](std::string_view line) { log->emplace_back(line); };
        return options;
    }

    escqrs::sqlite::Database database;
    escqrs::EventBus bus;
    AttendeeProjection projection{bus, database};
    MessageWorker worker;
};

inline escqrs::MessageQueueOptions queue_options(escqrs::Clock& clock)
{
    escqrs::MessageQueueOptions options;
    options.clock = &clock;
    options.duplicate_detection_window = escqrs::Duration{0}; // duplicates reach the worker
    return options;
}

/// A queue, a worker and a read model, on a clock that stands still.
struct Workplace {
    TemporaryFolder folder;
    std::string path = folder.file("read-model.db");
    escqrs::testing::ManualClock clock;
    escqrs::in_memory::MessageQueue queue{queue_options(clock)};
    History history;
    std::vector<std::string> log;
    Worker own{path, queue, clock, &log};
    SeenModel model{path};

    void send(const std::vector<escqrs::Message>& messages) { queue.send(messages); }

    BatchResult work_once() { return own.worker.work_once(); }

    /// Works until the queue has nothing more to give.
    void work()
    {
        while (work_once().received != 0) {}
    }

    std::vector<escqrs::DeadLetteredMessage> dead_letters() { return queue.dead_letters(0, 1000); }
};

} // namespace conference::test
