// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "http_request.hpp"

#include "loopback.hpp"

#include <escqrs/core/error.hpp>

#include <curl/curl.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <new>
#include <optional>
#include <utility>

namespace service_bus {
namespace {

constexpr std::size_t longest_answer = std::size_t{1} << 20U;

struct EasyCleanup {
    void operator()(CURL* handle) const noexcept { curl_easy_cleanup(handle); }
};
struct MultiCleanup { // for libcurl's C interface, all handles are void
    void operator()(CURLM* handle) const noexcept { curl_multi_cleanup(handle); }
};
struct ListCleanup {
    void operator()(curl_slist* list) const noexcept { curl_slist_free_all(list); }
};

struct UrlCleanup {
    void operator()(CURLU* url) const noexcept { curl_url_cleanup(url); }
    void operator()(char* part) const noexcept { curl_free(part); }
};

/// The parts of a URL that decide who gets what is sent, as libcurl itself reads them.
struct Server {
    std::string scheme;
    std::string host;
    bool has_user = false;
};

/// @return nothing if it is no URL
std::optional<Server> server_of(const std::string& url)
{
    const std::unique_ptr<CURLU, UrlCleanup> parsed{curl_url()};
    if (!parsed) throw std::bad_alloc{};
    if (curl_url_set(parsed.get(), CURLUPART_URL, url.c_str(), 0) != CURLUE_OK) return std::nullopt;
    const auto part = [&](CURLUPart which) {
        char* text = nullptr;
        const CURLUcode code = curl_url_get(parsed.get(), which, &text, 0);
        const std::unique_ptr<char, UrlCleanup> owner{text};
        return code == CURLUE_OK ? std::optional<std::string>{text} : std::nullopt;
    };
    return Server{part(CURLUPART_SCHEME).value_or(""), part(CURLUPART_HOST).value_or(""),
                  part(CURLUPART_USER).has_value() || part(CURLUPART_PASSWORD).has_value()};
}

/// True if no one else reads what goes to `host`, as far as `plain_http` trusts its address.
bool is_near(const std::string& host, PlainHttp plain_http)
{
    if (is_loopback(host)) return true;
    if (plain_http >= PlainHttp::link_local_too && is_link_local(host)) return true;
    return plain_http >= PlainHttp::private_network_too && is_private_network(host);
}

Server private_server(const std::string& url, const std::string& name, PlainHttp plain_http)
{
    const auto server = server_of(url);
    const bool is_private =
        server && !server->has_user && !server->host.empty() &&
        (server->scheme == "https" || (server->scheme == "http" && is_near(server->host, plain_http)));
    if (is_private) return *server;
    std::string text = name + ": expected https://host, or http:// with a loopback address";
    if (plain_http == PlainHttp::link_local_too) text += " or a link-local one";
    if (plain_http == PlainHttp::private_network_too) text += ", a link-local one or one of a private network";
    text += ", because what is sent and answered is secret; found ";
    if (!server) text += "no URL";
    else text += "'" + server->scheme + "://" + server->host + "'" + (server->has_user ? " with a user" : "");
    throw escqrs::TransportError{text};
}

/// Breaks off when there is too much of it.
std::size_t append(char* bytes, std::size_t size, std::size_t count, void* context) noexcept
{
    auto& body = *static_cast<std::string*>(context);
    const std::size_t length = size * count;
    if (length > longest_answer - body.size()) return 0;
    try {
        body.append(bytes, length);
    } catch (...) {
        return 0;
    }
    return length;
}

std::unique_ptr<curl_slist, ListCleanup> make_list(const std::vector<std::string>& lines)
{
    // Without an "Expect", which libcurl would send with a longer body, and wait.
    std::unique_ptr<curl_slist, ListCleanup> list{curl_slist_append(nullptr, "Expect:")};
    for (const std::string& line : lines) {
        const bool has_control = std::ranges::any_of(line, [](unsigned char c) { return c < ' ' || c == 0x7F; });
        if (has_control) // it would begin another line; it may be a secret
            throw escqrs::TransportError{"the header '" + line.substr(0, line.find(':')) +
                                         "' holds a control character"};
        curl_slist* const longer = curl_slist_append(list.get(), line.c_str());
        if (longer == nullptr) throw std::bad_alloc{};
        (void)list.release(); // NOLINT(bugprone-unused-return-value): it is part of the longer one
        list.reset(longer);
    }
    return list;
}

/// Runs the transfer to its end. A stop request breaks it off at once, which the blocking interface could not.
CURLcode perform(CURL* handle, const std::stop_token& stop)
{
    const std::unique_ptr<CURLM, MultiCleanup> multi{curl_multi_init()};
    if (!multi || curl_multi_add_handle(multi.get(), handle) != CURLM_OK) return CURLE_OUT_OF_MEMORY;
    CURLcode result = CURLE_ABORTED_BY_CALLBACK;
    {
        const std::stop_callback wake{stop, [&multi] { curl_multi_wakeup(multi.get()); }};
        for (int running = 1; !stop.stop_requested();) {
            if (curl_multi_perform(multi.get(), &running) != CURLM_OK) break;
            if (running == 0) {
                int left = 0;
                if (const CURLMsg* const message = curl_multi_info_read(multi.get(), &left))
                    result = message->data.result;
                break;
            }
            if (curl_multi_poll(multi.get(), nullptr, 0, 1000, nullptr) != CURLM_OK) break;
        }
    }
    curl_multi_remove_handle(multi.get(), handle);
    return result;
}

} // namespace

HttpResponse send_http(const HttpRequest& request, escqrs::Duration timeout, const std::stop_token& stop)
{
    const auto fail = [&](const char* why) {
        throw escqrs::TransportError{request.method + " " + request.url.substr(0, request.url.find('?')) + ": " + why};
    };
    const Server server = private_server(request.url, request.method, request.plain_http);
    static const CURLcode initialised = curl_global_init(CURL_GLOBAL_DEFAULT);
    const std::unique_ptr<CURL, EasyCleanup> handle{initialised == CURLE_OK ? curl_easy_init() : nullptr};
    if (!handle) fail("libcurl cannot be started");
    const auto headers = make_list(request.headers);
    HttpResponse response;
    CURL* const curl = handle.get();
    curl_easy_setopt(curl, CURLOPT_URL, request.url.c_str());
    if (!request.body.empty()) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request.body.c_str());
    }
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request.method.c_str());
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers.get());
    const auto milliseconds = std::chrono::ceil<std::chrono::milliseconds>(timeout).count();
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, static_cast<long>(milliseconds));
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
#if LIBCURL_VERSION_NUM >= 0x075700                 // 7.87.0
    curl_easy_setopt(curl, CURLOPT_QUICK_EXIT, 1L); // a look-up that hangs is left to its thread, not waited for
#endif
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "https,http");
    if (server.scheme != "https" || is_link_local(server.host) || is_near(server.host, request.plain_http))
        curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
    if (!request.certificate_authorities.empty())
        curl_easy_setopt(curl, CURLOPT_CAINFO, request.certificate_authorities.c_str());
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, append);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &response.body);
    const CURLcode code = perform(curl, stop);
    if (code == CURLE_OPERATION_TIMEDOUT) fail(("no answer within " + std::to_string(milliseconds) + " ms").c_str());
    if (code == CURLE_WRITE_ERROR) fail("the answer is too long");
    if (code == CURLE_ABORTED_BY_CALLBACK) fail("stopped");
    if (code != CURLE_OK) fail(curl_easy_strerror(code));
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &response.status);
    curl_off_t seconds = 0;
    curl_easy_getinfo(curl, CURLINFO_RETRY_AFTER, &seconds);
    constexpr curl_off_t a_day = 86'400;
    if (seconds > 0) response.retry_after = std::chrono::seconds{std::min(seconds, a_day)};
    return response;
}

void require_private(const std::string& url, const std::string& name, PlainHttp plain_http)
{
    (void)private_server(url, name, plain_http);
}

} // namespace service_bus
