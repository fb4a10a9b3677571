// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "folder.hpp"

#include <cerrno>
#include <cstddef>
#include <fcntl.h>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace mail {
namespace {

[[noreturn]] void fail(const std::string& what, const std::string& path, int error)
{
    throw Error{"mail: cannot " + what + " '" + path + "': " + std::generic_category().message(error)};
}

class File {
public:
    File(const std::string& path, int flags) : path_{path}, descriptor_{::open(path.c_str(), flags | O_CLOEXEC, 0600)}
    {
        if (descriptor_ < 0) fail("open", path_, errno);
    }
    File(const File&) = delete;
    File& operator=(const File&) = delete;
    ~File() { ::close(descriptor_); }

    void write(std::string_view bytes) const
    {
        while (!bytes.empty()) {
            const auto written = ::write(descriptor_, bytes.data(), bytes.size());
            if (written < 0 && errno != EINTR) fail("write", path_, errno);
            if (written > 0) bytes.remove_prefix(static_cast<std::size_t>(written));
        }
    }

    void sync() const
    {
        if (::fsync(descriptor_) != 0) fail("sync", path_, errno);
    }

private:
    std::string path_;
    int descriptor_;
};

/// Removes a file that is not finished.
class Unfinished {
public:
    explicit Unfinished(std::string path) : path_{std::move(path)} { ::unlink(path_.c_str()); }
    Unfinished(const Unfinished&) = delete;
    Unfinished& operator=(const Unfinished&) = delete;
    ~Unfinished()
    {
        if (!path_.empty()) ::unlink(path_.c_str());
    }

    const std::string& path() const noexcept { return path_; }

    void finish(const std::string& as)
    {
        if (::rename(path_.c_str(), as.c_str()) != 0) fail("rename to", as, errno);
        path_.clear();
    }

private:
    std::string path_;
};

/// An id that names a file of the folder, and of no other.
const std::string& checked_name(const std::string& id)
{
    if (id.empty() || id.front() == '.' || id.find_first_of(std::string_view{"/\0", 2}) != std::string::npos) {
        throw Refused{"mail: an id that cannot name a file: '" + id.substr(0, 100) + "'"};
    }
    return id;
}

} // namespace

Folder::Folder(std::string path) : path_{std::move(path)}
{
    std::error_code error;
    std::filesystem::create_directories(path_, error);
    if (error) fail("create folder", path_, error.value());
    if (::access(path_.c_str(), W_OK | X_OK) != 0) fail("write to folder", path_, errno);
}

void Folder::deliver(const Message& mail, const std::stop_token& /*stop*/)
{
    const std::string name = path_ + "/" + checked_name(mail.id);
    const std::string path = name + ".eml";
    // Each attempt writes its own file: one thought dead may still be writing.
    const auto unfinished_path = [&](std::uint32_t attempt) { return name + "." + std::to_string(attempt) + ".tmp"; };
    if (!std::filesystem::exists(path)) {
        Unfinished unfinished{unfinished_path(mail.attempt)};
        const File file{unfinished.path(), O_WRONLY | O_CREAT | O_EXCL};
        file.write(to_rfc5322(mail));
        file.sync();
        unfinished.finish(path);
    }
    // What attempts that died have left behind.
    for (std::uint32_t attempt = 1; attempt < mail.attempt; ++attempt) ::unlink(unfinished_path(attempt).c_str());
    File{path_, O_RDONLY | O_DIRECTORY}.sync();
}

} // namespace mail
