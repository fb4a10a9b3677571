// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "support/tally.hpp"

#include <escqrs/commands/command_bus.hpp>
#include <escqrs/commands/decider_handler.hpp>
#include <escqrs/commands/detail/command_commit.hpp>
#include <escqrs/commands/middleware/deduplication.hpp>
#include <escqrs/commands/repository.hpp>
#include <escqrs/testing/catch2.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <variant>
#include <vector>

using namespace escqrs;
using tally::Amounts;
using tally::Sum;
using tally::Tally;
using Store = tally::WatchedStore;
using Sums = Repository<Decided<Sum>, Store>;
using Tallies = Repository<Tally, Store>;

namespace {

struct Add {
    Tally::Id tally;
    Amounts amounts;
};

/// What the log holds, read without a repository.
struct Log {
    struct Stored {
        EventId id;
        std::int64_t amount;
        CommandId command;
        GlobalPosition position;
    };

    explicit Log(Store& store)
    {
        const Codec<EventList<tally::Added>> codec;
        store.read_log({}, ~std::size_t{0}, [&](const RecordedEvent& event) {
            const auto added = std::get<tally::Added>(codec.decode(encoded(event)).at(0));
            streams[event.stream].push_back(
                {event.id, added.amount, decode_metadata(event.metadata).command_id, event.position});
            return true;
        });
    }

    Amounts amounts(const StreamId& stream, std::size_t count) const
    {
        Amounts found;
        if (const auto known = streams.find(stream); known != streams.end()) {
            for (std::size_t at = 0; at < count && at < known->second.size(); ++at)
                found.push_back(known->second[at].amount);
        }
        return found;
    }

    std::map<StreamId, std::vector<Stored>> streams;
};

/// Sends commands at random, new ones and repeats, in every way and into each other, and compares with the log.
class Traffic {
public:
    explicit Traffic(unsigned seed) : random_{seed}
    {
        bus_.use(deduplication(tallies_));
        bus_.handle(decided_by(sums_, &Sum::Add::sum),
                    on<Add>(
                        [this](const Add& command, const Metadata& metadata) {
                            return tallies_.execute_or_begin(
                                command.tally,
                                [&](Tally& tally) {
                                    meet(metadata);
                                    tally.add(command.amounts);
                                },
                                metadata);
                        },
                        [](const Add& command) { return Tallies::stream_of(command.tally); }));
    }

    void send_one()
    {
        send(some_command(), 0);
        check_log();
    }

    int repeats = 0;
    int refusals = 0;
    int commits = 0;

private:
    unsigned below(unsigned end) { return static_cast<unsigned>(random_() % end); }

    Uuid some_uuid()
    {
        Uuid uuid{};
        for (auto& byte : uuid.data) byte = static_cast<std::uint8_t>(below(256));
        return uuid;
    }

    Metadata some_command()
    {
        if (below(10) == 0) return {};
        const bool is_repeat = !commands_.empty() && below(2) == 0;
        if (!is_repeat) return commands_.emplace_back(tally::with_command(CommandId{some_uuid()}));
        const std::size_t recent = std::min<std::size_t>(commands_.size(), 4);
        return commands_[commands_.size() - 1 - below(static_cast<unsigned>(recent))];
    }

    Amounts some_amounts()
    {
        Amounts amounts(below(4)); // few, and of few values, so that repeats are alike at times
        for (auto& amount : amounts) amount = 1 + below(2);
        return amounts;
    }

    /// Sometimes something else comes in between; often it is the same command.
    void meet(const Metadata& metadata)
    {
        if (depth_ == 2 || below(3) != 0) return;
        ++depth_;
        send(below(2) == 0 ? tally::with_command(metadata.command_id) : some_command(), depth_);
        --depth_;
    }

    void send(const Metadata& metadata, int depth)
    {
        if (below(8) == 0) store_.answers_to_lose = 1;
        const int depth_before = depth_;
        depth_ = depth;
        try {
            send_somehow(metadata);
        } catch (const CommandIdRefused& refused) {
            ++refusals;
            CHECK(refused.command() == metadata.command_id);
            CHECK(std::string{refused.what()}.find(to_string(metadata.command_id)) != std::string::npos);
        } catch (const DuplicateEventId&) { // of a save whose answer was lost, with more events
            CHECK(metadata.command_id.is_nil());
        } catch (const ConcurrencyError&) { // NOLINT(bugprone-empty-catch): others were faster
        } catch (const StoreError&) {       // NOLINT(bugprone-empty-catch): the answer was lost
        }
        depth_ = depth_before;
    }

    void send_somehow(const Metadata& metadata)
    {
        const auto count = static_cast<unsigned>(tally_ids_.size());
        const unsigned usual = metadata.command_id.value().data[0] % count; // so that repeats go there too
        const unsigned which = below(4) == 0 ? below(count) : usual;
        const Tally::Id tally_id = tally_ids_.at(which);
        const DeciderId<Sum> sum_id{tally_id.value()};
        const auto amounts = some_amounts();
        switch (below(7)) {
        case 0: return save(Tally{tally_id}, amounts, metadata);
        case 1: return save(tallies_.find(tally_id).value_or(Tally{tally_id}), amounts, metadata);
        case 2: {
            const auto kept = below(4) == 0 ? nullptr : kept_.at(which);
            if (!kept) kept_.at(which) = std::make_shared<Tally>(tallies_.find(tally_id).value_or(Tally{tally_id}));
            return save(*std::shared_ptr{kept_.at(which)}, amounts, metadata);
        }
        case 3:
            return check_answer(Tallies::stream_of(tally_id), amounts, metadata,
                                tallies_.execute_or_begin(
                                    tally_id,
                                    [&](Tally& tally) {
                                        meet(metadata);
                                        tally.add(amounts);
                                    },
                                    metadata));
        case 4:
            return check_answer(Sums::stream_of(sum_id), amounts, metadata,
                                sums_.execute_or_begin(
                                    sum_id,
                                    [&](Decided<Sum>& sum) {
                                        meet(metadata);
                                        sum.decide(Sum::Add{sum_id, amounts});
                                    },
                                    metadata));
        case 5:
            return check_answer(Sums::stream_of(sum_id), amounts, metadata,
                                bus_.send(Sum::Add{sum_id, amounts}, metadata));
        default:
            return check_answer(Tallies::stream_of(tally_id), amounts, metadata,
                                bus_.send(Add{tally_id, amounts}, metadata));
        }
    }

    void save(Tally&& tally, const Amounts& amounts, const Metadata& metadata) { save(tally, amounts, metadata); }
    void save(Tally& tally, const Amounts& amounts, const Metadata& metadata)
    {
        meet(metadata);
        tally.add(amounts);
        Amounts raised;
        for (const auto& event : tally.uncommitted_events()) raised.push_back(std::get<tally::Added>(event).amount);
        const auto stream = Tallies::stream_of(tally.id());
        check_answer(stream, raised, metadata, tallies_.save(tally, metadata));
        CHECK(tally.uncommitted_events().empty());
        CHECK(tally.amounts() == Log{store_}.amounts(stream, static_cast<std::size_t>(tally.version().value())));
    }

    void check_answer(const StreamId& stream, const Amounts& raised, const Metadata& metadata,
                      const CommitResult& result)
    {
        REQUIRE(result.stream == stream);
        if (raised.empty() && !result.repeated) return;
        const Log log{store_};
        const auto version = static_cast<std::size_t>(result.version.value());
        const auto& events = log.streams.at(stream);
        REQUIRE(version <= events.size());
        CHECK(events[version - 1].position == result.position);
        if (result.repeated && !metadata.command_id.is_nil()) {
            ++repeats;
            std::size_t first = version;
            while (first > 0 && events[first - 1].id != detail::event_id_of(metadata.command_id, 0)) --first;
            REQUIRE(first > 0);
            CHECK(events[version - 1].id == detail::event_id_of(metadata.command_id, version - first));
            return;
        }
        ++commits;
        REQUIRE(version >= raised.size());
        auto stored = log.amounts(stream, version);
        stored.erase(stored.begin(), stored.end() - static_cast<std::ptrdiff_t>(raised.size()));
        CHECK(stored == raised);
    }

    /// What holds at any time: snapshots say what the events say, and a command has one place in the log.
    void check_log()
    {
        const Log log{store_};
        for (const auto& id : tally_ids_) {
            const DeciderId<Sum> sum_id{id.value()};
            const auto tally = tallies_.find(id).value_or(Tally{id});
            const auto sum = sums_.find(sum_id).value_or(Decided<Sum>{sum_id});
            CHECK(tally.amounts() == log.amounts(Tallies::stream_of(id), ~std::size_t{0}));
            CHECK(sum.state().amounts == log.amounts(Sums::stream_of(sum_id), ~std::size_t{0}));
        }
        std::map<CommandId, GlobalPosition> last;
        for (const auto& [stream, events] : log.streams) {
            for (const auto& event : events) {
                if (event.command.is_nil()) continue;
                const auto [known, is_first] = last.emplace(event.command, event.position);
                CHECK((is_first || known->second.value() + 1 == event.position.value()));
                known->second = event.position;
            }
        }
    }

    static RepositoryOptions options()
    {
        RepositoryOptions options;
        options.snapshots = SnapshotPolicy::every(1);
        options.retry = {4, Duration{}, Duration{}};
        return options;
    }

    std::mt19937 random_;
    int depth_ = 0;
    Store store_;
    Tallies tallies_{store_, options()};
    Sums sums_{store_, options()};
    CommandBus bus_;
    std::vector<Metadata> commands_;
    std::array<Tally::Id, 3> tally_ids_{Tally::Id{some_uuid()}, Tally::Id{some_uuid()}, Tally::Id{some_uuid()}};
    std::array<std::shared_ptr<Tally>, 3> kept_; ///< over several commands
};

} // namespace

TEST_CASE("whatever is repeated, however, and whatever it meets: state and answers are those of the log")
{
    const unsigned seed = GENERATE(range(1U, 16U));
    CAPTURE(seed);
    Traffic traffic{seed};
    for (int round = 0; round < 150; ++round) traffic.send_one();
    CHECK(traffic.commits > 20);
    CHECK(traffic.repeats > 5);
    CHECK(traffic.refusals > 5);
}
