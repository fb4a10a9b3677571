// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/stop_token.hpp>

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

/// Stands between clients and a server on loopback, and can freeze: connections stay open, TCP acknowledges what is
/// sent, and nothing is passed on until it thaws. New connections are made while it is frozen, and are not answered
/// either.
/// @par Thread safety  any thread
class TcpProxy {
public:
    explicit TcpProxy(std::uint16_t server_port);
    ~TcpProxy();
    TcpProxy(const TcpProxy&) = delete;
    TcpProxy& operator=(const TcpProxy&) = delete;

    std::uint16_t port() const noexcept { return port_; }

    void freeze();
    void thaw();

    /// Freezes when a client has sent `text`, which the server still gets; its answer stays here.
    void freeze_after_request(std::string text);

    /// Freezes when as many bytes of answers have been passed on.
    void freeze_after_answers(std::size_t bytes);

    /// Returns when it is frozen, or does not become so for long.
    void wait_until_frozen();

    /// Ends all connections by a reset.
    void reset();

private:
    /// One direction of a connection.
    struct Flow {
        int from;
        int to;
        bool is_answer;
        std::string unsent{};
        bool has_ended = false;
    };
    struct Pair {
        int client;
        int server;
        Flow flows[2];
    };

    void run();
    void wait_for_something();
    void accept_client();
    bool pass_on(Flow& flow);
    void look_for_trigger(const Flow& flow, const char* bytes, std::size_t size);
    void close_all();
    void wake() const;

    std::uint16_t server_port_;
    std::uint16_t port_ = 0;
    int listener_ = -1;
    int wake_[2] = {-1, -1};
    std::vector<Pair> pairs_; ///< of the thread

    std::mutex mutex_;
    std::condition_variable froze_;
    bool is_frozen_ = false;
    bool is_ending_ = false;
    bool wants_reset_ = false;
    std::string request_trigger_;
    std::string request_tail_;
    std::size_t answers_left_ = 0; ///< before it freezes; 0: it does not

    escqrs::jthread thread_;
};
