// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "smtp_client.hpp"

#include <boost/url/parse.hpp>
#include <boost/url/url_view.hpp>

#include <curl/curl.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <optional>
#include <string_view>
#include <sys/socket.h>
#include <utility>

namespace mail {
namespace {

constexpr long connect_timeout_seconds = 10;
constexpr long total_timeout_seconds = 60;
constexpr long answer_timeout_seconds = 20; ///< the only one that holds when libcurl says QUIT

/// What a server says goes into logs; it is no reason to fill them.
constexpr std::size_t max_answer_length = 300;

/// Of all that a server answers while it is given one mail. RFC 5321, section 4.5.3.1.5 allows 512 bytes for a line.
constexpr std::size_t max_answers_size = std::size_t{64} * 1024;

/// The answer to the first command of a mail concerns us, or the server itself, and so the next mail as well.
constexpr int mail_from = 1;

struct CurlCleanup {
    void operator()(CURL* handle) const noexcept { curl_easy_cleanup(handle); }
    void operator()(curl_slist* list) const noexcept { curl_slist_free_all(list); }
};

/// One mail on its way.
struct Delivery {
    std::string_view rest;
    const std::stop_token& stop;
    std::chrono::milliseconds patience; ///< after a stop request, once the server may have the mail
    bool is_under_way = false;          ///< the server is greeted and knows us: the mail's commands follow
    int answers = 0;                    ///< to these commands, each in whole
    int refusal = 0;                    ///< which of them was the first that refused something
    bool is_line_over = true;           ///< the next thing that is heard begins a line
    bool is_last_line = false;          ///< of an answer
    bool has_begun = false;             ///< the mail's text is being sent
    std::size_t answered = 0;           ///< bytes of the server's answers
    int answer = 0;                     ///< code of the one that is being heard
    std::optional<std::chrono::steady_clock::time_point> stopped_at{};
};

int begin_mail(void* context, char*, char*, int, int) noexcept
{
    static_cast<Delivery*>(context)->is_under_way = true;
    return CURL_PREREQFUNC_OK;
}

std::size_t read_text(char* buffer, std::size_t size, std::size_t count, void* context) noexcept
{
    auto& delivery = *static_cast<Delivery*>(context);
    const std::size_t length = std::min(size * count, delivery.rest.size());
    std::memcpy(buffer, delivery.rest.data(), length);
    delivery.rest.remove_prefix(length);
    delivery.has_begun = true;
    return length;
}

/// Each line that the server answers. Breaks off when there is too much of it.
std::size_t hear_answer(char* line, std::size_t size, std::size_t count, void* context) noexcept
{
    auto& delivery = *static_cast<Delivery*>(context);
    if (delivery.answered > max_answers_size) return 0;
    const std::size_t length = size * count;
    if (length == 0) return 0;
    if (delivery.is_line_over) {
        std::from_chars(line, line + std::min<std::size_t>(length, 3), delivery.answer);
        delivery.is_last_line = length < 4 || line[3] != '-';
    }
    delivery.is_line_over = line[length - 1] == '\n';
    delivery.answered += length;
    if (delivery.is_line_over && delivery.is_last_line) {
        if (delivery.is_under_way) ++delivery.answers;
        if (delivery.is_under_way && delivery.answer >= 400 && delivery.refusal == 0)
            delivery.refusal = delivery.answers;
        delivery.answer = 0;
    }
    return delivery.answered <= max_answers_size ? length : 0;
}

/// Breaks off when stopped: at once while the server cannot have the mail, else after a while without its answer.
int watch_stop(void* context, curl_off_t, curl_off_t, curl_off_t, curl_off_t) noexcept
{
    auto& delivery = *static_cast<Delivery*>(context);
    if (!delivery.stop.stop_requested()) return 0;
    const auto now = std::chrono::steady_clock::now();
    if (!delivery.stopped_at) delivery.stopped_at = now;
    return !delivery.has_begun || now - *delivery.stopped_at >= delivery.patience ? 1 : 0;
}

/// Codes by which a server wants to know who we are, or does not believe it (RFC 4954, section 6; RFC 3207, section 4).
bool is_about_us(long answer) { return answer == 530 || answer == 534 || answer == 535 || answer == 538; }

void initialise_curl()
{
    static const CURLcode code = curl_global_init(CURL_GLOBAL_DEFAULT);
    if (code != CURLE_OK) throw Error{std::string{"mail: libcurl: "} + curl_easy_strerror(code)};
}

bool is_this_machine(const boost::urls::url_view& url)
{
    switch (url.host_type()) {
    case boost::urls::host_type::ipv4: return url.host_ipv4_address().is_loopback();
    case boost::urls::host_type::ipv6: return url.host_ipv6_address().is_loopback();
    default: return url.host_name() == "localhost"; // 127.0.0.1.example is a name, too
    }
}

} // namespace

class SmtpClient::Implementation {
public:
    Implementation(const std::string& text, std::chrono::milliseconds patience) : patience_{patience}
    {
        const auto parsed = boost::urls::parse_uri(text);
        // The text may hold a password, so it is not quoted.
        const auto refuse = [](const char* why) {
            throw Error{std::string{"mail: expected smtp://[user:password@]host[:port][?from=address]: "} + why};
        };
        if (!parsed) refuse("not a URL");
        const boost::urls::url_view& url = *parsed;
        if (url.scheme() != "smtp" && url.scheme() != "smtps") refuse("another scheme");
        if (url.encoded_host().empty()) refuse("no host");
        if (!url.encoded_path().empty() && url.encoded_path() != "/") refuse("a path makes no sense");
        const std::string host{url.encoded_host()};
        server_ = std::string{url.scheme()} + "://" + host;
        if (url.has_port() && !url.port().empty()) server_.append(":").append(url.port());
        user_ = url.user();
        password_ = url.password();
        is_near_ = is_this_machine(url);
        encrypt_ = user_.empty() || is_near_ ? CURLUSESSL_TRY : CURLUSESSL_ALL;
        for (const auto parameter : url.params()) {
            if (parameter.key != "from") refuse("the only parameter is 'from'");
            from_ = checked_address(std::string{parameter.value});
        }
        initialise_curl();
        start();
    }
    Implementation(const Implementation&) = delete;
    Implementation& operator=(const Implementation&) = delete;
    ~Implementation() { drop(); }

    void deliver(const Message& mail, const std::stop_token& stop)
    {
        const std::string text = to_rfc5322(mail);
        const std::string sender = "<" + checked_address(mail.from) + ">";
        const std::string recipient = "<" + checked_address(mail.to) + ">";
        const std::unique_ptr<curl_slist, CurlCleanup> recipients{curl_slist_append(nullptr, recipient.c_str())};
        Delivery delivery{text, stop, patience_};
        set(CURLOPT_MAIL_FROM, sender.c_str());
        set(CURLOPT_MAIL_RCPT, recipients.get());
        set(CURLOPT_PREREQDATA, &delivery);
        set(CURLOPT_READDATA, &delivery);
        set(CURLOPT_HEADERDATA, &delivery);
        set(CURLOPT_XFERINFODATA, &delivery);
        set(CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(text.size()));
        error_.front() = '\0';
        const CURLcode code = curl_easy_perform(handle_.get());
        if (code != CURLE_OK) report(code, delivery);
    }

    const std::string& from() const noexcept { return from_; }

private:
    template <class Value>
    void set(CURLoption option, Value value)
    {
        const CURLcode code = curl_easy_setopt(handle_.get(), option, value);
        if (code != CURLE_OK) throw Error{std::string{"mail: libcurl: "} + curl_easy_strerror(code)};
    }

    /// Cuts the connection, for libcurl says QUIT at the end and would wait for minutes for the answer.
    void drop() noexcept
    {
        curl_socket_t socket = CURL_SOCKET_BAD;
        if (handle_) curl_easy_getinfo(handle_.get(), CURLINFO_ACTIVESOCKET, &socket);
        if (socket != CURL_SOCKET_BAD) ::shutdown(socket, SHUT_RDWR);
        handle_.reset();
    }

    void start()
    {
        drop();
        handle_.reset(curl_easy_init());
        if (!handle_) throw Error{"mail: libcurl cannot be started"};
        set(CURLOPT_URL, server_.c_str());
        set(CURLOPT_PROTOCOLS_STR, "smtp,smtps");
        if (!user_.empty()) {
            set(CURLOPT_USERNAME, user_.c_str());
            set(CURLOPT_PASSWORD, password_.c_str());
        }
        set(CURLOPT_USE_SSL, static_cast<long>(encrypt_));
        if (is_near_) set(CURLOPT_NOPROXY, "*"); // a proxy would read the password
        set(CURLOPT_UPLOAD, 1L);
        set(CURLOPT_NOSIGNAL, 1L);   // other threads are running
#if LIBCURL_VERSION_NUM >= 0x075700  // 7.87.0
        set(CURLOPT_QUICK_EXIT, 1L); // a look-up of the name that hangs is left to its thread, not waited for
#endif
        set(CURLOPT_CONNECTTIMEOUT, connect_timeout_seconds);
        set(CURLOPT_TIMEOUT, total_timeout_seconds);
        set(CURLOPT_SERVER_RESPONSE_TIMEOUT, answer_timeout_seconds);
        set(CURLOPT_PREREQFUNCTION, &begin_mail);
        set(CURLOPT_READFUNCTION, &read_text);
        set(CURLOPT_HEADERFUNCTION, &hear_answer);
        set(CURLOPT_NOPROGRESS, 0L);
        set(CURLOPT_XFERINFOFUNCTION, &watch_stop);
        set(CURLOPT_ERRORBUFFER, error_.data());
    }

    void report(CURLcode code, const Delivery& delivery)
    {
        long answer = 0;
        curl_easy_getinfo(handle_.get(), CURLINFO_RESPONSE_CODE, &answer);
        std::string text = "mail: " + server_ + ": ";
        text += delivery.stopped_at
                    ? "stopped before the answer came"
                    : std::string_view{error_.front() != '\0' ? error_.data() : curl_easy_strerror(code)}.substr(
                          0, max_answer_length);
        if (delivery.is_under_way && is_too_long(code, delivery)) {
            start(); // the rest of the answer may still come on the old connection
            if (delivery.has_begun && delivery.answer / 100 == 2) return; // taken, with many words
            const bool is_known = delivery.answer != 0; // of a line that is too long libcurl tells nothing
            text += " (answer " + (is_known ? std::to_string(delivery.answer) + ", " : "") + "too long)";
            fail(delivery.answers + 1, delivery.answer, text);
        }
        const bool is_answer = code == CURLE_SEND_ERROR || code == CURLE_WEIRD_SERVER_REPLY;
        if (!is_answer || answer < 400) throw ServerUnavailable{text};
        fail(delivery.refusal, answer, text + " (answer " + std::to_string(answer) + ")");
    }

    /// @param command  which of the mail's it is that the server has answered
    [[noreturn]] static void fail(int command, long answer, const std::string& text)
    {
        // 421: "service not available, closing transmission channel" (RFC 5321, section 4.2.3).
        if (command <= mail_from || answer == 421 || is_about_us(answer)) throw ServerUnavailable{text};
        // There are no higher codes than 5xx (section 4.2.1). One below 400 was too long, and would be again; not to be known (0)
        // is no refusal.
        if (answer / 100 == 5 || (answer > 0 && answer < 400)) throw Refused{text};
        throw Error{text};
    }

    /// By our measure, or by libcurl's.
    bool is_too_long(CURLcode code, const Delivery& delivery)
    {
        long size = 0;
        curl_easy_getinfo(handle_.get(), CURLINFO_HEADER_SIZE, &size);
        constexpr auto curle_too_large = static_cast<CURLcode>(100); // since libcurl 8.6
        return delivery.answered > max_answers_size || size > static_cast<long>(max_answers_size) ||
               code == curle_too_large;
    }

    std::chrono::milliseconds patience_;
    std::string server_;
    std::string user_;
    std::string password_;
    std::string from_;
    bool is_near_ = false;
    curl_usessl encrypt_ = CURLUSESSL_ALL;
    std::array<char, CURL_ERROR_SIZE> error_{};
    std::unique_ptr<CURL, CurlCleanup> handle_;
};

SmtpClient::SmtpClient(const std::string& url, std::chrono::milliseconds patience)
    : implementation_{std::make_unique<Implementation>(url, patience)}
{
}

SmtpClient::~SmtpClient() = default;

void SmtpClient::deliver(const Message& mail, const std::stop_token& stop) { implementation_->deliver(mail, stop); }

std::chrono::seconds SmtpClient::time_limit() const noexcept
{
    return std::chrono::seconds{total_timeout_seconds} + std::chrono::seconds{30};
}

std::string SmtpClient::from() const { return implementation_->from(); }

} // namespace mail
