// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "metrics_page.hpp"

#include <algorithm>
#include <utility>

namespace http {

MetricsPage::MetricsPage(const Metrics& metrics, std::chrono::milliseconds patience,
                         std::chrono::milliseconds shown_for)
    : metrics_{&metrics}, shown_for_{shown_for},
      look_{{[this] { found_.clear(); }, [this] { look(); }, [this](const auto& overdue) { return response(overdue); }},
            patience}
{
}

/// Ends with the first gauge that is late. Of those that were late before, the one whose turn is longest ago comes first: it may
/// have recovered, while another one has not.
void MetricsPage::look()
{
    ++looks_;
    auto names = metrics_->gauge_names();
    std::ranges::stable_sort(names, {}, [this](const std::string& name) {
        const auto late = late_.find(name);
        return late == late_.end() ? 0 : late->second;
    });
    for (const std::string& name : names) {
        const auto value = metrics_->ask(name);
        const bool is_late = look_.note([&](const auto&) {
            if (value) found_[name] = *value;
        });
        if (is_late) {
            late_[name] = looks_;
            return;
        }
        late_.erase(name);
    }
}

/// With the look's lock held.
Response MetricsPage::response(const TimedLook::Overdue& overdue) const
{
    static const std::map<std::string, double> nothing;
    const bool is_old = overdue && *overdue > shown_for_;
    return {
        200, {{"Content-Type", "text/plain; version=0.0.4; charset=utf-8"}}, metrics_->text(is_old ? nothing : found_)};
}

} // namespace http
