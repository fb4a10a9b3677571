// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/postgres/connection.hpp>
#include <escqrs/postgres/detail/binary_format.hpp>

#include <libpq-fe.h>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace escqrs::inline v0::postgres {

/// The rows of a query's answer.
class Rows {
public:
    /// Made by `Statement::query`; `where` begins the texts of errors.
    Rows(detail::Result result, std::string where) noexcept : result_{std::move(result)}, where_{std::move(where)} {}

    /// Moves to the next row, at first to the first one.
    /// @return false if there is none
    bool next() noexcept { return ++row_ < PQntuples(result_.get()); }

    /// Number of rows.
    std::size_t size() const noexcept { return static_cast<std::size_t>(PQntuples(result_.get())); }

    /// Columns of this row, from 0; NULL reads as 0 or empty. Views are valid as long as the rows.
    /// They throw StoreError if the column is of another type.
    /// @{
    bool is_null(int column) const noexcept { return PQgetisnull(result_.get(), row_, column) != 0; }
    /// Of a bigint, integer, smallint or boolean.
    std::int64_t integer(int column) const;
    double real(int column) const;
    std::string_view text(int column) const noexcept;
    std::span<const std::byte> blob(int column) const noexcept;
    Timestamp time(int column) const;
    Uuid uuid(int column) const;
    /// @}

    /// Numbers of an array of bigint or integer; none of them null.
    std::vector<std::int64_t> integers(int column) const;

private:
    std::span<const std::byte> bytes(int column, std::size_t size, const char* expected) const;
    [[noreturn]] void refuse(int column, const char* expected) const;

    detail::Result result_;
    std::string where_;
    int row_ = -1;
};

namespace detail {

/// The name under which a statement is prepared; the server may forget it when this object ends.
class PreparedName {
public:
    PreparedName() = default;
    PreparedName(std::string name, const Connection& connection)
        : name_{std::move(name)}, generation_{connection.generation()}, released_{connection.released()}
    {
    }
    PreparedName(PreparedName&& other) noexcept { *this = std::move(other); }
    PreparedName& operator=(PreparedName&& other) noexcept
    {
        std::swap(name_, other.name_);
        std::swap(generation_, other.generation_);
        std::swap(released_, other.released_);
        return *this;
    }
    ~PreparedName()
    {
        try {
            if (released_) released_->append("DEALLOCATE ").append(name_).append(1, ';');
        } catch (const std::bad_alloc&) { // NOLINT(bugprone-empty-catch): the server keeps it as long as the connection
        }
    }

    const char* c_str() const noexcept { return name_.c_str(); }
    bool is_of(const Connection& connection) const noexcept { return generation_ == connection.generation(); }

private:
    std::string name_;
    std::uint64_t generation_ = 0; ///< of the connection; 0: of none
    std::shared_ptr<std::string> released_;
};

} // namespace detail

/// A statement, made once and run often. It must not outlive its connection. From the second run on it is prepared on
/// the server, which forgets it with the next statement that is prepared after this object's end, or with the
/// connection.
///
/// Values fill the places `$1`, `$2`, … in order: integers (as bigint), bool, floating point, text
/// (`std::string_view`), bytes (`std::span<const std::byte>`), moments (as timestamptz), UUIDs and ids, and `nullptr`
/// (NULL).
class Statement {
public:
    /// Sends nothing yet; `connection` must outlive the statement.
    Statement(Connection& connection, std::string sql) : connection_{&connection}, sql_{std::move(sql)} {}

    /// Runs an INSERT, UPDATE or DELETE.
    /// @return number of rows it changed
    template <class... Values>
    int run(const Values&... values)
    {
        const auto result = ask(values...);
        return static_cast<int>(std::strtol(PQcmdTuples(result.get()), nullptr, 10));
    }

    /// Runs a query.
    template <class... Values>
    [[nodiscard]] Rows query(const Values&... values)
    {
        return Rows{ask(values...), connection_->where()};
    }

    /// Lets the server begin with a query, whose rows `Connection::next_result` then returns one at a time.
    template <class... Values>
    void begin(const Values&... values)
    {
        send(values...);
        if (PQsetSingleRowMode(connection_->handle()) != 1) connection_->check(nullptr, sql_);
    }

private:
    template <class... Values>
    void send(const Values&... values)
    {
        put_all(values...);
        const bool is_prepared = prepare();
        const auto queue = [&](PGconn* handle) {
            return is_prepared ? PQsendQueryPrepared(handle, name_.c_str(), count(), values_.data(), lengths_.data(),
                                                     formats_.data(), 1)
                               : PQsendQueryParams(handle, sql_.c_str(), count(), types_.data(), values_.data(),
                                                   lengths_.data(), formats_.data(), 1);
        };
        connection_->send(queue, sql_);
    }
    template <class... Values>
    detail::Result ask(const Values&... values)
    {
        send(values...);
        return connection_->check(connection_->last_result(sql_).release(), sql_);
    }

    template <class... Values>
    void put_all(const Values&... values);
    template <class Value>
    void put(std::size_t index, const Value& value);
    bool prepare();
    int count() const noexcept { return static_cast<int>(types_.size()); }

    Connection* connection_;
    std::string sql_;
    bool was_run_ = false;
    detail::PreparedName name_;
    std::vector<std::byte> bytes_;
    std::vector<detail::TypeId> types_;
    std::vector<detail::TypeId> prepared_types_;
    std::vector<std::size_t> offsets_; ///< in `bytes_`
    std::vector<const char*> values_;
    std::vector<int> lengths_;
    std::vector<int> formats_;
    std::vector<bool> nulls_;
};

template <class... Values>
void Statement::put_all(const Values&... values)
{
    constexpr std::size_t count = sizeof...(Values);
    bytes_.clear();
    types_.resize(count);
    offsets_.resize(count + 1);
    nulls_.assign(count, false);
    std::size_t index = 0;
    (put(index++, values), ...);
    values_.resize(count);
    lengths_.resize(count);
    formats_.assign(count, 1);
    bytes_.push_back(std::byte{}); // so that an empty value has an address
    for (index = 0; index < count; ++index) {
        const std::byte* const value = bytes_.data() + offsets_[index];
        values_[index] = nulls_[index] ? nullptr : reinterpret_cast<const char*>(value); // NOLINT: char aliases
        lengths_[index] = static_cast<int>(offsets_[index + 1] - offsets_[index]);
    }
}

template <class Value>
void Statement::put(std::size_t index, const Value& value)
{
    offsets_[index] = bytes_.size();
    if constexpr (std::is_null_pointer_v<Value>) {
        types_[index] = 0;
        nulls_[index] = true;
    } else {
        types_[index] = detail::type_of(value);
        detail::put_value(bytes_, value);
    }
    offsets_[index + 1] = bytes_.size();
}

/// Connects, and prepares the statement on the server from the second run on.
/// @return whether it is prepared
inline bool Statement::prepare()
{
    connection_->ensure_connected();
    if (!connection_->options().prepares_statements || !std::exchange(was_run_, true)) return false;
    for (std::size_t index = 0; index < types_.size() && index < prepared_types_.size(); ++index) {
        if (nulls_[index]) types_[index] = prepared_types_[index]; // NULL is of any type
    }
    if (!name_.is_of(*connection_) || types_ != prepared_types_) {
        name_ = detail::PreparedName{}; // releases the previous name
        connection_->deallocate_released();
        std::string name = "s" + std::to_string(connection_->next_statement_number());
        const auto queue = [&](PGconn* handle) {
            return PQsendPrepare(handle, name.c_str(), sql_.c_str(), count(), types_.data());
        };
        connection_->send(queue, sql_);
        connection_->check(connection_->last_result(sql_).release(), sql_);
        name_ = detail::PreparedName{std::move(name), *connection_};
        prepared_types_ = types_;
    }
    return true;
}

inline void Rows::refuse(int column, const char* expected) const
{
    throw StoreError{"postgres '" + where_ + "': column " + std::to_string(column) + ": expected " + expected +
                     ", found type " + std::to_string(PQftype(result_.get(), column))};
}

inline std::span<const std::byte> Rows::blob(int column) const noexcept
{
    const char* const data = PQgetvalue(result_.get(), row_, column);
    return std::as_bytes(std::span{data, static_cast<std::size_t>(PQgetlength(result_.get(), row_, column))});
}

inline std::string_view Rows::text(int column) const noexcept
{
    return {PQgetvalue(result_.get(), row_, column),
            static_cast<std::size_t>(PQgetlength(result_.get(), row_, column))};
}

inline std::span<const std::byte> Rows::bytes(int column, std::size_t size, const char* expected) const
{
    const auto found = blob(column);
    if (found.size() != size) refuse(column, expected);
    return found;
}

inline std::int64_t Rows::integer(int column) const
{
    if (is_null(column)) return 0;
    constexpr const char* expected = "a whole number";
    switch (PQftype(result_.get(), column)) {
    case detail::type_id::int8: return detail::number_from<std::int64_t>(bytes(column, 8, expected));
    case detail::type_id::int4: return detail::number_from<std::int32_t>(bytes(column, 4, expected));
    case detail::type_id::int2: return detail::number_from<std::int16_t>(bytes(column, 2, expected));
    case detail::type_id::boolean: return std::to_integer<std::int64_t>(bytes(column, 1, expected)[0]);
    default: refuse(column, expected);
    }
}

inline double Rows::real(int column) const
{
    if (is_null(column)) return 0;
    constexpr const char* expected = "a double precision";
    if (PQftype(result_.get(), column) != detail::type_id::float8) refuse(column, expected);
    return std::bit_cast<double>(detail::number_from<std::int64_t>(bytes(column, 8, expected)));
}

inline Timestamp Rows::time(int column) const
{
    if (is_null(column)) return {};
    constexpr const char* expected = "a timestamp with time zone";
    if (PQftype(result_.get(), column) != detail::type_id::timestamp) refuse(column, expected);
    return detail::from_postgres(detail::number_from<std::int64_t>(bytes(column, 8, expected)));
}

inline Uuid Rows::uuid(int column) const
{
    Uuid uuid{};
    if (is_null(column)) return uuid;
    constexpr const char* expected = "a uuid";
    if (PQftype(result_.get(), column) != detail::type_id::uuid) refuse(column, expected);
    const auto found = bytes(column, sizeof uuid.data, expected);
    std::memcpy(uuid.data, found.data(), found.size());
    return uuid;
}

inline std::vector<std::int64_t> Rows::integers(int column) const
{
    std::vector<std::int64_t> numbers;
    if (is_null(column)) return numbers;
    constexpr const char* expected = "an array of whole numbers";
    if (!detail::read_array(blob(column), numbers)) refuse(column, expected);
    return numbers;
}

} // namespace escqrs::inline v0::postgres
