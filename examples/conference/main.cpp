// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

// The composition root: which parts there are, which hold on to which, and in what order they start and stop.
#include "application/attendee_events.hpp"
#include "application/attendee_handlers.hpp"
#include "application/relay_place.hpp"
#include "application/settings.hpp"
#include "application/storage.hpp"
#include "http/health.hpp"
#include "http/metrics.hpp"
#include "queue.hpp"
#include "read_model/attendee_queries.hpp"
#include "web/command_middleware.hpp"
#include "web/dead_letters.hpp"
#include "web/measured_event_store.hpp"
#include "web/web_role.hpp"
#include "worker/keep_running.hpp"
#include "worker/worker_role.hpp"

#include <escqrs/clock.hpp>
#include <escqrs/relay.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <iostream>
#include <iterator>
#include <malloc.h>
#include <memory>
#include <mutex>
#include <optional>
#include <pthread.h>
#include <string>
#include <string_view>
#include <sys/stat.h>
#include <thread>
#include <utility>
#include <vector>

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
    RelayThread(const Settings& settings, escqrs::AnyEventStore& store) : place_{open_relay_place(settings)}
    {
        check(store);
    }

    void start(escqrs::AnyEventStore& store, Queue& queue)
    {
        thread_ = std::jthread{[this, &store, &queue](const std::stop_token& stop) {
            keep_running([&](const auto& token) { run(store, queue, token); }, stop);
        }};
    }

    escqrs::GlobalPosition position() const noexcept { return place_->position(); }

    /// What keeps it from its work: its place is not in this log, which a person has to decide about, or it has failed to
    /// send what follows. Any thread.
    std::optional<std::string> problem(escqrs::GlobalPosition head) const
    {
        const std::scoped_lock lock{mutex_};
        if (problem_) return problem_;
        if (failure_ && failed_at_ == position() && failed_at_ < head) return failure_;
        return std::nullopt;
    }

    /// How many streams this process holds back because one of their events cannot be sent.
    std::size_t parked_streams() const noexcept { return parked_streams_.load(std::memory_order_relaxed); }

private:
    /// How often a standby process checks for its turn.
    static constexpr std::chrono::seconds patience{1};

    void run(escqrs::AnyEventStore& store, Queue& queue, const std::stop_token& stop)
    {
        while (!stop.stop_requested()) {
            try {
                if (!check(store)) {
                    escqrs::sleep_for(escqrs::system_clock(), patience, stop);
                    continue;
                }
                escqrs::Relay relay{store, *place_, *place_, queue, AttendeeMessages{"/conference"}, options()};
                log("relay: this process relays");
                send_parked(relay);
                relay.run(stop);
            } catch (const escqrs::LogMismatch&) { // `check` says so
            } catch (const RelayedElsewhere&) {
                escqrs::sleep_for(escqrs::system_clock(), patience, stop);
            } catch (...) {
                failed(std::current_exception());
                escqrs::sleep_for(escqrs::system_clock(), patience, stop);
            }
        }
    }

    /// @return whether the relay can go on from its place, for all that is known
    bool check(escqrs::AnyEventStore& store)
    {
        std::optional<std::string> problem;
        try {
            escqrs::require_same_log(store, *place_);
        } catch (const escqrs::LogMismatch& mismatch) {
            problem = mismatch.what();
        } catch (...) { // NOLINT(bugprone-empty-catch): the relay meets it again
        }
        const std::scoped_lock lock{mutex_};
        if (problem && problem != problem_) log("relay: " + *problem);
        problem_ = std::move(problem);
        return !problem_;
    }

    /// What could not be sent may be sent now, by newer code or to a queue that takes more.
    template <class Relay>
    void send_parked(Relay& relay)
    {
        for (const escqrs::ParkedStream& parked : relay.parked()) {
            const bool is_sent = relay.replay(parked.stream);
            log("relay: stream '" + parked.stream.text() + "' was parked" +
                (is_sent ? ", and is sent" : ", and stays so"));
        }
        parked_streams_.store(relay.parked().size(), std::memory_order_relaxed);
    }

    escqrs::SubscriptionOptions options()
    {
        escqrs::SubscriptionOptions options;
        options.max_retry_delay = patience;
        options.on_failure = [this](const std::exception_ptr& failure, escqrs::Duration) {
            try {
                std::rethrow_exception(failure);
            } catch (const escqrs::LogMismatch&) { // `check` says so
            } catch (const RelayedElsewhere&) {
                // Nothing is wrong: this process stands by.
            } catch (const escqrs::StreamParked& error) {
                parked_streams_.fetch_add(1, std::memory_order_relaxed);
                log(std::string{"relay: "} + error.what());
            } catch (...) {
                failed(failure);
            }
        };
        return options;
    }

    void failed(const std::exception_ptr& failure)
    {
        const std::string text = escqrs::text_of(failure);
        log("relay: " + text);
        const std::scoped_lock lock{mutex_};
        failure_ = text;
        failed_at_ = position();
    }

    std::unique_ptr<RelayPlace> place_;
    mutable std::mutex mutex_;
    std::optional<std::string> problem_;
    std::optional<std::string> failure_; ///< the last one, at this place:
    escqrs::GlobalPosition failed_at_;
    std::atomic<std::size_t> parked_streams_{0};
    std::jthread thread_; ///< last: it ends before what it uses
};

/// The web role and what it needs: store, command bus, relay, read model.
template <class Queue>
class WebSide {
public:
    /// Binds the port and serves. Relays nothing before `start`.
    /// @param checks  of readiness, beyond those of the role itself
    WebSide(const Settings& settings, Queue& queue, http::Metrics& metrics, std::vector<http::ReadinessCheck> checks)
        : measured_{std::make_shared<web::MeasuredEventStore>(open_event_store(settings), metrics)},
          attendees_{store_, one_attempt}, queries_{settings.read_model.rest}, dead_letters_{queue},
          relay_{settings, store_}, gauges_{metrics}
    {
        handle_attendee_commands(bus_, attendees_, store_);
        web::use_command_middleware(bus_, attendees_, metrics);
        add_lag_gauges();
        checks.push_back({"event store", [this] {
                              (void)store_.head(); // or throws what is wrong
                              return measured_->problem();
                          }});
        checks.push_back({"relay", [this] { return relay_.problem(store_.head()); }});
        checks.push_back({"read model", [this] { return problem_of_read_model(); }});
        role_.emplace(options(settings, std::move(checks)), bus_, store_, queries_, dead_letters_, metrics);
    }

    std::uint16_t port() const noexcept { return role_->port(); }

    void start(Queue& queue) { relay_.start(store_, queue); }

private:
    /// Whether it was made from events that the log does not hold: an older backup of the log was restored beside it.
    std::optional<std::string> problem_of_read_model()
    {
        const auto position = queries_.position();
        const auto head = store_.head(); // after that: it only grows
        if (position <= head) return std::nullopt;
        return "it is at position " + std::to_string(position.value()) + ", beyond the end of the log at position " +
               std::to_string(head.value());
    }

    void add_lag_gauges()
    {
        const auto behind = [this](escqrs::GlobalPosition position) {
            const auto head = store_.head();
            return head > position ? static_cast<double>(head.value() - position.value()) : 0.0;
        };
        gauges_.add("conference_relay_lag_events", "Stored events not yet on the queue.",
                    [this, behind] { return behind(relay_.position()); });
        gauges_.add("conference_relay_parked_streams", "Streams held back, for one of their events cannot be sent.",
                    [this] { return static_cast<double>(relay_.parked_streams()); });
        gauges_.add("conference_projection_lag_events", "Stored events not yet in the read model.",
                    [this, behind] { return behind(queries_.position()); });
    }

    static web::WebRoleOptions options(const Settings& settings, std::vector<http::ReadinessCheck> checks)
    {
        web::WebRoleOptions options;
        options.server.address = settings.listen.address;
        options.server.port = settings.listen.port;
        options.organiser_token = settings.organiser_token;
        // Neither commands nor queries wait for a disk or a server then.
        if (settings.store.scheme == "memory" && settings.read_model.scheme == "sqlite")
            options.command_threads = std::max(4U, std::thread::hardware_concurrency());
        options.log = log;
        options.checks = std::move(checks);
        return options;
    }

    std::shared_ptr<web::MeasuredEventStore> measured_;
    escqrs::AnyEventStore store_{measured_};
    AttendeeRepository attendees_;
    escqrs::CommandBus bus_;
    AttendeeQueries queries_;
    web::DeadLettersOf<Queue> dead_letters_;
    RelayThread<Queue> relay_;
    http::Gauges gauges_;
    std::optional<web::WebRole> role_; ///< last: it serves while everything else is there
};

/// An address that a browser can open.
std::string url_of(const ListenAddress& listen, std::uint16_t port)
{
    const bool any = listen.address == "0.0.0.0" || listen.address == "::";
    const std::string host = any ? "127.0.0.1" : listen.address;
    return "http://" + (host.find(':') != std::string::npos ? "[" + host + "]" : host) + ":" + std::to_string(port) +
           "/";
}

/// The worker role, and the server that tells how it is.
class WorkerSide {
public:
    WorkerSide(const Settings& settings, MessageReceiverRef receiver, http::Metrics& metrics)
        : role_{WorkerRoleOptions{
                    settings.read_model.rest, settings.mail, settings.public_url, {}, synchronous_of(settings)},
                std::move(receiver), metrics, log}
    {
    }

    std::vector<http::ReadinessCheck> checks() { return role_.checks(); }

    /// Binds the port of `--worker-listen`, if there is one, and serves there.
    void serve_health(const Settings& settings, http::Metrics& metrics, std::vector<http::ReadinessCheck> checks)
    {
        if (settings.worker_listen) {
            http::HttpServerOptions options;
            options.address = settings.worker_listen->address;
            options.port = settings.worker_listen->port;
            options.threads = 1;
            options.max_connections = 100;
            options.log = log;
            health_.emplace(std::move(options), metrics, std::move(checks), log);
            std::cout << "worker health    " << url_of(*settings.worker_listen, health_->port()) << "readyz"
                      << std::endl;
        }
    }

    void start() { role_.start(); }
    void stop() { role_.stop(); }

private:
    WorkerRole role_;
    std::optional<http::HealthServer> health_; ///< last: it tells of the role until the end
};

/// Nothing is relayed, handled or mailed before every port is bound: a start that fails for one has done nothing.
template <class Queue>
void run(const Settings& settings, Queue& queue, const StopSignals& signals)
{
    http::Metrics metrics;
    http::Gauges queue_gauges{metrics};
    add_queue_gauges(queue_gauges, settings, queue);
    std::vector<http::ReadinessCheck> checks{{"queue", [&queue] { return problem_of(queue); }}};
    std::optional<WorkerSide> worker;
    if (settings.role != Role::web) {
        worker.emplace(settings, MessageReceiverRef{queue}, metrics);
        std::ranges::move(worker->checks(), std::back_inserter(checks));
        worker->serve_health(settings, metrics, checks);
    }
    std::optional<WebSide<Queue>> web;
    if (settings.role != Role::worker) {
        web.emplace(settings, queue, metrics, checks);
        std::cout << "organiser token  " << (settings.is_token_generated ? settings.organiser_token : "as given")
                  << '\n'
                  << "page             " << url_of(settings.listen, web->port()) << std::endl;
    } else {
        std::cout << "worker           running" << std::endl;
    }
    if (worker) worker->start();
    if (web) web->start(queue);
    signals.wait();
    web.reset(); // first, so that the worker can still take what the relay has sent
    if (worker) worker->stop();
}

} // namespace

int main(int argc, char** argv)
{
    // For each of its many threads the allocator would set aside 64 MiB of addresses; a limited process has none left then.
    mallopt(M_ARENA_MAX, 4); // NOLINT(concurrency-mt-unsafe): there is one thread yet
    // Files and folders hold addresses, and ids that are keys.
    ::umask(S_IRWXG | S_IRWXO);
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
