// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "amqp_connection.hpp"

#include "amqp_link.hpp"
#include "cbs_authorisation.hpp"
#include "connection_setup.hpp"
#include "sas_token.hpp"
#include "shown_text.hpp"

#include <escqrs/core/error.hpp>

#include <proton/condition.h>
#include <proton/connection.h>
#include <proton/event.h>
#include <proton/proactor.h>
#include <proton/session.h>
#include <proton/transport.h>

#include <algorithm>
#include <array>
#include <condition_variable>
#include <exception>
#include <utility>

namespace service_bus {
namespace {

constexpr std::chrono::milliseconds tick_interval{100};
constexpr std::chrono::seconds closing_patience{2};

TokenSource token_source_of(const AmqpConnectionOptions& options)
{
    if (options.tokens || options.broker.dialect == Dialect::amqp10) return options.tokens;
    return make_sas_token_source(options.broker, options.token_lifetime, *options.clock);
}

/// With a log that gets single lines, whatever a broker says.
AmqpConnectionOptions checked(AmqpConnectionOptions options)
{
    require_private(options.broker, static_cast<bool>(options.tokens));
    options.log = [log = std::move(options.log)](std::string_view text) { log(one_line(text)); };
    return options;
}

} // namespace

LinkKeeper make_link_keeper(const AmqpConnectionOptions& options)
{
    return {reconnect_backoff(options.reconnect_delay, options.longest_reconnect_delay, options.jitter),
            options.operation_timeout};
}

void AmqpConnection::ProactorDeleter::operator()(pn_proactor_t* proactor) const noexcept { pn_proactor_free(proactor); }

AmqpConnection::AmqpConnection(AmqpConnectionOptions options)
    : options_{checked(std::move(options))}, proactor_{pn_proactor()},
      backoff_{reconnect_backoff(options_.reconnect_delay, options_.longest_reconnect_delay, options_.jitter)},
      tokens_{token_source_of(options_)}
{
    timers_.emplace(now(), Timer{nullptr, [this] { connect(); }});
    pn_proactor_set_timeout(proactor_.get(), 0);
    thread_ = std::thread{[this] { run(); }};
}

AmqpConnection::~AmqpConnection()
{
    tokens_.stop();
    post([this] { begin_stop(); });
    thread_.join();
}

void AmqpConnection::post(Task task)
{
    const std::scoped_lock lock{mutex_};
    tasks_.push_back(std::move(task));
    if (tasks_.size() > 1) return; // the first one has called already
    if (wakeable_ != nullptr) pn_connection_wake(wakeable_);
    else pn_proactor_interrupt(proactor_.get());
}

void AmqpConnection::call(const Task& task)
{
    std::mutex mutex;
    std::condition_variable ran;
    bool is_done = false;
    std::exception_ptr failure;
    post([&] {
        try {
            task();
        } catch (...) {
            failure = std::current_exception();
        }
        const std::scoped_lock lock{mutex};
        is_done = true;
        ran.notify_all();
    });
    std::unique_lock lock{mutex};
    ran.wait(lock, [&] { return is_done; });
    if (failure) std::rethrow_exception(failure);
}

void AmqpConnection::at(escqrs::SteadyTime moment, Task task, const ConnectionUser* owner)
{
    timers_.emplace(moment, Timer{owner, std::move(task)});
    set_timeout();
}

ConnectionHealth AmqpConnection::health() const
{
    const std::scoped_lock lock{mutex_};
    return health_;
}

void AmqpConnection::add(ConnectionUser& user)
{
    users_.push_back(&user);
    if (may_attach()) user.on_ready();
}

void AmqpConnection::remove(ConnectionUser& user) noexcept
{
    std::erase(users_, &user);
    std::erase_if(timers_, [&](const auto& timer) { return timer.second.owner == &user; });
}

void AmqpConnection::renew_tokens()
{
    if (authorisation_) authorisation_->renew();
}

void AmqpConnection::note_error(const std::string& text)
{
    const std::scoped_lock lock{mutex_};
    health_.last_error = one_line(text);
}

void AmqpConnection::drop(const std::string& why)
{
    if (connection_ == nullptr) return;
    if (why_lost_.name.empty() && why_lost_.description.empty()) why_lost_ = {"", why};
    ready_ = false;
    pn_proactor_disconnect(proactor_.get(), nullptr);
}

void AmqpConnection::run() noexcept
{
    while (!finished_) {
        pn_event_batch_t* const batch = pn_proactor_wait(proactor_.get());
        while (pn_event_t* const event = pn_event_batch_next(batch)) {
            // An exception must not end the thread that all callers wait for.
            try {
                dispatch(event);
            } catch (...) {
                give_up(escqrs::text_of(std::current_exception()));
            }
        }
        pn_proactor_done(proactor_.get(), batch);
    }
}

void AmqpConnection::give_up(const std::string& error)
{
    options_.log("service bus: connection given up: " + error);
    drop(error);
}

bool AmqpConnection::dispatch(pn_event_t* event)
{
    const pn_event_type_t type = pn_event_type(event);
    switch (type) {
    case PN_PROACTOR_TIMEOUT:
    case PN_PROACTOR_INTERRUPT:
        // What is done to the connection must be done in one of its own events, or it is not written out.
        if (connection_ != nullptr) {
            pn_connection_wake(connection_);
        } else {
            run_tasks();
            run_timers();
            if (!stopping_) set_timeout();
        }
        return true;
    case PN_CONNECTION_WAKE:
        run_tasks();
        run_timers();
        set_timeout();
        return true;
    case PN_PROACTOR_INACTIVE: // Proton has let go of the connection, too
        finished_ = stopping_;
        return true;
    case PN_CONNECTION_REMOTE_OPEN: opened(); return true;
    case PN_CONNECTION_REMOTE_CLOSE:
        closing(pn_connection_remote_condition(pn_event_connection(event)), ConditionSource::broker);
        pn_connection_close(pn_event_connection(event));
        return true;
    case PN_SESSION_REMOTE_CLOSE:
        closing(pn_session_remote_condition(pn_event_session(event)), ConditionSource::broker);
        pn_connection_close(pn_event_connection(event));
        return true;
    case PN_TRANSPORT_ERROR:
        closing(pn_transport_condition(pn_event_transport(event)), ConditionSource::transport);
        return true;
    case PN_TRANSPORT_CLOSED: lost(); return true;
    case PN_LINK_REMOTE_OPEN:
    case PN_LINK_REMOTE_CLOSE:
    case PN_LINK_REMOTE_DETACH:
    case PN_LINK_FLOW:
    case PN_DELIVERY: AmqpLink::dispatch(event); return true;
    default: return false;
    }
}

void AmqpConnection::connect()
{
    if (stopping_) return;
    try {
        open_connection();
    } catch (...) {
        const std::string error = escqrs::text_of(std::current_exception());
        note_error(error);
        options_.log("service bus: " + error);
        at(now() + backoff_.next(), [this] { connect(); });
    }
}

void AmqpConnection::open_connection()
{
    const Broker& broker = options_.broker;
    why_lost_ = {};
    life_ = {.asked_at = now()};
    auto [connection, transport] = set_up_connection(options_);
    connection_ = connection.release();
    session_ = pn_session(connection_);
    pn_connection_open(connection_);
    pn_session_open(session_);
    std::array<char, PN_MAX_ADDR> address{};
    pn_proactor_addr(address.data(), address.size(), broker.host.c_str(), std::to_string(broker.port).c_str());
    attempt_deadline_ = later_by(now(), options_.operation_timeout);
    pn_proactor_connect2(proactor_.get(), connection_, transport.release(), address.data());
    // Only now: while it looks up the host's name, it would keep any thread waiting that wakes the connection.
    const std::scoped_lock lock{mutex_};
    wakeable_ = connection_;
}

void AmqpConnection::opened()
{
    {
        const std::scoped_lock lock{mutex_};
        health_.connected = true;
        ++health_.connections;
    }
    if (options_.broker.dialect == Dialect::amqp10) {
        authorised();
        return;
    }
    authorisation_ = std::make_unique<CbsAuthorisation>(*this, tokens_, [this] { authorised(); });
}

void AmqpConnection::authorised()
{
    ready_ = true;
    life_.attached_at = now();
    {
        const std::scoped_lock lock{mutex_};
        health_.authorised = true;
    }
    resume_links();
}

bool AmqpConnection::may_attach() const noexcept
{
    return ready_ && (!authorisation_ || !authorisation_->is_renewing());
}

void AmqpConnection::resume_links()
{
    if (!ready_) return;
    for (ConnectionUser* const user : std::vector{users_}) user->on_ready();
}

void AmqpConnection::closing(pn_condition_t* condition, ConditionSource source)
{
    if (!why_lost_.name.empty() || !why_lost_.description.empty()) return; // the first reason is the cause
    why_lost_ = to_condition(condition);
    if (source == ConditionSource::transport) why_lost_.name.clear(); // Proton's own words for a dropped socket
    // Nothing goes over it any more. A peer may keep the socket open all the same.
    ready_ = false;
    attempt_deadline_ = later_by(now(), closing_patience);
}

void AmqpConnection::lost()
{
    if (why_lost_.name.empty() && why_lost_.description.empty()) why_lost_.description = "connection lost";
    ready_ = false;
    const Condition why = std::exchange(why_lost_, {});
    {
        const std::scoped_lock lock{mutex_};
        wakeable_ = nullptr;
        health_.connected = false;
        health_.authorised = false;
        if (!stopping_) health_.last_error = to_text(why);
        // Whoever posted meanwhile has woken the connection that is gone now.
        if (!tasks_.empty()) pn_proactor_interrupt(proactor_.get());
    }
    connection_ = nullptr;
    session_ = nullptr;
    authorisation_.reset();
    while (!links_.empty()) {
        AmqpLink* const link = *links_.begin();
        link->link_ = nullptr; // Proton frees it with its connection
        link->detached(why);
    }
    for (ConnectionUser* const user : std::vector{users_}) user->on_lost(why);
    if (stopping_) {
        pn_proactor_cancel_timeout(proactor_.get());
        return;
    }
    options_.log("service bus: " + to_display_text(options_.broker) + ": " + to_text(why));
    // A connection that was of use is made again at once; a broker that closes each one soon has pauses.
    const bool has_worked = life_.has_worked(now());
    if (has_worked) backoff_.reset();
    const escqrs::Duration wait = has_worked ? escqrs::Duration::zero() : backoff_.next();
    at(now() + wait, [this] { connect(); });
}

void AmqpConnection::run_tasks()
{
    std::vector<Task> tasks;
    {
        const std::scoped_lock lock{mutex_};
        tasks.swap(tasks_);
    }
    for (const Task& task : tasks) {
        try {
            task();
        } catch (...) { // the others have their turn all the same
            give_up(escqrs::text_of(std::current_exception()));
        }
    }
}

void AmqpConnection::run_timers()
{
    const escqrs::SteadyTime moment = now();
    if (moment >= last_tick_ + tick_interval || moment < last_tick_) {
        last_tick_ = moment;
        tick();
    }
    while (!timers_.empty() && timers_.begin()->first <= moment) {
        const auto timer = timers_.extract(timers_.begin());
        timer.mapped().task();
    }
}

void AmqpConnection::tick()
{
    if (connection_ != nullptr && !ready_ && !stopping_ && now() >= attempt_deadline_) {
        attempt_deadline_ = escqrs::SteadyTime::max();
        drop(authorisation_ ? authorisation_->waits_for() : "no answer from the broker");
        return;
    }
    if (authorisation_) authorisation_->tick();
    for (ConnectionUser* const user : std::vector{users_}) user->on_tick(last_tick_);
}

void AmqpConnection::set_timeout()
{
    escqrs::Duration wait = tick_interval;
    if (!timers_.empty()) wait = std::min(time_until(timers_.begin()->first, now()), wait);
    const auto rounded_up = std::chrono::ceil<std::chrono::milliseconds>(wait).count();
    pn_proactor_set_timeout(proactor_.get(), static_cast<pn_millis_t>(rounded_up));
}

void AmqpConnection::begin_stop()
{
    stopping_ = true;
    timers_.clear();
    if (connection_ == nullptr) {
        pn_proactor_cancel_timeout(proactor_.get());
        return;
    }
    pn_connection_close(connection_);
    at(now() + closing_patience, [this] { drop("no answer from the broker"); });
}

} // namespace service_bus
