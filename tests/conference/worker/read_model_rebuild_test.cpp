// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "worker/read_model_rebuild.hpp"

#include "worker/mail_outbox.hpp"
#include "worker_fixture.hpp"

#include <escqrs/testing/catch2.hpp>

#include <csignal>
#include <cstddef>
#include <fstream>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <stop_token>
#include <string>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

using namespace conference;
using namespace conference::test;
using namespace std::chrono_literals;

namespace {

std::int64_t mails_owed(escqrs::sqlite::Database& database)
{
    return database.query_integer("SELECT count(*) FROM outgoing_mail WHERE sent_at IS NULL AND given_up_at IS NULL");
}

/// All that is known of the mails.
std::vector<std::string> mail_rows(escqrs::sqlite::Database& database)
{
    std::vector<std::string> found;
    escqrs::sqlite::Statement select{database, "SELECT event_id || recipient || ifnull(sent_at, '-') ||"
                                               " ifnull(given_up_at, '-') || attempts FROM outgoing_mail ORDER BY 1"};
    auto rows = select.query();
    while (rows.next()) found.emplace_back(rows.text(0));
    return found;
}

std::optional<std::uint64_t> rebuild(Workplace& place)
{
    auto log = place.history.log();
    return rebuild_read_model(log, place.own.database, place.own.bus);
}

/// A worker with a new read model, on the queue of `place`.
struct Newcomer {
    explicit Newcomer(Workplace& place, MessageWorkerOptions options)
        : path{place.folder.file("new.db")}, worker{path, place.queue, std::move(options)}
    {
    }

    std::string path;
    Worker worker;
    SeenModel model{path};
};

MessageWorkerOptions options_with_log(Workplace& place)
{
    auto options = Worker::options(place.clock, &place.log, 3);
    options.look_up = [&] { return look_up_in([&] { return place.history.log(); }); };
    return options;
}

/// Ada's registration is handled by a read model that is lost then; what she does later is on the queue.
AttendeeId lose_read_model(Workplace& place)
{
    const auto ada = place.history.register_attendee();
    place.send(place.history.messages());
    place.work();
    place.history.request_email(ada, "lovelace@example.net");
    place.history.request_email(ada, "byron@example.net");
    auto messages = place.history.messages();
    messages.erase(messages.begin());
    place.send(messages);
    return ada;
}

} // namespace

TEST_CASE(
    "rebuild: a lost read model becomes the fold of the log and owes no mail, and the queue's messages are duplicates")
{
    Workplace place;
    std::mt19937 chance{11};
    for (int step = 0; step < 200; ++step) place.history.happen(chance);
    const auto messages = place.history.messages();
    CHECK(rebuild(place) == messages.size());
    CHECK(place.model.attendees() == place.history.fold());
    CHECK(place.model.mails() == place.history.owed_mails()); // noted, so that the links in them still work,
    CHECK(mails_owed(place.own.database) == 0);               // and not sent again

    const auto revision = place.model.queries.revision();
    place.send(messages);
    place.work();
    CHECK(place.model.queries.revision() == revision);
    CHECK(mails_owed(place.own.database) == 0);
    CHECK(place.dead_letters().empty());
    CHECK(read_model::Progress{place.own.database}.figures().events == messages.size());

    const auto ada = place.history.register_attendee();
    place.history.request_email(ada, "lovelace@example.net");
    auto later = place.history.messages();
    later.erase(later.begin(), later.begin() + static_cast<std::ptrdiff_t>(messages.size()));
    place.send(later);
    place.work();
    CHECK(place.model.attendees() == place.history.fold());
    CHECK(place.model.mails() == place.history.owed_mails());
    CHECK_FALSE(place.model.queries.confirmation_request(ConfirmationId{escqrs::random_uuid()}));
}

TEST_CASE("rebuild: a damaged view is made anew, and the mails stay what they were")
{
    Workplace place;
    const auto ada = place.history.register_attendee();
    const auto byron = place.history.register_attendee();
    place.history.request_email(ada, "lovelace@example.net");
    place.history.request_email(byron, "byron@example.net");
    place.send(place.history.messages());
    place.work();
    MailOutbox outbox{place.own.database};
    const auto sent = outbox.claim(place.clock.now(), 1min);
    REQUIRE(sent);
    outbox.mark_sent(*sent, place.clock.now());
    const auto mails = mail_rows(place.own.database);
    const auto revision = place.model.queries.revision();
    place.own.database.execute("DELETE FROM attendee WHERE email = 'ada@example.org'; UPDATE progress SET events = 1");

    CHECK(rebuild(place) == 4);
    CHECK(place.model.attendees() == place.history.fold());
    CHECK(mail_rows(place.own.database) == mails);
    CHECK(mails_owed(place.own.database) == 3);
    CHECK(place.model.queries.revision() > revision); // followers of the changes see them
}

TEST_CASE("rebuild: until it is done, and if it is stopped, the old read model stands")
{
    Workplace place;
    for (int count = 0; count < 3; ++count) place.history.register_attendee();
    place.send(place.history.messages());
    place.work();
    const auto old = place.model.attendees();
    for (int count = 0; count < 3; ++count) place.history.register_attendee();
    std::stop_source stop;
    auto log = place.history.log();
    const auto end = rebuild_read_model(log, place.own.database, place.own.bus, stop.get_token(), [&](auto events) {
        CHECK(place.model.attendees() == old);
        if (events == 4) stop.request_stop();
    });
    CHECK_FALSE(end);
    CHECK(place.model.attendees() == old);
    CHECK(rebuild(place) == 6);
    CHECK(place.model.attendees() == place.history.fold());
}

TEST_CASE("rebuild: killed in its midst, it leaves the old read model, and can be begun again")
{
    TemporaryFolder folder;
    const std::string path = folder.file("read-model.db");
    escqrs::testing::ManualClock clock;
    escqrs::in_memory::MessageQueue queue{queue_options(clock)};
    History history;
    std::mt19937 chance{5};
    for (int step = 0; step < 100; ++step) history.happen(chance);
    queue.send(history.messages());
    Worker{path, queue, clock}.worker.work_once();
    const auto old = SeenModel{path}.attendees();
    for (int step = 0; step < 100; ++step) history.happen(chance);
    auto log = history.log();

    const ::pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        Worker worker{path, queue, clock};
        rebuild_read_model(log, worker.database, worker.bus, {}, [](std::uint64_t events) {
            if (events == 120) ::kill(::getpid(), SIGKILL);
        });
        ::_exit(0);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(WIFSIGNALED(status));
    CHECK(SeenModel{path}.attendees() == old);
    Worker worker{path, queue, clock};
    CHECK(rebuild_read_model(log, worker.database, worker.bus) == history.messages().size());
    CHECK(SeenModel{path}.attendees() == history.fold());
}

TEST_CASE("rebuild: what the log has lost is no longer shown, and what takes its place is handled")
{
    Workplace place;
    const auto ada = place.history.register_attendee();
    place.history.request_email(ada, "lovelace@example.net");
    place.send(place.history.messages());
    place.work();
    History other; // as the log is after an older backup was restored
    const auto byron = other.register_attendee("byron@example.org");
    auto log = other.log();
    CHECK(rebuild_read_model(log, place.own.database, place.own.bus) == 1);
    CHECK(place.model.attendees() == other.fold());
    other.request_email(byron, "george@example.org");
    place.send(other.messages());
    place.work();
    CHECK(place.model.attendees() == other.fold());
}

TEST_CASE("rebuild: a log without events, or with one that cannot be read, changes nothing")
{
    Workplace place;
    place.history.register_attendee();
    place.send(place.history.messages());
    place.work();
    const auto old = place.model.attendees();
    SECTION("it is another store")
    {
        auto empty = History{}.log();
        CHECK_THROWS_WITH(rebuild_read_model(empty, place.own.database, place.own.bus),
                          Catch::Contains("no events") && Catch::Contains("the right store"));
    }
    SECTION("an event fails")
    {
        const auto connection = place.own.bus.subscribe<AttendeeRegistered>(
            [](const AttendeeRegistered&) { throw std::runtime_error{"the lamp is broken"}; });
        CHECK_THROWS_WITH(rebuild(place),
                          Catch::Contains("event version 1 at position 1") && Catch::Contains("the lamp is broken"));
    }
    CHECK(place.model.attendees() == old);
}

TEST_CASE("rebuild: a damaged file is moved away, and no other one")
{
    TemporaryFolder folder;
    const std::string path = folder.file("read-model.db");
    CHECK_FALSE(move_away_if_damaged(path)); // there is none
    CHECK_FALSE(move_away_if_damaged("postgres://nobody@127.0.0.1/none"));
    {
        Publisher publisher{path};
        for (int count = 0; count < 200; ++count)
            publisher.publish(new_attendee_id(), 1, AttendeeRegistered{"ada@example.org"});
        publisher.database.execute("PRAGMA wal_checkpoint(TRUNCATE)");
    }
    CHECK_FALSE(move_away_if_damaged(path));
    const bool is_start = GENERATE(true, false);
    {
        std::fstream file{path, std::ios::in | std::ios::out | std::ios::binary};
        file.seekp(is_start ? 0 : 5 * 4096);
        file << std::string(2 * 4096, 'x');
    }
    const auto away = move_away_if_damaged(path);
    REQUIRE(away);
    CHECK(std::ifstream{*away}.good());
    CHECK(SeenModel{path}.attendees().empty());
}

TEST_CASE("worker: a lost read model stops it, and no message is dead-lettered for that")
{
    Workplace place;
    lose_read_model(place);
    const bool is_log_at_hand = GENERATE(true, false);
    Newcomer other{place, is_log_at_hand ? options_with_log(place) : Worker::options(place.clock, &place.log, 3)};
    CHECK(other.worker.worker.work_once() == BatchResult{2, 0, 2, 0});
    CHECK(other.worker.worker.work_once() == BatchResult{2, 0, 2, 0});
    using Catch::Contains;
    CHECK_THROWS_WITH(other.worker.worker.work_once(),
                      Contains("conference worker --rebuild") && !Contains("attendee-"));
    CHECK(place.dead_letters().empty());
    CHECK(place.queue.counts().active == 2);

    SECTION("nor does another worker take any, in whatever process")
    {
        Worker third{other.path, place.queue, options_with_log(place)};
        CHECK_THROWS_AS(third.worker.work_once(), ReadModelIncomplete);
        const auto received = place.queue.receive(1, 0us);
        REQUIRE(received.size() == 1);
        CHECK(received[0].delivery_count == 4); // three times by the first worker, and now
    }
    SECTION("until it has been built anew")
    {
        auto log = place.history.log();
        CHECK(rebuild_read_model(log, other.worker.database, other.worker.bus) == 3);
        CHECK(other.worker.worker.work_once() == BatchResult{2, 2, 0, 0});
        CHECK(other.model.attendees() == place.history.fold());
        CHECK(place.queue.counts() == escqrs::MessageQueueCounts{});
    }
}

TEST_CASE("worker: a running one waits until the read model has been built anew, and continues")
{
    Workplace place;
    lose_read_model(place);
    Newcomer other{place, options_with_log(place)};
    std::jthread thread{[&](std::stop_token stop) { other.worker.worker.run(std::move(stop)); }};
    std::optional<std::string> problem;
    while (!problem || problem->find("--rebuild") == std::string::npos) {
        if (place.clock.waiting() != 0) place.clock.advance(1s);
        std::this_thread::yield();
        problem = other.worker.worker.problem();
    }
    Worker rebuilder{other.path, place.queue, place.clock};
    auto log = place.history.log();
    CHECK(rebuild_read_model(log, rebuilder.database, rebuilder.bus) == 3);
    while (place.queue.counts() != escqrs::MessageQueueCounts{}) {
        if (place.clock.waiting() != 0) place.clock.advance(1s);
        std::this_thread::yield();
    }
    thread.request_stop();
    thread.join();
    CHECK(other.model.attendees() == place.history.fold());
}

TEST_CASE("worker: an older backup of the read model stops it as well")
{
    Workplace place;
    const auto ada = place.history.register_attendee();
    place.send(place.history.messages());
    place.work();
    std::filesystem::copy_file(place.path, place.folder.file("new.db"));
    for (const char* const suffix : {"-wal", "-shm"})
        std::filesystem::copy_file(place.path + suffix, place.folder.file("new.db") + suffix);
    place.history.request_email(ada, "lovelace@example.net");
    place.send(place.history.messages());
    place.work();
    place.history.request_email(ada, "byron@example.net");
    place.send({place.history.messages().back()});
    Newcomer other{place, options_with_log(place)};
    for (int attempt = 1; attempt < 3; ++attempt) CHECK(other.worker.worker.work_once().abandoned == 1);
    CHECK_THROWS_AS(other.worker.worker.work_once(), ReadModelIncomplete);
    CHECK(place.dead_letters().empty());
}

TEST_CASE("worker: the look for lost events minds the locks, a stop, and a log that does not answer")
{
    constexpr std::size_t count = 5;
    Workplace place;
    std::stop_source stop;
    std::size_t asked = 0;
    std::function<std::optional<bool>()> answer;
    std::weak_ptr<int> last_look_up;
    auto options = options_with_log(place);
    options.look_up = [&] {
        const auto life = std::make_shared<int>();
        last_look_up = life;
        return [&, life](const auto&, auto) {
            ++asked;
            return answer();
        };
    };
    Newcomer other{place, options};
    place.history.register_attendee();
    place.send(place.history.messages());
    REQUIRE(other.worker.worker.work_once().completed == 1);
    for (std::size_t attendee = 0; attendee < count; ++attendee) {
        place.history.request_email(place.history.register_attendee(), "lovelace@example.net");
        place.send({place.history.messages().back()}); // without the one before it
    }
    for (int attempt = 1; attempt < 3; ++attempt) REQUIRE(other.worker.worker.work_once().abandoned == count);
    REQUIRE(asked == 0);

    SECTION("locks are renewed between two answers")
    {
        answer = [&] {
            place.clock.advance(escqrs::MessageQueueOptions{}.lock_duration / 2);
            return std::optional{false};
        };
        CHECK(other.worker.worker.work_once().dead_lettered == count);
        CHECK(asked == count);
    }
    SECTION("a stop ends it, and nothing is judged")
    {
        answer = [&] {
            stop.request_stop();
            return std::optional{false};
        };
        CHECK(other.worker.worker.work_once(stop.get_token()).abandoned == count);
        CHECK(asked == 1);
        CHECK(place.dead_letters().empty());
    }
    SECTION("a log that cannot be asked is asked once")
    {
        answer = [&] { return std::nullopt; };
        CHECK(other.worker.worker.work_once().dead_lettered == count);
        CHECK(asked == 1);
    }
    CHECK(last_look_up.expired()); // the next batch opens the log that is there by then
}

TEST_CASE("worker: what comes early for another reason is dead-lettered, and stops nothing")
{
    Workplace place;
    const auto ada = place.history.register_attendee();
    place.history.request_email(ada, "lovelace@example.net");
    auto messages = place.history.messages();
    auto options = options_with_log(place);

    SECTION("the earlier message is dead-lettered") { messages[0].body = "{"; }
    SECTION("it was never stored")
    {
        messages.erase(messages.begin());
        messages[0].properties.set("cloudEvents:streamversion", "7");
        options.look_up = [] { return [](const auto&, auto) { return std::optional{false}; }; };
    }
    SECTION("the queue keeps no order")
    {
        messages.erase(messages.begin());
        options.has_sessions = false;
    }
    Newcomer other{place, options};
    place.send(messages);
    while (place.queue.counts().active != 0) other.worker.worker.work_once();
    CHECK(place.dead_letters().back().reason == "OutOfOrder");
    CHECK_FALSE(read_model::Progress{other.worker.database}.gap());
}
