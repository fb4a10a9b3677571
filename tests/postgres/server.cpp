// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "postgres/server.hpp"

#include "support/free_port.hpp"
#include "support/server_fixture.hpp"

#include <libpq-fe.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

namespace postgres_test {
namespace {

constexpr std::chrono::seconds patience{60};

/// For names that no other process takes.
std::string random_digits() { return escqrs::to_string(escqrs::random_uuid()).substr(24); }

/// PostgreSQL does not run as root. The server gets SIGQUIT when the test dies.
std::vector<std::string> as_server(std::vector<std::string> command)
{
    std::vector<std::string> prefix{"setpriv", "--pdeathsig=QUIT"};
    if (geteuid() == 0) {
        prefix.insert(prefix.end(), {"--reuid=postgres", "--regid=postgres", "--init-groups"});
    }
    prefix.insert(prefix.end(), command.begin(), command.end());
    return prefix;
}

pid_t spawn(const std::vector<std::string>& command, const std::string& output)
{
    std::vector<char*> arguments;
    for (const std::string& argument : command) arguments.push_back(const_cast<char*>(argument.c_str())); // NOLINT
    arguments.push_back(nullptr);
    const pid_t child = fork();
    if (child < 0) throw std::runtime_error{"cannot fork"};
    if (child > 0) return child;
    setsid(); // so that Ctrl-C on the test leaves it to the test
    const int file = open(output.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0666);
    if (dup2(file, 1) < 0 || dup2(file, 2) < 0) _exit(126);
    execvp(arguments.front(), arguments.data());
    _exit(127);
}

int wait_for_end(pid_t process)
{
    int status = 0;
    while (waitpid(process, &status, 0) < 0 && errno == EINTR) {}
    return status;
}

std::string text_of(const std::string& path)
{
    std::stringstream text;
    text << std::ifstream{path}.rdbuf();
    return text.str();
}

/// Runs a program of the server's, to its end.
void run(const std::vector<std::string>& command, const std::string& output)
{
    if (wait_for_end(spawn(as_server(command), output)) != 0) {
        throw std::runtime_error{command.front() + ": " + text_of(output)};
    }
}

void open_to_server(const TemporaryFolder& folder)
{
    std::filesystem::permissions(folder.file(""), std::filesystem::perms::all);
}

/// @param start  starts it; again, if it ends: of a server that was killed some process may not have ended yet
pid_t start_until_it_answers(const std::function<pid_t()>& start, const std::string& address, const std::string& output)
{
    const auto deadline = std::chrono::steady_clock::now() + patience;
    pid_t process = start();
    while (PQping(address.c_str()) != PQPING_OK) {
        if (std::chrono::steady_clock::now() > deadline)
            throw std::runtime_error{"no server; it said: " + text_of(output)};
        std::this_thread::sleep_for(std::chrono::milliseconds{20});
        if (waitpid(process, nullptr, WNOHANG) == process) process = start();
    }
    return process;
}

} // namespace

Server::Server() : data_{folder_.file("data")}, certificate_{folder_.file("server.crt")}, port_{free_port()}
{
    open_to_server(folder_);
    run({ESCQRS_POSTGRES_PROGRAMS "/initdb", "-D", data_, "-U", "postgres", "-A", "trust", "-E", "UTF8",
         "--locale=C.UTF-8", "--no-sync"},
        folder_.file("output"));
    run({"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", data_ + "/server.key", "-out",
         certificate()},
        folder_.file("output"));
    std::ofstream{data_ + "/pg_hba.conf"} << "hostssl   all with_password 127.0.0.1/32 scram-sha-256\n"
                                             "hostnossl all with_password 127.0.0.1/32 reject\n"
                                             "host      all all           127.0.0.1/32 trust\n"
                                             "host      replication all   127.0.0.1/32 trust\n";
    start();
}

Server::Server(StandbyOf of) : data_{folder_.file("data")}, certificate_{folder_.file("server.crt")}, port_{free_port()}
{
    open_to_server(folder_);
    run({ESCQRS_POSTGRES_PROGRAMS "/pg_basebackup", "-D", data_, "-R", "-c", "fast", "--no-sync", "-d",
         of.primary.address()},
        folder_.file("output"));
    std::filesystem::copy_file(of.primary.certificate(), certificate());
    start();
}

Server::Server(const Running& server)
    : certificate_{server.certificate}, database_{"test_" + random_digits()}, port_{server.port}
{
    run_in_database_postgres("CREATE DATABASE " + database_);
}

Server::~Server()
{
    if (process_ > 0) stop(false);
    if (!data_.empty()) return;
    try {
        run_in_database_postgres("DROP DATABASE " + database_ + " WITH (FORCE)");
    } catch (const std::exception& error) { // it goes with the server
        std::fprintf(stderr, "%s\n", error.what());
    }
}

Server& Server::shared()
{
    static Server server = [] {
        std::istringstream running{server_fixture_text("ESCQRS_TEST_POSTGRES")};
        Running place{};
        if (running >> place.port && std::getline(running >> std::ws, place.certificate)) return Server{place};
        return Server{};
    }();
    return server;
}

std::string Server::address(const std::string& user) const
{
    return "postgresql://" + user + "@127.0.0.1:" + std::to_string(port_) + "/" + database_;
}

void Server::run_in_database_postgres(const std::string& sql) const
{
    const std::string address = "postgresql://postgres@127.0.0.1:" + std::to_string(port_) + "/postgres";
    const std::unique_ptr<PGconn, decltype(&PQfinish)> connection{PQconnectdb(address.c_str()), PQfinish};
    const std::unique_ptr<PGresult, decltype(&PQclear)> result{PQexec(connection.get(), sql.c_str()), PQclear};
    if (PQresultStatus(result.get()) != PGRES_COMMAND_OK)
        throw std::runtime_error{sql + ": " + PQerrorMessage(connection.get())};
}

void Server::start()
{
    if (data_.empty()) throw std::logic_error{"expected a server of the test's own, not the shared one"};
    // It ends with the thread that started it.
    if (gettid() != getpid()) throw std::logic_error{"expected the server to be started by the test's first thread"};
    const std::vector<std::string> command =
        as_server({ESCQRS_POSTGRES_PROGRAMS "/postgres", "-D", data_, "-p", std::to_string(port_), "-c",
                   "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "max_connections=200", "-c",
                   "ssl=on", "-c", "ssl_cert_file=" + certificate(), "-c", "max_prepared_transactions=5"});
    const std::string output = folder_.file("output");
    process_ = start_until_it_answers([&] { return spawn(command, output); }, address(), output);
}

void Server::stop(bool by_force)
{
    if (process_ < 0) throw std::logic_error{"expected a server of the test's own, not the shared one"};
    const std::string list = "/proc/" + std::to_string(process_) + "/task/" + std::to_string(process_) + "/children";
    std::istringstream children{by_force ? text_of(list) : std::string{}};
    kill(process_, by_force ? SIGKILL : SIGINT);
    for (pid_t child = 0; children >> child;) kill(child, SIGKILL);
    (void)wait_for_end(std::exchange(process_, -1));
}

void Server::restart(bool by_force)
{
    stop(by_force);
    start();
}

Bouncer::Bouncer() : port_{free_port()}
{
    const std::string settings = folder_.file("pgbouncer.ini");
    std::ofstream{settings} << "[databases]\n* = host=127.0.0.1 port=" << Server::shared().port()
                            << " user=postgres\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = " << port_
                            << "\nunix_socket_dir =\nauth_type = any\npool_mode = transaction\ndefault_pool_size = 4\n";
    std::ofstream{folder_.file("output")} << "";
    const std::string output = folder_.file("output");
    process_ = start_until_it_answers(
        [&] {
            return spawn(as_server({ESCQRS_PGBOUNCER, settings}), output);
        },
        address(), output);
}

Bouncer::~Bouncer()
{
    kill(process_, SIGINT);
    (void)wait_for_end(process_);
}

std::string Bouncer::address() const
{
    return "postgresql://postgres@127.0.0.1:" + std::to_string(port_) + "/" + Server::shared().database();
}

std::string Server::new_schema() { return "schema_" + random_digits() + "_" + std::to_string(++next_schema_); }

} // namespace postgres_test
