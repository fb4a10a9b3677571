// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "metrics_page.hpp"

#include <algorithm>
#include <utility>

namespace conference::http {

MetricsPage::MetricsPage(const Metrics& metrics, std::chrono::milliseconds patience)
    : metrics_{&metrics},
      look_{{[this] { found_.clear(); }, [this] { look(); }, [this](const TimedLook::Overdue&) { return response(); }},
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
Response MetricsPage::response() const
{
    return {200, {{"Content-Type", "text/plain; version=0.0.4; charset=utf-8"}}, metrics_->text(found_)};
}

} // namespace conference::http
