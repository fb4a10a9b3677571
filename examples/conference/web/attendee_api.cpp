// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "attendee_api.hpp"

#include "../application/attendee_handlers.hpp"
#include "../domain/rule_violation.hpp"
#include "../http/field_values.hpp"
#include "../http/rate_limited_log.hpp"
#include "attendee_json.hpp"
#include "confirmations.hpp"
#include "problem_of.hpp"
#include "request_metadata.hpp"

#include <escqrs/codec.hpp>
#include <escqrs/id_generator.hpp>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <mutex>
#include <new>
#include <optional>
#include <utility>

namespace conference::web {
namespace {

namespace json = boost::json;

constexpr std::chrono::milliseconds retry_delay{50}; ///< when the pool is full, or the read model out of reach
constexpr std::chrono::milliseconds longest_retry_delay{5000};

[[noreturn]] void refuse(unsigned status, std::string slug, std::string detail, std::string field = {},
                         http::Headers headers = {})
{
    throw http::RequestRefused{{status, std::move(slug), std::move(detail), std::move(field), std::move(headers)}};
}

template <class Identifier>
Identifier parse_id(const std::string& text, const char* field)
{
    try {
        const auto id = Identifier::parse(text);
        if (!id.is_nil()) return id;
    } catch (const escqrs::InvalidIdentifier&) { // NOLINT(bugprone-empty-catch): refused below
    }
    refuse(400, "malformed-id", "This is not an id: expected 36 characters like 123e4567-e89b-12d3-a456-426614174000.",
           field);
}

AttendeeId attendee_id(const http::RoutedRequest& request)
{
    return parse_id<AttendeeId>(request.path.at("id"), "attendeeId");
}

std::uint64_t parse_number(const std::string& text, const char* field, std::uint64_t least, std::uint64_t most)
{
    std::uint64_t number = 0;
    const char* const end = text.data() + text.size();
    const auto [stopped, error] = std::from_chars(text.data(), end, number);
    if (error != std::errc{} || stopped != end || number < least || number > most) {
        refuse(400, "malformed-parameter",
               std::string{field} + " must be a number from " + std::to_string(least) + " to " + std::to_string(most) +
                   ".",
               field);
    }
    return number;
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

} // namespace

class AttendeeApi::Implementation : public std::enable_shared_from_this<Implementation> {
public:
    explicit Implementation(AttendeeApiParts given) : parts{std::move(given)}, stream_log{parts.log} {}

    using Work = std::function<http::Response(const http::RoutedRequest&)>;

    /// Runs `work` on the pool and responds with what it returns, or with the problem that it throws.
    void run(http::RoutedRequest request, const http::Responder& responder, Work work) const
    {
        auto shared = std::make_shared<http::RoutedRequest>(std::move(request));
        const bool taken = parts.pool.try_run([this, shared, responder, work = std::move(work)] {
            responder.respond_with([&] { return guarded([&] { return work(*shared); }); });
        });
        if (!taken)
            responder.respond(http::to_response({503, {}, "We are busy just now.", {}, {{"Retry-After", "1"}}}));
    }

    http::Response guarded(const std::function<http::Response()>& work) const
    {
        try {
            return work();
        } catch (const std::bad_alloc&) {
            throw; // the server knows how to answer without memory
        } catch (const std::exception& error) {
            const http::Problem problem = problem_of(error);
            if (problem.status >= 500) parts.log(std::string{"web: "} + error.what());
            return http::to_response(problem);
        } catch (...) {
            const escqrs::Error error{escqrs::text_of(std::current_exception())};
            parts.log(std::string{"web: "} + error.what());
            return http::to_response(problem_of(error));
        }
    }

    void require_organiser(const http::RoutedRequest& request) const
    {
        constexpr std::string_view scheme = "Bearer ";
        const auto given = request.request.header("Authorization");
        if (!http::same_name(given.substr(0, scheme.size()), scheme) ||
            !same_secret(given.substr(scheme.size()), parts.organiser_token)) {
            refuse(401, "organiser-only", "This needs the organiser's token.", {}, {{"WWW-Authenticate", "Bearer"}});
        }
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
        if (!same) refuse(422, "idempotency-key-reused", "This Idempotency-Key was used for another request.");
    }

    http::Response register_attendee(const http::RoutedRequest& request) const
    {
        const CommandBody body{request.request};
        const RequestMetadata about{request.request};
        const auto given = body.optional_text("attendeeId");
        // The id is the key to the registration, so nobody may be able to compute it. A repeat is answered with the first one.
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
        const auto confirmation = parse_id<ConfirmationId>(request.path.at("confirmationId"), "confirmationId");
        return accept(RequestMetadata{request.request}, ConfirmEmail{attendee_id(request), confirmation});
    }

    Confirmation confirmation(const http::RoutedRequest& request) const
    {
        const auto id = parse_id<ConfirmationId>(request.path.at("confirmationId"), "confirmationId");
        return find_confirmation(parts.queries, parts.store, id);
    }

    http::Response show_confirmation(const http::RoutedRequest& request) const
    {
        return json_response(200, to_json(confirmation(request).change));
    }

    /// Confirms by the confirmation id alone. It works once and then is answered as the first time, with or without a key.
    http::Response confirm_by_link(const http::RoutedRequest& request) const
    {
        auto found = confirmation(request);
        if (found.change.state != EmailChange::State::confirmed) {
            auto metadata = RequestMetadata{request.request}.metadata;
            metadata.command_id = {};
            try {
                send(metadata, ConfirmEmail{found.attendee_id, found.change.confirmation_id});
            } catch (const RuleViolation&) {
                if (confirmation(request).change.state != EmailChange::State::confirmed)
                    throw; // else another was faster
            }
            found.change.state = EmailChange::State::confirmed;
        }
        return json_response(200, to_json(found.change));
    }

    http::Response unregister_attendee(const http::RoutedRequest& request) const
    {
        const CommandBody body{request.request};
        return accept(RequestMetadata{request.request}, UnregisterAttendee{attendee_id(request), body.text("reason")});
    }

    http::Response show_attendee(const http::RoutedRequest& request) const
    {
        const auto view = parts.queries.find(attendee_id(request));
        if (!view) refuse(404, "unknown-attendee", "There is no attendee with this id.");
        return json_response(200, to_json(*view));
    }

    http::Response show_history(const http::RoutedRequest& request) const
    {
        const auto id = attendee_id(request);
        auto events = history(parts.store, id, escqrs::StreamVersion{});
        if (events.empty()) refuse(404, "unknown-attendee", "There is no attendee with this id.");
        return json_response(200, {{"attendeeId", to_string(id)}, {"events", std::move(events)}});
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
            refuse(400, "malformed-parameter", "'after' must be the 'next' of an earlier page.", "after");
        }
        json::array attendees;
        for (const auto& view : page.attendees) attendees.push_back(to_json(view));
        const auto counts = parts.queries.count();
        return json_response(200, {{"attendees", std::move(attendees)},
                                   {"total", counts.attendees},
                                   {"registered", counts.registered},
                                   {"next", page.next ? json::value(json::string{*page.next}) : json::value(nullptr)}});
    }

    http::Response list_dead_letters(const http::RoutedRequest& request) const
    {
        require_organiser(request);
        constexpr std::size_t most = 200;
        json::array letters;
        for (const auto& letter : parts.dead_letters.list(0, most)) letters.push_back(to_json(letter));
        return json_response(200, {{"deadLetters", std::move(letters)}});
    }

    http::Response resubmit(const http::RoutedRequest& request) const
    {
        require_organiser(request);
        const auto& id = request.path.at("messageId");
        if (!parts.dead_letters.resubmit(id)) refuse(404, "unknown-message", "There is no dead letter with this id.");
        return json_response(202, {{"messageId", id}});
    }

    void wait_then_answer(http::RoutedRequest request, const http::Responder& responder, Work work);
    void stream_attendee(http::RoutedRequest request, const http::Responder& responder);

    AttendeeApiParts parts;          ///< read by the waits and streams below
    http::RateLimitedLog stream_log; ///< thousands of streams may meet the same failure

private:
    class PositionWait;
    class AttendeeStream;
};

/// A query that is answered once the read model has reached a position, or refused when that takes too long.
class AttendeeApi::Implementation::PositionWait : public std::enable_shared_from_this<PositionWait> {
public:
    PositionWait(std::shared_ptr<Implementation> api, http::RoutedRequest request, http::Responder responder, Work work)
        : api_{std::move(api)}, request_{std::move(request)}, responder_{std::move(responder)}, work_{std::move(work)}
    {
    }

    /// Runs on the pool.
    void begin()
    {
        try {
            auto problem = api_->guarded([this] {
                find_event();
                wait();
                return http::Response{0, {}, {}};
            });
            if (problem.status != 0) end([&] { return std::move(problem); });
        } catch (...) {
            end([failure = std::current_exception()]() -> http::Response { std::rethrow_exception(failure); });
        }
    }

private:
    /// The position names an event, and so a stream and a version to wait for.
    void find_event()
    {
        const auto position = parse_number(request_.query.at("position"), "position", 1, INT64_MAX);
        bool found = false;
        api_->parts.store.read_log(escqrs::GlobalPosition{position - 1}, 1, [&](const escqrs::RecordedEvent& event) {
            if (event.position.value() == position && event.stream.category() == Attendee::category) {
                id_ = AttendeeId::parse(event.stream.id());
                version_ = event.version;
                found = true;
            }
            return false;
        });
        if (!found) refuse(400, "unknown-position", "There is no event at this position.", "position");
    }

    void wait()
    {
        auto watch = api_->parts.watcher.watch(id_, [self = weak_from_this()](const AttendeeView& view) {
            if (const auto alive = self.lock(); alive && view.version >= alive->version_) alive->reached();
        });
        {
            const std::scoped_lock lock{mutex_};
            if (ended_) return;
            watch_ = std::move(watch);
            keep_alive_ = shared_from_this();
        }
        const bool is_bounded = api_->parts.pool.run_after(api_->parts.max_wait, [self = weak_from_this()] {
            if (const auto alive = self.lock()) alive->give_up();
        });
        if (!is_bounded) return give_up();
        const auto view = api_->parts.queries.find(id_);
        if (view && view->version >= version_) answer();
    }

    /// On the watcher's thread, which must not be held up.
    void reached()
    {
        if (!api_->parts.pool.try_run([self = shared_from_this()] { self->answer(); })) give_up();
    }

    void answer()
    {
        end([this] { return api_->guarded([this] { return work_(request_); }); });
    }

    void give_up()
    {
        end([] {
            return http::to_response(
                {503, "read-model-behind", "The view has not reached this position yet.", {}, {{"Retry-After", "1"}}});
        });
    }

    /// Whoever comes first responds.
    void end(escqrs::FunctionRef<http::Response()> response)
    {
        std::shared_ptr<PositionWait> last;
        std::unique_ptr<AttendeeWatcher::Watch> watch;
        {
            const std::scoped_lock lock{mutex_};
            if (std::exchange(ended_, true)) return;
            last = std::move(keep_alive_);
            watch = std::move(watch_);
        }
        responder_.respond_with(response);
    }

    std::shared_ptr<Implementation> api_;
    http::RoutedRequest request_;
    http::Responder responder_;
    Work work_;
    AttendeeId id_;
    escqrs::StreamVersion version_;
    std::mutex mutex_;
    bool ended_ = false;
    std::unique_ptr<AttendeeWatcher::Watch> watch_;
    std::shared_ptr<PositionWait> keep_alive_;
};

void AttendeeApi::Implementation::wait_then_answer(http::RoutedRequest request, const http::Responder& responder,
                                                   Work work)
{
    if (!request.query.contains("position")) return run(std::move(request), responder, std::move(work));
    const auto wait =
        std::make_shared<PositionWait>(shared_from_this(), std::move(request), responder, std::move(work));
    if (!parts.pool.try_run([wait] { wait->begin(); })) {
        responder.respond(http::to_response({503, {}, "We are busy just now.", {}, {{"Retry-After", "1"}}}));
    }
}

/// One client that follows one attendee. Each message holds the attendee and the events that the client lacks.
class AttendeeApi::Implementation::AttendeeStream : public std::enable_shared_from_this<AttendeeStream> {
public:
    AttendeeStream(std::shared_ptr<Implementation> api, const AttendeeId& id, escqrs::StreamVersion seen)
        : api_{std::move(api)}, id_{id}, seen_{seen}
    {
    }

    /// Runs on the pool.
    void begin(const http::Responder& responder)
    {
        try {
            const auto problem = start(responder);
            if (problem.status != 0) responder.respond(problem);
            else update();
        } catch (...) {
            responder.fail(std::current_exception());
        }
    }

private:
    http::Response start(const http::Responder& responder)
    {
        return api_->guarded([&] {
            if (!api_->parts.queries.find(id_)) refuse(404, "unknown-attendee", "There is no attendee with this id.");
            auto watch = api_->parts.watcher.watch(id_, [self = weak_from_this()](const AttendeeView&) {
                if (const auto alive = self.lock()) alive->update_soon();
            });
            auto stream = responder.stream(
                {{"Content-Type", "text/event-stream"}, {"Cache-Control", "no-store"}, {"X-Accel-Buffering", "no"}},
                [self = shared_from_this()] { self->closed(); });
            const std::scoped_lock lock{mutex_};
            stream_ = std::move(stream);
            watch_ = std::move(watch);
            return http::Response{0, {}, {}};
        });
    }

    void update_soon()
    {
        if (pending_.exchange(true)) return;
        const bool taken = api_->parts.pool.try_run([self = shared_from_this()] { self->update(); });
        if (!taken) api_->parts.pool.run_after(retry_delay, [self = shared_from_this()] { self->update(); });
    }

    void update()
    {
        pending_ = false;
        const std::scoped_lock lock{mutex_};
        if (!stream_) return;
        if (!stream_->is_open()) return let_go();
        try {
            const auto view = api_->parts.queries.find(id_);
            if (!view || (is_started_ && view->version <= seen_)) return;
            const json::object message{{"attendee", to_json(*view)},
                                       {"events", history(api_->parts.store, id_, seen_, view->version)}};
            stream_->send("id: " + std::to_string(view->version.value()) +
                          "\nevent: attendee\ndata: " + json::serialize(message) + "\n\n");
            seen_ = view->version;
            is_started_ = true;
            delay_ = retry_delay;
        } catch (...) {
            pending_ = true; // until the retry, which any news can wait for
            api_->stream_log("web: stream: " + escqrs::text_of(std::current_exception()));
            api_->parts.pool.run_after(std::exchange(delay_, std::min(2 * delay_, longest_retry_delay)),
                                       [self = shared_from_this()] { self->update(); });
        }
    }

    /// Called on a thread of the server, which must wait neither for an update nor for the watcher.
    void closed()
    {
        const auto end = [self = shared_from_this()] {
            const std::scoped_lock lock{self->mutex_};
            self->let_go();
        };
        if (!api_->parts.pool.try_run(end)) api_->parts.pool.run_after(retry_delay, end);
    }

    /// With the lock held. The watch's callback takes no lock of ours, so waiting for it is safe.
    void let_go()
    {
        watch_.reset();
        stream_.reset();
    }

    std::shared_ptr<Implementation> api_;
    AttendeeId id_;
    std::mutex mutex_;
    std::shared_ptr<http::EventStream> stream_;
    std::unique_ptr<AttendeeWatcher::Watch> watch_;
    escqrs::StreamVersion seen_;
    bool is_started_ = false;
    std::chrono::milliseconds delay_ = retry_delay; ///< before the next retry
    std::atomic<bool> pending_{false};
};

void AttendeeApi::Implementation::stream_attendee(http::RoutedRequest request, const http::Responder& responder)
{
    const auto problem = guarded([&] {
        const auto id = attendee_id(request);
        const std::string last{request.request.header("Last-Event-ID")};
        const std::uint64_t seen = last.empty() ? 0 : parse_number(last, "Last-Event-ID", 0, INT64_MAX - 1);
        const auto stream = std::make_shared<AttendeeStream>(shared_from_this(), id, escqrs::StreamVersion{seen});
        const bool taken = parts.pool.try_run([stream, responder] { stream->begin(responder); });
        if (!taken) refuse(503, {}, "We are busy just now.", {}, {{"Retry-After", "1"}});
        return http::Response{0, {}, {}};
    });
    if (problem.status != 0) responder.respond(problem);
}

AttendeeApi::AttendeeApi(AttendeeApiParts parts) : implementation_{std::make_shared<Implementation>(std::move(parts))}
{
}

AttendeeApi::~AttendeeApi() = default;

void AttendeeApi::add_routes(http::Router& router)
{
    using Member = http::Response (Implementation::*)(const http::RoutedRequest&) const;
    const auto add = [&](const char* method, const char* pattern, Member member) {
        router.on(method, pattern,
                  [api = implementation_, member](http::RoutedRequest request, const http::Responder& responder) {
                      api->run(std::move(request), responder,
                               [api, member](const http::RoutedRequest& given) { return ((*api).*member)(given); });
                  });
    };
    const auto add_query = [&](const char* pattern, Member member) {
        router.on("GET", pattern,
                  [api = implementation_, member](http::RoutedRequest request, const http::Responder& responder) {
                      api->wait_then_answer(
                          std::move(request), responder,
                          [api, member](const http::RoutedRequest& given) { return ((*api).*member)(given); });
                  });
    };
    add("POST", "/api/attendee/register", &Implementation::register_attendee);
    add("POST", "/api/attendee/{id}/email", &Implementation::change_email);
    add("POST", "/api/attendee/{id}/email/{confirmationId}", &Implementation::confirm_email);
    add("GET", "/api/confirmation/{confirmationId}", &Implementation::show_confirmation);
    add("POST", "/api/confirmation/{confirmationId}", &Implementation::confirm_by_link);
    add("DELETE", "/api/attendee/{id}", &Implementation::unregister_attendee);
    add_query("/api/attendee/{id}", &Implementation::show_attendee);
    add_query("/api/attendee/{id}/history", &Implementation::show_history);
    add("GET", "/api/dead-letters", &Implementation::list_dead_letters);
    add("POST", "/api/dead-letters/{messageId}/resubmit", &Implementation::resubmit);
    router.on("GET", "/api/attendees",
              [api = implementation_](http::RoutedRequest request, const http::Responder& responder) {
                  const auto refusal = api->guarded([&] {
                      api->require_organiser(request); // before anything waits
                      return http::Response{0, {}, {}};
                  });
                  if (refusal.status != 0) return responder.respond(refusal);
                  api->wait_then_answer(std::move(request), responder,
                                        [api](const http::RoutedRequest& given) { return api->list_attendees(given); });
              });
    router.on("GET", "/api/attendee/{id}/stream",
              [api = implementation_](http::RoutedRequest request, const http::Responder& responder) {
                  api->stream_attendee(std::move(request), responder);
              });
}

} // namespace conference::web
