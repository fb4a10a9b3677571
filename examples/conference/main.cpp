// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

// The composition root: which parts there are, which hold on to which, and in what order they start and stop.
#include "application/attendee_handlers.hpp"
#include "application/settings.hpp"
#include "application/storage.hpp"
#include "queue.hpp"
#include "read_model/attendee_queries.hpp"
#include "web/command_metrics.hpp"
#include "web/dead_letters.hpp"
#include "web/measured_event_store.hpp"
#include "web/web_role.hpp"
#include "worker/worker_role.hpp"

#include <escqrs/cloud_events.hpp>
#include <escqrs/relay.hpp>
#include <escqrs/sqlite/checkpoint.hpp>

#include <csignal>
#include <exception>
#include <functional>
#include <iostream>
#include <mutex>
#include <optional>
#include <pthread.h>
#include <string>
#include <string_view>
#include <thread>

namespace {

using namespace conference;

/// One line at a time, from any thread.
void log(std::string_view line)
{
    static std::mutex mutex;
    const std::scoped_lock lock{mutex};
    std::cerr << line << std::endl;
}

/// SIGTERM and SIGINT, kept from every thread and waited for by the main one.
class StopSignals {
public:
    StopSignals()
    {
        sigemptyset(&signals_);
        sigaddset(&signals_, SIGTERM);
        sigaddset(&signals_, SIGINT);
        pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
        std::signal(SIGPIPE, SIG_IGN); // a closed connection is an error code, not the end of the process
    }

    void wait() const
    {
        int signal = 0;
        sigwait(&signals_, &signal);
        log(std::string{"stopping on "} + (signal == SIGTERM ? "SIGTERM" : "SIGINT"));
    }

private:
    sigset_t signals_{};
};

/// Runs the relay in a thread of its own, from the store to the queue.
template <class Queue>
class RelayThread {
public:
    RelayThread(const Settings& settings, escqrs::AnyEventStore& store, Queue& queue)
        : database_{relay_checkpoint_path(settings), {synchronous_of(settings)}}, place_{database_, "relay"},
          relay_{store, place_, queue, escqrs::CloudEvents<Attendee::EventTypes>{"/conference"}, options()},
          thread_{[this](const std::stop_token& stop) { relay_.run(stop); }}
    {
    }

    escqrs::GlobalPosition position() const noexcept { return relay_.position(); }

private:
    static escqrs::SubscriptionOptions options()
    {
        escqrs::SubscriptionOptions options;
        options.on_failure = [](const std::exception_ptr& failure, escqrs::Duration) {
            try {
                std::rethrow_exception(failure);
            } catch (const std::exception& error) {
                log(std::string{"relay: "} + error.what());
            }
        };
        return options;
    }

    escqrs::sqlite::Database database_;
    escqrs::sqlite::Checkpoint place_;
    escqrs::Relay<escqrs::AnyEventStore, escqrs::sqlite::Checkpoint, Queue, escqrs::CloudEvents<Attendee::EventTypes>>
        relay_;
    std::jthread thread_; ///< last: it ends before what it uses
};

/// The web role and what it needs: store, command bus, relay, read model.
template <class Queue>
class WebSide {
public:
    WebSide(const Settings& settings, Queue& queue)
        : store_{std::make_shared<web::MeasuredEventStore>(open_event_store(settings), metrics_)}, attendees_{store_},
          queries_{settings.read_model.rest}, dead_letters_{queue}, relay_{settings, store_, queue}
    {
        handle_attendee_commands(bus_, attendees_);
        bus_.use(web::measure_commands(metrics_));
        add_lag_gauges();
        add_queue_gauges(metrics_, settings, queue);
        role_.emplace(options(settings, queue), bus_, store_, queries_, dead_letters_, metrics_);
    }

    std::uint16_t port() const noexcept { return role_->port(); }

private:
    void add_lag_gauges()
    {
        const auto behind = [this](escqrs::GlobalPosition position) {
            const auto head = store_.head();
            return head > position ? static_cast<double>(head.value() - position.value()) : 0.0;
        };
        metrics_.gauge("conference_relay_lag_events", "Stored events not yet on the queue.",
                       [this, behind] { return behind(relay_.position()); });
        metrics_.gauge("conference_projection_lag_events", "Stored events not yet in the read model.",
                       [this, behind] { return behind(queries_.position()); });
    }

    web::WebRoleOptions options(const Settings& settings, Queue& queue)
    {
        web::WebRoleOptions options;
        options.server.address = settings.listen_address;
        options.server.port = settings.listen_port;
        options.organiser_token = settings.organiser_token;
        options.log = log;
        const auto answers = [](auto ask) {
            return [ask]() -> std::optional<std::string> {
                (void)ask(); // throws what is wrong
                return std::nullopt;
            };
        };
        options.checks = {{"event store", answers([this] { return store_.head(); })},
                          {"queue", [&queue] { return problem_of(queue); }},
                          {"read model", answers([this] { return queries_.revision(); })}};
        return options;
    }

    http::Metrics metrics_;
    escqrs::AnyEventStore store_;
    AttendeeRepository attendees_;
    escqrs::CommandBus bus_;
    AttendeeQueries queries_;
    web::DeadLettersOf<Queue> dead_letters_;
    RelayThread<Queue> relay_;
    std::optional<web::WebRole> role_; ///< last: it serves while everything else is there
};

/// An address that a browser can open.
std::string page_address(const Settings& settings, std::uint16_t port)
{
    const bool any = settings.listen_address == "0.0.0.0" || settings.listen_address == "::";
    const std::string host = any ? "127.0.0.1" : settings.listen_address;
    return "http://" + (host.find(':') != std::string::npos ? "[" + host + "]" : host) + ":" + std::to_string(port) +
           "/";
}

template <class Queue>
void run(const Settings& settings, Queue& queue, const StopSignals& signals)
{
    std::optional<WorkerRole> worker;
    if (settings.role != Role::web) {
        worker.emplace(
            WorkerRoleOptions{
                settings.read_model.rest, settings.mail, settings.public_url, {}, synchronous_of(settings)},
            MessageReceiverRef{queue}, log);
        worker->start();
    }
    std::optional<WebSide<Queue>> web;
    if (settings.role != Role::worker) {
        web.emplace(settings, queue);
        std::cout << "organiser token  " << (settings.is_token_generated ? settings.organiser_token : "as given")
                  << '\n'
                  << "page             " << page_address(settings, web->port()) << std::endl;
    } else {
        std::cout << "worker           running" << std::endl;
    }
    signals.wait();
    web.reset(); // first, so that the worker can still take what the relay has sent
    if (worker) worker->stop();
}

} // namespace

int main(int argc, char** argv)
{
    try {
        const auto settings = read_settings(argc, argv, std::cout);
        if (!settings) return 0;
        print(*settings, std::cout);
        const StopSignals signals;
        create_folders(*settings);
        with_queue(
            *settings, [](std::string_view line) { log(line); }, [&](auto& queue) { run(*settings, queue, signals); });
        return 0;
    } catch (const SettingsError& error) {
        std::cerr << "conference: " << error.what() << '\n';
        return 2;
    } catch (const std::exception& error) {
        std::cerr << "conference: " << error.what() << '\n';
        return 1;
    }
}
