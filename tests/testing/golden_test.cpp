// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "support/temporary_folder.hpp"

#include <escqrs/codec/upcasting.hpp>
#include <escqrs/testing/catch2.hpp>
#include <escqrs/testing/golden.hpp>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

using namespace escqrs;
using testing::GoldenFolder;

namespace {

struct DoorPaintedV0 {
    static constexpr std::string_view event_name = "DoorPainted";
    std::string colour;

    template <class Archive>
    void serialize(Archive& archive, unsigned /*version*/)
    {
        archive & field("colour", colour);
    }
};

struct DoorPainted {
    static constexpr std::string_view event_name = "DoorPainted";
    static constexpr unsigned schema_version = 1;
    static constexpr unsigned oldest_schema_version = 1;
    std::string colour;
    std::uint8_t coats = 1;

    template <class Archive>
    void serialize(Archive& archive, unsigned /*version*/)
    {
        archive & field("colour", colour) & field("coats", coats);
    }
};

/// The same name and version, but another shape: raising the version was forgotten.
struct DoorPaintedOtherwise {
    static constexpr std::string_view event_name = "DoorPainted";
    static constexpr unsigned schema_version = 1;
    static constexpr unsigned oldest_schema_version = 1;
    std::uint8_t coats = 1;
    std::string colour;

    template <class Archive>
    void serialize(Archive& archive, unsigned /*version*/)
    {
        archive & field("coats", coats) & field("colour", colour);
    }
};

DoorPainted one_coat(const DoorPaintedV0& old) { return {old.colour, 1}; }
DoorPaintedOtherwise otherwise(const DoorPaintedV0& old) { return {1, old.colour}; }

using Doors = Evolution<EventList<DoorPainted>, Upcast<one_coat>>;
using OtherDoors = Evolution<EventList<DoorPaintedOtherwise>, Upcast<otherwise>>;

void set_writing(bool writes) // NOLINTBEGIN: one thread
{
#ifdef _WIN32
    _putenv_s("ESCQRS_WRITE_GOLDEN", writes ? "1" : "");
#else
    if (writes) setenv("ESCQRS_WRITE_GOLDEN", "1", 1);
    else unsetenv("ESCQRS_WRITE_GOLDEN");
#endif
} // NOLINTEND

/// A folder in which both versions were released.
struct Released {
    Released()
    {
        set_writing(true);
        const auto complaints = check();
        set_writing(false);
        // What it complained of while writing is what it had just not found yet.
        INFO(Catch::StringMaker<std::vector<std::string>>::convert(complaints));
        REQUIRE(check().empty());
    }

    std::vector<std::string> check() const
    {
        return testing::check_golden<Doors>(folder.file(""), DoorPaintedV0{"green"}, DoorPainted{"red", 2});
    }

    std::string read(const std::string& name) const
    {
        std::ifstream file{folder.file(name), std::ios::binary};
        return {std::istreambuf_iterator<char>{file}, {}};
    }

    void write(const std::string& name, const std::string& text) const
    {
        std::ofstream{folder.file(name), std::ios::binary} << text;
    }

    void is_noticed(const std::string& what) const
    {
        const auto complaints = check();
        INFO(Catch::StringMaker<std::vector<std::string>>::convert(complaints));
        CHECK(std::ranges::any_of(complaints, [&](const auto& text) { return text.find(what) != text.npos; }));
    }

    TemporaryFolder folder;
};

} // namespace

TEST_CASE("golden files are written once, on demand, for both archives and every version")
{
    const Released released;
    CHECK(released.read("DoorPainted.0.json") == "{\"colour\":\"green\"}\n");
    CHECK(released.read("DoorPainted.1.json") == "{\"colour\":\"red\",\"coats\":2}\n");
    CHECK(released.read("DoorPainted.0.binary.hex") == "05677265656e\n");
    CHECK(released.read("DoorPainted.1.binary.hex") == "0372656402\n");
}

TEST_CASE("a type without its golden file is noticed, and nothing is written without being asked for")
{
    const TemporaryFolder folder;
    const auto complaints =
        testing::check_golden<Doors>(folder.file(""), DoorPaintedV0{"green"}, DoorPainted{"red", 2});
    CHECK(complaints.size() >= 4);
    CHECK_THAT(complaints.front(),
               Catch::Contains("no golden file DoorPainted.") && Catch::Contains("ESCQRS_WRITE_GOLDEN=1"));
    CHECK(std::filesystem::is_empty(folder.file("")));
    CHECK_THAT(testing::check_golden<Doors>(folder.file("none"), DoorPaintedV0{}, DoorPainted{}).front(),
               Catch::Contains("there is no folder"));
}

TEST_CASE("an encoder that has changed is noticed")
{
    const Released released;
    const auto complaints = testing::check_golden<OtherDoors>(released.folder.file(""), DoorPaintedV0{"green"},
                                                              DoorPaintedOtherwise{2, "red"});
    INFO(Catch::StringMaker<std::vector<std::string>>::convert(complaints));
    REQUIRE_FALSE(complaints.empty());
    CHECK_THAT(complaints.front(), Catch::Contains("DoorPainted.1.binary.hex was released with other bytes"));
}

TEST_CASE("a golden file that was changed, deleted, added or exchanged is noticed")
{
    const Released released;
    SECTION("changed")
    {
        released.write("DoorPainted.0.json", "{\"colour\":\"blue\"}\n");
        released.is_noticed("DoorPainted.0.json was changed after its release");
    }
    SECTION("deleted")
    {
        std::filesystem::remove(released.folder.file("DoorPainted.0.binary.hex"));
        released.is_noticed("DoorPainted.0.binary.hex was released and is gone");
    }
    SECTION("deleted, and to be written anew")
    {
        std::filesystem::remove(released.folder.file("DoorPainted.1.json"));
        set_writing(true);
        released.is_noticed("DoorPainted.1.json was released before and is gone");
        set_writing(false);
        CHECK_FALSE(std::filesystem::exists(released.folder.file("DoorPainted.1.json")));
    }
    SECTION("added")
    {
        released.write("DoorPainted.7.json", "{}");
        released.is_noticed("DoorPainted.7.json is not in released.txt");
    }
    SECTION("exchanged together with the list")
    {
        released.write("DoorPainted.0.json", "{\"color\":\"green\"}\n");
        released.write("released.txt", "");
        released.is_noticed("DoorPainted.0.json was released with other bytes");
        released.is_noticed("DoorPainted.0.json cannot be decoded any more");
    }
}

TEST_CASE("the two archives' files of one version have to mean the same")
{
    const Released released;
    released.write("DoorPainted.1.binary.hex", "0372656403\n"); // three coats
    released.is_noticed("DoorPainted.1.json means something else than the other archive's file");
}

TEST_CASE("a golden file of a type that is no longer read is noticed")
{
    const Released released;
    released.write("WindowBroken.0.json", "{}");
    released.is_noticed("WindowBroken.0.json cannot be decoded any more: unknown event type 'WindowBroken'");
}
