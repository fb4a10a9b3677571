// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

namespace escqrs::inline v0 {

template <class List, class Format, class... OtherFormats>
class Codec;
template <class List, class... Rules>
struct Evolution;
struct EncodedEvent;

} // namespace escqrs::inline v0
