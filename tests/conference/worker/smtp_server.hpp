// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <functional>
#include <mutex>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace conference::test {

/// A small SMTP server on a loopback port of its own, which records what it is told. One connection at a time.
class SmtpServer {
public:
    /// What it received as one mail.
    struct Received {
        std::string from;
        std::vector<std::string> recipients;
        std::string data; ///< as sent: lines with CRLF, dots still stuffed
    };

    SmtpServer()
    {
        listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        auto* const generic = reinterpret_cast<sockaddr*>(&address);
        if (listener_ < 0 || ::bind(listener_, generic, size) != 0 || ::listen(listener_, 8) != 0 ||
            ::getsockname(listener_, generic, &size) != 0) {
            throw std::runtime_error{"cannot listen"};
        }
        port_ = ntohs(address.sin_port);
        thread_ = std::jthread{[this](const std::stop_token& stop) { serve(stop); }};
    }
    SmtpServer(const SmtpServer&) = delete;
    SmtpServer& operator=(const SmtpServer&) = delete;
    ~SmtpServer()
    {
        thread_.request_stop();
        thread_.join();
        ::close(listener_);
    }

    std::uint16_t port() const { return port_; }

    /// Decides about answers: given a command line, or "." for the end of a mail; empty for the usual answer, "close" to
    /// break the connection, "silence" for none.
    void answer_with(std::function<std::string(const std::string&)> answer)
    {
        const std::scoped_lock lock{mutex_};
        answer_ = std::move(answer);
    }

    std::vector<Received> mails()
    {
        const std::scoped_lock lock{mutex_};
        return mails_;
    }
    std::vector<std::string> commands()
    {
        const std::scoped_lock lock{mutex_};
        return commands_;
    }

private:
    /// Waits for something to read; false if it is time to stop.
    static bool wait(int descriptor, const std::stop_token& stop)
    {
        while (!stop.stop_requested()) {
            pollfd poll{descriptor, POLLIN, 0};
            if (::poll(&poll, 1, 20) > 0) return true;
        }
        return false;
    }

    void serve(const std::stop_token& stop)
    {
        while (wait(listener_, stop)) {
            const int connection = ::accept(listener_, nullptr, nullptr);
            if (connection < 0) continue;
            converse(connection, stop);
            ::close(connection);
        }
    }

    void converse(int connection, const std::stop_token& stop)
    {
        std::string buffer;
        Received mail;
        bool in_data = false;
        send(connection, "220 test ESMTP");
        while (wait(connection, stop)) {
            char bytes[4096];
            const auto count = ::recv(connection, bytes, sizeof bytes, 0);
            if (count <= 0) return;
            buffer.append(bytes, static_cast<std::size_t>(count));
            for (std::size_t end = 0; (end = buffer.find("\r\n")) != std::string::npos;) {
                const std::string line = buffer.substr(0, end);
                buffer.erase(0, end + 2);
                if (in_data && line != ".") {
                    mail.data += line + "\r\n";
                    continue;
                }
                std::string answer = decide(line);
                if (answer == "close") return;
                if (answer == "silence") continue;
                if (answer.empty()) answer = usual_answer(line, in_data);
                const bool good = answer[0] == '2' || answer[0] == '3';
                if (line.starts_with("MAIL FROM:") && good) mail = {line.substr(10), {}, {}};
                if (line.starts_with("RCPT TO:") && good) mail.recipients.push_back(line.substr(8));
                if (line == "." && in_data && good) {
                    const std::scoped_lock lock{mutex_};
                    mails_.push_back(mail);
                }
                in_data = line == "DATA" && good;
                send(connection, answer);
                if (line == "QUIT") return;
            }
        }
    }

    std::string decide(const std::string& line)
    {
        const std::scoped_lock lock{mutex_};
        commands_.push_back(line);
        return answer_ ? answer_(line) : "";
    }

    static std::string usual_answer(const std::string& line, bool in_data)
    {
        if (in_data) return "250 taken";
        if (line.starts_with("EHLO")) return "250-test\r\n250-AUTH PLAIN\r\n250 8BITMIME";
        if (line == "AUTH PLAIN") return "334 ";
        if (line == "DATA") return "354 go ahead";
        if (line == "QUIT") return "221 bye";
        if (line.find(' ') == std::string::npos && line != "RSET") return "235 welcome"; // name and password
        return "250 ok";
    }

    static void send(int connection, const std::string& answer)
    {
        const std::string text = answer + "\r\n";
        for (std::string_view rest = text; !rest.empty();) {
            const auto sent = ::send(connection, rest.data(), rest.size(), MSG_NOSIGNAL);
            if (sent <= 0) return;
            rest.remove_prefix(static_cast<std::size_t>(sent));
        }
    }

    int listener_ = -1;
    std::uint16_t port_ = 0;
    std::mutex mutex_;
    std::function<std::string(const std::string&)> answer_;
    std::vector<Received> mails_;
    std::vector<std::string> commands_;
    std::jthread thread_;
};

} // namespace conference::test
