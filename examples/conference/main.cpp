// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

// The composition root: which parts there are, which hold on to which, and in what order they start and stop.
#include "application/attendee_handlers.hpp"
#include "application/log_lookup.hpp"
#include "application/readable_text.hpp"
#include "application/settings.hpp"
#include "application/storage.hpp"
#include "http/health.hpp"
#include "http/metrics.hpp"
#include "queue.hpp"
#include "read_model/attendee_queries.hpp"
#include "relay_thread.hpp"
#include "stop_signals.hpp"
#include "web/back_pressure.hpp"
#include "web/command_middleware.hpp"
#include "web/measured_event_store.hpp"
#include "web/web_role.hpp"
#include "worker/read_model_rebuild.hpp"
#include "worker/worker_role.hpp"

#include <algorithm>
#include <chrono>
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
#include <stop_token>
#include <string>
#include <string_view>
#include <sys/stat.h>
#include <thread>
#include <utility>
#include <vector>

namespace {

using namespace conference;

/// One line at a time, from any thread. What others say in it cannot begin another line.
void log(std::string_view line)
{
    constexpr std::size_t max_length = 8192;
    const std::string text = readable(line, max_length);
    static std::mutex mutex;
    const std::scoped_lock lock{mutex};
    std::cerr << text << std::endl;
}

/// The web role and what it needs: store, command bus, relay, read model.
class WebSide {
public:
    /// Binds the port and serves. Relays nothing before `start`.
    /// @param checks   of readiness, beyond those of the role itself
    /// @param give_up  requested when what is under way has had its time to finish: nothing waits for a database for long then
    WebSide(const Settings& settings, escqrs::AnyMessageQueue queue, http::Metrics& metrics,
            std::vector<http::ReadinessCheck> checks, const std::stop_source& give_up)
        : give_up_{give_up}, measured_{std::make_shared<web::MeasuredEventStore>(
                                 open_event_store(settings, give_up.get_token()), metrics)},
          attendees_{store_, one_attempt}, queries_{settings.read_model.rest, give_up.get_token()},
          pressure_{[this] {
                        const auto progress = queries_.progress(); // before the log's end, which only grows
                        return web::BackPressure::Progress{.stored = relay_.events(store_.head()),
                                                           .reached = relay_.events(progress.position),
                                                           .handled = progress.events,
                                                           .dead_lettered = progress.dead_lettered};
                    },
                    {.command_threads = options(settings, {}).command_threads}},
          queue_{std::move(queue)}, relay_{settings, store_, give_up.get_token(), log}, gauges_{metrics}
    {
        handle_attendee_commands(bus_, attendees_, store_);
        bus_.use(pressure_.middleware());
        web::use_command_middleware(bus_, attendees_, metrics);
        add_lag_gauges();
        checks.push_back({"event store", [this] {
                              (void)store_.head(); // or throws what is wrong
                              return measured_->problem();
                          }});
        checks.push_back({"relay", [this] { return relay_.problem(store_.head()); }});
        checks.push_back({"read model", [this] { return problem_of_read_model(); }});
        role_.emplace(options(settings, std::move(checks)), bus_, store_, queries_, queue_, metrics);
        pressure_thread_ = std::jthread{[this](const std::stop_token& stop) { pressure_.run(stop); }};
    }

    WebSide(const WebSide&) = delete;
    WebSide& operator=(const WebSide&) = delete;
    ~WebSide() // NOLINT(bugprone-exception-escape): stopping throws only where memory has run out
    {
        role_->stop([this] { give_up_.request_stop(); });
    }

    std::uint16_t port() const noexcept { return role_->port(); }

    void start() { relay_.start(store_, queue_); }

private:
    /// Whether it lacks events, cannot be read, or was made from events that the log does not hold: an older backup of one of
    /// them was restored beside the other.
    std::optional<std::string> problem_of_read_model()
    {
        if (auto gap = queries_.gap()) return gap;
        const auto position = queries_.progress().position;
        const auto head = store_.head(); // after that: it only grows
        if (position <= head) return queries_.problem();
        return "it is at position " + std::to_string(position.value()) + ", beyond the end of the log at position " +
               std::to_string(head.value());
    }

    void add_lag_gauges()
    {
        const auto difference = [](std::uint64_t all, std::uint64_t done) {
            return all > done ? static_cast<double>(all - done) : 0.0;
        };
        gauges_.add("conference_relay_lag_events", "Stored events not yet on the queue.", [this, difference] {
            const auto relayed = relay_.position();
            return difference(store_.head().value(), relayed.value());
        });
        gauges_.add("conference_relay_parked_streams", "Streams held back, for one of their events cannot be sent.",
                    [this] { return static_cast<double>(relay_.parked_streams()); });
        gauges_.add("conference_projection_lag_events",
                    "Stored events that the read model has not handled, for whatever reason.", [this, difference] {
                        const auto handled = queries_.progress().events;
                        return difference(relay_.events(store_.head()), handled);
                    });
        gauges_.add("conference_command_wait_seconds", "How long commands wait for the read model to keep up.",
                    [this] { return std::chrono::duration<double>{pressure_.wait()}.count(); });
    }

    static web::WebRoleOptions options(const Settings& settings, std::vector<http::ReadinessCheck> checks)
    {
        web::WebRoleOptions options;
        options.server.address = settings.listen.address;
        options.server.port = settings.listen.port;
        options.server.is_behind_proxy = settings.is_behind_proxy;
        options.organiser_token = settings.organiser_token;
        // Neither commands nor queries wait for a disk or a server then.
        if (settings.store.scheme == "memory" && settings.read_model.scheme == "sqlite")
            options.command_threads = options.query_threads = std::max(4U, std::thread::hardware_concurrency());
        options.log = log;
        options.checks = std::move(checks);
        return options;
    }

    std::stop_source give_up_;
    std::shared_ptr<web::MeasuredEventStore> measured_;
    escqrs::AnyEventStore store_{measured_};
    AttendeeRepository attendees_;
    AttendeeQueries queries_;
    web::BackPressure pressure_;
    escqrs::CommandBus bus_;
    escqrs::AnyMessageQueue queue_;
    RelayThread relay_;
    http::Gauges gauges_;
    std::jthread pressure_thread_;     ///< asks all of the above
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
    WorkerSide(const Settings& settings, escqrs::AnyMessageReceiver receiver, http::Metrics& metrics,
               const std::stop_token& give_up)
        : role_{options(settings, give_up), std::move(receiver), metrics, log}
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

    /// @return false if a signal has come meanwhile
    bool rebuild(const Settings& settings, const StopSignals& signals)
    {
        auto store = open_existing_event_store(settings, signals.asked());
        return role_.rebuild(store, signals.asked()) && !signals.asked().stop_requested();
    }

    void start() { role_.start(); }
    void stop()
    {
        role_.request_stop(); // first: a log that cannot be read then is no reason to judge a message
        stop_log_.request_stop();
        role_.stop();
    }

private:
    WorkerRoleOptions options(const Settings& settings, const std::stop_token& give_up)
    {
        WorkerRoleOptions options;
        options.read_model = settings.read_model.rest;
        options.mail = settings.mail;
        options.public_url = settings.public_url;
        options.synchronous = synchronous_of(settings);
        options.has_sessions = has_sessions(settings);
        // Where there is much to do, commits take more time than the messages. A broker hands out fewer at once.
        if (settings.queue.scheme != "broker") options.batch_size = 500;
        if (settings.store.scheme != "memory") { // or it could not be reached
            options.look_up = [settings, stop = stop_log_.get_token()] {
                return look_up_in([settings, stop] { return open_existing_event_store(settings, stop); });
            };
        }
        options.give_up = give_up;
        return options;
    }

    std::stop_source stop_log_; ///< ends a look into the log that waits for a server
    WorkerRole role_;
    std::optional<http::HealthServer> health_; ///< last: it tells of the role until the end
};

/// Nothing is relayed, handled or mailed before every port is bound: a start that fails for one has done nothing.
void run(const Settings& settings, const OpenQueue& open, const StopSignals& signals)
{
    std::stop_source give_up;
    std::optional<std::stop_callback<std::function<void()>>> while_starting{std::in_place, signals.asked(),
                                                                            [&give_up] { give_up.request_stop(); }};
    http::Metrics metrics;
    http::Gauges queue_gauges{metrics};
    open.add_gauges(queue_gauges, give_up.get_token());
    std::vector<http::ReadinessCheck> checks{{"queue", open.problem}};
    std::optional<WorkerSide> worker;
    if (settings.rebuild) {
        if (const auto away = move_away_if_damaged(settings.read_model.rest))
            log("read model: the file is damaged, and was moved to " + *away);
    }
    if (settings.role != Role::web) {
        worker.emplace(settings, open.queue, metrics, give_up.get_token());
        std::ranges::move(worker->checks(), std::back_inserter(checks));
        worker->serve_health(settings, metrics, checks);
    }
    std::optional<WebSide> web;
    if (settings.role != Role::worker) {
        web.emplace(settings, open.queue, metrics, checks, give_up);
        std::cout << "organiser token  " << (settings.is_token_generated ? settings.organiser_token : "as given")
                  << '\n'
                  << "page             " << url_of(settings.listen, web->port()) << std::endl;
    } else {
        std::cout << "worker           running" << std::endl;
    }
    if (settings.rebuild && !worker->rebuild(settings, signals)) return;
    if (worker) worker->start();
    if (web) web->start();
    while_starting.reset();
    signals.wait();
    web.reset(); // first, so that the worker can still take what the relay has sent
    if (worker) worker->stop();
    give_up.request_stop(); // what still tells of the roles waits for nothing
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
        const StopSignals signals{[](std::string_view line) { log(line); }};
        create_folders(*settings);
        make_files_private(*settings, [](std::string_view line) { log(line); });
        run(*settings, open_queue(*settings, [](std::string_view line) { log(line); }), signals);
        return 0;
    } catch (const SettingsError& error) {
        log(std::string{"conference: "} + error.what());
        return 2;
    } catch (const std::exception& error) {
        log(std::string{"conference: "} + error.what());
        return 1;
    }
}
