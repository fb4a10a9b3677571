// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "../http/blocking_pool.hpp"
#include "../http/guess_limit.hpp"
#include "../http/metrics.hpp"
#include "../http/router.hpp"
#include "../read_model/attendee_queries.hpp"
#include "../read_model/attendee_watcher.hpp"

#include <escqrs/commands/command_bus.hpp>
#include <escqrs/messaging/any_message_queue.hpp>
#include <escqrs/store/any_event_store.hpp>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace conference::web {

/// What the API works with. Everything must outlive it.
struct AttendeeApiParts {
    const escqrs::CommandBus& bus;
    escqrs::AnyEventStore& store;
    AttendeeQueries& queries;
    AttendeeWatcher& watcher;
    escqrs::AnyMessageQueue& queue; ///< for its dead letters
    http::BlockingPool& command_pool;
    http::BlockingPool& query_pool; ///< for queries, history and streams
    http::Metrics& metrics;
    std::string organiser_token;
    std::chrono::milliseconds max_wait{5000}; ///< for the read model to reach a position
    std::function<void(std::string_view)> log;
    http::GuessLimitOptions guesses{};                ///< of the organiser's token, and of confirmation ids
    std::chrono::milliseconds max_command_wait{5000}; ///< for conflicts to end, and for a repeat's first try
    std::chrono::milliseconds max_thread_wait{5000};  ///< for a thread of a pool
};

/// The conference's JSON API: commands to the bus, questions to the read model, history from the store.
///
/// Nothing here blocks a thread of the server: what waits for a disk runs on a pool, what waits for the read model is
/// woken by its watcher.
class AttendeeApi {
public:
    explicit AttendeeApi(AttendeeApiParts parts);
    ~AttendeeApi();

    void add_routes(http::Router& router);

private:
    class Implementation;
    std::shared_ptr<Implementation> implementation_;
};

} // namespace conference::web
