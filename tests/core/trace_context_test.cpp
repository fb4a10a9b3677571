// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include <escqrs/core/trace_context.hpp>
#include <escqrs/testing/catch2.hpp>

#include <string>

using escqrs::TraceContext;

namespace {

const std::string trace_id = "0af7651916cd43dd8448eb211c80319c";
const std::string span_id = "b7ad6b7169203331";

} // namespace

TEST_CASE("a traceparent is read and written")
{
    const std::string text = "00-" + trace_id + '-' + span_id;
    const auto sampled = TraceContext::parse(text + "-01");
    REQUIRE(sampled);
    CHECK(*sampled == TraceContext{trace_id, span_id, true});
    CHECK(sampled->traceparent() == text + "-01");
    const auto unsampled = TraceContext::parse(text + "-00");
    REQUIRE(unsampled);
    CHECK_FALSE(unsampled->is_sampled);
    CHECK(unsampled->traceparent() == text + "-00");
}

TEST_CASE("of the flags only the one that is defined is taken over")
{
    const std::string text = "00-" + trace_id + '-' + span_id;
    CHECK(TraceContext::parse(text + "-ff")->traceparent() == text + "-01");
    CHECK(TraceContext::parse(text + "-fe")->traceparent() == text + "-00");
    CHECK(TraceContext::parse(text + "-1b")->is_sampled);
}

TEST_CASE("a newer version is read as far as it is known")
{
    const std::string text = "-" + trace_id + '-' + span_id + "-01";
    CHECK(TraceContext::parse("cc" + text)->traceparent() == "00" + text);
    CHECK(TraceContext::parse("01" + text + "-what-the-future-will-be-like"));
    CHECK_FALSE(TraceContext::parse("01" + text + ".what-the-future-will-be-like"));
    CHECK_FALSE(TraceContext::parse("00" + text + "-extra"));
}

TEST_CASE("what is not a traceparent is none")
{
    const std::string valid = "00-" + trace_id + '-' + span_id + "-01";
    REQUIRE(TraceContext::parse(valid));
    for (std::size_t length = 0; length < valid.size(); ++length) {
        CHECK_FALSE(TraceContext::parse(std::string_view{valid}.substr(0, length)));
    }
    for (std::size_t at = 0; at < valid.size(); ++at) {
        for (const char wrong : {'g', 'A', '\0', ' ', '\xff'}) {
            std::string text = valid;
            text[at] = wrong;
            CAPTURE(text);
            CHECK_FALSE(TraceContext::parse(text));
        }
        if (valid[at] == '-') {
            std::string text = valid;
            text[at] = '0';
            CHECK_FALSE(TraceContext::parse(text));
        } else {
            std::string text = valid;
            text[at] = '-';
            CHECK_FALSE(TraceContext::parse(text));
        }
    }
    CHECK_FALSE(TraceContext::parse("ff" + valid.substr(2)));
    CHECK_FALSE(TraceContext::parse("00-" + std::string(32, '0') + '-' + span_id + "-01"));
    CHECK_FALSE(TraceContext::parse("00-" + trace_id + '-' + std::string(16, '0') + "-01"));
    CHECK_FALSE(TraceContext::parse(' ' + valid));
    CHECK_FALSE(TraceContext::parse(valid + ' '));
}
