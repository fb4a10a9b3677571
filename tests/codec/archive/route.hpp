// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/codec/archive/boost_text.hpp>
#include <escqrs/codec/archive/boost_xml.hpp>
#include <escqrs/domain/event.hpp>

#include <boost/serialization/base_object.hpp>
#include <boost/serialization/export.hpp>
#include <boost/serialization/shared_ptr.hpp>
#include <boost/serialization/vector.hpp>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

// An event that only the archives of Boost store: it shares objects, some of which are of a derived class.
namespace route {

using escqrs::field;

struct Stop {
    std::string name;

    Stop() = default;
    explicit Stop(std::string name_of_stop) : name{std::move(name_of_stop)} {}
    Stop(const Stop&) = delete;
    Stop& operator=(const Stop&) = delete;
    virtual ~Stop() = default;

    template <class Archive>
    void serialize(Archive& archive, unsigned /*version*/)
    {
        archive & field("name", name);
    }
};

struct Station : Stop {
    int platforms = 0;

    Station() = default;
    Station(std::string name_of_stop, int count) : Stop{std::move(name_of_stop)}, platforms{count} {}

    template <class Archive>
    void serialize(Archive& archive, unsigned /*version*/)
    {
        archive & boost::serialization::make_nvp("stop", boost::serialization::base_object<Stop>(*this));
        archive & field("platforms", platforms);
    }
};

struct RoutePlanned {
    static constexpr std::string_view event_name = "RoutePlanned";

    std::vector<std::shared_ptr<Stop>> stops;
    std::shared_ptr<Stop> favourite;
    double kilometres = 0;

    template <class Archive>
    void serialize(Archive& archive, unsigned /*version*/)
    {
        archive & field("stops", stops) & field("favourite", favourite) & field("kilometres", kilometres);
    }

    /// Compares the stops themselves, not the pointers.
    friend bool operator==(const RoutePlanned& left, const RoutePlanned& right)
    {
        const auto texts = [](const RoutePlanned& route) {
            std::string text = std::to_string(route.kilometres) + route.favourite->name;
            for (const auto& stop : route.stops) {
                const auto* station = dynamic_cast<const Station*>(stop.get());
                text += '/' + stop->name + std::to_string(station == nullptr ? -1 : station->platforms);
            }
            return text;
        };
        return texts(left) == texts(right);
    }
};

inline RoutePlanned planned()
{
    const auto mill = std::make_shared<Stop>("Mill");
    return {{mill, std::make_shared<Station>("Zoë & Co", 3), mill}, mill, 12.75};
}

} // namespace route

BOOST_CLASS_EXPORT_KEY(route::Station)
