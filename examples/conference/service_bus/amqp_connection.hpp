// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "connection_string.hpp"
#include "link_keeper.hpp"
#include "recovery.hpp"
#include "token_fetcher.hpp"

#include <escqrs/core/backoff.hpp>
#include <escqrs/core/clock.hpp>

#include <proton/event.h>
#include <proton/proactor.h>
#include <proton/types.h>

#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_set>
#include <vector>

namespace service_bus {

class AmqpLink;
class CbsAuthorisation;

/// Somebody who has links on the connection; told on the connection's thread.
class ConnectionUser {
public:
    ConnectionUser() = default;
    ConnectionUser(const ConnectionUser&) = delete;
    ConnectionUser& operator=(const ConnectionUser&) = delete;
    virtual ~ConnectionUser() = default;

    /// Links may be attached. Comes again after each loss, and after tokens were renewed.
    virtual void on_ready() = 0;
    /// The connection is gone; each link has been told before.
    virtual void on_lost(const Condition& why) = 0;
    /// Some time has passed; comes about ten times a second.
    virtual void on_tick(escqrs::SteadyTime /*now*/) {}
};

struct AmqpConnectionOptions {
    Broker broker;
    std::vector<std::string> audiences;  ///< entity paths whose links need a token (Service Bus only)
    std::string certificate_authorities; ///< PEM file of those trusted; empty: the system's
    TokenSource tokens;                  ///< empty: from the broker's key or signature
    escqrs::Duration token_lifetime = std::chrono::hours{1};       ///< of those signed with the broker's key
    escqrs::Duration operation_timeout = std::chrono::seconds{30}; ///< unanswered for so long: the connection is dead
    escqrs::Duration reconnect_delay = std::chrono::milliseconds{800};
    escqrs::Duration longest_reconnect_delay = std::chrono::minutes{1};
    escqrs::Clock* clock = &escqrs::system_clock();
    escqrs::Jitter jitter = escqrs::random_jitter;
    std::function<void(std::string_view)> log = [](std::string_view) {};
};

/// How a connection is doing.
struct ConnectionHealth {
    bool connected = false;
    bool authorised = false;
    std::string last_error;        ///< of the last loss or refusal; stays when all is well again
    std::uint64_t connections = 0; ///< made so far
};

/// One AMQP 1.0 connection, made anew whenever it is lost: connect, put tokens, tell the users.
///
/// Proton's own reconnecting is not used: it attaches the links again before there is a token, and they are refused.
/// All that happens on the connection happens on its own thread; links belong to that thread. It also looks up the
/// host's name: while that takes its time, what waits for the thread (`call`, the destructor) waits for it.
/// @par Thread safety  `post` and `health` may be called from any thread, everything else on the connection's thread
/// only
class AmqpConnection {
public:
    using Task = std::function<void()>;

    /// @throws escqrs::TransportError if Service Bus would need a token, and there is no source of any; or if a token
    ///         or password would travel unencrypted
    explicit AmqpConnection(AmqpConnectionOptions options);

    /// Closes the connection in good order, or not, if the peer does not answer for two seconds. Stops the token
    /// source, and waits until it has returned.
    ~AmqpConnection();

    AmqpConnection(const AmqpConnection&) = delete;
    AmqpConnection& operator=(const AmqpConnection&) = delete;

    /// Runs `task` on the connection's thread, soon. From any thread.
    void post(Task task);

    /// Runs `task` on the connection's thread and returns when it has run. From any other thread.
    void call(const Task& task);

    /// Runs `task` at `moment` or soon after it, unless `owner` has been removed by then.
    void at(escqrs::SteadyTime moment, Task task, const ConnectionUser* owner = nullptr);

    ConnectionHealth health() const;

    /// From here on `user` is notified; at once, if the connection is ready.
    void add(ConnectionUser& user);
    void remove(ConnectionUser& user) noexcept;

    bool is_ready() const noexcept { return ready_; }
    /// Whether the broker would take a link: not while tokens are renewed after a refusal. Then `on_ready` comes.
    bool may_attach() const noexcept;
    pn_session_t* session() const noexcept { return session_; }
    const AmqpConnectionOptions& options() const noexcept { return options_; }
    /// For durations; never set.
    escqrs::SteadyTime now() const { return options_.clock->steady(); }
    escqrs::Timestamp time_of_day() const { return options_.clock->now(); }

    /// When a moment that the broker names will have come, as far as the time of day is right now; now, if it is past.
    escqrs::SteadyTime when(escqrs::Timestamp moment) const
    {
        return later_by(now(), escqrs::time_until(moment, time_of_day()));
    }

    /// Puts every token again, as after a refusal for lack of one.
    void renew_tokens();

    /// Gives the connection up as dead, and makes a new one.
    void drop(const std::string& why);

    void note_error(const std::string& text);

private:
    struct Timer {
        const ConnectionUser* owner;
        Task task;
    };

    friend class AmqpLink;
    friend class CbsAuthorisation;

    struct ProactorDeleter {
        void operator()(pn_proactor_t* proactor) const noexcept;
    };

    void run() noexcept;
    void give_up(const std::string& error);
    bool dispatch(pn_event_t* event);
    void connect();
    void open_connection();
    void opened();
    void authorised();
    void resume_links();
    void closing(pn_condition_t* condition, ConditionSource source);
    void lost();
    void run_tasks();
    void run_timers();
    void tick();
    void set_timeout();
    void begin_stop();

    AmqpConnectionOptions options_;
    std::unique_ptr<pn_proactor_t, ProactorDeleter> proactor_;
    escqrs::Backoff backoff_;
    TokenFetcher tokens_;

    // of the connection's thread
    pn_connection_t* connection_ = nullptr;
    pn_session_t* session_ = nullptr;
    bool ready_ = false;
    bool stopping_ = false;
    bool finished_ = false;
    Condition why_lost_;
    LinkLife life_; ///< of this connection; "attached" means ready
    escqrs::SteadyTime last_tick_{};
    escqrs::SteadyTime attempt_deadline_{}; ///< until when the connection must be ready
    std::unordered_set<AmqpLink*> links_;
    std::vector<ConnectionUser*> users_;
    std::multimap<escqrs::SteadyTime, Timer> timers_;
    std::unique_ptr<CbsAuthorisation> authorisation_;

    mutable std::mutex mutex_; ///< of what follows
    std::vector<Task> tasks_;
    pn_connection_t* wakeable_ = nullptr;
    ConnectionHealth health_;

    std::thread thread_; ///< last: it uses all the others
};

/// The keeper of links over a connection with these options.
LinkKeeper make_link_keeper(const AmqpConnectionOptions& options);

} // namespace service_bus
