// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "smtp_client.hpp"

#include "../application/readable_text.hpp"

#include <boost/url/parse.hpp>
#include <boost/url/url_view.hpp>

#include <curl/curl.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <string_view>
#include <utility>

namespace conference {
namespace {

constexpr long connect_timeout_seconds = 10;
constexpr long total_timeout_seconds = 60;

/// What a server says goes into logs; it is no reason to fill them.
constexpr std::size_t max_answer_length = 300;

struct CurlCleanup {
    void operator()(CURL* handle) const noexcept { curl_easy_cleanup(handle); }
    void operator()(curl_slist* list) const noexcept { curl_slist_free_all(list); }
};

/// One mail on its way.
struct Upload {
    std::string_view rest;
    bool begun = false;
    const std::stop_token* stop = nullptr;
};

std::size_t read_upload(char* buffer, std::size_t size, std::size_t count, void* context) noexcept
{
    auto& upload = *static_cast<Upload*>(context);
    const std::size_t length = std::min(size * count, upload.rest.size());
    std::memcpy(buffer, upload.rest.data(), length);
    upload.rest.remove_prefix(length);
    upload.begun = true;
    return length;
}

/// Breaks off when stopped, as long as the server cannot have the mail.
int watch_stop(void* context, curl_off_t, curl_off_t, curl_off_t, curl_off_t) noexcept
{
    const auto& upload = *static_cast<const Upload*>(context);
    return !upload.begun && upload.stop->stop_requested() ? 1 : 0;
}

void initialise_curl()
{
    static const CURLcode code = curl_global_init(CURL_GLOBAL_DEFAULT);
    if (code != CURLE_OK) throw MailError{std::string{"mail: libcurl: "} + curl_easy_strerror(code)};
}

bool is_this_machine(std::string_view host)
{
    return host == "localhost" || host == "[::1]" || host.starts_with("127.");
}

} // namespace

class SmtpClient::Implementation {
public:
    explicit Implementation(const std::string& text)
    {
        const auto parsed = boost::urls::parse_uri(text);
        // The text may hold a password, so it is not quoted.
        const auto refuse = [](const char* why) {
            throw MailError{std::string{"mail: expected smtp://[user:password@]host[:port][?from=address]: "} + why};
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
        encrypt_ = user_.empty() || is_this_machine(host) ? CURLUSESSL_TRY : CURLUSESSL_ALL;
        for (const auto parameter : url.params()) {
            if (parameter.key != "from") refuse("the only parameter is 'from'");
            from_ = checked_address(std::string{parameter.value});
        }
        initialise_curl();
        handle_.reset(curl_easy_init());
        if (!handle_) throw MailError{"mail: libcurl cannot be started"};
        configure();
    }

    void deliver(const Mail& mail, const std::stop_token& stop)
    {
        const std::string text = to_rfc5322(mail);
        const std::string sender = "<" + checked_address(mail.from) + ">";
        const std::string recipient = "<" + checked_address(mail.to) + ">";
        const std::unique_ptr<curl_slist, CurlCleanup> recipients{curl_slist_append(nullptr, recipient.c_str())};
        Upload upload{text, false, &stop};
        set(CURLOPT_MAIL_FROM, sender.c_str());
        set(CURLOPT_MAIL_RCPT, recipients.get());
        set(CURLOPT_READDATA, &upload);
        set(CURLOPT_XFERINFODATA, &upload);
        set(CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(text.size()));
        error_.front() = '\0';
        const CURLcode code = curl_easy_perform(handle_.get());
        if (code != CURLE_OK) report(code);
    }

    const std::string& from() const noexcept { return from_; }

private:
    template <class Value>
    void set(CURLoption option, Value value)
    {
        const CURLcode code = curl_easy_setopt(handle_.get(), option, value);
        if (code != CURLE_OK) throw MailError{std::string{"mail: libcurl: "} + curl_easy_strerror(code)};
    }

    void configure()
    {
        set(CURLOPT_URL, server_.c_str());
        set(CURLOPT_PROTOCOLS_STR, "smtp,smtps");
        if (!user_.empty()) {
            set(CURLOPT_USERNAME, user_.c_str());
            set(CURLOPT_PASSWORD, password_.c_str());
        }
        set(CURLOPT_USE_SSL, static_cast<long>(encrypt_));
        set(CURLOPT_UPLOAD, 1L);
        set(CURLOPT_NOSIGNAL, 1L); // other threads are running
        set(CURLOPT_CONNECTTIMEOUT, connect_timeout_seconds);
        set(CURLOPT_TIMEOUT, total_timeout_seconds);
        set(CURLOPT_READFUNCTION, &read_upload);
        set(CURLOPT_NOPROGRESS, 0L);
        set(CURLOPT_XFERINFOFUNCTION, &watch_stop);
        set(CURLOPT_ERRORBUFFER, error_.data());
    }

    [[noreturn]] void report(CURLcode code)
    {
        long answer = 0;
        curl_easy_getinfo(handle_.get(), CURLINFO_RESPONSE_CODE, &answer);
        std::string text = "mail: " + server_ + ": ";
        text += readable(error_.front() != '\0' ? error_.data() : curl_easy_strerror(code), max_answer_length);
        // 421: "service not available, closing transmission channel" (RFC 5321, section 4.2.3).
        const bool refused = code == CURLE_SEND_ERROR || code == CURLE_WEIRD_SERVER_REPLY;
        if (refused && answer >= 400 && answer < 600 && answer != 421) {
            throw MailError{text + " (answer " + std::to_string(answer) + ")"};
        }
        throw MailServerUnavailable{text};
    }

    std::string server_;
    std::string user_;
    std::string password_;
    std::string from_;
    curl_usessl encrypt_ = CURLUSESSL_ALL;
    std::array<char, CURL_ERROR_SIZE> error_{};
    std::unique_ptr<CURL, CurlCleanup> handle_;
};

SmtpClient::SmtpClient(const std::string& url) : implementation_{std::make_unique<Implementation>(url)} {}

SmtpClient::~SmtpClient() = default;

void SmtpClient::deliver(const Mail& mail, const std::stop_token& stop) { implementation_->deliver(mail, stop); }

escqrs::Duration SmtpClient::time_limit() const noexcept
{
    return std::chrono::seconds{total_timeout_seconds} + std::chrono::seconds{30};
}

std::string SmtpClient::from() const { return implementation_->from(); }

} // namespace conference
