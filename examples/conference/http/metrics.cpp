// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "metrics.hpp"

#include <sstream>
#include <string_view>
#include <tuple>
#include <utility>

namespace http {
namespace {

/// `name="value",name="value"`, values escaped as the format wants it.
std::string text_of(Metrics::Labels labels)
{
    std::string text;
    text.reserve(96);
    for (const auto& [name, value] : labels) {
        if (!text.empty()) text.push_back(',');
        text.append(name).append("=\"");
        for (const char c : value) {
            if (c == '\\' || c == '"') text.push_back('\\');
            if (c == '\n') text.append("\\n");
            else text.push_back(c);
        }
        text.push_back('"');
    }
    return text;
}

std::string in_braces(const std::string& labels, std::string_view more = {})
{
    if (labels.empty() && more.empty()) return {};
    return "{" + labels + (labels.empty() || more.empty() ? "" : ",") + std::string{more} + "}";
}

void write_head(std::ostream& out, const std::string& name, const std::string& help, const char* type)
{
    out << "# HELP " << name << ' ' << help << "\n# TYPE " << name << ' ' << type << '\n';
}

} // namespace

void Metrics::Histogram::observe(std::chrono::nanoseconds duration) noexcept
{
    const double seconds = std::chrono::duration<double>{duration}.count();
    std::size_t bucket = 0;
    while (bucket < bounds.size() && seconds > bounds.at(bucket)) ++bucket;
    buckets_[bucket].fetch_add(1, std::memory_order_relaxed); // NOLINT: bucket is at most the last
    nanoseconds_.fetch_add(static_cast<std::uint64_t>(duration.count()), std::memory_order_relaxed);
}

template <class Metric>
Metric& Metrics::member(Families<Metric>& families, std::string_view name, std::string_view help, Labels labels)
{
    const std::string text = text_of(labels);
    {
        const std::shared_lock lock{mutex_};
        if (const auto family = families.find(name); family != families.end()) {
            if (const auto known = family->second.members.find(text); known != family->second.members.end()) {
                return known->second;
            }
        }
    }
    const std::unique_lock lock{mutex_};
    auto& family = families[std::string{name}];
    family.help = help;
    return family.members[text];
}

Metrics::Counter& Metrics::counter(std::string_view name, std::string_view help, Labels labels)
{
    return member(counters_, name, help, labels);
}

Metrics::Histogram& Metrics::histogram(std::string_view name, std::string_view help, Labels labels)
{
    return member(histograms_, name, help, labels);
}

void Gauges::add(const std::string& name, const std::string& help, std::function<double()> value)
{
    auto gauge = std::make_shared<Metrics::Gauge>();
    gauge->name = name;
    gauge->help = help;
    gauge->value = std::move(value);
    gauges_.push_back(gauge);
    const std::unique_lock lock{metrics_->mutex_};
    metrics_->gauges_[name] = std::move(gauge);
}

Gauges::~Gauges()
{
    for (const auto& gauge : gauges_) {
        {
            const std::unique_lock lock{metrics_->mutex_};
            const auto shown = metrics_->gauges_.find(gauge->name);
            if (shown != metrics_->gauges_.end() && shown->second == gauge) metrics_->gauges_.erase(shown);
        }
        const std::scoped_lock asked{gauge->mutex};
        gauge->value = nullptr;
    }
}

std::vector<std::string> Metrics::gauge_names() const
{
    const std::shared_lock lock{mutex_};
    std::vector<std::string> names;
    names.reserve(gauges_.size());
    for (const auto& [name, gauge] : gauges_) names.push_back(name);
    return names;
}

std::optional<double> Metrics::ask(const std::string& name) const
{
    std::shared_ptr<Gauge> gauge;
    {
        const std::shared_lock lock{mutex_};
        const auto known = gauges_.find(name);
        if (known == gauges_.end()) return std::nullopt;
        gauge = known->second;
    }
    // Without the lock, for it may have to wait for a disk.
    const std::scoped_lock asking{gauge->mutex};
    if (!gauge->value) return std::nullopt; // what it told of has ended meanwhile
    try {
        return gauge->value();
    } catch (...) {
        return std::nullopt;
    }
}

std::string Metrics::text(const std::map<std::string, double>& values) const
{
    std::ostringstream out;
    out.precision(17);
    const std::shared_lock lock{mutex_};
    for (const auto& [name, family] : counters_) {
        write_head(out, name, family.help, "counter");
        for (const auto& [labels, counter] : family.members)
            out << name << in_braces(labels) << ' ' << counter.value() << '\n';
    }
    for (const auto& [name, family] : histograms_) {
        write_head(out, name, family.help, "histogram");
        for (const auto& [labels, histogram] : family.members) {
            std::uint64_t count = 0;
            for (std::size_t bucket = 0; bucket < histogram.buckets_.size(); ++bucket) {
                count += histogram.buckets_.at(bucket).load(std::memory_order_relaxed);
                std::ostringstream bound;
                if (bucket < Histogram::bounds.size()) bound << Histogram::bounds.at(bucket);
                else bound << "+Inf";
                out << name << "_bucket" << in_braces(labels, "le=\"" + bound.str() + "\"") << ' ' << count << '\n';
            }
            const double sum = static_cast<double>(histogram.nanoseconds_.load(std::memory_order_relaxed)) / 1e9;
            out << name << "_sum" << in_braces(labels) << ' ' << sum << '\n';
            out << name << "_count" << in_braces(labels) << ' ' << count << '\n';
        }
    }
    for (const auto& [name, gauge] : gauges_) {
        if (const auto value = values.find(name); value != values.end()) {
            write_head(out, name, gauge->help, "gauge");
            out << name << ' ' << value->second << '\n';
        } else {
            out << "# " << name << " is not known just now\n";
        }
    }
    return out.str();
}

} // namespace http
