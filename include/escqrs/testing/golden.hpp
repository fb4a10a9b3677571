// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/codec/archive/json.hpp>
#include <escqrs/codec/codec.hpp>
#include <escqrs/core/hash.hpp>
#include <escqrs/core/hex.hpp>
#include <escqrs/domain/event.hpp>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace escqrs::inline v0::testing {

/// A folder of golden files: the bytes of every event in every version that was ever released, in both archives.
///
/// `AttendeeRegistered.0.binary.hex` and `AttendeeRegistered.0.json` hold version 0 of that event. `released.txt` has a
/// line for each of them, with a hash of its content, which detects a file that was changed, deleted or added by hand.
/// A file is never overwritten.
/// @par Thread safety  none
class GoldenFolder {
public:
    /// Whether a missing file is a complaint or is written.
    enum class Mode { check, write_missing };

    /// `write_missing` if the environment has ESCQRS_WRITE_GOLDEN=1.
    static Mode mode_from_environment()
    {
        const char* const value = std::getenv("ESCQRS_WRITE_GOLDEN"); // NOLINT: read by one thread
        return value != nullptr && std::string_view{value} == "1" ? Mode::write_missing : Mode::check;
    }

    /// @param folder  must exist
    explicit GoldenFolder(std::filesystem::path folder, Mode mode = mode_from_environment());

    /// The complaints.
    const std::vector<std::string>& complaints() const noexcept { return complaints_; }
    void complain(std::string text) { complaints_.push_back(std::move(text)); } ///< adds one

    /// Compares `bytes` with the file `name`; writes the file if there is none and the mode is `write_missing`.
    void compare(const std::string& name, const std::string& text);

    /// The content of the file `name`; nothing if there is none.
    std::optional<std::string> read(const std::string& name) const;

    /// Names of all golden files in the folder or in `released.txt`, in order.
    std::set<std::string> names() const;

    /// Complains of files that are not as in `released.txt`, and of those that are gone.
    void compare_with_list();

private:
    static std::string hash_of(std::string_view text);
    void write(const std::string& name, const std::string& text);

    std::filesystem::path folder_;
    Mode mode_;
    std::map<std::string, std::string> released_; ///< hash by name
    std::vector<std::string> complaints_;
};

/// Checks `samples`, one event or more of every type that a codec for `List` reads, against the golden files in
/// `folder`, in the binary and the JSON archive.
///
/// With more than one sample of a type, the first is the golden one. Complains
/// - of a sample whose bytes are not those of its file: an encoder has changed;
/// - of a type, current or old, that has no file yet: run the test with ESCQRS_WRITE_GOLDEN=1 in the environment when
///   the version is about to be released, and commit what it writes;
/// - of a version between `oldest_schema_version` and the current one that has no file;
/// - of a file that can no longer be decoded and upcast, or that gives a different event for each archive;
/// - of files that were changed, deleted or added by hand since they were written.
/// @return the complaints, each a sentence; empty if all is well
template <class List, class... Samples>
std::vector<std::string> check_golden(const std::filesystem::path& folder, const Samples&... samples);

namespace detail {

/// 32 bytes a line.
inline std::string hex_lines(std::span<const std::byte> bytes)
{
    std::string text = to_hex(bytes);
    for (std::size_t end = 64; end < text.size(); end += 65) text.insert(end, 1, '\n');
    return text;
}

/// @throws std::invalid_argument
inline std::vector<std::byte> from_hex(const std::string& text)
{
    std::vector<std::byte> bytes;
    std::string digits;
    std::ranges::copy_if(text, std::back_inserter(digits), [](char digit) { return digit != '\n'; });
    if (digits.size() % 2 != 0) throw std::invalid_argument{"an odd number of hexadecimal digits"};
    for (std::size_t at = 0; at < digits.size(); at += 2) {
        unsigned value = 0;
        const auto [end, error] = std::from_chars(digits.data() + at, digits.data() + at + 2, value, 16);
        if (error != std::errc{} || end != digits.data() + at + 2)
            throw std::invalid_argument{"not a hexadecimal number"};
        bytes.push_back(static_cast<std::byte>(value));
    }
    return bytes;
}

/// The form of each archive's bytes in a golden file.
template <class Format>
struct GoldenText;
template <>
struct GoldenText<archive::Binary> {
    static constexpr std::string_view ending = ".binary.hex";
    static std::string text_of(std::span<const std::byte> bytes) { return hex_lines(bytes); }
    static std::vector<std::byte> bytes_of(const std::string& text) { return from_hex(text); }
};
template <>
struct GoldenText<archive::Json> {
    static constexpr std::string_view ending = ".json";
    static std::string text_of(std::span<const std::byte> bytes)
    {
        return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; // NOLINT: bytes as text
    }
    static std::vector<std::byte> bytes_of(const std::string& text)
    {
        const auto bytes = std::as_bytes(std::span{text});
        return {bytes.begin(), bytes.end()};
    }
};

template <class Format>
std::string golden_name(std::string_view event, unsigned version)
{
    return std::string{event} + "." + std::to_string(version) + std::string{GoldenText<Format>::ending};
}

/// Event name and schema version from a golden file's name; nothing if it is no golden file of `Format`.
template <class Format>
std::optional<std::pair<std::string, unsigned>> golden_event(std::string_view file)
{
    if (!file.ends_with(GoldenText<Format>::ending)) return std::nullopt;
    file.remove_suffix(GoldenText<Format>::ending.size());
    const std::size_t dot = file.rfind('.');
    if (dot == std::string_view::npos) return std::nullopt;
    const std::string_view digits = file.substr(dot + 1);
    unsigned version = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), version);
    if (error != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
    return std::pair{std::string{file.substr(0, dot)}, version};
}

/// The current events that a golden file gives, as JSON.
template <class List, class Format>
std::string decoded_golden(const std::string& text, const std::pair<std::string, unsigned>& event)
{
    const Codec<List, Format> codec;
    const Codec<List, archive::Json> json;
    const auto bytes = GoldenText<Format>::bytes_of(text);
    typename Codec<List, Format>::Scratch scratch;
    std::string result;
    codec.decode(EncodedEvent{event.first, event.second, Format::content_type, bytes}, scratch,
                 [&](const auto& decoded) {
                     std::vector<std::byte> out;
                     json.encode(decoded, out);
                     result += std::string{event_name<std::remove_cvref_t<decltype(decoded)>>()} + " " +
                               GoldenText<archive::Json>::text_of(out) + "\n";
                 });
    return result;
}

template <class List, class Format>
void check_golden_files(GoldenFolder& folder, std::map<std::pair<std::string, unsigned>, std::string>& meanings)
{
    for (const std::string& name : folder.names()) {
        const auto event = golden_event<Format>(name);
        if (!event) continue;
        const auto text = folder.read(name);
        if (!text) continue; // compare_with_list complains
        try {
            const std::string meaning = decoded_golden<List, Format>(*text, *event);
            const auto [other, is_first] = meanings.emplace(*event, meaning);
            if (!is_first && other->second != meaning)
                folder.complain(name + " means something else than the other archive's file: " + meaning);
        } catch (const std::exception& error) {
            folder.complain(name + " cannot be decoded any more: " + error.what());
        }
    }
}

template <class Format, class E>
void check_golden_sample(GoldenFolder& folder, const E& sample)
{
    std::vector<std::byte> bytes;
    typename Format::Output output{bytes};
    output.root(const_cast<E&>(sample), schema_version<E>()); // NOLINT: one serialize serves both ways, as in Boost
    folder.compare(golden_name<Format>(event_name<E>(), schema_version<E>()), GoldenText<Format>::text_of(bytes));
}

/// Complains of versions that a type reads and that have no file.
template <class Format>
void check_golden_versions(GoldenFolder& folder, const escqrs::detail::SchemaRange& range)
{
    for (unsigned version = range.oldest; version < range.newest; ++version) {
        const std::string name = golden_name<Format>(range.name, version);
        if (!folder.read(name)) folder.complain("there is no golden file " + name);
    }
}

} // namespace detail

template <class List, class... Samples>
std::vector<std::string> check_golden(const std::filesystem::path& folder, const Samples&... samples)
{
    using Schema = escqrs::detail::Schema<List>;
    []<class... Known>(std::type_identity<escqrs::detail::Objects<Known...>>) {
        constexpr auto has_sample = []<class E>(std::type_identity<E>) { return (std::is_same_v<E, Samples> || ...); };
        static_assert((has_sample(std::type_identity<Known>{}) && ...),
                      "escqrs: check_golden needs a sample of each event that the list reads, current and old");
    }(std::type_identity<typename Schema::Objects>{});
    GoldenFolder golden{folder};
    (detail::check_golden_sample<archive::Binary>(golden, samples), ...);
    (detail::check_golden_sample<archive::Json>(golden, samples), ...);
    for (const auto& range : Schema::ranges) {
        detail::check_golden_versions<archive::Binary>(golden, range);
        detail::check_golden_versions<archive::Json>(golden, range);
    }
    golden.compare_with_list();
    std::map<std::pair<std::string, unsigned>, std::string> meanings;
    detail::check_golden_files<List, archive::Binary>(golden, meanings);
    detail::check_golden_files<List, archive::Json>(golden, meanings);
    return golden.complaints();
}

inline GoldenFolder::GoldenFolder(std::filesystem::path folder, Mode mode) : folder_{std::move(folder)}, mode_{mode}
{
    if (!std::filesystem::is_directory(folder_)) {
        complain("there is no folder " + folder_.string());
        mode_ = Mode::check;
    }
    std::ifstream list{folder_ / "released.txt"};
    std::string hash;
    std::string name;
    while (list >> hash >> name) released_[name] = hash;
}

inline std::optional<std::string> GoldenFolder::read(const std::string& name) const
{
    std::ifstream file{folder_ / name, std::ios::binary};
    if (!file) return std::nullopt;
    std::string text{std::istreambuf_iterator<char>{file}, {}};
    if (text.ends_with('\n')) text.pop_back();
    return text;
}

inline void GoldenFolder::compare(const std::string& name, const std::string& text)
{
    const auto frozen = read(name);
    if (frozen && *frozen != text) {
        complain(name +
                 " was released with other bytes than are written now; a new shape needs a new schema_version. "
                 "Released:\n" +
                 *frozen + "\nnow:\n" + text);
    } else if (!frozen && mode_ == Mode::check) {
        complain("there is no golden file " + name + "; to write it, run this test with ESCQRS_WRITE_GOLDEN=1");
    } else if (!frozen) {
        write(name, text);
    }
}

inline void GoldenFolder::write(const std::string& name, const std::string& text)
{
    if (released_.contains(name)) return complain(name + " was released before and is gone: restore it");
    const std::string path = (folder_ / name).string();
    std::FILE* const file = std::fopen(path.c_str(), "wbx"); // "x": never overwrites
    const bool is_written = file != nullptr && std::fputs((text + '\n').c_str(), file) >= 0;
    const bool is_closed = file != nullptr && std::fclose(file) == 0;
    std::ofstream list{folder_ / "released.txt", std::ios::app | std::ios::binary};
    list << hash_of(text) << ' ' << name << '\n';
    released_[name] = hash_of(text);
    if (!is_written || !is_closed || !list.flush()) complain("cannot write " + path);
}

inline std::set<std::string> GoldenFolder::names() const
{
    std::set<std::string> names;
    for (const auto& [name, hash] : released_) names.insert(name);
    if (!std::filesystem::is_directory(folder_)) return names;
    for (const auto& entry : std::filesystem::directory_iterator{folder_}) {
        const std::string name = entry.path().filename().string();
        if (name.ends_with(".json") || name.ends_with(".hex")) names.insert(name);
    }
    return names;
}

inline void GoldenFolder::compare_with_list()
{
    for (const std::string& name : names()) {
        const auto text = read(name);
        const auto line = released_.find(name);
        if (!text) complain(name + " was released and is gone: restore it");
        else if (line == released_.end())
            complain(name + " is not in released.txt: it was not written by check_golden");
        else if (hash_of(*text) != line->second) complain(name + " was changed after its release: restore it");
        else if (!detail::golden_event<archive::Binary>(name) && !detail::golden_event<archive::Json>(name))
            complain(name + " is no name of a golden file: <event name>.<version>.binary.hex or .json");
    }
}

inline std::string GoldenFolder::hash_of(std::string_view text)
{
    const std::uint64_t hash = escqrs::detail::fnv1a(text);
    std::string digits;
    for (unsigned shift = 64; shift != 0;) append_hex(digits, static_cast<unsigned char>(hash >> (shift -= 8)));
    return digits;
}

} // namespace escqrs::inline v0::testing
