// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/id_generator.hpp>

#include <cstdlib>
#include <filesystem>
#include <string>

namespace benchmarks {

/// A folder of this process's own in ESCQRS_BENCHMARK_FOLDER, or else in the current one; gone when the process ends.
inline const std::string& folder()
{
    struct Folder {
        Folder()
        {
            const char* const parent = std::getenv("ESCQRS_BENCHMARK_FOLDER"); // NOLINT: nothing sets it meanwhile
            path = std::string{parent != nullptr ? parent : "."} + "/benchmark-" +
                   escqrs::to_string(escqrs::random_uuid());
            std::filesystem::create_directory(path);
        }
        Folder(const Folder&) = delete;
        Folder& operator=(const Folder&) = delete;
        ~Folder()
        {
            std::error_code ignored;
            std::filesystem::remove_all(path, ignored);
        }
        std::string path;
    };
    static const Folder folder;
    return folder.path;
}

/// Path of a database in that folder that does not exist, whatever there was before.
inline std::string new_database(const std::string& name)
{
    std::string path = folder() + '/' + name;
    for (const char* const suffix : {"", "-wal", "-shm"}) std::filesystem::remove(path + suffix);
    return path;
}

} // namespace benchmarks
