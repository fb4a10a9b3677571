// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

// Shared by rooms; not API.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <typeinfo>
#include <utility>
#include <vector>

namespace escqrs::inline v0::detail {

/// Identifies a type, with the same result in every shared library of the process.
///
/// With hidden visibility, each library has its own copy of all that the compiler makes for a type, so only the mangled
/// name identifies it. A type of one translation unit (in an unnamed namespace, or local to a static function) may
/// share its name with another such type; the address distinguishes those.
class TypeIdentity {
public:
    /// @pre the object is the only one for this type in its library, and does not move
    explicit TypeIdentity(const std::type_info& type) noexcept
        : name_{type.name()}, hash_{std::hash<std::string_view>{}(name_)}
    {
        if (is_local(name_))
            hash_ ^= reinterpret_cast<std::uintptr_t>(this) * 0x9E3779B97F4A7C15U; // NOLINT: an address
    }
    TypeIdentity(const TypeIdentity&) = delete;
    TypeIdentity& operator=(const TypeIdentity&) = delete;

    std::string_view name() const noexcept { return name_; }
    std::size_t hash() const noexcept { return hash_; }

    friend bool operator==(const TypeIdentity& left, const TypeIdentity& right) noexcept
    {
        return &left == &right || (left.hash_ == right.hash_ && left.name_ == right.name_);
    }

private:
    /// True if the mangled name holds an entity with internal linkage, and in case of doubt: then the type is unknown
    /// in other libraries, but never taken for another one.
    static bool is_local(std::string_view name) noexcept
    {
        if (name.starts_with("Ul") || name.starts_with("Ut")) return true;   // a lambda, or a class without a name
        if (name.find_first_of("$.") != std::string_view::npos) return true; // the same, in other spellings
        if (name.find("_GLOBAL__N_") != std::string_view::npos) return true; // an unnamed namespace
        for (auto at = name.find("ZL"); at != std::string_view::npos; at = name.find("ZL", at + 1)) {
            if (at + 2 < name.size() && name[at + 2] >= '1' && name[at + 2] <= '9') return true; // of a static function
        }
        return false;
    }

    std::string_view name_;
    std::size_t hash_;
};

template <class T>
const TypeIdentity& type_identity() noexcept
{
    static const TypeIdentity identity{typeid(T)};
    return identity;
}

/// A hash table with a type as its key.
///
/// Keeps copies of the names: the library that brought a type may be unloaded.
/// @par Thread safety  as a container: any number of threads may call `find`
template <class Value>
class TypeTable {
public:
    /// Null if the table does not hold the type; valid until one is added.
    const Value* find(const TypeIdentity& type) const noexcept
    {
        if (slots_.empty()) return nullptr;
        const std::size_t mask = slots_.size() - 1;
        for (std::size_t at = type.hash() & mask;; at = (at + 1) & mask) {
            const Slot& slot = slots_[at];
            if (slot.seen == nullptr) return nullptr;
            // The same address and hash spare the comparison of names; the address alone may be that of a type in a
            // library loaded where another one was.
            if (slot.hash == type.hash() && (slot.seen == &type || names_[at] == type.name())) return &slot.value;
        }
    }

    /// Adds the type if the table does not hold it yet.
    Value& operator[](const TypeIdentity& type)
    {
        if (const Value* const known = find(type)) return const_cast<Value&>(*known); // NOLINT: of this table
        if (2 * (size_ + 1) > slots_.size()) grow();
        ++size_;
        return insert({&type, type.hash(), Value{}}, std::string{type.name()});
    }

private:
    struct Slot {
        /// The identity that was added; null if the slot is free.
        const void* seen = nullptr;
        std::size_t hash = 0;
        Value value{};
    };

    Value& insert(Slot slot, std::string name)
    {
        const std::size_t mask = slots_.size() - 1;
        std::size_t at = slot.hash & mask;
        while (slots_[at].seen != nullptr) at = (at + 1) & mask;
        names_[at] = std::move(name);
        slots_[at] = std::move(slot);
        return slots_[at].value;
    }

    void grow()
    {
        TypeTable larger;
        larger.slots_.resize(slots_.empty() ? 8 : 2 * slots_.size());
        larger.names_.resize(larger.slots_.size());
        for (std::size_t at = 0; at < slots_.size(); ++at) {
            if (slots_[at].seen != nullptr) larger.insert(std::move(slots_[at]), std::move(names_[at]));
        }
        slots_ = std::move(larger.slots_);
        names_ = std::move(larger.names_);
    }

    /// A power of two; at most half are in use.
    std::vector<Slot> slots_;
    /// Of the same slots; apart, because few lookups read them.
    std::vector<std::string> names_;
    std::size_t size_ = 0;
};

/// The C++ name of a type, for error texts only.
template <class T>
constexpr std::string_view type_name() noexcept
{
    // "... [with T = conference::RegisterAttendee; ...]" (GCC) or "... [T = conference::RegisterAttendee]" (Clang)
    constexpr std::string_view function = __PRETTY_FUNCTION__;
    constexpr std::size_t begin = function.find("T = ") + 4;
    constexpr std::size_t end = function.find_first_of(";]", begin);
    return function.substr(begin, end - begin);
}

} // namespace escqrs::inline v0::detail
