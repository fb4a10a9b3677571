// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/config.hpp>
#include <escqrs/sqlite/database_error.hpp>

#include <sqlite3.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <fcntl.h>
#include <memory>
#include <mutex>
#include <optional>
#include <pthread.h>
#include <string>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>
#include <vector>

namespace escqrs::inline v0::sqlite::detail {

/// Identifies a file, wherever it is moved.
struct FileIdentity {
    dev_t device;
    ino_t inode;

    friend bool operator==(const FileIdentity&, const FileIdentity&) = default;
};

/// @return nothing if there is no such file
ESCQRS_INLINE std::optional<FileIdentity> identity_of(const std::string& path) noexcept;

#if ESCQRS_HAS_BODIES

ESCQRS_INLINE std::optional<FileIdentity> identity_of(const std::string& path) noexcept
{
    struct stat found {};
    if (::stat(path.c_str(), &found) != 0) return std::nullopt;
    return FileIdentity{found.st_dev, found.st_ino};
}

#endif // ESCQRS_HAS_BODIES

/// How many forks there are between this process and the one that was started.
inline std::atomic<unsigned> forks{0};

/// @return `forks`, which counts from the first call on
inline unsigned count_forks()
{
    static const int error = ::pthread_atfork(nullptr, nullptr, [] { forks.fetch_add(1); });
    if (error != 0) throw std::system_error{error, std::generic_category(), "pthread_atfork"};
    return forks.load();
}

/// The bytes that SQLite locks, in the database and in the index of its log: https://sqlite.org/walformat.html and
/// `os_unix.c` of SQLite, unchanged since 3.7.0, because processes of all versions must agree on them.
struct LockedBytes {
    short type;
    off_t begin;
    off_t size;
};
inline constexpr LockedBytes in_use{F_RDLCK, 0x40000002, 510}; ///< in the database: the file is open
inline constexpr LockedBytes index_in_use{F_RDLCK, 128, 1};    ///< in the index: it must not be made anew
inline constexpr LockedBytes writing{F_WRLCK, 120, 1};         ///< in the index: the right to write
/// In the index, and not SQLite's: the turn to write.
inline constexpr LockedBytes turn{F_WRLCK, 256, 1};
/// In the index: held shared by readers of the log.
inline constexpr LockedBytes reading_log{F_WRLCK, 124, 4};

/// Locks that belong to a descriptor, and not to the process: `F_OFD_SETLK` of fcntl(2).
/// @return false if another process has the bytes; true also where the system knows no such locks
inline bool try_lock(int file, LockedBytes bytes) noexcept
{
    struct flock request {};
    request.l_type = bytes.type;
    request.l_whence = SEEK_SET;
    request.l_start = bytes.begin;
    request.l_len = bytes.size;
    return ::fcntl(file, F_OFD_SETLK, &request) == 0 || errno == EINVAL;
}

inline void unlock(int file, LockedBytes bytes) noexcept
{
    bytes.type = F_UNLCK;
    static_cast<void>(try_lock(file, bytes));
}

/// The process that keeps a descriptor from locking `bytes` exclusively, one of them if there are several; 0 if there is
/// none, -1 if it holds them by a descriptor, nothing where the system does not tell.
ESCQRS_INLINE std::optional<pid_t> holder_of(int file, LockedBytes bytes) noexcept;

#if ESCQRS_HAS_BODIES

ESCQRS_INLINE std::optional<pid_t> holder_of(int file, LockedBytes bytes) noexcept
{
    struct flock request {};
    request.l_type = F_WRLCK;
    request.l_whence = SEEK_SET;
    request.l_start = bytes.begin;
    request.l_len = bytes.size;
    if (::fcntl(file, F_OFD_GETLK, &request) != 0) return std::nullopt;
    return request.l_type == F_UNLCK ? 0 : request.l_pid;
}

#endif // ESCQRS_HAS_BODIES

/// A file that this process has open as a database. All its connections share one: a descriptor that is closed takes every
/// POSIX lock of the process on the file with it, so this one stays open until SQLite has closed the last of its own.
struct HeldFile {
    explicit HeldFile(const FileIdentity& given) noexcept : identity{given} {}

    FileIdentity identity;
    pid_t process = ::getpid();
    int file = -1;
    int index = -1;
    unsigned connections = 0;
    unsigned locks = 0; ///< connections that want it locked
    /// The turn: a descriptor's locks do not exclude other threads.
    std::atomic<bool> is_taken{false};
};

struct HeldFiles {
    std::mutex mutex;
    std::vector<std::unique_ptr<HeldFile>> all;
};

/// Never destroyed: databases may be closed until the very end of the program.
inline HeldFiles& held_files()
{
    static HeldFiles& files = *new HeldFiles;
    return files;
}

/// Keeps a connection's file in use, and checks that it is still the file that was opened, and this the process that
/// opened it.
///
/// SQLite marks a file as in use by POSIX locks. A process loses all of those on a file as soon as any part of it opens
/// and closes the file; another process may then close the database as the last one, and remove the log under this one.
/// So the same bytes are locked a second time, by locks that belong to a descriptor.
///
/// Make it after SQLite has opened the file and before it locks anything; unlock it before SQLite closes the file,
/// which then may be the last one, and destroy it after that.
/// @par Thread safety  `check` and `identity` may be called from any thread
class FileHold {
public:
    /// @throws DatabaseError if there is no such file, or a process that this one was forked from has it open
    explicit FileHold(std::string path);
    FileHold(const FileHold&) = delete;
    FileHold& operator=(const FileHold&) = delete;
    ~FileHold();

    const FileIdentity& identity() const noexcept { return file_->identity; }
    const std::string& path() const noexcept { return path_; }

    /// @throws DatabaseError if that is impossible
    void lock();
    void unlock() noexcept;

    /// Takes the turn to write, among the connections of this library: SQLite's own write lock is lost when a part of
    /// the process opens and closes the log's index, and another process must not begin to write then.
    /// @return false if another connection has it
    bool try_turn() noexcept;
    void end_turn() noexcept;
    bool has_turn() const noexcept { return has_turn_; }

    bool is_inherited() const noexcept { return forks_ != forks.load(std::memory_order_relaxed); }

    /// @throws DatabaseError if this is not the process that opened the file
    void check_process() const
    {
        if (is_inherited()) fail_inherited();
    }

    /// @throws DatabaseError as `check_process`, and if the file, its log or the log's index was deleted, moved or
    ///         replaced
    void check() const;

    /// @throws DatabaseError as `check`, and if the process has lost the write lock that this connection has taken
    void check_write() const;

private:
    friend class LogLock;

    [[noreturn]] void fail_inherited() const;
    [[noreturn]] void fail_moved(const std::string& name) const;
    [[noreturn]] void fail_locking() const;
    void open_and_lock();

    std::string path_;
    std::string log_path_ = path_ + "-wal";
    std::string index_path_ = path_ + "-shm";
    unsigned forks_ = count_forks();
    HeldFile* file_ = nullptr;
    std::optional<FileIdentity> log_;
    bool is_locked_ = false;
    bool has_turn_ = false;
};

#if ESCQRS_HAS_BODIES

ESCQRS_INLINE FileHold::FileHold(std::string path) : path_{std::move(path)}
{
    const auto identity = identity_of(path_);
    if (!identity) fail_moved(path_);
    HeldFiles& files = held_files();
    const std::scoped_lock lock{files.mutex};
    const auto known =
        std::find_if(files.all.begin(), files.all.end(), [&](auto& file) { return file->identity == *identity; });
    if (known == files.all.end()) {
        files.all.push_back(std::make_unique<HeldFile>(*identity));
        file_ = files.all.back().get();
    } else if ((*known)->process == ::getpid()) {
        file_ = known->get();
    } else if ((*known)->connections > 0) {
        fail_inherited(); // SQLite takes the other process's locks for this one's
    } else {
        *known = std::make_unique<HeldFile>(*identity);
        file_ = known->get();
    }
    ++file_->connections;
}

ESCQRS_INLINE FileHold::~FileHold()
{
    if (is_inherited()) return;
    unlock();
    HeldFiles& files = held_files();
    const std::scoped_lock lock{files.mutex};
    if (--file_->connections > 0) return;
    // Other code in this process may have the file open by its own means, and would lose its locks with the
    // descriptors: unless it is certain that none has, the descriptors are kept until the file is opened again.
    if (file_->file >= 0 && holder_of(file_->file, in_use).value_or(0) != 0) return;
    if (file_->index >= 0) ::close(file_->index);
    if (file_->file >= 0) ::close(file_->file);
    files.all.erase(std::find_if(files.all.begin(), files.all.end(), [&](auto& file) { return file.get() == file_; }));
}

ESCQRS_INLINE void FileHold::lock()
{
    const std::scoped_lock lock{held_files().mutex};
    log_ = identity_of(log_path_);
    if (!log_) fail_moved(log_path_);
    if (file_->locks == 0) open_and_lock();
    ++file_->locks;
    is_locked_ = true;
}

ESCQRS_INLINE void FileHold::open_and_lock()
{
    if (file_->file < 0) file_->file = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
    if (file_->file < 0) fail_locking();
    if (struct stat old{}; file_->index >= 0 && (::fstat(file_->index, &old) != 0 || old.st_nlink == 0)) {
        ::close(file_->index);
        file_->index = -1;
    }
    if (file_->index < 0) file_->index = ::open(index_path_.c_str(), O_RDWR | O_CLOEXEC);
    if (file_->index < 0) file_->index = ::open(index_path_.c_str(), O_RDONLY | O_CLOEXEC);
    if (file_->index < 0) fail_locking();
    if (!try_lock(file_->file, in_use)) fail_locking();
    if (try_lock(file_->index, index_in_use)) return;
    detail::unlock(file_->file, in_use);
    fail_locking();
}

ESCQRS_INLINE void FileHold::unlock() noexcept
{
    if (!is_locked_) return;
    const std::scoped_lock lock{held_files().mutex};
    is_locked_ = false;
    if (--file_->locks > 0) return;
    detail::unlock(file_->index, index_in_use);
    detail::unlock(file_->file, in_use);
}

ESCQRS_INLINE bool FileHold::try_turn() noexcept
{
    if (!is_locked_ || has_turn_) return true;
    if (file_->is_taken.exchange(true)) return false;
    has_turn_ = try_lock(file_->index, turn);
    if (!has_turn_) file_->is_taken = false;
    return has_turn_;
}

ESCQRS_INLINE void FileHold::end_turn() noexcept
{
    if (!has_turn_) return;
    has_turn_ = false;
    detail::unlock(file_->index, turn);
    file_->is_taken = false;
}

ESCQRS_INLINE void FileHold::check() const
{
    if (file_->process != ::getpid()) fail_inherited();
    if (identity_of(path_) != file_->identity) fail_moved(path_);
    if (!is_locked_) return;
    if (identity_of(log_path_) != log_) fail_moved(log_path_);
    if (struct stat index{}; ::fstat(file_->index, &index) != 0 || index.st_nlink == 0) fail_moved(index_path_);
}

ESCQRS_INLINE void FileHold::check_write() const
{
    check();
    if (!is_locked_ || holder_of(file_->index, writing).value_or(file_->process) == file_->process) return;
    throw DatabaseError{"sqlite '" + path_ +
                            "': this process has lost its write lock: some part of it has opened and closed '" +
                            index_path_ + "'",
                        SQLITE_PROTOCOL};
}

ESCQRS_INLINE void FileHold::fail_inherited() const
{
    throw DatabaseError{"sqlite '" + path_ +
                            "': opened before this process was forked; expected the process that opened it, or "
                            "one that opens it when no process that it was forked from has it open",
                        SQLITE_MISUSE};
}

ESCQRS_INLINE void FileHold::fail_moved(const std::string& name) const
{
    throw DatabaseError{"sqlite '" + path_ + "': '" + name +
                            "' is not the file that was opened: it has been deleted, moved or replaced",
                        SQLITE_READONLY_DBMOVED};
}

ESCQRS_INLINE void FileHold::fail_locking() const
{
    throw DatabaseError{path_, "cannot keep the file in use", SQLITE_IOERR_LOCK,
                        std::generic_category().message(errno).c_str()};
}

#endif // ESCQRS_HAS_BODIES

} // namespace escqrs::inline v0::sqlite::detail
