// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "fuzz_target.hpp"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>

// Runs a fuzz target over the files and folders named on the command line, so that the corpus is checked by every build
// and not only where libFuzzer is.
int main(int argument_count, char** arguments)
{
    std::vector<std::filesystem::path> files;
    for (const std::filesystem::path argument :
         std::span{arguments, static_cast<std::size_t>(argument_count)}.subspan(1)) {
        if (!std::filesystem::is_directory(argument)) files.push_back(argument);
        else {
            for (const auto& entry : std::filesystem::recursive_directory_iterator{argument}) {
                if (entry.is_regular_file()) files.push_back(entry.path());
            }
        }
    }
    std::sort(files.begin(), files.end());
    for (const auto& path : files) {
        std::ifstream file{path, std::ios::binary};
        if (!file) {
            std::fprintf(stderr, "cannot read %s\n", path.c_str());
            return 1;
        }
        const std::vector<char> content{std::istreambuf_iterator<char>{file}, {}};
        const std::vector<std::uint8_t> bytes(content.begin(), content.end());
        std::fprintf(stderr, "%s\n", path.c_str()); // the last one printed is the one that crashes
        LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
    }
    std::printf("%zu inputs\n", files.size());
    return files.empty() ? 1 : 0; // an empty corpus means a wrong path
}
