// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include <escqrs/sqlite/message_queue.hpp>

#include <escqrs/testing/catch2.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <set>
#include <sstream>
#include <string>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <vector>

// Senders and receivers are separate processes: this program again, with its task in the environment. They write what
// was acknowledged to them into files, one line in one `write`, which outlives them as the queue has to.

namespace {

namespace fs = std::filesystem;
using escqrs::Duration;
using escqrs::ReceivedMessage;
using escqrs::sqlite::MessageQueue;

constexpr const char* role_variable = "ESCQRS_QUEUE_CRASH_ROLE";
constexpr const char* folder_variable = "ESCQRS_QUEUE_CRASH_FOLDER";
constexpr std::size_t senders = 2;
constexpr std::size_t receivers = 3;
constexpr std::size_t sessions_per_sender = 4;
constexpr int kills = 40;

escqrs::MessageQueueOptions queue_options()
{
    escqrs::MessageQueueOptions options;
    options.lock_duration = std::chrono::milliseconds{250};
    options.max_delivery_count = 1'000'000;
    return options;
}

/// A file to which lines are added, each whole and after those of other processes.
class Log {
public:
    explicit Log(const fs::path& path) : file_{::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)}
    {
        if (file_ < 0) throw std::system_error{errno, std::generic_category(), path.string()};
    }
    Log(const Log&) = delete;
    Log& operator=(const Log&) = delete;
    ~Log() { ::close(file_); }

    void add(const std::string& lines) const
    {
        if (::write(file_, lines.data(), lines.size()) != static_cast<ssize_t>(lines.size())) {
            throw std::system_error{errno, std::generic_category(), "write"};
        }
    }
    long size() const { return static_cast<long>(::lseek(file_, 0, SEEK_END)); }

private:
    int file_;
};

/// Sends the messages of its sessions in order, from the first one that no predecessor's log acknowledges. What the
/// predecessor sent in vain it sends again.
void run_sender(const fs::path& folder, const std::string& number)
{
    const fs::path log_path = folder / ("sent-" + number);
    std::map<std::string, long> next;
    std::ifstream acknowledged{log_path};
    std::string session;
    for (long index = 0; acknowledged >> session >> index;) next[session] = index + 1;
    const Log log{log_path};
    MessageQueue queue{(folder / "queue.db").string(), queue_options()};
    std::minstd_rand random{static_cast<unsigned>(::getpid())};
    for (;;) {
        std::vector<escqrs::Message> batch;
        std::string lines;
        for (std::size_t count = 1 + random() % 6; count > 0; --count) {
            session = "s" + number + "-" + std::to_string(random() % sessions_per_sender);
            const std::string index = std::to_string(next[session]++);
            batch.emplace_back();
            batch.back().message_id = session + "/" + index;
            batch.back().session_id = session;
            batch.back().body = index;
            lines += session + " " + index + "\n";
        }
        queue.send(batch);
        log.add(lines);
    }
}

/// Receives and settles, and tells what it received, and what was completed. A delivery comes with the size the log
/// had when its receive began: what was completed before that must not be among it.
void run_receiver(const fs::path& folder, bool until_empty)
{
    const Log log{folder / "received"};
    MessageQueue queue{(folder / "queue.db").string(), queue_options()};
    std::minstd_rand random{static_cast<unsigned>(::getpid())};
    // If the queue is not empty by then, something in it cannot be completed; the logs tell what.
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds{20};
    for (;;) {
        if (until_empty && std::chrono::steady_clock::now() > deadline) return;
        const std::string began = std::to_string(log.size());
        const auto batch = queue.receive(1 + random() % 10, std::chrono::milliseconds{600}, {});
        if (until_empty && batch.empty()) return;
        std::string lines;
        std::vector<escqrs::Settlement> settlements;
        for (const ReceivedMessage& message : batch) {
            lines += "received " + message.message.session_id + " " + message.message.body + " " + began + "\n";
            const bool abandons = !until_empty && random() % 16 == 0;
            settlements.push_back({message, abandons ? escqrs::Disposition{escqrs::Abandon{}} : escqrs::Complete{}});
        }
        if (batch.empty()) continue;
        log.add(lines);
        const auto results = queue.settle(settlements);
        lines.clear();
        for (std::size_t at = 0; at < batch.size(); ++at) {
            if (results[at] != escqrs::SettlementResult::settled) continue;
            if (!std::holds_alternative<escqrs::Complete>(settlements[at].disposition)) continue;
            lines += "completed " + batch[at].message.session_id + " " + batch[at].message.body + " 0\n";
        }
        log.add(lines);
    }
}

pid_t start(const fs::path& folder, const std::string& role)
{
    // Everything is made ready before the fork: after it only what is safe in a child of a threaded process.
    std::string role_setting = std::string{role_variable} + "=" + role;
    std::string folder_setting = std::string{folder_variable} + "=" + folder.string();
    std::string program = "/proc/self/exe";
    std::string tag = "[.sqlite_message_queue_crash_child]";
    std::vector<char*> environment{role_setting.data(), folder_setting.data()};
    for (char** entry = environ; *entry != nullptr; ++entry) environment.push_back(*entry);
    environment.push_back(nullptr);
    std::array<char*, 3> arguments{program.data(), tag.data(), nullptr};
    const pid_t child = ::fork();
    if (child < 0) throw std::system_error{errno, std::generic_category(), "fork"};
    if (child == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL); // so that none continues alone if this program is killed
        const int nowhere = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
        ::dup2(nowhere, STDOUT_FILENO);
        ::execve(program.c_str(), arguments.data(), environment.data());
        ::_exit(127);
    }
    return child;
}

/// @return true if `child` was still alive when it was killed
bool kill_and_wait(pid_t child)
{
    ::kill(child, SIGKILL);
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {}
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

/// What the logs say, and whether it may be.
struct Verdict {
    std::size_t acknowledged = 0;
    std::size_t completed = 0;
    std::vector<std::string> complaints;

    void complain(const std::string& what)
    {
        if (complaints.size() < 20) complaints.push_back(what);
    }
};

Verdict judge(const fs::path& folder)
{
    Verdict verdict;
    std::map<std::string, long> seen; // how far each session has been received
    std::set<std::string> messages;
    std::map<std::string, long> completed_at;
    std::ifstream received{folder / "received"};
    long offset = 0;
    for (std::string line; std::getline(received, line); offset += static_cast<long>(line.size()) + 1) {
        std::istringstream words{line};
        std::string what;
        std::string session;
        long index = 0;
        long began = 0;
        if (!(words >> what >> session >> index >> began)) verdict.complain("not a line: " + line);
        const std::string message = session + "/" + std::to_string(index);
        const auto completed = completed_at.find(message);
        if (what == "completed") {
            if (completed != completed_at.end()) verdict.complain(message + " was completed twice");
            completed_at[message] = offset;
            ++verdict.completed;
            continue;
        }
        if (index > seen[session]) verdict.complain(message + " was received before its predecessor");
        seen[session] = std::max(seen[session], index + 1);
        messages.insert(message);
        if (completed != completed_at.end() && completed->second < began) {
            verdict.complain(message + " was received again after its completion");
        }
    }
    for (std::size_t sender = 0; sender < senders; ++sender) {
        std::ifstream sent{folder / ("sent-" + std::to_string(sender))};
        std::string session;
        for (long index = 0; sent >> session >> index; ++verdict.acknowledged) {
            const std::string message = session + "/" + std::to_string(index);
            if (!messages.contains(message)) verdict.complain(message + " was lost");
        }
    }
    return verdict;
}

} // namespace

TEST_CASE("a sender or receiver of the crash test", "[.sqlite_message_queue_crash_child]")
{
    const char* const role = std::getenv(role_variable);
    const char* const folder = std::getenv(folder_variable);
    REQUIRE(role != nullptr);
    REQUIRE(folder != nullptr);
    const std::string name{role};
    if (name.starts_with("sender-")) {
        run_sender(folder, name.substr(7));
    } else {
        run_receiver(folder, name == "drain");
    }
}

TEST_CASE("sqlite queue: senders and receivers killed over and over lose nothing and keep the order", "[integration]")
{
    const fs::path folder = fs::temp_directory_path() / escqrs::to_string(escqrs::random_uuid());
    fs::create_directory(folder);
    std::vector<std::string> roles;
    for (std::size_t number = 0; number < senders; ++number) roles.push_back("sender-" + std::to_string(number));
    for (std::size_t number = 0; number < receivers; ++number) roles.emplace_back("receiver");
    std::vector<pid_t> children;
    for (const std::string& role : roles) children.push_back(start(folder, role));

    std::minstd_rand random{std::random_device{}()};
    int killed = 0;
    for (int round = 0; round < kills; ++round) {
        std::this_thread::sleep_for(std::chrono::milliseconds{40 + random() % 160});
        const std::size_t victim = random() % children.size();
        if (kill_and_wait(children[victim])) ++killed;
        children[victim] = start(folder, roles[victim]);
    }
    for (const pid_t child : children) kill_and_wait(child);
    CHECK(killed == kills); // none had died of itself

    const pid_t last = start(folder, "drain");
    int status = 0;
    REQUIRE(::waitpid(last, &status, 0) == last);
    CHECK(status == 0);

    const Verdict verdict = judge(folder);
    INFO(killed << " kills, " << verdict.acknowledged << " messages acknowledged, " << verdict.completed
                << " completions acknowledged");
    CHECK(verdict.complaints == std::vector<std::string>{});
    CHECK(verdict.acknowledged > 100);
    CHECK(verdict.completed > 100);
    {
        MessageQueue queue{(folder / "queue.db").string(), queue_options()};
        CHECK(queue.counts() == escqrs::MessageQueueCounts{});
        escqrs::sqlite::Database file{(folder / "queue.db").string()};
        escqrs::sqlite::Statement check{file, "PRAGMA integrity_check"};
        auto rows = check.query();
        REQUIRE(rows.next());
        CHECK(rows.text(0) == "ok");
        CHECK(file.query_integer("SELECT count(*) FROM session") == 0);
    }
    fs::remove_all(folder);
}
