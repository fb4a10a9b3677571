// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "support/server_fixture.hpp"

#include "support/temporary_folder.hpp"

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <poll.h>
#include <sstream>
#include <stdexcept>
#include <string_view>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

int open_process(pid_t process) { return static_cast<int>(syscall(SYS_pidfd_open, process, 0)); }

/// Waits until this process is asked to end, or the process `owner` has ended.
void wait_for_end(int owner, const sigset_t& signals)
{
    const int requests = signalfd(-1, &signals, SFD_CLOEXEC);
    pollfd files[] = {{owner, POLLIN, 0}, {requests, POLLIN, 0}};
    while (poll(files, 2, -1) < 0) {}
}

/// The server's process.
int supervise(const std::string& file, int owner, int ready,
              const std::function<void(const std::function<void(const std::string&)>&)>& serve)
{
    setsid();
    // ctest waits until no process holds the output of `start` any longer.
    const int output = open((file + ".output").c_str(), O_RDWR | O_CREAT | O_TRUNC, 0666);
    for (const int standard : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) dup2(output, standard);
    try {
        serve([&](const std::string& text) {
            // Blocked only now: the processes of the server must not inherit it.
            sigset_t signals;
            sigemptyset(&signals);
            sigaddset(&signals, SIGTERM);
            sigprocmask(SIG_BLOCK, &signals, nullptr);
            std::ofstream{file + ".new"} << getpid() << '\n' << text;
            std::filesystem::rename(file + ".new", file);
            (void)!write(ready, "", 1);
            close(ready);
            wait_for_end(owner, signals);
        });
        std::filesystem::remove(file);
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
}

int start(const std::string& file, const std::function<void(const std::function<void(const std::string&)>&)>& serve)
{
    std::filesystem::remove(file);
    const int owner = open_process(getppid());
    int ready[2];
    if (owner < 0 || pipe2(ready, O_CLOEXEC) != 0) throw std::runtime_error{"expected pidfd_open and a pipe"};
    const pid_t child = fork();
    if (child < 0) throw std::runtime_error{"cannot fork"};
    if (child == 0) {
        close(ready[0]);
        _exit(supervise(file, owner, ready[1], serve));
    }
    close(ready[1]);
    char byte = 0;
    if (read(ready[0], &byte, 1) == 1) return 0;
    waitpid(child, nullptr, 0);
    throw std::runtime_error{"the server did not start: " + read_file(file + ".output")};
}

int stop(const std::string& file)
{
    pid_t server = 0;
    std::ifstream{file} >> server;
    const int process = server > 0 ? open_process(server) : -1;
    if (process < 0) throw std::runtime_error{"the server has ended already: " + read_file(file + ".output")};
    kill(server, SIGTERM);
    pollfd end{process, POLLIN, 0};
    while (poll(&end, 1, -1) < 0) {}
    return 0;
}

} // namespace

int run_server_fixture(int argc, char** argv,
                       const std::function<void(const std::function<void(const std::string&)>&)>& serve)
{
    try {
        const std::string_view verb = argc == 3 ? argv[1] : "";
        if (verb == "start") return start(argv[2], serve);
        if (verb == "stop") return stop(argv[2]);
        throw std::runtime_error{"usage: <program> start|stop <file>"};
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
}

std::string server_fixture_text(const char* name)
{
    const char* const file = std::getenv(name); // NOLINT(concurrency-mt-unsafe)
    if (file == nullptr) return {};
    std::ifstream stream{file};
    std::string process;
    std::getline(stream, process);
    std::stringstream text;
    text << stream.rdbuf();
    return text.str();
}
