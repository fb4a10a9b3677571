// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "worker/worker_role.hpp"

#include "../mail/smtp_server.hpp"
#include "worker_fixture.hpp"

#include <escqrs/testing/catch2.hpp>

#include <chrono>
#include <filesystem>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

using namespace conference;
using namespace conference::test;
using namespace std::chrono_literals;

namespace {

template <class Condition>
bool eventually(Condition condition)
{
    for (int tries = 0; tries < 2000; ++tries) {
        if (condition()) return true;
        std::this_thread::sleep_for(10ms);
    }
    return false;
}

struct Installation {
    TemporaryFolder folder;
    std::string path = folder.file("read-model.db");
    escqrs::in_memory::MessageQueue queue;
    http::Metrics metrics;
    History history;
    std::mutex mutex;
    std::vector<std::string> log;

    WorkerRole role(const std::string& mail)
    {
        return WorkerRole{{.read_model = path, .mail = mail, .public_url = "https://conference.example"},
                          queue,
                          metrics,
                          [this](std::string_view line) {
                              const std::scoped_lock lock{mutex};
                              log.emplace_back(line);
                          }};
    }
};

} // namespace

TEST_CASE("worker role: from the queue to read model and mail, and a clean stop")
{
    Installation place;
    const auto id = place.history.register_attendee();
    place.history.request_email(id, "lovelace@example.net");
    place.queue.send(place.history.messages());
    const std::string mails = place.folder.file("mail");
    auto role = place.role("dir:" + mails);
    SeenModel model{place.path};
    CHECK(model.attendees().empty()); // not started yet
    role.start();
    for (const auto& [event, recipient] : place.history.owed_mails()) {
        CHECK(eventually([&] { return std::filesystem::exists(mails + "/" + event + ".eml"); }));
    }
    CHECK(model.attendees() == place.history.fold());
    role.stop();
    CHECK(place.queue.counts() == escqrs::MessageQueueCounts{});
    role.stop();
    CHECK(place.log.empty());
}

TEST_CASE("worker role: may be started again after a stop")
{
    Installation place;
    auto role = place.role("dir:" + place.folder.file("mail"));
    SeenModel model{place.path};
    for (std::size_t count = 1; count <= 2; ++count) {
        role.start();
        place.history.register_attendee();
        place.queue.send(place.history.messages());
        CHECK(eventually([&] { return model.attendees().size() == count; }));
        role.stop();
    }
}

TEST_CASE("worker role: a mail server that is away keeps nothing from the read model", "[integration]")
{
    Installation place;
    SmtpServer server;
    server.answer_with([](const std::string&) { return "close"; });
    auto role = place.role("smtp://127.0.0.1:" + std::to_string(server.port()) + "?from=hello@example.org");
    SeenModel model{place.path};
    role.start();
    const auto id = place.history.register_attendee();
    place.history.request_email(id, "lovelace@example.net");
    place.history.request_email(id, "byron@example.net");
    place.queue.send(place.history.messages());
    CHECK(eventually([&] { return model.attendees() == place.history.fold(); }));
    CHECK(eventually([&] {
        const std::scoped_lock lock{place.mutex};
        return !place.log.empty();
    }));
    CHECK(server.mails().empty());
    server.answer_with({});
    CHECK(eventually([&] { return server.mails().size() == 2; }));
    std::set<std::vector<std::string>> recipients;
    for (const auto& mail : server.mails()) {
        CHECK(mail.from.starts_with("<hello@example.org>"));
        recipients.insert(mail.recipients);
    }
    // The key, and the last request: the other asks in vain.
    CHECK(recipients == std::set<std::vector<std::string>>{{"<ada@example.org>"}, {"<byron@example.net>"}});
    role.stop();
}

TEST_CASE("worker role: what cannot work is said before anything begins")
{
    Installation place;
    CHECK_THROWS_AS(place.role("pigeon:"), mail::Error);
    place.path = "/nowhere/read-model.db";
    CHECK_THROWS_AS(place.role("dir:" + place.folder.file("mail")), escqrs::StoreError);
}
