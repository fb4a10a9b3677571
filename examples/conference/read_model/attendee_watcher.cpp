// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "attendee_watcher.hpp"

#include "../postgres/address.hpp"
#include "database.hpp"

#include <escqrs/core/error.hpp>

#include <algorithm>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

namespace conference {
namespace {

constexpr std::chrono::microseconds shortest_delay{1000};
constexpr std::chrono::microseconds longest_delay_after_failure{1'000'000};

/// Finds out cheaply whether any other connection has written: for a file SQLite looks at shared memory, a server reads one
/// row.
class ChangeDetector {
public:
    struct Look {
        std::int64_t version;  ///< changes with each write
        bool is_another_model; ///< another file or database than at the last look, or one restored from a backup
    };

    explicit ChangeDetector(const AttendeeQueries& queries) : queries_{&queries}, connection_{std::in_place, queries} {}

    void set_stop(const std::stop_token& stop)
    {
        stop_ = stop;
        if (connection_) connection_->database.set_stop(stop_);
    }

    Look look()
    {
        if (!connection_ || connection_->database.has_moved()) {
            connection_.reset();
            identity_.clear();
            connection_.emplace(*queries_);
            connection_->database.set_stop(stop_);
        }
        auto rows = connection_->statement.query();
        if (!rows.next()) throw escqrs::StoreError{"the read model does not say how far it has come"};
        const std::string before = std::exchange(identity_, rows.text(1));
        return {rows.integer(0), identity_ != before};
    }

private:
    /// A backup restored into the same file raises the schema's version; on a server the table gets another file, or the
    /// server is another one.
    static constexpr const char* look_at_file =
        "SELECT data_version, schema_version FROM pragma_data_version, pragma_schema_version";
    static constexpr const char* look_at_server =
        "SELECT revision, pg_relation_filenode('progress') || ' ' || pg_postmaster_start_time() FROM progress";

    struct Connection {
        explicit Connection(const AttendeeQueries& queries)
            : database{queries.open_database()},
              statement{database, postgres::is_address(queries.path()) ? look_at_server : look_at_file}
        {
        }

        read_model::Database database;
        read_model::Statement statement;
    };

    const AttendeeQueries* queries_;
    std::stop_token stop_;
    std::optional<Connection> connection_;
    std::string identity_; ///< of the read model at the last look
};

} // namespace

struct AttendeeWatcher::Watch::Entry {
    AttendeeId id;
    Callback changed;
    escqrs::StreamVersion seen; ///< newest state reported, or there when the watch began
    bool ended = false;
};

class AttendeeWatcher::Implementation : public std::enable_shared_from_this<Implementation> {
public:
    using EntryPointer = std::shared_ptr<Watch::Entry>;

    Implementation(AttendeeQueries& queries, std::chrono::milliseconds poll_interval)
        : queries_{&queries}, detector_{queries}, poll_interval_{poll_interval},
          shortest_delay_{std::min(shortest_delay, poll_interval_)},
          thread_{[this](const std::stop_token& stop) { run(stop); }}
    {
    }

    void stop()
    {
        thread_.request_stop();
        thread_.join();
    }

    std::unique_ptr<Watch> watch(const AttendeeId& id, Callback changed)
    {
        const std::uint64_t models = [&] {
            const std::scoped_lock lock{mutex_};
            return models_;
        }();
        const auto now = queries_->find(id);
        auto entry = std::make_shared<Watch::Entry>();
        entry->id = id;
        entry->changed = std::move(changed);
        std::unique_ptr<Watch> watch{new Watch{shared_from_this(), entry}};
        {
            const std::scoped_lock lock{mutex_};
            if (now && models == models_) entry->seen = now->version; // else it may be of the read model before
            entries_.emplace(id, std::move(entry));
            ++begun_;
        }
        wake_.notify_all();
        return watch;
    }

    void end(const EntryPointer& entry) noexcept
    {
        Callback unused; // destroyed without the lock: what it holds may end other watches
        std::unique_lock lock{mutex_};
        entry->ended = true;
        const auto [begin, end] = entries_.equal_range(entry->id);
        const auto found = std::find_if(begin, end, [&](const auto& known) { return known.second == entry; });
        if (found != end) entries_.erase(found);
        if (running_ == entry) {
            if (std::this_thread::get_id() == thread_id_) return; // inside its own callback
            done_.wait(lock, [&] { return running_ != entry; });
        }
        unused.swap(entry->changed);
    }

private:
    enum class Found { nothing, changes, failure };

    void run(const std::stop_token& stop)
    {
        detector_.set_stop(stop);
        auto delay = shortest_delay_;
        std::unique_lock lock{mutex_};
        thread_id_ = std::this_thread::get_id();
        while (true) {
            if (entries_.empty()) must_look_at_all_ = true; // changes are not followed until there is a watch again
            if (!wake_.wait(lock, stop, [&] { return !entries_.empty(); }) || stop.stop_requested()) return;
            const std::uint64_t begun = begun_;
            lock.unlock();
            const Found found = poll();
            lock.lock();
            if (found == Found::failure) delay = std::min(2 * delay, longest_delay_after_failure);
            else if (found == Found::changes) delay = shortest_delay_;
            else delay = std::min(delay + delay / 32, poll_interval_);
            if (wake_.wait_for(lock, stop, delay, [&] { return begun_ != begun; })) delay = shortest_delay_;
        }
    }

    Found poll() noexcept
    {
        std::vector<AttendeeView> changes;
        try {
            const auto [version, is_another_model] = detector_.look();
            if (is_another_model) {
                must_look_at_all_ = true;
                const std::scoped_lock lock{mutex_};
                ++models_;
            }
            if (must_look_at_all_) {
                look_at_all();
                must_look_at_all_ = false;
            } else if (version == version_) {
                return Found::nothing;
            } else {
                changes = queries_->changed_since(revision_);
            }
            version_ = changes.size() < AttendeeQueries::max_changes ? std::optional{version} : std::nullopt;
        } catch (...) {
            return Found::failure; // the next poll looks at the same again
        }
        for (const AttendeeView& view : changes) tell(view);
        return Found::changes;
    }

    /// Looks at each watched attendee. The revisions of another read model do not tell which of them have changed.
    void look_at_all()
    {
        revision_ = queries_->revision(); // first: later changes are polled
        std::unordered_map<AttendeeId, std::vector<EntryPointer>> watched;
        {
            const std::scoped_lock lock{mutex_};
            for (const auto& [id, entry] : entries_) watched[id].push_back(entry);
        }
        for (const auto& [id, entries] : watched) {
            const auto view = queries_->find(id);
            note_at_most(entries, view ? view->version : escqrs::StreamVersion{});
            if (view) tell(*view);
        }
    }

    /// Forgets states that the read model shows no more, so that they are reported when it shows them again. Watches that have begun
    /// since may know newer ones.
    void note_at_most(const std::vector<EntryPointer>& entries, escqrs::StreamVersion shown)
    {
        const std::scoped_lock lock{mutex_};
        for (const EntryPointer& entry : entries) entry->seen = std::min(entry->seen, shown);
    }

    void tell(const AttendeeView& view)
    {
        std::vector<EntryPointer> watching;
        std::unique_lock lock{mutex_};
        const auto [begin, end] = entries_.equal_range(view.id);
        for (auto entry = begin; entry != end; ++entry) watching.push_back(entry->second);
        for (const EntryPointer& entry : watching) {
            if (entry->ended || view.version <= entry->seen) continue;
            entry->seen = view.version;
            running_ = entry;
            lock.unlock();
            entry->changed(view);
            lock.lock();
            if (entry->ended) { // by its own callback, or another thread waits in `end`
                Callback unused;
                unused.swap(entry->changed);
                lock.unlock();
                unused = nullptr;
                lock.lock();
            }
            running_.reset();
            done_.notify_all();
        }
    }

    AttendeeQueries* queries_;

    // Of the thread only.
    ChangeDetector detector_;
    std::optional<std::int64_t> version_; ///< at which nothing is left to report
    std::uint64_t revision_ = 0;          ///< changes up to this one have been reported
    bool must_look_at_all_ = true;

    const std::chrono::microseconds poll_interval_;
    const std::chrono::microseconds shortest_delay_;

    std::mutex mutex_;
    std::condition_variable_any wake_;
    std::condition_variable done_;
    std::unordered_multimap<AttendeeId, EntryPointer> entries_;
    EntryPointer running_;     ///< whose callback runs
    std::uint64_t begun_ = 0;  ///< counts the watches
    std::uint64_t models_ = 0; ///< counts the read models

    std::thread::id thread_id_;
    std::jthread thread_; ///< last: it uses all of the above
};

AttendeeWatcher::Watch::Watch(std::shared_ptr<Implementation> watcher, std::shared_ptr<Entry> entry) noexcept
    : watcher_{std::move(watcher)}, entry_{std::move(entry)}
{
}

AttendeeWatcher::Watch::~Watch() { watcher_->end(entry_); }

AttendeeWatcher::AttendeeWatcher(AttendeeQueries& queries, std::chrono::milliseconds poll_interval)
    : implementation_{std::make_shared<Implementation>(queries, poll_interval)}
{
}

AttendeeWatcher::~AttendeeWatcher() { implementation_->stop(); }

std::unique_ptr<AttendeeWatcher::Watch> AttendeeWatcher::watch(const AttendeeId& id, Callback changed)
{
    return implementation_->watch(id, std::move(changed));
}

} // namespace conference
