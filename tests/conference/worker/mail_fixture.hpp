// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "worker/mailer.hpp"

#include "worker_fixture.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

namespace conference::test {

using namespace std::chrono_literals;

/// Takes mails, or does with them what a test wants.
struct TestTransport final : mail::Transport {
    void deliver(const mail::Message& mail, const std::stop_token&) override
    {
        if (before) before(mail);
        const std::scoped_lock lock{mutex};
        ++taken[mail.to];
        last_text = mail::to_rfc5322(mail);
    }
    std::chrono::seconds time_limit() const noexcept override { return 1min; }

    std::function<void(const mail::Message&)> before{};
    std::mutex mutex;
    std::map<std::string, int> taken;
    std::string last_text;
};

/// A read model that owes mails, on a clock that stands still.
struct Office {
    TemporaryFolder folder;
    std::string path = folder.file("read-model.db");
    escqrs::testing::ManualClock clock{moment(1000)};
    Publisher publisher{path};
    escqrs::sqlite::Database database{path, read_model_schema, {.busy_timeout = 10s}};
    std::vector<std::string> log;

    std::string owe(const std::string& recipient) { return owe(register_attendee(), 2, recipient); }

    /// Registered long ago: that mail was sent in its time.
    AttendeeId register_attendee()
    {
        const auto id = new_attendee_id();
        publisher.publish(id, 1, AttendeeRegistered{"ada@example.org"}, true);
        return id;
    }

    AttendeeId register_now(const std::string& email)
    {
        const auto id = new_attendee_id();
        publisher.publish(id, 1, AttendeeRegistered{email});
        return id;
    }

    std::string owe(const AttendeeId& id, std::uint64_t version, const std::string& recipient)
    {
        const auto context =
            publisher.publish(id, version, EmailChangeRequested{recipient, ConfirmationId{escqrs::random_uuid()}});
        return to_string(context.id);
    }

    Mailer mailer(mail::Transport& transport, std::uint32_t most_attempts = 1200)
    {
        return mailer(transport, database, most_attempts);
    }

    Mailer mailer(mail::Transport& transport, escqrs::sqlite::Database& connection, std::uint32_t most_attempts = 1200)
    {
        MailerOptions options;
        options.most_attempts = most_attempts;
        options.clock = &clock;
        options.jitter = [] { return 0.5; };
        options.log = [this](std::string_view line) { log.emplace_back(line); };
        return {connection, transport, MailWriter{"https://conference.example", ""}, options};
    }

    std::int64_t unsent()
    {
        return database.query_integer(
            "SELECT count(*) FROM outgoing_mail WHERE sent_at IS NULL AND given_up_at IS NULL");
    }

    /// What is sent until nothing has been sent for more than an hour.
    std::size_t send_all(Mailer& mailer)
    {
        std::size_t sent = 0;
        for (int quiet = 0; quiet < 70; ++quiet) {
            if (const auto now = mailer.send_due()) {
                sent += now;
                quiet = 0;
            }
            clock.advance(1min);
        }
        return sent;
    }
};

} // namespace conference::test
