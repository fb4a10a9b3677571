// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "rabbitmq_process.hpp"

#include "support/free_port.hpp"
#include "support/server_fixture.hpp"

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <thread>
#include <unistd.h>
#include <vector>

namespace service_bus_test {
namespace {

constexpr const char* server = "/usr/lib/rabbitmq/bin/rabbitmq-server"; // as any user, with separate folders
constexpr std::chrono::seconds patience{60};

} // namespace

RabbitMq::RabbitMq()
    : amqp_port_{free_port()}, management_port_{free_port()}, name_server_port_{free_port()},
      distribution_port_{free_port()}
{
    std::ofstream{folder_.file("enabled_plugins")} << "[rabbitmq_amqp1_0,rabbitmq_management].";
    std::ofstream{folder_.file("rabbitmq.conf")}
        << "listeners.tcp.1 = 127.0.0.1:" << amqp_port_
        << "\nmanagement.tcp.ip = 127.0.0.1\nmanagement.tcp.port = " << management_port_
        << "\namqp1_0.default_user = guest\nlog.console = true\nlog.file = false\n";
    start();
}

RabbitMq::RabbitMq(const Running& broker) : amqp_port_{broker.amqp_port}, management_port_{broker.management_port} {}

RabbitMq::~RabbitMq()
{
    if (process_) stop(SIGTERM);
}

RabbitMq& RabbitMq::shared()
{
    static RabbitMq rabbit = [] {
        std::istringstream running{server_fixture_text("ESCQRS_TEST_RABBITMQ")};
        Running broker{};
        return running >> broker.amqp_port >> broker.management_port ? RabbitMq{broker} : RabbitMq{};
    }();
    return rabbit;
}

std::string RabbitMq::description() const
{
    return std::to_string(amqp_port_) + " " + std::to_string(management_port_) + "\n";
}

void RabbitMq::start()
{
    const auto number = [](std::uint16_t port) { return std::to_string(port); };
    const std::vector<std::string> environment{
        "HOME=" + folder_.path(),
        "RABBITMQ_NODENAME=escqrs" + number(amqp_port_) + "@localhost",
        "RABBITMQ_CONFIG_FILE=" + folder_.file("rabbitmq"),
        "RABBITMQ_ENABLED_PLUGINS_FILE=" + folder_.file("enabled_plugins"),
        "RABBITMQ_MNESIA_BASE=" + folder_.file("mnesia"),
        "RABBITMQ_LOG_BASE=" + folder_.file("log"),
        "RABBITMQ_PID_FILE=" + folder_.file("rabbit.pid"),
        "ERL_EPMD_ADDRESS=127.0.0.1",
        "ERL_EPMD_PORT=" + number(name_server_port_),
        "RABBITMQ_DIST_PORT=" + number(distribution_port_),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=-kernel inet_dist_use_interface {127,0,0,1}"};
    std::vector<std::string> command{"env"};
    command.insert(command.end(), environment.begin(), environment.end());
    command.insert(command.end(),
                   {"setsid", "-w", "sh", "-c", "exec \"$0\" >>\"$1\" 2>&1", server, folder_.file("output")});
    process_ = std::make_unique<ChildProcess>(command);
    const auto deadline = std::chrono::steady_clock::now() + patience;
    for (;;) {
        try {
            (void)management("GET", "/api/overview");
            return;
        } catch (const std::runtime_error& failure) {
            if (std::chrono::steady_clock::now() > deadline) {
                std::stringstream output;
                output << failure.what() << "; the broker said:\n" << std::ifstream{folder_.file("output")}.rdbuf();
                throw std::runtime_error{output.str()};
            }
            std::this_thread::sleep_for(std::chrono::milliseconds{100});
        }
    }
}

void RabbitMq::stop(int signal)
{
    pid_t broker = 0;
    std::ifstream{folder_.file("rabbit.pid")} >> broker;
    if (broker > 0) ::kill(broker, signal);
    (void)process_->wait();
    process_.reset();
    // The name server that Erlang starts stays behind otherwise; it does not end while it takes a broker for alive.
    const std::string port = "export ERL_EPMD_PORT=" + std::to_string(name_server_port_);
    (void)std::system((port + "; for i in $(seq 100); do epmd -kill; epmd -names || break; sleep 0.1; done"
                              " >/dev/null 2>&1")
                          .c_str()); // NOLINT: our own command
}

void RabbitMq::restart(bool by_force)
{
    if (!process_) throw std::logic_error{"expected a broker of the test's own, not the shared one"};
    stop(by_force ? SIGKILL : SIGTERM);
    start();
}

std::string RabbitMq::create_queue()
{
    const std::string name = "queue-" + std::to_string(getpid()) + "-" + std::to_string(++next_queue_);
    const std::string dead = name + "-dead";
    management("PUT", "/api/queues/%2F/" + dead, R"({"durable":true})");
    management("PUT", "/api/queues/%2F/" + name,
               R"({"durable":true,"arguments":{"x-dead-letter-exchange":"","x-dead-letter-routing-key":")" + dead +
                   R"("}})");
    return name;
}

std::string RabbitMq::address(const std::string& queue) const
{
    return "amqp://guest:guest@127.0.0.1:" + std::to_string(amqp_port_) + "/%2Famq%2Fqueue%2F" + queue;
}

std::uint64_t RabbitMq::count(const std::string& queue) const
{
    const auto state = boost::json::parse(management("GET", "/api/queues/%2F/" + queue));
    const auto* const messages = state.as_object().if_contains("messages");
    return messages != nullptr ? messages->to_number<std::uint64_t>() : 0; // not counted yet
}

std::string RabbitMq::management(const std::string& method, const std::string& path, const std::string& body) const
{
    const auto answer = http(method, "http://guest:guest@127.0.0.1:" + std::to_string(management_port_) + path, body);
    if (answer.status < 200 || answer.status > 299)
        throw std::runtime_error{"rabbitmq: " + method + " " + path + ": " + std::to_string(answer.status)};
    return answer.body;
}

} // namespace service_bus_test
