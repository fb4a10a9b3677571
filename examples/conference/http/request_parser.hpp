// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "http_server.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/beast/core/error.hpp>
#include <boost/beast/core/string_type.hpp>
#include <boost/beast/http/field.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

// What counts as a request that this server serves: for `Connection` only.
namespace http {

/// Parses a request, stricter than Beast does: number and size of the fields, and what a chunked body has besides its
/// data, are limited, lines that are folded are refused, and trailer fields are dropped, for a header can say what they
/// must not (RFC 9110, section 6.5.1).
class RequestParser final : public boost::beast::http::request_parser<boost::beast::http::string_body> {
public:
    explicit RequestParser(const HttpServerOptions& options);

    /// Parses what has arrived. @return how many bytes are done with
    std::size_t feed(boost::asio::const_buffer bytes, boost::beast::error_code& error);

private:
    void on_field_impl(boost::beast::http::field field, boost::beast::string_view name, boost::beast::string_view value,
                       boost::beast::error_code& error) override;
    void on_chunk_header_impl(std::uint64_t size, boost::beast::string_view extensions,
                              boost::beast::error_code& error) override;
    bool is_folded(boost::beast::string_view name) const noexcept;
    void count(std::size_t items, std::size_t bytes, boost::beast::error_code& error);

    std::string_view input_;
    std::size_t items_left_;
    std::size_t bytes_left_; ///< for the fields of header and trailer, and chunk extensions
};

/// Why the server refuses a request: a status, and a sentence for the client.
struct Refused {
    unsigned status;
    std::string_view sentence;
};

/// Why `header` is refused, if it is: what it says of its host, its length or what it expects is missing, contradictory
/// or unknown, so that others on the way may take it for another request than we do.
std::optional<Refused> refusal_of(const RequestParser::value_type& header);

/// What a failure to read a request means to its client, if there is still one to answer.
std::optional<Refused> refusal_of(const boost::beast::error_code& failure);

/// Whether the client waits for a 100 before it sends the body.
bool is_body_held_back(const RequestParser::value_type& header);

/// The target as path and query. `http://example.org/path` is that as well (RFC 9112, section 3.2.2).
std::string origin_form(std::string_view target);

} // namespace http
