// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "support/loopback_server.hpp"

#include <sys/socket.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

namespace conference::test {

/// A small SMTP server on its own loopback port, which records what it receives. One connection at a time.
class SmtpServer {
public:
    /// What it received as one mail.
    struct Received {
        std::string from;
        std::vector<std::string> recipients;
        std::string data; ///< as sent: lines with CRLF, dots still stuffed
    };

    std::uint16_t port() const { return server_.port(); }

    /// Decides about answers: given a command line, or "." for the end of a mail; empty for the usual answer, "close"
    /// to break the connection, "silence" for none.
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
    void converse(int connection, const std::stop_token& stop)
    {
        std::string buffer;
        Received mail;
        bool in_data = false;
        send(connection, "220 test ESMTP");
        while (LoopbackServer::read_more(connection, buffer, stop)) {
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

    std::mutex mutex_;
    std::function<std::string(const std::string&)> answer_;
    std::vector<Received> mails_;
    std::vector<std::string> commands_;
    LoopbackServer server_{[this](int connection, const std::stop_token& stop) {
        converse(connection, stop);
    }}; ///< last: it ends before what it uses
};

} // namespace conference::test
