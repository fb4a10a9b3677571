// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "api_share.hpp"

namespace conference::web {

/// Responds with the answer of `work` once the read model has reached the position that the request names as `position`, if
/// it names one; with a 503 when that takes too long. Holds no thread while it waits.
void answer_at_position(const ApiSharePtr& api, http::RoutedRequest request, const http::Responder& responder,
                        Work work);

} // namespace conference::web
