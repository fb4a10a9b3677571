// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
// Expected: escqrs: this type cannot be stored; give it a public member template <class Archive> void serialize(Archive& archive, unsigned version), or, if it is not yours, write in namespace boost::serialization: template <class Archive> void serialize(Archive& archive, T& value, unsigned version)
// Expected: Money
// Expected: DoorOpened::serialize
#include <escqrs/codec/codec.hpp>

// Of a library that knows nothing of archives.
namespace bank {
class Money {
public:
    Money() = default;
    explicit Money(long given) : cents_{given} {}
    long cents() const { return cents_; }

private:
    long cents_ = 0;
};
} // namespace bank

#ifndef OFFENDING
namespace boost::serialization {
template <class Archive>
void serialize(Archive& archive, bank::Money& money, unsigned /*version*/)
{
    long cents = money.cents();
    archive & cents;
    if constexpr (Archive::is_loading::value) money = bank::Money{cents};
}
} // namespace boost::serialization
#endif

struct DoorOpened {
    static constexpr std::string_view event_name = "DoorOpened";
    bank::Money toll;

    template <class Archive>
    void serialize(Archive& archive, unsigned /*version*/)
    {
        archive & escqrs::field("toll", toll);
    }
};

int main()
{
    const escqrs::Codec<escqrs::EventList<DoorOpened>> codec;
    std::vector<std::byte> bytes;
    codec.encode(DoorOpened{}, bytes);
    codec.decode({"DoorOpened", 0, codec.content_type, bytes});
}
