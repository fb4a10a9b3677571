// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

// Shared by rooms; not API.

#include <escqrs/codec/archive/kind.hpp>

#include <type_traits>

namespace escqrs::inline v0::archive::detail {

/// Version of Boost.Serialization whose Archive concept the archives model.
inline constexpr unsigned library_version = 19;

/// The deepest nesting of classes (binary) or of arrays and objects (JSON) that is written and read.
inline constexpr unsigned max_depth = 64;

/// What Boost.Serialization's Saving Archive concept asks for, over `Derived::accept(const T&)`.
template <class Derived>
class OutputOperators {
public:
    using is_saving = std::true_type;
    using is_loading = std::false_type;

    template <class T>
    Derived& operator&(const T& value)
    {
        self().accept(value);
        return self();
    }

    template <class T>
    Derived& operator<<(const T& value)
    {
        self().accept(value);
        return self();
    }

    /// Does nothing: there are no polymorphic pointers to register.
    template <class T>
    void register_type(const T* = nullptr) noexcept
    {
    }

    unsigned get_library_version() const noexcept { return library_version; }

protected:
    OutputOperators() = default;
    ~OutputOperators() = default;
    OutputOperators(const OutputOperators&) = delete;
    OutputOperators& operator=(const OutputOperators&) = delete;

private:
    Derived& self() noexcept { return static_cast<Derived&>(*this); }
};

/// What Boost.Serialization's Loading Archive concept asks for, over `Derived::accept(T&)`.
template <class Derived>
class InputOperators {
public:
    using is_saving = std::false_type;
    using is_loading = std::true_type;

    template <class T>
    Derived& operator&(T&& value)
    {
        return load(value);
    }

    template <class T>
    Derived& operator>>(T&& value)
    {
        return load(value);
    }

    /// Does nothing: there are no polymorphic pointers to register.
    template <class T>
    void register_type(const T* = nullptr) noexcept
    {
    }

    /// Does nothing: objects are not tracked.
    void reset_object_address(const void*, const void*) noexcept {}

    /// Does nothing: pointers are not read.
    void delete_created_pointers() noexcept {}

    unsigned get_library_version() const noexcept { return library_version; }

protected:
    InputOperators() = default;
    ~InputOperators() = default;
    InputOperators(const InputOperators&) = delete;
    InputOperators& operator=(const InputOperators&) = delete;

private:
    template <class T>
    Derived& load(T& value)
    {
        static_assert(!std::is_const_v<T> || Named<std::remove_const_t<T>>,
                      "escqrs: cannot decode into a const object");
        auto& self = static_cast<Derived&>(*this);
        self.accept(value);
        return self;
    }
};

} // namespace escqrs::inline v0::archive::detail
