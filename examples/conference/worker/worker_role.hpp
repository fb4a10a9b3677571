// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "../http/health.hpp"
#include "../http/metrics.hpp"
#include "../mail/transport.hpp"
#include "../read_model/attendee_projection.hpp"
#include "mailer.hpp"
#include "message_worker.hpp"
#include "read_model_health.hpp"
#include "worker_log.hpp"

#include <escqrs/core/clock.hpp>
#include <escqrs/events/event_bus.hpp>
#include <escqrs/messaging/any_message_queue.hpp>
#include <escqrs/sqlite/database.hpp>
#include <escqrs/store/any_event_store.hpp>

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

namespace conference {

struct WorkerRoleOptions {
    std::string read_model; ///< path of the SQLite file, or address of the PostgreSQL database
    std::string mail;       ///< as `mail::open_transport` takes it
    std::string public_url; ///< how people reach the page
    std::string from{};     ///< address the mails come from; empty: as `mail` says, else no-reply at the page's host
    escqrs::sqlite::Synchronous synchronous = escqrs::sqlite::Synchronous::full;
    std::size_t batch_size = 100; ///< as `MessageWorkerOptions` have it, and so are the next two
    bool has_sessions = true;
    std::function<LogLookup()> look_up = MessageWorkerOptions{}.look_up;
    std::stop_token give_up{}; ///< when it is requested, no readiness check waits for a server for longer than a second
};

/// The worker: takes events off the queue, keeps the read model, and hands out the mails.
/// @par Thread safety  one thread at a time
class WorkerRole {
public:
    /// Opens everything and begins nothing.
    /// @param receiver, clock  what they refer to must outlive the role
    /// @param metrics  gets what there is to count; must outlive the role, which in turn must be there when it is shown
    /// @throws StoreError, mail::Error
    WorkerRole(const WorkerRoleOptions& options, escqrs::AnyMessageReceiver receiver, http::Metrics& metrics,
               const WorkerLog& log, escqrs::Clock& clock = escqrs::system_clock());

    /// As `stop`.
    ~WorkerRole();

    WorkerRole(const WorkerRole&) = delete;
    WorkerRole& operator=(const WorkerRole&) = delete;

    /// Builds the read model anew from `store`; see `rebuild_read_model`. Not after `start`.
    /// @return false if stopped: nothing has changed then
    /// @throws StoreError, HydrationError; nothing has changed then
    bool rebuild(escqrs::AnyEventStore& store, const std::stop_token& stop);

    void start();

    /// Has the role begin to stop, and returns at once.
    void request_stop();

    /// Finishes the message and the mail at hand, gives back what was received beyond that, and returns then; does not wait
    /// for a PostgreSQL server that is silent.
    void stop();

    /// What must be in order for the role to be ready. May be asked from any thread, while the role is there.
    std::vector<http::ReadinessCheck> checks();

private:
    void add_gauges();

    read_model::Database worker_database_;
    read_model::Database mailer_database_;
    ReadModelHealth read_model_health_;
    escqrs::EventBus bus_;
    AttendeeProjection projection_;
    MessageWorker worker_;
    std::unique_ptr<mail::Transport> transport_;
    Mailer mailer_;
    WorkerLog log_;
    std::jthread worker_thread_;
    std::jthread mailer_thread_;
    http::Gauges gauges_;
};

} // namespace conference
