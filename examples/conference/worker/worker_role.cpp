// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "worker_role.hpp"

#include "../postgres/limits.hpp"
#include "keep_running.hpp"
#include "read_model_rebuild.hpp"

#include <functional>
#include <optional>
#include <stop_token>
#include <utility>

namespace conference {
namespace {

/// SQLite waits deaf to stop requests; who is refused waits on our own clock instead.
constexpr std::chrono::seconds busy_timeout{2};

/// A readiness check that waits for longer is answered without its reason.
constexpr std::chrono::milliseconds probe_timeout{200};

escqrs::sqlite::DatabaseOptions database_options(const WorkerRoleOptions& options)
{
    return {.synchronous = options.synchronous, .busy_timeout = busy_timeout};
}

escqrs::postgres::ConnectionOptions server_options(const WorkerRoleOptions& options)
{
    return postgres::limited(postgres::turn_timeout, options.give_up);
}

std::function<void(const BatchResult&)> batch_counter(http::Metrics& metrics)
{
    const auto counter = [&](const char* outcome) {
        return &metrics.counter("conference_worker_messages_total", "Messages received, by what became of them.",
                                {{"outcome", outcome}});
    };
    return [handled = counter("handled"), abandoned = counter("abandoned"), dead_lettered = counter("dead_lettered"),
            lock_lost = counter("lock_lost")](const BatchResult& result) {
        handled->add(result.completed);
        abandoned->add(result.abandoned);
        dead_lettered->add(result.dead_lettered);
        lock_lost->add(result.lock_lost);
    };
}

MessageWorkerOptions worker_options(const WorkerRoleOptions& role, http::Metrics& metrics, const WorkerLog& log,
                                    escqrs::Clock& clock)
{
    MessageWorkerOptions options;
    options.batch_size = role.batch_size;
    options.has_sessions = role.has_sessions;
    options.look_up = role.look_up;
    options.clock = &clock;
    options.log = log;
    options.on_batch = batch_counter(metrics);
    options.on_failure = [counter = &metrics.counter("conference_worker_failures_total",
                                                     "Times the queue or the read model could not be worked with.")] {
        counter->add();
    };
    return options;
}

MailerOptions mailer_options(http::Metrics& metrics, const WorkerLog& log, escqrs::Clock& clock)
{
    const auto counter = [&](const char* outcome) {
        return &metrics.counter("conference_mails_total", "What became of mails, with each attempt.",
                                {{"outcome", outcome}});
    };
    MailerOptions options;
    options.clock = &clock;
    options.log = log;
    options.on_attempt = [sent = counter("sent"), failed = counter("failed"),
                          given_up = counter("given_up")](MailOutcome outcome) {
        (outcome == MailOutcome::sent ? sent : outcome == MailOutcome::failed ? failed : given_up)->add();
    };
    return options;
}

} // namespace

WorkerRole::WorkerRole(const WorkerRoleOptions& options, escqrs::AnyMessageReceiver receiver, http::Metrics& metrics,
                       const WorkerLog& log, escqrs::Clock& clock)
    : worker_database_{options.read_model, database_options(options), server_options(options)},
      mailer_database_{options.read_model, database_options(options), server_options(options)},
      read_model_health_{options.read_model, {.busy_timeout = probe_timeout}, clock, server_options(options)},
      projection_{bus_, worker_database_},
      worker_{std::move(receiver), worker_database_, bus_, worker_options(options, metrics, log, clock)},
      transport_{mail::open_transport(options.mail)},
      mailer_{mailer_database_, *transport_,
              MailWriter{options.public_url, options.from.empty() ? transport_->from() : options.from},
              mailer_options(metrics, log, clock)},
      log_{log}, gauges_{metrics}
{
    add_gauges();
}

WorkerRole::~WorkerRole() { stop(); }

bool WorkerRole::rebuild(escqrs::AnyEventStore& store, const std::stop_token& stop)
{
    constexpr std::uint64_t between_lines = 100'000;
    log_("read model: building it anew from the event log; until that is done, the old one stands");
    const auto events = rebuild_read_model(store, worker_database_, bus_, stop, [&](std::uint64_t events_so_far) {
        if (events_so_far % between_lines == 0) log_("read model: " + std::to_string(events_so_far) + " events");
    });
    log_(events ? "read model: built anew from " + std::to_string(*events) + " events"
                : "read model: stopped building it anew; it is as it was");
    return events.has_value();
}

void WorkerRole::start()
{
    worker_thread_ = std::jthread{[this](const std::stop_token& stop) {
        worker_database_.set_stop(stop);
        keep_running([this](const auto& token) { worker_.run(token); }, stop);
    }};
    mailer_thread_ = std::jthread{[this](const std::stop_token& stop) {
        mailer_database_.set_stop(stop);
        keep_running([this](const auto& token) { mailer_.run(token); }, stop);
    }};
}

void WorkerRole::request_stop()
{
    worker_thread_.request_stop();
    mailer_thread_.request_stop();
}

void WorkerRole::stop()
{
    request_stop();
    for (std::jthread* thread : {&worker_thread_, &mailer_thread_}) {
        if (thread->joinable()) thread->join();
    }
}

std::vector<http::ReadinessCheck> WorkerRole::checks()
{
    return {{"worker", [this] { return worker_.problem(); }},
            {"read model", [this] { return read_model_health_.problem(); }}};
}

void WorkerRole::add_gauges()
{
    gauges_.add("conference_worker_working", "1 while nothing keeps the worker from taking and handling messages.",
                [this] { return worker_.problem() ? 0.0 : 1.0; });
    gauges_.add("conference_read_model_position", "Log position of the newest event in the read model.",
                [this] { return static_cast<double>(read_model_health_.progress().position.value()); });
    gauges_.add("conference_read_model_events", "Events that the read model has handled so far, each once.",
                [this] { return static_cast<double>(read_model_health_.progress().events); });
    gauges_.add("conference_mails_waiting", "Mails that are owed and not handed out yet.",
                [this] { return static_cast<double>(read_model_health_.mails_waiting()); });
    gauges_.add("conference_mails_given_up",
                "Mails that will not be sent: refused, or failed or held back for too long.",
                [this] { return static_cast<double>(read_model_health_.mails_given_up()); });
}

} // namespace conference
