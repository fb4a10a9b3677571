// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "amqp_connection.hpp"

#include "cbs_authorisation.hpp"

#include <escqrs/error.hpp>
#include <escqrs/id_generator.hpp>

#include <proton/condition.h>
#include <proton/connection.h>
#include <proton/delivery.h>
#include <proton/event.h>
#include <proton/link.h>
#include <proton/proactor.h>
#include <proton/sasl.h>
#include <proton/session.h>
#include <proton/ssl.h>
#include <proton/terminus.h>
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
/// Service Bus ends a connection that was silent for 4 minutes; a peer silent for so long is dead to us.
constexpr pn_millis_t idle_timeout_ms = 60'000;

struct SslDomainDeleter {
    void operator()(pn_ssl_domain_t* domain) const noexcept { pn_ssl_domain_free(domain); }
};

std::string text(const char* found) { return found != nullptr ? found : ""; }

void set_up_tls(pn_transport_t* transport, const AmqpConnectionOptions& options)
{
    const std::unique_ptr<pn_ssl_domain_t, SslDomainDeleter> domain{pn_ssl_domain(PN_SSL_MODE_CLIENT)};
    if (!domain) throw escqrs::TransportError{"TLS is not available in this build of Proton"};
    const char* const authorities =
        options.certificate_authorities.empty() ? nullptr : options.certificate_authorities.c_str();
    if (authorities != nullptr && pn_ssl_domain_set_trusted_ca_db(domain.get(), authorities) != 0)
        throw escqrs::TransportError{"cannot read the trusted certificates in '" + options.certificate_authorities +
                                     "'"};
    if (pn_ssl_domain_set_peer_authentication(domain.get(), PN_SSL_VERIFY_PEER_NAME, authorities) != 0)
        throw escqrs::TransportError{"cannot have the peer's certificate verified"};
    pn_ssl_t* const ssl = pn_ssl(transport);
    if (pn_ssl_init(ssl, domain.get(), nullptr) != 0) throw escqrs::TransportError{"cannot set up TLS"};
    pn_ssl_set_peer_hostname(ssl, options.broker.host.c_str());
}

} // namespace

Condition to_condition(pn_condition_t* condition)
{
    if (condition == nullptr || !pn_condition_is_set(condition)) return {};
    return {text(pn_condition_get_name(condition)), text(pn_condition_get_description(condition))};
}

LinkKeeper make_link_keeper(const AmqpConnectionOptions& options)
{
    return {ReconnectDelay{options.reconnect_delay, options.longest_reconnect_delay, options.jitter},
            options.operation_timeout};
}

void AmqpConnection::ProactorDeleter::operator()(pn_proactor_t* proactor) const noexcept { pn_proactor_free(proactor); }

AmqpConnection::AmqpConnection(AmqpConnectionOptions options)
    : options_{std::move(options)}, proactor_{pn_proactor()},
      delay_{options_.reconnect_delay, options_.longest_reconnect_delay, options_.jitter}
{
    timers_.emplace(now(), Timer{nullptr, [this] { connect(); }});
    pn_proactor_set_timeout(proactor_.get(), 0);
    thread_ = std::thread{[this] { run(); }};
}

AmqpConnection::~AmqpConnection()
{
    post([this] { begin_stop(); });
    thread_.join();
}

void AmqpConnection::post(Task task)
{
    const std::scoped_lock lock{mutex_};
    tasks_.push_back(std::move(task));
    if (tasks_.size() > 1) return; // whoever was first has called already
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
    if (ready_) user.on_ready();
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
    health_.last_error = text;
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
            // An exception must not end the thread that everybody waits for.
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
    case PN_DELIVERY: dispatch_to_link(event, type); return true;
    default: return false;
    }
}

void AmqpConnection::dispatch_to_link(pn_event_t* event, int type)
{
    pn_link_t* const link = pn_event_link(event);
    auto* const owner = static_cast<AmqpLink*>(pn_link_get_context(link));
    const bool is_end = type == PN_LINK_REMOTE_CLOSE || type == PN_LINK_REMOTE_DETACH;
    if (owner == nullptr) {
        if (is_end) pn_link_free(link); // we had closed it ourselves before
        return;
    }
    if (is_end) {
        owner->detached(to_condition(pn_link_remote_condition(link)));
    } else if (type == PN_LINK_REMOTE_OPEN) {
        // A refused link is answered with an attach that names no node, and is closed right after it.
        pn_terminus_t* const node = pn_link_is_sender(link) ? pn_link_remote_target(link) : pn_link_remote_source(link);
        if (pn_terminus_get_type(node) != PN_UNSPECIFIED) owner->attached();
    } else if (type == PN_LINK_FLOW) {
        owner->events_->on_flow();
    } else {
        owner->life_.has_moved = true;
        if (owner->connection_->ready_) owner->connection_->life_.has_moved = true;
        owner->events_->on_delivery(pn_event_delivery(event));
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
        at(now() + delay_.next(), [this] { connect(); });
    }
}

void AmqpConnection::open_connection()
{
    const Broker& broker = options_.broker;
    why_lost_ = {};
    life_ = {.asked_at = now()};
    pn_transport_t* const transport = pn_transport();
    pn_connection_t* const connection = pn_connection();
    const std::string name = "escqrs-" + escqrs::to_string(escqrs::random_uuid());
    pn_connection_set_container(connection, name.c_str());
    pn_connection_set_hostname(connection, broker.host.c_str());
    const auto* const login = std::get_if<UserPassword>(&broker.credentials);
    if (login != nullptr) {
        pn_connection_set_user(connection, login->user.c_str());
        pn_connection_set_password(connection, login->password.c_str());
    }
    pn_sasl_t* const sasl = pn_sasl(transport);
    pn_sasl_allowed_mechs(sasl, login != nullptr ? "PLAIN" : "ANONYMOUS");
    if (login != nullptr) pn_sasl_set_allow_insecure_mechs(sasl, true); // amqp:// was asked for
    pn_transport_set_idle_timeout(transport, idle_timeout_ms);
    try {
        if (broker.tls) set_up_tls(transport, options_);
    } catch (...) {
        pn_transport_free(transport);
        pn_connection_free(connection);
        throw;
    }
    session_ = pn_session(connection);
    pn_connection_open(connection);
    pn_session_open(session_);
    std::array<char, PN_MAX_ADDR> address{};
    pn_proactor_addr(address.data(), address.size(), broker.host.c_str(), std::to_string(broker.port).c_str());
    connection_ = connection;
    attempt_deadline_ = later_by(now(), options_.operation_timeout);
    pn_proactor_connect2(proactor_.get(), connection, transport, address.data());
    // Only now: while it looks up the host's name, it would keep waiting whoever wakes the connection.
    const std::scoped_lock lock{mutex_};
    wakeable_ = connection;
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
    authorisation_ = std::make_unique<CbsAuthorisation>(*this, [this] { authorised(); });
}

void AmqpConnection::authorised()
{
    ready_ = true;
    life_.attached_at = now();
    {
        const std::scoped_lock lock{mutex_};
        health_.authorised = true;
    }
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
    if (has_worked) delay_.reset();
    const escqrs::Duration wait = has_worked ? escqrs::Duration::zero() : delay_.next();
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
        drop("no answer from the broker");
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

AmqpLink::AmqpLink(AmqpConnection& connection, Direction direction, const std::string& address, LinkEvents& events,
                   const Setup& set_up)
    : connection_{&connection}, events_{&events}
{
    const std::string name = escqrs::to_string(escqrs::random_uuid());
    const bool sends = direction == Direction::send;
    link_ = sends ? pn_sender(connection.session_, name.c_str()) : pn_receiver(connection.session_, name.c_str());
    pn_terminus_set_address(sends ? pn_link_target(link_) : pn_link_source(link_), address.c_str());
    pn_link_set_context(link_, this);
    if (set_up) set_up(link_);
    life_.asked_at = connection.now();
    pn_link_open(link_);
    connection.links_.insert(this);
}

AmqpLink::~AmqpLink() { close(); }

void AmqpLink::close() noexcept
{
    connection_->links_.erase(this);
    if (link_ == nullptr) return;
    // It is freed when the peer has closed it too: until then its attach may still be on its way.
    pn_link_t* const link = std::exchange(link_, nullptr);
    pn_link_set_context(link, nullptr);
    pn_link_close(link);
}

void AmqpLink::attached()
{
    life_.attached_at = connection_->now();
    events_->on_attached();
}

void AmqpLink::detached(const Condition& why)
{
    connection_->links_.erase(this);
    if (link_ != nullptr) {
        pn_link_t* const link = std::exchange(link_, nullptr);
        pn_link_set_context(link, nullptr);
        pn_link_close(link);
        pn_link_free(link);
    }
    events_->on_detached(why); // may end this object
}

} // namespace service_bus
