// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "worker/mail_folder.hpp"
#include "worker/mailer.hpp"
#include "worker/smtp_client.hpp"

#include "worker_fixture.hpp"

#include <escqrs/testing/catch2.hpp>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using namespace conference;
using namespace conference::test;
using namespace std::chrono_literals;

namespace {

/// Takes mails, or does with them what a test wants.
struct TestTransport final : MailTransport {
    void deliver(const Mail& mail, const std::stop_token&) override
    {
        if (before) before(mail);
        const std::scoped_lock lock{mutex};
        ++taken[mail.to];
        last_text = to_rfc5322(mail);
    }
    escqrs::Duration time_limit() const noexcept override { return 1min; }

    std::function<void(const Mail&)> before{};
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

    Mailer mailer(MailTransport& transport, std::uint32_t most_attempts = 1200)
    {
        return mailer(transport, database, most_attempts);
    }

    Mailer mailer(MailTransport& transport, escqrs::sqlite::Database& connection, std::uint32_t most_attempts = 1200)
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

std::string content(const std::filesystem::path& path)
{
    std::ifstream file{path, std::ios::binary};
    return {std::istreambuf_iterator<char>{file}, {}};
}

std::set<std::string> names_in(const std::string& folder)
{
    std::set<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator{folder}) names.insert(entry.path().filename());
    return names;
}

} // namespace

TEST_CASE("mailer: every owed mail is sent once")
{
    Office office;
    TestTransport transport;
    auto mailer = office.mailer(transport);
    CHECK(mailer.send_due() == 0);
    office.owe("ada@example.org");
    office.owe("byron@example.org");
    CHECK(mailer.send_due() == 2);
    CHECK(mailer.send_due() == 0);
    office.clock.advance(24h);
    CHECK(mailer.send_due() == 0);
    CHECK(transport.taken == std::map<std::string, int>{{"ada@example.org", 1}, {"byron@example.org", 1}});
    CHECK(office.unsent() == 0);
}

TEST_CASE("mailer: a mail that fails is tried again, less and less often, and keeps no other back")
{
    Office office;
    TestTransport transport;
    transport.before = [](const Mail& mail) {
        if (mail.to == "full@example.org") throw MailError{"mailbox full"};
    };
    auto mailer = office.mailer(transport);
    office.owe("full@example.org");
    office.owe("ada@example.org");
    CHECK(mailer.send_due() == 1);
    CHECK(transport.taken.count("ada@example.org") == 1);

    std::vector<int> tries; // in each minute
    for (int minute = 0; minute < 60; ++minute) {
        office.log.clear();
        for (int second = 0; second < 60; ++second) {
            office.clock.advance(1s);
            CHECK(mailer.send_due() == 0);
        }
        tries.push_back(static_cast<int>(office.log.size()));
    }
    CHECK(tries.front() >= 4);
    CHECK(tries.front() < 10);
    int last_quarter = 0;
    for (auto minute = tries.begin() + 45; minute != tries.end(); ++minute) last_quarter += *minute;
    CHECK(last_quarter >= 2);
    CHECK(last_quarter <= 6);
    CHECK(office.database.query_integer("SELECT count(*) FROM outgoing_mail WHERE last_error = 'mailbox full'") == 1);

    transport.before = {};
    office.clock.advance(5min);
    CHECK(mailer.send_due() == 1);
    CHECK(office.unsent() == 0);
}

TEST_CASE("mailer: a mail that is refused is never tried again")
{
    Office office;
    TestTransport transport;
    transport.before = [](const Mail&) { throw MailRefused{"550 no such mailbox"}; };
    auto mailer = office.mailer(transport);
    const auto event = office.owe("nobody@example.org");
    CHECK(mailer.send_due() == 0);
    CHECK(office.log ==
          std::vector<std::string>{"mail of event " + event + ", attempt 1: given up: 550 no such mailbox"});
    CHECK(office.unsent() == 0);
    transport.before = {};
    CHECK(office.send_all(mailer) == 0);
}

TEST_CASE("mailer: a mail that fails again and again is given up")
{
    Office office;
    TestTransport transport;
    transport.before = [](const Mail&) { throw MailError{"mailbox full"}; };
    auto mailer = office.mailer(transport, 3);
    office.owe("full@example.org");
    CHECK(office.send_all(mailer) == 0);
    CHECK(office.log.size() == 3);
    CHECK_THAT(office.log.back(), Catch::EndsWith(", attempt 3: given up: mailbox full"));
    CHECK(office.unsent() == 0);
}

TEST_CASE("mailer: a mail at which the server always breaks off keeps no other back")
{
    Office office;
    TestTransport transport;
    transport.before = [](const Mail& mail) {
        if (mail.to == "poison@example.org") throw MailServerUnavailable{"connection lost"};
    };
    auto mailer = office.mailer(transport);
    office.owe("poison@example.org");
    office.owe("ada@example.org");
    CHECK(mailer.send_due() == 1);
    office.owe("byron@example.org");
    CHECK(mailer.send_due() == 1);
    CHECK(office.unsent() == 1);
}

TEST_CASE("mailer: a recipient that is no address is never handed out, and keeps no other back")
{
    Office office;
    TestTransport transport;
    auto mailer = office.mailer(transport);
    office.owe("ada@example.org\r\nBcc: eve@example.com");
    transport.before = [](const Mail& mail) { to_rfc5322(mail); };
    office.owe("byron@example.org");
    CHECK(mailer.send_due() == 1);
    CHECK(transport.taken == std::map<std::string, int>{{"byron@example.org", 1}});
    CHECK(office.unsent() == 0);
}

TEST_CASE("mailer: while no mail can be sent, two tell as much as a thousand, and none is lost")
{
    Office office;
    TestTransport transport;
    int calls = 0;
    transport.before = [&](const Mail&) {
        ++calls;
        throw MailServerUnavailable{"no server"};
    };
    auto mailer = office.mailer(transport);
    office.owe("ada@example.org");
    office.owe("byron@example.org");
    office.owe("lovelace@example.org");
    CHECK_THROWS_AS(mailer.send_due(), MailServerUnavailable);
    CHECK(calls == 2);
    transport.before = {};
    CHECK(mailer.send_due() == 1);
    office.clock.advance(1s);
    CHECK(mailer.send_due() == 2);
}

TEST_CASE("mailer: running, it waits for the server to come back, and stops when told")
{
    Office office;
    TestTransport transport;
    std::atomic<int> failures{5};
    transport.before = [&](const Mail&) {
        const int left = failures--;
        if (left == 3) throw 42; // NOLINT(hicpp-exception-baseclass): whatever a transport throws
        if (left > 0) throw MailServerUnavailable{"no server"};
    };
    auto mailer = office.mailer(transport);
    office.owe("ada@example.org");
    std::jthread thread{[&](std::stop_token stop) { mailer.run(std::move(stop)); }};
    while (true) {
        office.clock.await_waiting(1);
        {
            const std::scoped_lock lock{transport.mutex};
            if (!transport.taken.empty()) break;
        }
        office.clock.advance(5min);
    }
    thread.request_stop();
    thread.join();
    CHECK(transport.taken.at("ada@example.org") == 1);
    CHECK(office.log.size() == 5);
    CHECK(office.unsent() == 0);
}

TEST_CASE("mailer: one that dies with a mail in hand leaves it to others, after its time")
{
    Office office;
    TestTransport transport;
    MailOutbox dead{office.database};
    office.owe("ada@example.org");
    const auto claimed = dead.claim(office.clock.now(), transport.time_limit());
    REQUIRE(claimed);
    auto mailer = office.mailer(transport);
    CHECK(mailer.send_due() == 0);
    office.clock.advance(59s);
    CHECK(mailer.send_due() == 0);
    office.clock.advance(1s);

    SECTION("who sends it then is the only one")
    {
        CHECK(mailer.send_due() == 1);
        // It was only very slow, and now thinks it failed: that changes nothing any more.
        dead.put_off(*claimed, office.clock.now(), "too late");
        CHECK(mailer.send_due() == 0);
    }
    SECTION("a claim that is over cannot put the mail off for the next holder")
    {
        const auto second = dead.claim(office.clock.now(), 1min);
        REQUIRE(second);
        CHECK(second->attempt == 2);
        dead.put_off(*claimed, office.clock.now(), "too late");
        CHECK(mailer.send_due() == 0); // still held
    }
    SECTION("a mail that was sent late after all is not sent again")
    {
        dead.mark_sent(*claimed, office.clock.now());
        CHECK(mailer.send_due() == 0);
        CHECK(office.unsent() == 0);
    }
}

TEST_CASE("mailer: a clock that is set back hides no mail of one that died")
{
    Office office;
    TestTransport transport;
    office.owe("ada@example.org");
    MailOutbox dead{office.database};
    REQUIRE(dead.claim(office.clock.now(), transport.time_limit()));
    office.clock.set(office.clock.now() - 24h);
    auto mailer = office.mailer(transport);
    CHECK(mailer.send_due() == 1);
    CHECK(mailer.send_due() == 0);
    CHECK(office.unsent() == 0);
}

TEST_CASE("mailer: several racing for the same mails send each once")
{
    Office office;
    TestTransport transport;
    for (int count = 0; count < 60; ++count) office.owe("visitor" + std::to_string(count) + "@example.org");
    std::vector<std::jthread> threads;
    std::atomic<std::size_t> sent{0};
    for (int index = 0; index < 3; ++index) {
        threads.emplace_back([&] {
            escqrs::sqlite::Database own{office.path,
                                         read_model_schema,
                                         {.synchronous = escqrs::sqlite::Synchronous::normal, .busy_timeout = 30s}};
            auto mailer = office.mailer(transport, own);
            sent += mailer.send_due();
        });
    }
    threads.clear();
    CHECK(sent == 60);
    CHECK(transport.taken.size() == 60);
    for (const auto& [recipient, times] : transport.taken) CHECK(times == 1);
}

TEST_CASE("mail limits: a mailbox gets five mails an hour, however its address is spelt, and no other waits")
{
    Office office;
    TestTransport transport;
    auto mailer = office.mailer(transport);
    for (int count = 0; count < 4; ++count) {
        office.owe("victim@example.org");
        office.owe("Victim@Example.ORG");
        office.owe("v.ictim+" + std::to_string(count) + "@example.org");
    }
    office.owe("ada@example.org");
    const auto to_victim = [&] {
        int mails = 0;
        for (const auto& [recipient, times] : transport.taken) mails += recipient == "ada@example.org" ? 0 : times;
        return mails;
    };
    CHECK(mailer.send_due() == 6);
    CHECK(to_victim() == 5);
    CHECK(transport.taken.at("ada@example.org") == 1);
    office.clock.advance(59min);
    CHECK(mailer.send_due() == 0);
    office.clock.advance(1min);
    CHECK(mailer.send_due() == 5);
    CHECK(office.send_all(mailer) == 2); // each of them was another registration's last request
    CHECK(office.unsent() == 0);
}

TEST_CASE("mail limits: they hold for all mailers together, also for mails that are being sent")
{
    Office office;
    TestTransport transport;
    for (int count = 0; count < 8; ++count) office.owe("victim@example.org");
    MailOutbox outbox{office.database};
    int claimed = 0;
    while (outbox.claim(office.clock.now(), transport.time_limit())) ++claimed;
    CHECK(claimed == 5);
    auto mailer = office.mailer(transport);
    CHECK(mailer.send_due() == 0);
}

TEST_CASE("mail limits: a mail that fails is tried again in its own turn")
{
    Office office;
    TestTransport transport;
    transport.before = [](const Mail&) { throw MailError{"try again later"}; };
    for (int count = 0; count < 6; ++count) office.owe("victim@example.org");
    auto mailer = office.mailer(transport);
    CHECK(mailer.send_due() == 0);
    CHECK(office.log.size() == 5);
    transport.before = {};
    office.clock.advance(1min);
    CHECK(mailer.send_due() == 5);
}

TEST_CASE(
    "mail limits: a registration has ten mails sent in a day, to whatever addresses, and the last one in its turn")
{
    Office office;
    TestTransport transport;
    auto mailer = office.mailer(transport);
    const auto id = office.register_attendee();
    std::size_t sent = 0;
    for (std::uint64_t version = 2; version < 32; ++version) {
        office.owe(id, version, "stranger" + std::to_string(version) + "@example.org");
        sent += mailer.send_due();
    }
    CHECK(sent == 10);
    CHECK(office.unsent() == 1);
    office.clock.advance(23h);
    CHECK(mailer.send_due() == 0);
    office.clock.advance(59min);
    CHECK(mailer.send_due() == 0);
    office.clock.advance(1min);
    CHECK(mailer.send_due() == 1);
    CHECK(transport.taken.count("stranger31@example.org") == 1);
}

TEST_CASE("mail limits: a mail whose turn does not come within two days is given up")
{
    Office office;
    TestTransport transport;
    auto mailer = office.mailer(transport);
    for (int count = 0; count < 300; ++count) office.owe("victim@example.org");
    CHECK(office.send_all(mailer) <= 5 * 49);
    CHECK(office.unsent() == 0);
}

TEST_CASE("mail limits: a clock that is set back holds no mail back for longer than the limit")
{
    Office office;
    TestTransport transport;
    auto mailer = office.mailer(transport);
    for (int count = 0; count < 6; ++count) office.owe("victim@example.org");
    CHECK(mailer.send_due() == 5);
    office.clock.set(office.clock.now() - 10min);
    CHECK(mailer.send_due() == 0);
    office.clock.advance(70min);
    CHECK(mailer.send_due() == 1);
}

TEST_CASE("mail: the key to a registration goes to its address, once, and within the same limits")
{
    Office office;
    TestTransport transport;
    auto mailer = office.mailer(transport);
    const auto id = office.register_now("ada@example.org");
    office.owe(id, 2, "first@example.org");
    office.owe(id, 3, "second@example.org"); // makes the first request useless, not the key
    CHECK(mailer.send_due() == 2);
    CHECK(transport.taken == std::map<std::string, int>{{"ada@example.org", 1}, {"second@example.org", 1}});
    office.clock.advance(24h);
    CHECK(mailer.send_due() == 0);

    SECTION("a mailbox gets five of both kinds in an hour")
    {
        for (int count = 0; count < 4; ++count) office.register_now("victim@example.org");
        for (int count = 0; count < 4; ++count) office.owe("victim@example.org");
        CHECK(mailer.send_due() == 5);
    }
    SECTION("it is one of the ten that a registration has in a day")
    {
        const auto other = office.register_now("byron@example.org");
        std::size_t sent = mailer.send_due();
        for (std::uint64_t version = 2; version < 14; ++version) {
            office.owe(other, version, "stranger" + std::to_string(version) + "@example.org");
            sent += mailer.send_due();
        }
        CHECK(sent == 10);
    }
    SECTION("a registration that has ended, or has another address, needs none to the old one")
    {
        office.publisher.publish(office.register_now("ended@example.org"), 2, AttendeeUnregistered{"ill"});
        const auto moved = office.register_now("old@example.org");
        office.owe(moved, 2, "new@example.org");
        office.publisher.publish(moved, 3, EmailChangeConfirmed{"new@example.org"});
        CHECK(mailer.send_due() == 0);
        CHECK(office.unsent() == 0);
    }
    SECTION("none is sent for a registration that is replayed")
    {
        office.register_attendee();
        CHECK(mailer.send_due() == 0);
    }
}

TEST_CASE("mail: one whose link would confirm nothing any more is not sent")
{
    Office office;
    TestTransport transport;
    auto mailer = office.mailer(transport);
    const auto id = office.register_attendee();
    office.owe(id, 2, "first@example.org");
    SECTION("another address was asked for")
    {
        office.owe(id, 3, "second@example.org");
        CHECK(mailer.send_due() == 1);
        CHECK(transport.taken == std::map<std::string, int>{{"second@example.org", 1}});
    }
    SECTION("it was confirmed")
    {
        office.publisher.publish(id, 3, EmailChangeConfirmed{"first@example.org"});
        CHECK(mailer.send_due() == 0);
    }
    SECTION("the seat was given back")
    {
        office.publisher.publish(id, 3, AttendeeUnregistered{"ill"});
        CHECK(mailer.send_due() == 0);
    }
    CHECK(office.unsent() == 0);
}

TEST_CASE("mail: a read model of the first version is upgraded with the mails it owes, and what it has sent counts")
{
    const TemporaryFolder folder;
    const std::string path = folder.file("read-model.db");
    {
        auto first = read_model_schema;
        first.version = 1;
        first.upgrades = {};
        escqrs::sqlite::Database database{path, first};
        for (int mail = 0; mail < 10; ++mail) {
            const std::string id = to_string(new_attendee_id());
            database.execute(
                ("INSERT INTO outgoing_mail (event_id, recipient, attendee_id, confirmation_id, created_at,"
                 " sent_at) VALUES ('" +
                 id + "', 'Ada@example.org', '" + id + "', '" + id + "', 0, " + (mail < 3 ? "1000000" : "NULL") + ")")
                    .c_str());
        }
    }
    escqrs::sqlite::Database database{path, read_model_schema};
    MailOutbox outbox{database};
    int claimed = 0;
    while (outbox.claim(escqrs::Timestamp{2s}, 1min)) ++claimed;
    CHECK(claimed == 2);
}

TEST_CASE("mail folder: one whole file for each mail, readable by its owner only")
{
    Office office;
    const std::string path = office.folder.file("new/mail");
    MailFolder folder{path};
    const std::string event = office.owe("ada@example.org");
    auto mailer = office.mailer(folder);
    CHECK(mailer.send_due() == 1);
    CHECK(names_in(path) == std::set<std::string>{event + ".eml"});
    const std::string text = content(path + "/" + event + ".eml");
    CHECK(text.find("To: <ada@example.org>\r\n") != std::string::npos);
    CHECK(text.find("https://conference.example/#confirm=") != std::string::npos);
    const auto permissions = std::filesystem::status(path + "/" + event + ".eml").permissions();
    CHECK((permissions & (std::filesystem::perms::group_all | std::filesystem::perms::others_all)) ==
          std::filesystem::perms::none);
}

TEST_CASE("mail folder: dying between writing and marking hands the mail out once")
{
    Office office;
    const std::string path = office.folder.file("mail");
    MailFolder folder{path};
    const std::string event = office.owe("ada@example.org");
    MailOutbox dead{office.database};
    const auto claimed = dead.claim(office.clock.now(), folder.time_limit());
    REQUIRE(claimed);
    folder.deliver(MailWriter{"https://conference.example", ""}(*claimed), {}); // and dies here
    const auto written = std::filesystem::last_write_time(path + "/" + event + ".eml");
    const std::string before = content(path + "/" + event + ".eml");

    office.clock.advance(1min);
    auto mailer = office.mailer(folder);
    CHECK(mailer.send_due() == 1);
    CHECK(names_in(path) == std::set<std::string>{event + ".eml"});
    CHECK(content(path + "/" + event + ".eml") == before);
    CHECK(std::filesystem::last_write_time(path + "/" + event + ".eml") == written);
}

TEST_CASE("mail folder: what dead attempts left half-written is cleared away")
{
    Office office;
    const std::string path = office.folder.file("mail");
    MailFolder folder{path};
    const std::string event = office.owe("ada@example.org");
    MailOutbox dead{office.database};
    for (int attempt = 1; attempt <= 3; ++attempt) { // three claims, each dying in the middle of the file
        REQUIRE(dead.claim(office.clock.now(), folder.time_limit()));
        std::ofstream{path + "/" + event + "." + std::to_string(attempt) + ".tmp"} << "Date: Mo";
        office.clock.advance(1min);
    }
    std::ofstream{path + "/" + event + ".4.tmp"} << "from an earlier life of the read model";
    auto mailer = office.mailer(folder);
    CHECK(mailer.send_due() == 1);
    CHECK(names_in(path) == std::set<std::string>{event + ".eml"});
    CHECK(content(path + "/" + event + ".eml").starts_with("Date: Mon, 23 Nov 2026"));
}

TEST_CASE("mail folder: a folder that went away is an error of the mail, and it is sent when it is back")
{
    Office office;
    const std::string path = office.folder.file("mail");
    MailFolder folder{path};
    office.owe("ada@example.org");
    std::filesystem::remove_all(path);
    auto mailer = office.mailer(folder);
    CHECK(mailer.send_due() == 0);
    CHECK(office.log.size() == 1);
    std::filesystem::create_directory(path);
    office.clock.advance(1min);
    CHECK(mailer.send_due() == 1);
}

TEST_CASE("mail transport: what it can be told")
{
    const TemporaryFolder folder;
    CHECK_NOTHROW(open_mail_transport("dir:" + folder.file("mail")));
    CHECK_NOTHROW(open_mail_transport("smtp://mail.example.org"));
    CHECK_NOTHROW(open_mail_transport("smtps://user:p%40ss@mail.example.org:465"));
    CHECK(open_mail_transport("smtp://mail.example.org:25?from=hello@example.org")->from() == "hello@example.org");
    for (const std::string url : {"", "dir:", "mail", "http://mail.example.org", "smtp://", "smtp://host/path",
                                  "smtp://user:secret@host:port", "smtp://user:secret@host?to=x",
                                  "smtp://user:secret@host?from=a%0d%0ab", "smtp://user:secret@host?from=a%20b"}) {
        CAPTURE(url);
        try {
            open_mail_transport(url);
            FAIL("accepted");
        } catch (const MailError& error) {
            CHECK(std::string{error.what()}.find("secret") == std::string::npos);
        }
    }
}
