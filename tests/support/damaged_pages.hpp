// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "temporary_folder.hpp"

#include <cstddef>
#include <fstream>
#include <string>
#include <string_view>
#include <utility>

/// The pages of an SQLite file that hold a text, overwritten. No connection should be open meanwhile, for it may know the pages.
class DamagedPages {
public:
    DamagedPages(std::string path, std::string_view text) : path_{std::move(path)}, whole_{read_file(path_)}
    {
        std::string damaged = whole_;
        for (std::size_t found = damaged.find(text); found != std::string::npos; found = damaged.find(text)) {
            damaged.replace(found / page_size * page_size, page_size, page_size, '\xFF');
            ++count_;
        }
        write(damaged);
    }

    std::size_t count() const noexcept { return count_; }
    void repair() const { write(whole_); }

private:
    static constexpr std::size_t page_size = 4096;

    void write(const std::string& bytes) const
    {
        std::fstream file{path_, std::ios::in | std::ios::out | std::ios::binary};
        file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    }

    std::string path_;
    std::string whole_;
    std::size_t count_ = 0;
};
