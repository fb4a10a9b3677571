// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <span>
#include <string_view>

namespace conference {

/// One file of the page, as the build embedded it from web/page/.
struct PageFile {
    std::string_view path; ///< "/" for index.html
    std::string_view content_type;
    std::string_view content;
};

std::span<const PageFile> page_files() noexcept;

} // namespace conference
