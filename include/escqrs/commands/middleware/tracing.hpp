// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/commands/command_info.hpp>
#include <escqrs/config.hpp>
#include <escqrs/core/check_option.hpp>
#include <escqrs/core/clock.hpp>
#include <escqrs/core/hex.hpp>
#include <escqrs/core/id_generator.hpp>
#include <escqrs/core/trace_context.hpp>

#include <cstddef>
#include <exception>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <utility>

namespace escqrs::inline v0 {

/// The handling of one command as a step in a trace.
struct CommandSpan {
    const CommandInfo& command;   ///< valid during the call
    TraceContext context;         ///< of this step: what it causes has it as its parent
    std::string parent_span_id;   ///< empty if the trace begins here
    Timestamp start;              ///< by the clock of the options
    std::optional<Timestamp> end; ///< nothing yet when it begins
    /// What it ended with; null if it was handled.
    std::exception_ptr error;
};

/// How spans are timed and named, and whether new traces are sampled.
struct TracingOptions {
    Clock* clock = &system_clock(); ///< of starts and ends; must outlive the middleware
    IdGenerator ids = random_uuid;  ///< draws the ids of traces and spans
    /// The flag of the traces begun here; incoming ones keep theirs.
    bool sample_new_traces = true;
};

/// A middleware that makes each command a span of its trace, as W3C Trace Context has it.
///
/// It continues the trace in the metadata's `traceparent`, or begins one if that is empty or not valid. The handler and
/// the middleware further in get the span's own `traceparent`, so what the command causes is its child: the stored
/// events and the messages about them.
/// @param sink  called when the span begins and when it ends, sampled or not; must not throw; called from any thread
ESCQRS_INLINE CommandMiddleware tracing(std::function<void(const CommandSpan&)> sink, TracingOptions options = {});

namespace detail {

/// The last bytes of a UUID in hexadecimal: 8 or more include its variant, so they are never all 0.
inline std::string last_hex_digits(const Uuid& uuid, std::size_t bytes)
{
    return to_hex(std::span{uuid.begin(), uuid.end()}.last(bytes));
}

} // namespace detail

#if ESCQRS_HAS_BODIES

ESCQRS_INLINE CommandMiddleware tracing(std::function<void(const CommandSpan&)> sink, TracingOptions options)
{
    detail::check_given(sink, "sink");
    detail::check_given(options.clock, "clock");
    detail::check_given(options.ids, "ids");
    return [sink = std::move(sink), options = std::move(options)](const CommandInfo& command, NextHandler next) {
        CommandSpan span{command, {}, {}, options.clock->now(), std::nullopt, nullptr};
        if (auto parent = TraceContext::parse(command.metadata.traceparent)) {
            span.parent_span_id = std::move(parent->span_id);
            span.context.trace_id = std::move(parent->trace_id);
            span.context.is_sampled = parent->is_sampled;
        } else {
            span.context.trace_id = detail::last_hex_digits(options.ids(), 16);
            span.context.is_sampled = options.sample_new_traces;
        }
        span.context.span_id = detail::last_hex_digits(options.ids(), 8);
        sink(span);
        Metadata metadata = command.metadata;
        metadata.traceparent = span.context.traceparent();
        try {
            next(metadata);
        } catch (...) {
            span.end = options.clock->now();
            span.error = std::current_exception();
            sink(span);
            throw;
        }
        span.end = options.clock->now();
        sink(span);
    };
}

#endif // ESCQRS_HAS_BODIES

} // namespace escqrs::inline v0
