// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "request_parser.hpp"

#include "field_values.hpp"

#include <boost/beast/http/error.hpp>
#include <boost/url/authority_view.hpp>
#include <boost/url/parse.hpp>
#include <boost/url/scheme.hpp>
#include <boost/url/url_view.hpp>

#include <algorithm>
#include <array>

namespace http {

namespace beast = boost::beast;
using beast::http::field;

namespace {

constexpr std::size_t max_items = 100; ///< header fields, trailer fields and chunk extensions

std::string_view view(beast::string_view text) noexcept { return {text.data(), text.size()}; }

bool is_number(std::string_view text) noexcept
{
    return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

bool is_host(std::string_view text)
{
    if (text.empty()) return true; // of a target that has no host
    const auto authority = boost::urls::parse_authority(text);
    return authority && !authority->has_userinfo();
}

} // namespace

RequestParser::RequestParser(const HttpServerOptions& options)
    : items_left_{max_items}, bytes_left_{options.max_header_bytes}
{
    header_limit(options.max_header_bytes);
    body_limit(options.max_body_bytes);
}

std::size_t RequestParser::feed(boost::asio::const_buffer bytes, beast::error_code& error)
{
    input_ = {static_cast<const char*>(bytes.data()), bytes.size()};
    return put(bytes, error);
}

void RequestParser::on_field_impl(field field, beast::string_view name, beast::string_view value,
                                  beast::error_code& error)
{
    const bool is_trailer = is_header_done();
    count(1, name.size() + value.size(), error); // Beast limits what arrives at once, not the sum
    if (error) return;
    if (is_folded(name)) error = beast::http::error::bad_value;
    else if (!is_trailer) get().insert(field, name, value);
}

void RequestParser::on_chunk_header_impl(std::uint64_t, beast::string_view extensions, beast::error_code& error)
{
    count(static_cast<std::size_t>(std::ranges::count(extensions, ';')), extensions.size(), error);
}

/// True if the field continues on the next line (obs-fold). Beast unfolds it, but must see the line's end for that.
bool RequestParser::is_folded(beast::string_view name) const noexcept
{
    const std::string_view rest = input_.substr(static_cast<std::size_t>(name.data() - input_.data()));
    const auto next_line = rest.find("\r\n") + 2;
    return next_line < rest.size() && (rest[next_line] == ' ' || rest[next_line] == '\t');
}

void RequestParser::count(std::size_t items, std::size_t bytes, beast::error_code& error)
{
    if (items > items_left_ || bytes > bytes_left_) {
        error = beast::http::error::header_limit;
        return;
    }
    items_left_ -= items;
    bytes_left_ -= bytes;
}

std::optional<Refused> refusal_of(const RequestParser::value_type& header)
{
    for (const auto once :
         {field::host, field::content_length, field::transfer_encoding, field::content_type, field::authorization}) {
        if (header.count(once) > 1) return Refused{400, "A field that may stand once stands there twice."};
    }
    const bool has_host = header.count(field::host) == 1;
    if ((!has_host && header.version() >= 11) || !is_host(view(header[field::host]))) {
        return Refused{400, "A Host field with the name of a host is needed."};
    }
    if (header.count(field::content_length) == 1 && !is_number(view(header[field::content_length]))) {
        return Refused{400, "The Content-Length is not one number."};
    }
    if (header.count(field::transfer_encoding) == 1) {
        if (header.version() < 11) return Refused{400, "HTTP/1.0 has no Transfer-Encoding."};
        if (!same_name(view(header[field::transfer_encoding]), "chunked")) {
            return Refused{501, "The only Transfer-Encoding that this server knows is chunked."};
        }
    }
    const auto [begin, end] = header.equal_range(field::expect);
    if (std::any_of(begin, end, [](const auto& each) { return !same_name(view(each.value()), "100-continue"); })) {
        return Refused{417, "The only expectation that this server can meet is 100-continue."};
    }
    return std::nullopt;
}

std::optional<Refused> refusal_of(const beast::error_code& failure)
{
    using beast::http::error;
    if (failure == error::body_limit) return Refused{413, "The body is larger than this server accepts."};
    if (failure == error::header_limit) return Refused{431, "The header is larger than this server accepts."};
    if (failure.category() == beast::http::make_error_code(error::end_of_stream).category())
        return Refused{400, "This is not an HTTP/1.1 request."};
    return std::nullopt; // the connection failed
}

bool is_body_held_back(const RequestParser::value_type& header)
{
    return header.version() >= 11 && header.count(field::expect) != 0;
}

std::string origin_form(std::string_view target)
{
    if (target.empty() || target.front() == '/') return std::string{target};
    const auto url = boost::urls::parse_absolute_uri(target);
    using boost::urls::scheme;
    const bool is_ours = url && (url->scheme_id() == scheme::http || url->scheme_id() == scheme::https) &&
                         !url->encoded_host().empty() && !url->has_userinfo();
    if (!is_ours) return std::string{target};
    const auto rest = url->encoded_target();
    return (rest.starts_with('/') ? "" : "/") + std::string{rest.data(), rest.size()};
}

} // namespace http
