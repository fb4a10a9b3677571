// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "emulator_process.hpp"

#include "support/server_fixture.hpp"

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <curl/curl.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <fcntl.h>
#include <stdexcept>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace service_bus_test {
namespace {

namespace json = boost::json;

constexpr const char* key_name = "RootManageSharedAccessKey";
constexpr const char* key = "c2VjcmV0LW9mLXRoZS1lbXVsYXRvcg==";

std::size_t append(char* bytes, std::size_t size, std::size_t count, void* body)
{
    static_cast<std::string*>(body)->append(bytes, size * count);
    return size * count;
}

std::uint16_t port_of(const json::value& ports, const char* name)
{
    const auto& port = ports.at(name);
    return port.is_null() ? std::uint16_t{0} : port.to_number<std::uint16_t>();
}

} // namespace

ChildProcess::ChildProcess(const std::vector<std::string>& arguments)
{
    int pipe_ends[2];
    if (pipe2(pipe_ends, O_CLOEXEC) != 0) throw std::runtime_error{"no pipe"};
    std::vector<char*> raw;
    for (const auto& argument : arguments) raw.push_back(const_cast<char*>(argument.c_str())); // NOLINT: execvp's
    raw.push_back(nullptr);
    process_ = fork();
    if (process_ < 0) throw std::runtime_error{"no process"};
    if (process_ == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(pipe_ends[1], STDOUT_FILENO);
        execvp(raw[0], raw.data());
        _exit(127);
    }
    close(pipe_ends[1]);
    output_ = pipe_ends[0];
}

ChildProcess::~ChildProcess()
{
    if (process_ > 0) {
        ::kill(process_, SIGTERM);
        for (int attempt = 0; attempt < 200; ++attempt) {
            if (waitpid(process_, nullptr, WNOHANG) == process_) {
                process_ = -1;
                break;
            }
            std::this_thread::sleep_for(std::chrono::milliseconds{10});
        }
        if (process_ > 0) {
            ::kill(process_, SIGKILL);
            waitpid(process_, nullptr, 0);
        }
    }
    close(output_);
}

std::string ChildProcess::read_line()
{
    for (;;) {
        if (const auto end = unread_.find('\n'); end != std::string::npos) {
            std::string line = unread_.substr(0, end);
            unread_.erase(0, end + 1);
            return line;
        }
        char bytes[4096];
        const auto count = read(output_, bytes, sizeof bytes);
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) return std::exchange(unread_, {});
        unread_.append(bytes, static_cast<std::size_t>(count));
    }
}

int ChildProcess::wait()
{
    int status = 0;
    waitpid(process_, &status, 0);
    process_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

void ChildProcess::kill(int signal) const { ::kill(process_, signal); }

HttpAnswer http(const std::string& method, const std::string& url, const std::string& body)
{
    CURL* const curl = curl_easy_init();
    HttpAnswer answer;
    curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method.c_str());
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, 30L);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    if (!body.empty()) curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body.c_str());
    curl_slist* const headers = curl_slist_append(nullptr, "Content-Type: application/json");
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, append);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer.body);
    const CURLcode code = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answer.status);
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
    if (code != CURLE_OK) throw std::runtime_error{method + " " + url + ": " + curl_easy_strerror(code)};
    return answer;
}

bool ShiftedClock::wait_for(std::unique_lock<std::mutex>& lock, std::condition_variable_any& wake,
                            escqrs::Duration at_most, std::stop_token stop, escqrs::FunctionRef<bool()> ready)
{
    const escqrs::SteadyTime begin = steady();
    while (!ready() && !stop.stop_requested() && steady() - begin < at_most) {
        const auto slice = std::min<escqrs::Duration>(at_most - (steady() - begin), std::chrono::milliseconds{5});
        wake.wait_for(lock, stop, slice, ready);
    }
    return ready();
}

Emulator::Emulator() : certificate_{folder_.file("certificate.pem")}
{
    const std::string private_key = folder_.file("key.pem");
    ChildProcess openssl{{"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                          "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
                          "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", private_key, "-out", certificate()}};
    (void)openssl.wait();
    process_ = std::make_unique<ChildProcess>(std::vector<std::string>{"node", ESCQRS_EMULATOR, "--key-name", key_name,
                                                                       "--key", key, "--certificate", certificate(),
                                                                       "--private-key", private_key});
    const std::string line = process_->read_line();
    if (line.empty()) throw std::runtime_error{"the emulator did not start"};
    take_ports(json::parse(line));
}

Emulator::Emulator(const json::value& running) : certificate_{running.at("certificate").as_string()}
{
    take_ports(running);
    control("POST", "/faults/none");
    // Not by the emulator's time, which has grown old on its way here.
    clock_.shift(std::chrono::milliseconds{control("GET", "/clock").at("offset").to_number<std::int64_t>()});
}

void Emulator::take_ports(const json::value& description)
{
    amqp_port_ = port_of(description, "amqp");
    amqps_port_ = port_of(description, "amqps");
    control_port_ = port_of(description, "control");
    rest_port_ = port_of(description, "rest");
}

Emulator& Emulator::shared()
{
    static Emulator emulator = [] {
        const std::string running = server_fixture_text("ESCQRS_TEST_EMULATOR");
        return running.empty() ? Emulator{} : Emulator{json::parse(running)};
    }();
    return emulator;
}

std::string Emulator::description() const
{
    return json::serialize(json::value{{"amqp", amqp_port_},
                                       {"amqps", amqps_port_},
                                       {"control", control_port_},
                                       {"rest", rest_port_},
                                       {"certificate", certificate_}});
}

std::string Emulator::connection_string(const std::string& queue, bool tls) const
{
    const std::string host =
        tls ? "localhost:" + std::to_string(amqps_port_) : "127.0.0.1:" + std::to_string(amqp_port_);
    return "Endpoint=sb://" + host + "/;SharedAccessKeyName=" + key_name + ";SharedAccessKey=" + key +
           ";EntityPath=" + queue + (tls ? "" : ";UseDevelopmentEmulator=true");
}

std::string Emulator::connection_string_with(const std::string& queue, const std::string& rights)
{
    const std::string name = new_name();
    control("PUT", "/rules/" + name, {{"key", "a2V5LW9m" + name}, {"rights", json::parse(rights)}});
    return "Endpoint=sb://127.0.0.1:" + std::to_string(amqp_port_) + "/;SharedAccessKeyName=" + name +
           ";SharedAccessKey=a2V5LW9m" + name + ";EntityPath=" + queue + ";UseDevelopmentEmulator=true";
}

std::string Emulator::rest_endpoint() const { return "https://localhost:" + std::to_string(rest_port_); }

std::string Emulator::create_queue(const json::object& description)
{
    const std::string name = new_name();
    control("PUT", "/queues/" + name, description);
    return name;
}

std::string Emulator::new_name() { return "test-" + std::to_string(getpid()) + "-" + std::to_string(++next_name_); }

EmulatorCounts Emulator::counts(const std::string& queue) const
{
    const auto state = control("GET", "/queues/" + queue);
    const auto number = [&](const char* name) { return state.at(name).to_number<std::uint64_t>(); };
    return {number("active"), number("locked"), number("scheduled"), number("deferred"), number("deadLettered")};
}

json::value Emulator::stats() const { return control("GET", "/stats"); }

void Emulator::fault(const std::string& name, const json::object& parameters) const
{
    control("POST", "/faults/" + name, parameters);
}

void Emulator::advance(escqrs::Duration duration)
{
    const auto milliseconds = std::chrono::ceil<std::chrono::milliseconds>(duration);
    control("POST", "/clock/advance", {{"ms", milliseconds.count()}});
    clock_.shift(milliseconds);
}

json::value Emulator::control(const std::string& method, const std::string& path, const json::value& body) const
{
    const auto answer = http(method, "http://127.0.0.1:" + std::to_string(control_port_) + path,
                             body.is_null() ? std::string{} : json::serialize(body));
    if (answer.status != 200)
        throw std::runtime_error{"emulator: " + method + " " + path + ": " + std::to_string(answer.status) + " " +
                                 answer.body};
    return answer.body.empty() ? json::value{} : json::parse(answer.body);
}

} // namespace service_bus_test
