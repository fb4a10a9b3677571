// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "http_server.hpp"

#include "connection.hpp"
#include "field_values.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/system/system_error.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <exception>
#include <mutex>
#include <new>
#include <string>
#include <sys/resource.h>
#include <system_error>
#include <thread>

namespace http {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

} // namespace

std::string_view Request::header(std::string_view name) const noexcept
{
    for (const auto& [key, value] : headers) {
        if (same_name(key, name)) return value;
    }
    return {};
}

class HttpServer::Implementation {
public:
    Implementation(HttpServerOptions options, Handler handler, Refusal refusal)
        : shared_{std::move(options), std::move(handler), std::move(refusal)},
          contexts_(std::max(1U, shared_.options.threads)), acceptor_{contexts_.front()}, pause_{contexts_.front()},
          spare_{contexts_.front()}
    {
        compare_with_descriptors();
        listen();
        accept();
        try {
            for (Context& context : contexts_) threads_.emplace_back([this, &context] { run(context); });
        } catch (...) {
            for (Context& context : contexts_) context.stop();
            throw; // those that run are joined first of all
        }
    }

    ~Implementation() { stop(std::chrono::milliseconds{0}); } // NOLINT(bugprone-exception-escape): no one to report to

    std::uint16_t port() const noexcept { return port_; }
    std::function<std::size_t()> connection_counter() const
    {
        return [open = shared_.open] { return open->load(); };
    }
    std::function<std::size_t()> unsent_counter() const
    {
        return [unsent = shared_.unsent] { return unsent->load(); };
    }

    bool drain(std::chrono::milliseconds patience)
    {
        if (threads_.empty()) return true;
        shared_.stopping = true;
        asio::post(acceptor_.get_executor(), [this] {
            acceptor_.close();
            pause_.cancel();
        });
        std::vector<std::shared_ptr<Connection>> alive; // let go without the lock, which their destructors take
        {
            const std::scoped_lock lock{shared_.mutex};
            for (Connection* const connection : shared_.connections)
                alive.push_back(connection->weak_from_this().lock());
        }
        for (const auto& connection : alive) {
            if (connection) connection->stop();
        }
        alive.clear();
        std::unique_lock lock{shared_.mutex};
        return shared_.emptied.wait_for(lock, patience, [this] { return shared_.connections.empty(); });
    }

    void stop(std::chrono::milliseconds patience)
    {
        (void)drain(patience);
        for (Context& context : contexts_) context.stop();
        threads_.clear();
    }

private:
    /// A thread's. A connection stays with one thread: a strand would stand still for ever after a failure to post to
    /// it.
    struct Context : asio::io_context {
        Context() : asio::io_context{1} {}
        asio::executor_work_guard<executor_type> until_stopped{get_executor()};
    };

    /// Counts one wait for a client, until the handler that holds it is done or destroyed.
    struct CountDown {
        void operator()(std::atomic<int>* count) const noexcept { --*count; }
    };
    using Accepting = std::unique_ptr<std::atomic<int>, CountDown>;

    /// Leaves descriptors for what the process works with besides connections.
    void compare_with_descriptors()
    {
        rlimit limit{};
        if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
        constexpr rlim_t for_others = 256;
        const rlim_t most = limit.rlim_cur - std::min(for_others, limit.rlim_cur / 2);
        auto& wanted = shared_.options.max_connections;
        if (wanted <= most) return;
        shared_.options.log("http: the limit of open files is " + std::to_string(limit.rlim_cur) + ", which allows " +
                            std::to_string(most) + " connections instead of " + std::to_string(wanted));
        wanted = most;
    }

    void listen()
    {
        const auto& options = shared_.options;
        try {
            const tcp::endpoint endpoint = resolve(options.address, options.port);
            acceptor_.open(endpoint.protocol());
            acceptor_.set_option(asio::socket_base::reuse_address{true});
            acceptor_.bind(endpoint);
            acceptor_.listen(asio::socket_base::max_listen_connections);
            acceptor_.non_blocking(true);
            port_ = acceptor_.local_endpoint().port();
            spare_.open(endpoint.protocol());
        } catch (const boost::system::system_error& error) {
            throw std::system_error{error.code(),
                                    "cannot listen on " + options.address + ":" + std::to_string(options.port)};
        }
    }

    /// An address, or the first one of a name; of both kinds of address that of IPv4, which more clients try.
    tcp::endpoint resolve(const std::string& host, std::uint16_t port)
    {
        boost::system::error_code is_name;
        const auto address = asio::ip::make_address(host, is_name);
        if (!is_name) return {address, port};
        const auto found = tcp::resolver{contexts_.front()}.resolve(host, std::to_string(port), tcp::resolver::passive);
        const auto first = std::find_if(found.begin(), found.end(),
                                        [](const auto& entry) { return entry.endpoint().address().is_v4(); });
        return (first != found.end() ? first : found.begin())->endpoint();
    }

    /// Runs one of the server's threads. An exception ends what it came from, and nothing else.
    void run(Context& context) noexcept
    {
        for (;;) {
            try {
                if (&context == &contexts_.front() && accepting_ == 0) accept();
                context.run();
                return;
            } catch (const std::bad_alloc&) {
                shared_.reserve.give_up();
                shared_.log("http: no memory");
            } catch (const std::exception& error) {
                shared_.log(error.what());
            } catch (...) {
                shared_.log("http: a thread met an exception of an unknown type");
            }
            std::this_thread::sleep_for(std::chrono::milliseconds{1}); // what fails at once again must not spin
        }
    }

    Accepting one_more()
    {
        ++accepting_;
        return Accepting{&accepting_};
    }

    /// Accepts the next client. If an exception ends this, `run` begins anew.
    void accept()
    {
        if (shared_.stopping) return;
        acceptor_.async_accept(
            contexts_[next_++ % contexts_.size()],
            [this, counted = one_more()](const boost::system::error_code& error, tcp::socket socket) {
                accepted(error, std::move(socket));
            });
    }

    void accepted(const boost::system::error_code& error, tcp::socket socket)
    {
        if (error == asio::error::operation_aborted || shared_.stopping) return;
        if (error) {
            shared_.log("http: cannot accept a client: " + error.message());
            if (error != asio::error::no_descriptors || !turn_next_away()) return accept_later();
        } else if (*shared_.open >= shared_.options.max_connections) {
            shared_.log("http: turned a client away: " + std::to_string(shared_.options.max_connections) +
                        " connections are open");
            turn_away(socket);
        } else if (!shared_.reserve.is_whole()) {
            shared_.log("http: turned a client away: no memory");
            turn_away(socket);
        } else {
            Connection::start(std::make_shared<Connection>(std::move(socket), shared_));
        }
        accept();
    }

    /// Answers with a 503. Takes in what the client has sent: it would not read the answer of a connection that is
    /// reset.
    void turn_away(tcp::socket& client) noexcept
    {
        shared_.send_failure(client, 503);
        boost::system::error_code ignored;
        client.shutdown(tcp::socket::shutdown_send, ignored);
        std::array<char, 4096> unread; // NOLINT(cppcoreguidelines-pro-type-member-init): written before it is read
        client.read_some(asio::buffer(unread), ignored);
    }

    /// Answers the next client with the one descriptor that is kept for this: else it would wait for nothing.
    bool turn_next_away()
    {
        boost::system::error_code error;
        spare_.close(error);
        {
            tcp::socket client{contexts_.front()};
            acceptor_.accept(client, error);
            if (!error) turn_away(client);
        }
        boost::system::error_code none_left;
        spare_.open(acceptor_.local_endpoint(none_left).protocol(), none_left);
        return !error;
    }

    void accept_later()
    {
        pause_.expires_after(pause_after_failure);
        pause_.async_wait([this, counted = one_more()](const boost::system::error_code&) { accept(); });
    }

    static constexpr std::chrono::milliseconds pause_after_failure{50};

    ConnectionShare shared_;
    std::atomic<int> accepting_{0};
    std::vector<Context> contexts_;
    std::size_t next_ = 0; ///< context of the next client
    tcp::acceptor acceptor_;
    asio::steady_timer pause_;
    tcp::socket spare_;
    std::uint16_t port_ = 0;
    std::vector<std::jthread> threads_;
};

HttpServer::HttpServer(HttpServerOptions options, Handler handler, Refusal refusal)
    : implementation_{std::make_unique<Implementation>(std::move(options), std::move(handler), std::move(refusal))}
{
}

HttpServer::~HttpServer() = default;

std::uint16_t HttpServer::port() const noexcept { return implementation_->port(); }

std::function<std::size_t()> HttpServer::connection_counter() const { return implementation_->connection_counter(); }

std::function<std::size_t()> HttpServer::unsent_counter() const { return implementation_->unsent_counter(); }
bool HttpServer::drain(std::chrono::milliseconds patience) { return implementation_->drain(patience); }

void HttpServer::stop(std::chrono::milliseconds patience) { implementation_->stop(patience); }

} // namespace http
