// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "http/metrics_page.hpp"

#include "client.hpp"
#include "http/routed_server.hpp"

#include <escqrs/testing/catch2.hpp>

#include <atomic>
#include <chrono>
#include <semaphore>
#include <string>
#include <utility>
#include <vector>

using namespace conference;
using conference::test::Client;
using namespace std::chrono_literals;

namespace {

/// A gauge that answers when it may.
class Hanging {
public:
    double value()
    {
        hangs_ = true;
        answers_.acquire();
        return 1;
    }
    bool hangs() const { return hangs_; }

    /// Has it answer if it is being asked.
    void answer()
    {
        if (hangs_.exchange(false)) answers_.release();
    }
    void answer_from_now_on() { answers_.release(1000); }

private:
    std::atomic<bool> hangs_{false};
    std::counting_semaphore<> answers_{0};
};

/// The metrics, served with some patience. Has the gauges answer in the end, for it waits for them.
class Scraped {
public:
    Scraped(http::Metrics& metrics, std::vector<Hanging*> gauges, std::chrono::milliseconds patience,
            std::chrono::milliseconds shown_for = 1h)
        : page_{metrics, patience, shown_for}, server_{{.port = 0, .threads = 1}, routes(), metrics},
          gauges_{std::move(gauges)}
    {
    }
    Scraped(const Scraped&) = delete;
    Scraped& operator=(const Scraped&) = delete;
    ~Scraped()
    {
        for (Hanging* const gauge : gauges_) gauge->answer_from_now_on();
    }

    std::string text() { return Client{server_.port()}.request("GET", "/metrics").body; }

    /// Scrapes, and calls `meanwhile` after each scrape, until what is shown is as wanted.
    template <class Wanted, class Meanwhile>
    std::string text_until(Wanted wanted, Meanwhile meanwhile)
    {
        const auto deadline = std::chrono::steady_clock::now() + 30s;
        while (std::chrono::steady_clock::now() < deadline) {
            std::string found = text();
            if (wanted(found)) return found;
            meanwhile();
        }
        FAIL("not shown in time");
        return {};
    }

    std::string text_with(const std::string& wanted)
    {
        return text_until([&](const std::string& found) { return found.find(wanted) != std::string::npos; }, [] {});
    }

    /// Scrapes until `gauge` hangs, so that it is late.
    void make_late(const Hanging& gauge)
    {
        text_until([&](const std::string&) { return gauge.hangs(); }, [] {});
    }

private:
    http::Router routes()
    {
        http::Router router;
        router.on("GET", "/metrics",
                  [this](const auto&, const http::Responder& responder) { page_.answer(responder); });
        return router;
    }

    http::MetricsPage page_;
    http::RoutedServer server_;
    std::vector<Hanging*> gauges_;
};

} // namespace

TEST_CASE("a scrape is answered in time while a gauge hangs, and later ones lack that gauge only, until it answers")
{
    Hanging hanging;
    http::Metrics metrics;
    metrics.counter("counter_total", "Counter.").add();
    http::Gauges gauges{metrics};
    gauges.add("first", "First.", [] { return 1.0; });
    gauges.add("hanging", "Hanging.", [&] { return hanging.value(); });
    gauges.add("later", "Later.", [] { return 3.0; });
    Scraped scraped{metrics, {&hanging}, 1s};
    for (int scrape = 0; scrape < 3; ++scrape) {
        const std::string text = scraped.text();
        CHECK_THAT(text, Catch::Contains("\ncounter_total 1\n") && Catch::Contains("\nfirst 1\n"));
        CHECK_THAT(text, Catch::Contains("# hanging is not known just now\n# later is not known just now\n"));
    }
    metrics.counter("counter_total", "Counter.").add();
    CHECK_THAT(scraped.text(), Catch::Contains("\ncounter_total 2\n"));
    scraped.make_late(hanging);
    hanging.answer();
    const std::string text = scraped.text_with("\nlater 3\n");
    CHECK_THAT(text, Catch::Contains("\nfirst 1\n") && Catch::Contains("# hanging is not known just now\n"));
    hanging.answer_from_now_on();
    CHECK_THAT(scraped.text_with("\nhanging 1\n"), Catch::Contains("\nlater 3\n"));
}

TEST_CASE("a gauge that hangs keeps one that has recovered from being shown for one scrape only")
{
    Hanging for_ever;
    Hanging once;
    bool has_hung = false;
    http::Metrics metrics;
    http::Gauges gauges{metrics};
    gauges.add("a_hangs", "Hangs for ever.", [&] { return for_ever.value(); });
    gauges.add("b_recovers", "Hangs once.", [&] {
        if (has_hung) return 2.0;
        has_hung = true;
        return once.value();
    });
    Scraped scraped{metrics, {&for_ever, &once}, 100ms};
    scraped.make_late(for_ever);
    for_ever.answer();
    scraped.make_late(once);
    once.answer();
    scraped.make_late(for_ever); // it is asked first now
    const std::string text =
        scraped.text_until([](const std::string& found) { return found.find("\nb_recovers 2\n") != std::string::npos; },
                           [&] { for_ever.answer(); });
    CHECK_THAT(text, Catch::Contains("# a_hangs is not known just now\n"));
}

TEST_CASE("old values are not shown while a gauge hangs")
{
    Hanging hanging;
    http::Metrics metrics;
    http::Gauges gauges{metrics};
    gauges.add("first", "First.", [] { return 1.0; });
    gauges.add("hanging", "Hanging.", [&] { return hanging.value(); });
    Scraped scraped{metrics, {&hanging}, 100ms, 0ms};
    scraped.make_late(hanging);
    CHECK_THAT(scraped.text(), Catch::Contains("# first is not known just now\n"));
    hanging.answer_from_now_on();
    CHECK_THAT(scraped.text_with("\nhanging 1\n"), Catch::Contains("\nfirst 1\n"));
}
