// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/id_generator.hpp>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

/// A folder that is gone at the end.
class TemporaryFolder {
public:
    TemporaryFolder() { std::filesystem::create_directory(path_); }
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;
    ~TemporaryFolder() { std::filesystem::remove_all(path_); }

    std::string path() const { return path_.string(); }
    std::string file(const std::string& name) const { return (path_ / name).string(); }

private:
    std::filesystem::path path_ =
        std::filesystem::temp_directory_path() / ("escqrs-" + escqrs::to_string(escqrs::random_uuid()));
};

inline std::string read_file(const std::string& path)
{
    std::ifstream file{path, std::ios::binary};
    return {std::istreambuf_iterator<char>{file}, {}};
}
