// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "bare_client.hpp"

#include <service_bus/sas_token.hpp>

#include <escqrs/core/clock.hpp>

#include <proton/codec.h>
#include <proton/condition.h>
#include <proton/connection.h>
#include <proton/delivery.h>
#include <proton/event.h>
#include <proton/link.h>
#include <proton/message.h>
#include <proton/proactor.h>
#include <proton/sasl.h>
#include <proton/session.h>
#include <proton/terminus.h>
#include <proton/transport.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace service_bus_benchmark {
namespace {

constexpr const char* token_node = "$cbs";
constexpr const char* reply_node = "replies";

struct MessageDeleter {
    void operator()(pn_message_t* message) const noexcept { pn_message_free(message); }
};
struct ProactorDeleter {
    void operator()(pn_proactor_t* proactor) const noexcept { pn_proactor_free(proactor); }
};
using MessagePointer = std::unique_ptr<pn_message_t, MessageDeleter>;

pn_bytes_t bytes_of(std::string_view text) { return pn_bytes(text.size(), text.data()); }

pn_atom_t text_atom(std::string_view text)
{
    pn_atom_t atom{};
    atom.type = PN_STRING;
    atom.u.as_bytes = bytes_of(text);
    return atom;
}

class BareClient {
public:
    BareClient(const service_bus::Broker& broker, const BareTask& task)
        : broker_{broker}, task_{task}, buffer_(task.body.size() + 1024)
    {
        pn_message_set_durable(message_.get(), true);
        pn_message_set_inferred(message_.get(), true);
        pn_message_set_content_type(message_.get(), "application/json");
        pn_data_put_binary(pn_message_body(message_.get()), bytes_of(task.body));
    }

    Measurement run()
    {
        connect();
        while (!is_closed_) {
            pn_event_batch_t* const batch = pn_proactor_wait(proactor_.get());
            while (pn_event_t* const event = pn_event_batch_next(batch)) dispatch(event);
            pn_proactor_done(proactor_.get(), batch);
        }
        if (!result_) throw std::runtime_error{"bare client: " + problem_};
        return *result_;
    }

private:
    void connect()
    {
        pn_transport_t* const transport = pn_transport();
        pn_connection_t* const connection = pn_connection();
        pn_connection_set_container(connection, "bare");
        pn_connection_set_hostname(connection, broker_.host.c_str());
        pn_sasl_allowed_mechs(pn_sasl(transport), "ANONYMOUS");
        session_ = pn_session(connection);
        pn_connection_open(connection);
        pn_session_open(session_);
        token_sender_ = pn_sender(session_, "token");
        pn_terminus_set_address(pn_link_target(token_sender_), token_node);
        pn_link_open(token_sender_);
        pn_link_t* const replies = pn_receiver(session_, "answer");
        pn_terminus_set_address(pn_link_source(replies), token_node);
        pn_terminus_set_address(pn_link_target(replies), reply_node);
        pn_link_open(replies);
        pn_link_flow(replies, 1);
        std::array<char, PN_MAX_ADDR> address{};
        pn_proactor_addr(address.data(), address.size(), broker_.host.c_str(), std::to_string(broker_.port).c_str());
        pn_proactor_connect2(proactor_.get(), connection, transport, address.data());
    }

    void dispatch(pn_event_t* event)
    {
        pn_link_t* const link = pn_event_link(event);
        switch (pn_event_type(event)) {
        case PN_LINK_REMOTE_OPEN:
            if (link == link_) attached();
            break;
        case PN_LINK_FLOW:
            if (link == token_sender_) put_token();
            else if (link == link_ && is_sender()) pump();
            break;
        case PN_DELIVERY: delivery(pn_event_delivery(event)); break;
        case PN_LINK_REMOTE_CLOSE: close(event, pn_link_remote_condition(link)); break;
        case PN_CONNECTION_REMOTE_CLOSE:
            close(event, pn_connection_remote_condition(pn_event_connection(event)));
            break;
        case PN_TRANSPORT_ERROR: note(pn_transport_condition(pn_event_transport(event))); break;
        case PN_TRANSPORT_CLOSED: is_closed_ = true; break;
        default: break;
        }
    }

    void delivery(pn_delivery_t* delivery)
    {
        pn_link_t* const link = pn_delivery_link(delivery);
        if (link == link_ && is_sender()) accepted(delivery);
        else if (link == link_) received(delivery);
        else if (pn_link_is_receiver(link)) answered(delivery);
    }

    void put_token()
    {
        if (has_token_ || pn_link_credit(token_sender_) == 0) return;
        has_token_ = true;
        const std::string resource = "sb://" + broker_.host + "/" + broker_.entity;
        const auto token =
            service_bus::make_sas_token(resource, std::get<service_bus::SharedAccessKey>(broker_.credentials),
                                        escqrs::system_clock().now(), std::chrono::hours{1});
        const MessagePointer request{pn_message()};
        pn_message_set_id(request.get(), text_atom("1"));
        pn_message_set_reply_to(request.get(), reply_node);
        pn_data_t* const properties = pn_message_properties(request.get());
        pn_data_put_map(properties);
        pn_data_enter(properties);
        for (const auto& [name, value] : {std::pair<std::string_view, std::string_view>{"operation", "put-token"},
                                          {"type", "servicebus.windows.net:sastoken"},
                                          {"name", resource}}) {
            pn_data_put_string(properties, bytes_of(name));
            pn_data_put_string(properties, bytes_of(value));
        }
        pn_data_exit(properties);
        pn_data_put_string(pn_message_body(request.get()), bytes_of(token.text));
        pn_delivery_settle(put(token_sender_, request.get()));
    }

    /// A refused token shows when the link is refused.
    void answered(pn_delivery_t* delivery)
    {
        if (!read(delivery)) return;
        pn_delivery_update(delivery, PN_ACCEPTED);
        pn_delivery_settle(delivery);
        link_ = is_sender() ? pn_sender(session_, "link") : pn_receiver(session_, "link");
        pn_terminus_set_address(is_sender() ? pn_link_target(link_) : pn_link_source(link_), broker_.entity.c_str());
        pn_link_set_snd_settle_mode(link_, PN_SND_UNSETTLED);
        pn_link_set_rcv_settle_mode(link_, is_sender() ? PN_RCV_FIRST : PN_RCV_SECOND);
        pn_link_open(link_);
        if (is_sender()) return;
        stopwatch_.emplace();
        ask(std::min(task_.in_flight, task_.messages));
    }

    void attached()
    {
        if (!is_sender() || stopwatch_) return;
        stopwatch_.emplace();
        pump();
    }

    void pump()
    {
        if (!stopwatch_) return;
        while (begun_ < task_.messages && begun_ - done_ < task_.in_flight && pn_link_credit(link_) > 0) {
            const std::string id = "message-" + std::to_string(begun_++);
            pn_message_set_id(message_.get(), text_atom(id));
            put(link_, message_.get());
        }
    }

    void accepted(pn_delivery_t* delivery)
    {
        if (pn_delivery_remote_state(delivery) != PN_ACCEPTED) {
            note(pn_disposition_condition(pn_delivery_remote(delivery)));
            pn_connection_close(pn_session_connection(session_));
            return;
        }
        pn_delivery_settle(delivery);
        finish_one();
        pump();
    }

    void received(pn_delivery_t* delivery)
    {
        if (read(delivery)) {
            pn_delivery_update(delivery, PN_ACCEPTED); // settled when the broker has confirmed it
        } else if (pn_delivery_settled(delivery)) {
            if (pn_delivery_remote_state(delivery) != PN_ACCEPTED)
                throw std::runtime_error{"bare client: not completed"};
            pn_delivery_settle(delivery);
            finish_one();
            if (begun_ < task_.messages) ask(1);
        }
    }

    void ask(std::size_t messages)
    {
        begun_ += messages;
        pn_link_flow(link_, static_cast<int>(messages));
    }

    void finish_one()
    {
        if (++done_ < task_.messages) return;
        result_ = stopwatch_->measure(done_);
        pn_connection_close(pn_session_connection(session_));
    }

    pn_delivery_t* put(pn_link_t* link, pn_message_t* message)
    {
        std::size_t size = buffer_.size();
        if (pn_message_encode(message, buffer_.data(), &size) != 0) throw std::runtime_error{"bare client: no room"};
        ++tag_;
        pn_delivery_t* const delivery =
            pn_delivery(link, pn_dtag(reinterpret_cast<const char*>(&tag_), sizeof tag_)); // NOLINT: bytes of a number
        pn_link_send(link, buffer_.data(), size);
        pn_link_advance(link);
        return delivery;
    }

    /// Takes a message in and decodes it. @return false if it is not there as a whole
    bool read(pn_delivery_t* delivery)
    {
        if (!pn_delivery_readable(delivery) || pn_delivery_partial(delivery)) return false;
        pn_link_t* const link = pn_delivery_link(delivery);
        const std::size_t size = pn_delivery_pending(delivery);
        if (buffer_.size() < size) buffer_.resize(size);
        pn_link_recv(link, buffer_.data(), size);
        pn_link_advance(link);
        if (pn_message_decode(decoded_.get(), buffer_.data(), size) != 0)
            throw std::runtime_error{"bare client: not a message"};
        return true;
    }

    void close(pn_event_t* event, pn_condition_t* why)
    {
        note(why);
        pn_connection_close(pn_event_connection(event));
    }

    void note(pn_condition_t* why)
    {
        if (!problem_.empty() || !pn_condition_is_set(why)) return;
        for (const char* const part : {pn_condition_get_name(why), pn_condition_get_description(why)})
            problem_ += part != nullptr ? std::string{" "} + part : "";
    }

    bool is_sender() const noexcept { return task_.kind == BareTask::Kind::send; }

    const service_bus::Broker& broker_;
    const BareTask& task_;
    std::unique_ptr<pn_proactor_t, ProactorDeleter> proactor_{pn_proactor()};
    pn_session_t* session_ = nullptr;
    pn_link_t* token_sender_ = nullptr;
    pn_link_t* link_ = nullptr;
    MessagePointer message_{pn_message()};
    MessagePointer decoded_{pn_message()};
    std::vector<char> buffer_;
    std::uint64_t tag_ = 0;
    std::size_t begun_ = 0; ///< sent, or asked for
    std::size_t done_ = 0;
    bool has_token_ = false;
    bool is_closed_ = false;
    std::string problem_;
    std::optional<Stopwatch> stopwatch_;
    std::optional<Measurement> result_;
};

} // namespace

Measurement run_bare(const service_bus::Broker& broker, const BareTask& task) { return BareClient{broker, task}.run(); }

} // namespace service_bus_benchmark
