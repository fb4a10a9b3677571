// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "request_link.hpp"

#include "amqp_link.hpp"

#include <escqrs/core/error.hpp>
#include <escqrs/core/id_generator.hpp>

#include <proton/delivery.h>
#include <proton/disposition.h>
#include <proton/error.hpp>
#include <proton/link.h>
#include <proton/message_id.hpp>
#include <proton/scalar.hpp>
#include <proton/terminus.h>

#include <atomic>
#include <future>
#include <utility>

namespace service_bus {
namespace {

constexpr int reply_credit = 100;

/// `$cbs` names the answer's parts with a hyphen, `$management` in camel case.
proton::scalar property(const proton::message& message, const char* hyphenated, const char* camel)
{
    const auto& properties = message.properties();
    return properties.exists(hyphenated) ? properties.get(hyphenated) : properties.get(camel);
}

} // namespace

pn_delivery_t* send_message(pn_link_t* link, const std::vector<char>& encoded)
{
    static std::atomic<std::uint64_t> last_tag{0}; // of all links of the process, whatever their connections
    const std::uint64_t tag = ++last_tag;
    pn_delivery_t* const delivery =
        pn_delivery(link, pn_dtag(reinterpret_cast<const char*>(&tag), sizeof tag)); // NOLINT: bytes of a number
    pn_link_send(link, encoded.data(), encoded.size());
    pn_link_advance(link);
    return delivery;
}

std::optional<std::vector<char>> receive_bytes(pn_delivery_t* delivery)
{
    if (!pn_delivery_readable(delivery) || pn_delivery_partial(delivery) || pn_delivery_aborted(delivery))
        return std::nullopt;
    std::vector<char> bytes(pn_delivery_pending(delivery));
    pn_link_t* const link = pn_delivery_link(delivery);
    pn_link_recv(link, bytes.data(), bytes.size());
    pn_link_advance(link);
    return bytes;
}

Reply try_to_ask(AmqpConnection& connection, RequestLink& link, const proton::message& request)
{
    std::promise<Reply> promise;
    auto answer = promise.get_future();
    connection.post([&] {
        if (connection.is_ready())
            link.request(request, [&promise](Reply reply) { promise.set_value(std::move(reply)); });
        else promise.set_value({0, {"", "not connected"}, {}});
    });
    return answer.get();
}

proton::message ask(AmqpConnection& connection, RequestLink& link, const proton::message& request)
{
    Reply reply = try_to_ask(connection, link, request);
    if (!reply.is_success()) throw escqrs::TransportError{to_text(reply.condition)};
    return std::move(reply.message);
}

class RequestLink::End final : LinkEvents {
public:
    End(RequestLink& owner, AmqpLink::Direction direction, const AmqpLink::Setup& set_up)
        : owner_{&owner}, link_{*owner.connection_, direction, owner.address_, *this, set_up}
    {
    }

    const AmqpLink& link() const noexcept { return link_; }
    void close() noexcept { link_.close(); }

private:
    void on_attached() override { owner_->attached(); }
    void on_detached(const Condition& why) override { owner_->detached(why); }
    void on_flow() override { owner_->attached(); }
    void on_delivery(pn_delivery_t* delivery) override
    {
        if (pn_link_is_receiver(pn_delivery_link(delivery))) owner_->answered(delivery);
        else if (pn_delivery_updated(delivery)) pn_delivery_settle(delivery);
    }

    RequestLink* owner_;
    AmqpLink link_;
};

RequestLink::RequestLink(AmqpConnection& connection, std::string address)
    : connection_{&connection}, address_{std::move(address)},
      reply_to_{address_ + "-" + escqrs::to_string(escqrs::random_uuid())},
      keeper_{make_link_keeper(connection.options())}
{
}

RequestLink::~RequestLink() = default;

void RequestLink::request(proton::message request, Callback done)
{
    if (!sender_ && !keeper_.may_attach(connection_->now())) return done(Reply{0, {"", keeper_.problem()}, {}});
    const std::uint64_t id = ++last_id_;
    request.id(proton::message_id{std::to_string(id)});
    request.reply_to(reply_to_);
    pending_.emplace(id,
                     Pending{std::move(done), later_by(connection_->now(), connection_->options().operation_timeout)});
    unsent_.push_back(std::move(request));
    if (!sender_ && connection_->session() != nullptr) attach();
    attached();
}

void RequestLink::attach()
{
    sender_ = std::make_unique<End>(*this, AmqpLink::Direction::send,
                                    [](pn_link_t* link) { pn_link_set_snd_settle_mode(link, PN_SND_MIXED); });
    receiver_ = std::make_unique<End>(*this, AmqpLink::Direction::receive, [this](pn_link_t* link) {
        pn_terminus_set_address(pn_link_target(link), reply_to_.c_str());
    });
    pn_link_flow(receiver_->link().get(), reply_credit);
}

void RequestLink::attached()
{
    if (!sender_ || !sender_->link().is_attached() || !receiver_->link().is_attached()) return;
    keeper_.attached();
    std::size_t sent = 0;
    while (sent < unsent_.size() && pn_link_credit(sender_->link().get()) > 0) send(unsent_[sent++]);
    unsent_.erase(unsent_.begin(), unsent_.begin() + static_cast<std::ptrdiff_t>(sent));
}

void RequestLink::send(const proton::message& request)
{
    std::vector<char> encoded;
    request.encode(encoded);
    pn_delivery_settle(send_message(sender_->link().get(), encoded));
}

void RequestLink::answered(pn_delivery_t* delivery)
{
    if (pn_delivery_aborted(delivery)) {
        pn_delivery_settle(delivery);
        return grant_credit();
    }
    if (const auto why = refuse_too_large(delivery)) return detached(*why);
    const auto bytes = receive_bytes(delivery);
    if (!bytes) return;
    keeper_.worked(receiver_->link().life());
    pn_delivery_update(delivery, PN_ACCEPTED);
    pn_delivery_settle(delivery);
    grant_credit();
    Reply reply;
    std::uint64_t id = 0;
    try {
        reply.message.decode(*bytes);
        id = std::stoull(proton::to_string(reply.message.correlation_id()));
        reply.status = proton::coerce<int>(property(reply.message, "status-code", "statusCode"));
        if (!reply.is_success()) {
            const auto description = property(reply.message, "status-description", "statusDescription");
            const auto name = property(reply.message, "error-condition", "errorCondition");
            reply.condition = {name.empty() ? "" : proton::to_string(name),
                               address_ + " answers " + std::to_string(reply.status) +
                                   (description.empty() ? "" : ": " + proton::to_string(description))};
        }
    } catch (const std::exception&) {
        return; // not an answer to us; ours has its deadline
    }
    const auto found = pending_.find(id);
    if (found == pending_.end()) return;
    const Callback done = std::move(found->second.done);
    pending_.erase(found);
    done(std::move(reply));
}

void RequestLink::grant_credit()
{
    pn_link_t* const link = receiver_->link().get();
    if (link != nullptr && pn_link_credit(link) < reply_credit / 2)
        pn_link_flow(link, reply_credit - pn_link_credit(link));
}

void RequestLink::detached(const Condition& why)
{
    const LinkLife life = sender_ ? sender_->link().life() : LinkLife{};
    const LinkKeeper::Step step =
        connection_->is_ready() ? keeper_.ended(life, why, connection_->now()) : LinkKeeper::Step{};
    fail_all(why);
    if (step.renew_tokens) connection_->renew_tokens();
    if (step.recovery == Recovery::reconnect) connection_->drop(address_ + ": " + to_text(why));
}

void RequestLink::fail_all(const Condition& why)
{
    // The ends go away later: one of them is calling.
    for (End* const end : {sender_.get(), receiver_.get()}) {
        if (end != nullptr) end->close();
    }
    const auto ends = std::make_shared<std::pair<std::unique_ptr<End>, std::unique_ptr<End>>>(std::move(sender_),
                                                                                              std::move(receiver_));
    connection_->post([ends] {});
    unsent_.clear();
    const auto failed = std::exchange(pending_, {});
    for (const auto& [id, request] : failed) request.done(Reply{0, why, {}});
}

void RequestLink::tick(escqrs::SteadyTime now)
{
    if (sender_) {
        const LinkLife& outward = sender_->link().life();
        const LinkLife& inward = receiver_->link().life();
        const bool waits_for_credit = outward.attached_at && inward.attached_at && !unsent_.empty();
        auto why = keeper_.overdue(outward.attached_at ? inward : outward, {}, waits_for_credit, now);
        if (why) return detached(*why);
        if (!unsent_.empty()) return; // it is the link that is waited for
    }
    for (const auto& [id, request] : pending_) {
        if (now < request.deadline) continue;
        connection_->drop(address_ + " does not answer");
        return;
    }
}

} // namespace service_bus
