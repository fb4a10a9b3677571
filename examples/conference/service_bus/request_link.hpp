// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "amqp_connection.hpp"

#include <proton/message.hpp>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace service_bus {

/// What a request came to: the peer's answer, or why there is none.
struct Reply {
    int status = 0;      ///< as in HTTP; 0 if there is no answer
    Condition condition; ///< why it failed
    proton::message message;

    bool is_success() const noexcept { return status >= 200 && status < 300; }
};

/// Requests to a node such as `$cbs` or `$management`, each answered by one message to an address of ours.
/// @par Thread safety  on the connection's thread only
class RequestLink {
public:
    using Callback = std::function<void(Reply)>;

    /// Attaches at the first request.
    RequestLink(AmqpConnection& connection, std::string address);
    ~RequestLink();

    RequestLink(const RequestLink&) = delete;
    RequestLink& operator=(const RequestLink&) = delete;

    /// Sends `request` and calls `done` with the answer, or with the condition if there is none: at once, while the node lets
    /// go of links or refuses them. If no answer comes in the connection's time for an operation, the connection is given
    /// up.
    void request(proton::message request, Callback done);

    /// Detaches; requests without an answer fail.
    void close() { fail_all({"", "closed"}); }

    /// To be called when the connection is lost, also if nothing is attached: a pause is the old connection's.
    void connection_lost() noexcept { keeper_.connection_lost(); }

    /// To be called now and then.
    void tick(escqrs::SteadyTime now);

private:
    class End;
    struct Pending {
        Callback done;
        escqrs::SteadyTime deadline;
    };

    void attach();
    void attached();
    void detached(const Condition& why);
    void fail_all(const Condition& why);
    void answered(pn_delivery_t* delivery);
    void send(const proton::message& request);
    void grant_credit();

    AmqpConnection* connection_;
    std::string address_;
    std::string reply_to_;
    std::unique_ptr<End> sender_;
    std::unique_ptr<End> receiver_;
    std::vector<proton::message> unsent_; ///< until both ends are attached
    std::map<std::uint64_t, Pending> pending_;
    LinkKeeper keeper_;
    std::uint64_t last_id_ = 0;
};

/// Sends a request and waits for the answer, whatever it is. From any thread but the connection's.
Reply try_to_ask(AmqpConnection& connection, RequestLink& link, const proton::message& request);

/// Sends a request and waits for the answer. From any thread but the connection's.
/// @throws escqrs::TransportError if there is none, or it is a refusal
proton::message ask(AmqpConnection& connection, RequestLink& link, const proton::message& request);

/// Sends a message on a link that has credit. @return its delivery
pn_delivery_t* send_message(pn_link_t* link, const std::vector<char>& encoded);

/// The whole bytes of a delivery that has arrived; nothing if there is more to come.
std::optional<std::vector<char>> receive_bytes(pn_delivery_t* delivery);

} // namespace service_bus
