// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "attendee_api.hpp"

#include "../application/attendee_handlers.hpp"
#include "../domain/rule_violation.hpp"
#include "../http/field_values.hpp"
#include "api_share.hpp"
#include "attendee_json.hpp"
#include "attendee_stream.hpp"
#include "confirmations.hpp"
#include "guess_guard.hpp"
#include "parameters.hpp"
#include "position_wait.hpp"
#include "request_metadata.hpp"

#include <escqrs/codec/codec.hpp>
#include <escqrs/core/id_generator.hpp>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include <cstdint>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace conference::web {
namespace {

namespace json = boost::json;

AttendeeId attendee_id(const http::RoutedRequest& request)
{
    return parse_id<AttendeeId>(request.path.at("id"), "attendeeId");
}

ConfirmationId confirmation_id(const http::RoutedRequest& request)
{
    return parse_id<ConfirmationId>(request.path.at("confirmationId"), "confirmationId");
}

/// Compares in a time that does not depend on where the texts differ.
bool same_secret(std::string_view given, std::string_view expected) noexcept
{
    unsigned difference = given.size() == expected.size() ? 0 : 1;
    for (std::size_t index = 0; index < given.size(); ++index) {
        difference |=
            static_cast<unsigned char>(given[index] ^ expected[expected.empty() ? 0 : index % expected.size()]);
    }
    return difference == 0;
}

/// The token that the request brings, empty if it brings none.
std::string_view bearer_token(const http::Request& request)
{
    constexpr std::string_view scheme = "Bearer ";
    const auto given = request.header("Authorization");
    return http::same_name(given.substr(0, scheme.size()), scheme) ? given.substr(scheme.size()) : std::string_view{};
}

http::Response organiser_only()
{
    return http::to_response(
        {401, "organiser-only", "This needs the organiser's token.", {}, {{"WWW-Authenticate", "Bearer"}}});
}

std::uint64_t version_after(const http::RoutedRequest& request)
{
    const auto after = request.query.find("after");
    return after == request.query.end() ? 0 : parse_number(after->second, "after", 0, INT64_MAX - 1);
}

} // namespace

/// The work of each route, and the pool that does it: commands and queries run on separate threads, so neither delays
/// the other.
class AttendeeApi::Implementation : public std::enable_shared_from_this<Implementation> {
public:
    explicit Implementation(AttendeeApiParts given)
        : share{std::make_shared<const ApiShare>(std::move(given))}, parts{share->parts},
          tokens{"organiser token", parts.guesses, parts.query_pool, parts.metrics, parts.log},
          confirmation_ids{"confirmation id", parts.guesses, parts.query_pool, parts.metrics, parts.log}
    {
    }

    template <class Command>
    escqrs::CommitResult send(const escqrs::Metadata& metadata, const Command& command) const
    {
        const escqrs::SendOptions options{{}, escqrs::later_by(escqrs::system_clock().now(), parts.max_command_wait)};
        return parts.bus.send(command, metadata, options);
    }

    /// Sends a command and answers with what it stored.
    template <class Command>
    http::Response accept(const RequestMetadata& about, const Command& command) const
    {
        const auto result = send(about.metadata, command);
        if (result.repeated && !about.metadata.command_id.is_nil()) check_same_request(about, result);
        const auto id = AttendeeId::parse(result.stream.id()); // of a repeat the first one's
        http::Response response = json_response(202, to_json(id, result));
        response.headers.emplace_back("Location", "/api/attendee/" + to_string(id) +
                                                      "?position=" + std::to_string(result.position.value()));
        return response;
    }

    /// The answer to a repeated command comes from its first try; a key used for another request must not get it.
    void check_same_request(const RequestMetadata& about, const escqrs::CommitResult& result) const
    {
        bool same = false;
        parts.store.read_stream(result.stream, result.version, [&](const escqrs::RecordedEvent& event) {
            same = about.is_digest_in(escqrs::decode_metadata(event.metadata));
            return false;
        });
        if (!same) http::refuse(422, "idempotency-key-reused", "This Idempotency-Key was used for another request.");
    }

    http::Response register_attendee(const http::RoutedRequest& request) const
    {
        const CommandBody body{request.request};
        const RequestMetadata about{request.request};
        const auto given = body.optional_text("attendeeId");
        // The id is the key to the registration, so no one may be able to compute it. A repeat is answered with the
        // first one.
        const AttendeeId id =
            given ? parse_id<AttendeeId>(*given, "attendeeId") : AttendeeId{escqrs::time_ordered_uuid()};
        return accept(about, RegisterAttendee{id, body.text("email")});
    }

    http::Response change_email(const http::RoutedRequest& request) const
    {
        const CommandBody body{request.request};
        return accept(RequestMetadata{request.request}, ChangeEmail{attendee_id(request), body.text("email")});
    }

    http::Response confirm_email(const http::RoutedRequest& request) const
    {
        return accept(RequestMetadata{request.request}, ConfirmEmail{attendee_id(request), confirmation_id(request)});
    }

    http::Response unregister_attendee(const http::RoutedRequest& request) const
    {
        const CommandBody body{request.request};
        return accept(RequestMetadata{request.request}, UnregisterAttendee{attendee_id(request), body.text("reason")});
    }

    http::Response show_confirmation(const http::RoutedRequest& request) const
    {
        return json_response(200,
                             to_json(find_change(parts.store, find_request(parts.queries, confirmation_id(request)))));
    }

    /// Confirms by the confirmation id alone. It works once and then is answered as the first time, with or without a
    /// key. The registration is read a second time only if it cannot be confirmed.
    http::Response confirm_by_link(const http::RoutedRequest& request) const
    {
        const auto asked = find_request(parts.queries, confirmation_id(request));
        auto metadata = RequestMetadata{request.request}.metadata;
        metadata.command_id = {};
        EmailChange change{asked.email, asked.confirmation_id, {}, EmailChange::State::confirmed};
        try {
            send(metadata, ConfirmEmail{asked.attendee_id, asked.confirmation_id});
        } catch (const RuleViolation&) {
            change = find_change(parts.store, asked);
            if (change.state != EmailChange::State::confirmed) throw;
        }
        return json_response(200, to_json(change));
    }

    http::Response show_attendee(const http::RoutedRequest& request) const
    {
        const auto id = attendee_id(request);
        const auto view = parts.queries.find(id);
        if (!view) throw escqrs::AggregateNotFound{AttendeeRepository::stream_of(id)};
        return json_response(200, to_json(*view));
    }

    http::Response show_history(const http::RoutedRequest& request) const
    {
        const auto id = attendee_id(request);
        const escqrs::StreamVersion after{version_after(request)};
        auto page = history(parts.store, id, after);
        const bool is_known =
            !page.events.empty() || (after != escqrs::StreamVersion{} && !history(parts.store, id, {}).events.empty());
        if (!is_known) throw escqrs::AggregateNotFound{AttendeeRepository::stream_of(id)};
        return json_response(200, {{"attendeeId", to_string(id)},
                                   {"events", std::move(page.events)},
                                   {"next", page.next ? json::value(page.next->value()) : json::value(nullptr)}});
    }

    http::Response list_attendees(const http::RoutedRequest& request) const
    {
        const auto limit = request.query.find("limit");
        const auto after = request.query.find("after");
        constexpr std::uint64_t default_limit = 100;
        AttendeePage page;
        try {
            page = parts.queries.list(limit == request.query.end() ? default_limit
                                                                   : parse_number(limit->second, "limit", 1, 1000),
                                      after == request.query.end() ? std::string{} : after->second);
        } catch (const std::invalid_argument&) {
            http::refuse(400, "malformed-parameter", "'after' must be the 'next' of an earlier page.", "after");
        }
        json::array attendees;
        for (const auto& view : page.attendees) attendees.push_back(to_json(view));
        const auto counts = parts.queries.count();
        return json_response(200, {{"attendees", std::move(attendees)},
                                   {"total", counts.attendees},
                                   {"registered", counts.registered},
                                   {"next", page.next ? json::value(json::string{*page.next}) : json::value(nullptr)}});
    }

    http::Response list_dead_letters(const http::RoutedRequest&) const
    {
        constexpr std::size_t most = 200;
        json::array letters;
        for (const auto& letter : parts.queue.dead_letters(0, most)) letters.push_back(to_json(letter));
        return json_response(200, {{"deadLetters", std::move(letters)}});
    }

    http::Response resubmit(const http::RoutedRequest& request) const
    {
        const auto& id = request.path.at("messageId");
        if (!parts.queue.resubmit(id)) http::refuse(404, "unknown-message", "There is no dead letter with this id.");
        return json_response(202, {{"messageId", id}});
    }

    void follow(const http::RoutedRequest& request, const http::Responder& responder) const
    {
        const auto problem = share->problem_in([&] {
            const auto id = attendee_id(request);
            const std::string last{request.request.header("Last-Event-ID")};
            const std::uint64_t seen = last.empty() ? 0 : parse_number(last, "Last-Event-ID", 0, INT64_MAX - 1);
            stream_attendee(share, id, escqrs::StreamVersion{seen}, responder);
        });
        if (problem) responder.respond(*problem);
    }

    using Member = http::Response (Implementation::*)(const http::RoutedRequest&) const;
    using Handler = http::Router::Handler;

    Work work_of(Member member) const
    {
        return [self = shared_from_this(), member](const http::RoutedRequest& request) {
            return ((*self).*member)(request);
        };
    }

    Handler command(Member member) const
    {
        return [self = shared_from_this(), work = work_of(member)](http::RoutedRequest request,
                                                                   const http::Responder& responder) {
            self->share->run(self->parts.command_pool, std::move(request), responder, work);
        };
    }

    /// Waits for the position that the request names, if it names one.
    Handler query(Member member) const
    {
        return [self = shared_from_this(), work = work_of(member)](http::RoutedRequest request,
                                                                   const http::Responder& responder) {
            answer_at_position(self->share, std::move(request), responder, work);
        };
    }

    /// Checks the token when it is the client's turn to try one, and calls `handler` if it is right.
    Handler for_organiser(Handler handler)
    {
        return [self = shared_from_this(), handler = std::move(handler)](const http::RoutedRequest& request,
                                                                         const http::Responder& responder) {
            if (bearer_token(request.request).empty()) return responder.respond(organiser_only());
            self->tokens.take_turn(request.request.client, responder, [self, handler, request, responder] {
                const std::string& client = request.request.client;
                if (same_secret(bearer_token(request.request), self->parts.organiser_token)) {
                    self->tokens.was_right(client);
                    handler(request, responder);
                } else {
                    self->tokens.was_wrong(client);
                    responder.respond(organiser_only());
                }
            });
        };
    }

    /// Runs `member` at once; only the answer to a wrong confirmation id waits for the client's turn.
    Handler by_confirmation_id(http::BlockingPool& pool, Member member)
    {
        return [self = shared_from_this(), &pool, member](http::RoutedRequest given, const http::Responder& responder) {
            const auto request = std::make_shared<const http::RoutedRequest>(std::move(given));
            self->share->run_in_time(pool, responder, [self, member, request, responder] {
                try {
                    self->try_confirmation_id(*request, responder, member);
                } catch (...) {
                    responder.fail(std::current_exception());
                }
            });
        };
    }

    void try_confirmation_id(const http::RoutedRequest& request, const http::Responder& responder, Member member)
    {
        bool is_wrong = false;
        auto response = share->answer([&] {
            try {
                return (this->*member)(request);
            } catch (const UnknownConfirmation&) {
                is_wrong = true;
                throw;
            } catch (const RuleViolation& violation) {
                is_wrong = violation.rule() == "confirmation-mismatch";
                throw;
            }
        });
        if (!is_wrong) return responder.respond(std::move(response));
        confirmation_ids.was_wrong(request.request.client);
        confirmation_ids.take_turn(request.request.client, responder,
                                   [responder, response] { responder.respond(response); });
    }

    const ApiSharePtr share;
    const AttendeeApiParts& parts;
    GuessGuard tokens;
    GuessGuard confirmation_ids;
};

AttendeeApi::AttendeeApi(AttendeeApiParts parts) : implementation_{std::make_shared<Implementation>(std::move(parts))}
{
}

AttendeeApi::~AttendeeApi() = default;

void AttendeeApi::add_routes(http::Router& router)
{
    using Api = Implementation;
    Api& api = *implementation_;
    auto& commands = api.parts.command_pool;
    auto& queries = api.parts.query_pool;
    router.on("POST", "/api/attendee/register", api.command(&Api::register_attendee));
    router.on("POST", "/api/attendee/{id}/email", api.command(&Api::change_email));
    router.on("POST", "/api/attendee/{id}/email/{confirmationId}",
              api.by_confirmation_id(commands, &Api::confirm_email));
    router.on("DELETE", "/api/attendee/{id}", api.command(&Api::unregister_attendee));
    router.on("GET", "/api/confirmation/{confirmationId}", api.by_confirmation_id(queries, &Api::show_confirmation));
    router.on("POST", "/api/confirmation/{confirmationId}", api.by_confirmation_id(commands, &Api::confirm_by_link));
    router.on("GET", "/api/attendee/{id}", api.query(&Api::show_attendee));
    router.on("GET", "/api/attendee/{id}/history", api.query(&Api::show_history));
    router.on("GET", "/api/attendee/{id}/stream",
              [self = implementation_](const http::RoutedRequest& request, const http::Responder& responder) {
                  self->follow(request, responder);
              });
    router.on("GET", "/api/attendees", api.for_organiser(api.query(&Api::list_attendees)));
    router.on("GET", "/api/dead-letters", api.for_organiser(api.query(&Api::list_dead_letters)));
    router.on("POST", "/api/dead-letters/{messageId}/resubmit", api.for_organiser(api.command(&Api::resubmit)));
}

} // namespace conference::web
