// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

// What the adapter decides without a connection: tokens, delays, conditions, locks, the window of sends.
#include <service_bus/flight_limit.hpp>
#include <service_bus/lock_renewal.hpp>
#include <service_bus/lock_token.hpp>
#include <service_bus/recovery.hpp>
#include <service_bus/sas_token.hpp>
#include <service_bus/send_window.hpp>
#include <service_bus/session_share.hpp>
#include <service_bus/token_schedule.hpp>
#include <service_bus/wire_time.hpp>

#include <escqrs/core/error.hpp>
#include <escqrs/testing/catch2.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <limits>
#include <map>
#include <random>
#include <string>
#include <vector>

namespace {

using namespace service_bus;
using namespace std::chrono_literals;
using escqrs::Timestamp;

const Timestamp start = std::chrono::sys_days{std::chrono::year{2026} / 1 / 1};
const escqrs::SteadyTime begin{1h};

} // namespace

TEST_CASE("a token is signed as Service Bus wants it")
{
    // printf 'sb%%3A%%2F%%2Fhost.example%%2Fqueue\n1767229200' | openssl dgst -sha256 -hmac 'the key' -binary | base64
    const AccessToken token = make_sas_token("sb://host.example/queue", {"name of key", "the key"}, start, 1h);
    CHECK(token.expires_at == start + 1h);
    CHECK(token.text == "SharedAccessSignature "
                        "sr=sb%3A%2F%2Fhost.example%2Fqueue&sig=unBIvbL%2BEJheqb%2FwPb%2BN14zx1%2Btu7%2Fomxtk2fmVy%"
                        "2BPs%3D&se=1767229200&skn="
                        "name%20of%20key");
    CHECK(expiry_of(token.text) == token.expires_at);
}

TEST_CASE("a ready-made token tells its end, or is refused without being shown")
{
    CHECK(expiry_of("SharedAccessSignature se=60&sig=s") == Timestamp{60s});
    for (const char* bad : {"", "Bearer se=1", "SharedAccessSignature sr=secret&sig=secret",
                            "SharedAccessSignature se=", "SharedAccessSignature se=secret",
                            "SharedAccessSignature se=-1", "SharedAccessSignature se=99999999999999999999"}) {
        try {
            (void)expiry_of(bad);
            FAIL("expected a TransportError for " << bad);
        } catch (const escqrs::TransportError& error) {
            CHECK_THAT(error.what(), !Catch::Matchers::Contains("secret"));
        }
    }
}

TEST_CASE("a token is put at once, again ahead of its expiry, and soon again after a refusal")
{
    TokenSchedule schedule{[] { return 0.5; }};
    CHECK(schedule.is_due(begin));
    CHECK_FALSE(schedule.is_authorised(begin));
    schedule.sent();
    CHECK_FALSE(schedule.is_due(begin + 1h)); // an answer is outstanding
    schedule.accepted(begin, begin + 1h);
    CHECK(schedule.is_authorised(begin + 59min));
    CHECK_FALSE(schedule.is_authorised(begin + 1h));
    CHECK_FALSE(schedule.is_due(begin + 45min - 1us));
    CHECK(schedule.is_due(begin + 45min));
    schedule.sent();
    schedule.refused(begin + 45min);
    CHECK_FALSE(schedule.is_due(begin + 45min));
    CHECK(schedule.is_due(begin + 45min + 1s));
    CHECK(schedule.is_authorised(begin + 45min)); // the old one still holds
    schedule.sent();
    schedule.accepted(begin + 46min, begin + 50min); // a short life: a quarter ahead
    CHECK_FALSE(schedule.is_due(begin + 49min - 1us));
    CHECK(schedule.is_due(begin + 49min));
}

TEST_CASE("delays between connections grow to the longest, jittered by a fifth, and begin anew")
{
    double drawn = 0.5;
    escqrs::Backoff delay = reconnect_backoff(800ms, 60s, [&] { return drawn; });
    std::vector<escqrs::Duration> delays;
    for (int attempt = 0; attempt < 9; ++attempt) delays.push_back(delay.next());
    CHECK(delays ==
          std::vector<escqrs::Duration>{800ms, 1600ms, 3200ms, 6400ms, 12'800ms, 25'600ms, 51'200ms, 60s, 60s});
    drawn = 0;
    CHECK(delay.next() == 48s);
    delay.reset();
    CHECK(delay.next() == 640ms);
}

TEST_CASE("what helps against which condition")
{
    const std::vector<std::pair<const char*, Recovery>> expected{
        {"com.microsoft:server-busy", Recovery::retry_on_link},
        {"com.microsoft:timeout", Recovery::retry_on_link},
        {"amqp:internal-error", Recovery::retry_on_link},
        {"amqp:link:detach-forced", Recovery::reattach_link},
        {"com.microsoft:container-close", Recovery::reattach_link},
        {"amqp:connection:forced", Recovery::reconnect},
        {"amqp:unauthorized-access", Recovery::put_token_and_retry_once},
        {"com.microsoft:auth-failed", Recovery::put_token_and_retry_once},
        {"amqp:not-found", Recovery::fail},
        {"amqp:not-allowed", Recovery::fail},
        {"amqp:resource-limit-exceeded", Recovery::fail},
        {"com.microsoft:entity-disabled", Recovery::fail},
        {"com.microsoft:message-lock-lost", Recovery::fail},
        {"", Recovery::reattach_link},
        {"com.example:never-heard-of", Recovery::reattach_link},
    };
    for (const auto& [condition, recovery] : expected) {
        CAPTURE(condition);
        CHECK(recovery_for(condition, ConditionSource::broker) == recovery);
        CHECK(recovery_for(condition, ConditionSource::transport) == Recovery::reconnect);
    }
    for (const char* const condition : {"amqp:not-allowed", "amqp:link:message-size-exceeded", "amqp:decode-error"}) {
        CHECK(concerns_the_message(condition));
        CHECK(recovery_for(condition, ConditionSource::broker) == Recovery::fail);
    }
    for (const char* const condition : {"", "amqp:resource-limit-exceeded", "com.microsoft:entity-disabled"}) {
        CHECK_FALSE(concerns_the_message(condition));
    }
    CHECK(least_delay_for("com.microsoft:server-busy") == 2s);
    CHECK(least_delay_for("amqp:link:detach-forced") == 0s);
}

TEST_CASE("a lock is renewed ten seconds before its end, or at half of a short one, until it is given up")
{
    CHECK(next_renewal(begin, begin + 1min, begin + 5min) == begin + 50s);
    CHECK(next_renewal(begin, begin + 8s, begin + 5min) == begin + 4s);
    CHECK_FALSE(next_renewal(begin, begin + 1min, begin + 49s));
    CHECK(next_renewal(begin, begin + 1min, begin + 50s) == begin + 50s);
}

TEST_CASE("a receive is shared by sessions, a small one is not split")
{
    CreditShare small{5};
    CHECK(small.take() == 5);
    CHECK(small.take() == 0);
    CreditShare large{100};
    CHECK(large.take() == 13);
    CHECK(large.left() == 87);
    large.give_back(12);
    CHECK(large.left() == 99);
    std::size_t taken = 0;
    while (large.left() > 0) taken += large.take();
    CHECK(taken == 99);
}

TEST_CASE("a delivery tag is a .NET Guid")
{
    const std::string tag{"\x33\x22\x11\x00\x55\x44\x77\x66\x88\x99\xaa\xbb\xcc\xdd\xee\xff", 16};
    CHECK(text_of_delivery_tag(tag) == "00112233-4455-6677-8899-aabbccddeeff");
    CHECK(text_of_delivery_tag(std::string{"\x01\xfe", 2}) == "01fe");
}

TEST_CASE(".NET ticks are hundreds of nanoseconds since the year 1")
{
    CHECK(from_dotnet_ticks(621'355'968'000'000'000) == Timestamp{});
    CHECK(from_dotnet_ticks(621'355'968'000'000'010) == Timestamp{1us});
}

TEST_CASE("a time from the wire is a time, whatever the number")
{
    CHECK(from_amqp_timestamp(1) == Timestamp{1ms});
    CHECK(escqrs::to_rfc3339(from_amqp_timestamp(std::numeric_limits<std::int64_t>::max())) ==
          "9999-12-31T23:59:59.999000Z");
    CHECK(escqrs::to_rfc3339(from_amqp_timestamp(std::numeric_limits<std::int64_t>::min())) ==
          "0001-01-01T00:00:00.000000Z");
}

TEST_CASE("of a session one message is on its way at a time, of others as many as the window takes")
{
    std::vector<escqrs::Message> batch(6);
    for (const std::size_t index : {0U, 1U, 4U}) batch[index].session_id = "a";
    SendWindow window{batch, 3};
    CHECK(window.next() == 0);
    CHECK(window.next() == 2);
    CHECK(window.next() == 3);
    CHECK_FALSE(window.next()); // full
    window.accepted(2);
    CHECK(window.next() == 5);
    window.to_be_retried(0);
    CHECK(window.next() == 0);
    window.connection_lost();
    CHECK(window.in_flight() == 0);
    CHECK(window.pending() == 5);
    CHECK(window.next() == 0);
    window.accepted(0);
    CHECK(window.next() == 1);
}

TEST_CASE("what is on its way is limited in messages and in bytes, and one may always go")
{
    FlightLimit limit{2, 100};
    CHECK(limit.has_room());
    limit.sent(99);
    CHECK(limit.has_room());
    limit.sent(1);
    CHECK_FALSE(limit.has_room());
    limit.answered(99);
    CHECK(limit.has_room());
    limit.sent(500);
    limit.answered(1);
    CHECK_FALSE(limit.has_room()); // one message, too many bytes
    limit.answered(500);
    CHECK(limit.has_room());
    limit.sent(500);
    limit.clear();
    CHECK(limit.has_room());
    CHECK(FlightLimit{0, 0}.has_room());
}

TEST_CASE("whatever becomes of messages, all are accepted in the order of their sessions, within the window")
{
    std::minstd_rand random{11};
    for (int round = 0; round < 300; ++round) {
        std::vector<escqrs::Message> batch(1 + random() % 60);
        for (auto& message : batch) {
            const auto session = random() % 6;
            if (session > 0) message.session_id = std::to_string(session);
        }
        const std::size_t width = 1 + random() % 10;
        SendWindow window{batch, width};
        std::vector<std::size_t> in_flight;
        std::vector<std::size_t> stored; // as the queue has them, without duplicates
        while (!window.is_done()) {
            if (const auto next = window.next()) {
                in_flight.push_back(*next);
                REQUIRE(in_flight.size() <= width);
                continue;
            }
            REQUIRE_FALSE(in_flight.empty()); // something can always go
            const std::size_t at = random() % in_flight.size();
            const std::size_t index = in_flight[at];
            const auto store = [&](std::size_t which) {
                if (std::ranges::find(stored, which) == stored.end()) stored.push_back(which);
            };
            switch (random() % 8) {
            case 0:
                for (const std::size_t unknown : in_flight) {
                    if (random() % 2 == 0) store(unknown);
                }
                in_flight.clear();
                window.connection_lost();
                break;
            case 1:
                in_flight.erase(in_flight.begin() + static_cast<std::ptrdiff_t>(at));
                window.to_be_retried(index);
                break;
            default:
                in_flight.erase(in_flight.begin() + static_cast<std::ptrdiff_t>(at));
                store(index);
                window.accepted(index);
            }
        }
        REQUIRE(stored.size() == batch.size());
        std::map<std::string, std::size_t> last;
        for (const std::size_t index : stored) {
            const std::string& session = batch[index].session_id;
            if (session.empty()) continue;
            const auto before = last.find(session);
            REQUIRE((before == last.end() || before->second < index));
            last[session] = index;
        }
    }
}
