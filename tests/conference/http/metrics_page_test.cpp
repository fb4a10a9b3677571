// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "http/metrics_page.hpp"

#include "client.hpp"
#include "http/routed_server.hpp"

#include <escqrs/testing/catch2.hpp>

#include <atomic>
#include <chrono>
#include <semaphore>
#include <string>

using namespace conference;
using conference::test::Client;

namespace {

/// The metrics, served with some patience.
class Scraped {
public:
    explicit Scraped(http::Metrics& metrics, std::chrono::milliseconds patience = std::chrono::milliseconds{500})
        : page_{metrics, patience}, server_{{.port = 0, .threads = 1}, routes(), metrics}
    {
    }

    std::string text() { return Client{server_.port()}.request("GET", "/metrics").body; }

    /// Scrapes until the look that takes too long has ended, and another one shows this.
    std::string text_with(const std::string& wanted)
    {
        for (;;) {
            if (auto found = text(); found.find(wanted) != std::string::npos) return found;
        }
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
};

} // namespace

TEST_CASE("a scrape is answered in time while a gauge hangs; later ones lack that gauge only, until it answers")
{
    std::counting_semaphore<> answers{0};
    http::Metrics metrics;
    metrics.counter("counter_total", "Counter.").add();
    http::Gauges gauges{metrics};
    gauges.add("first", "First.", [] { return 1.0; });
    gauges.add("hanging", "Hanging.", [&] {
        answers.acquire();
        return 2.0;
    });
    gauges.add("later", "Later.", [] { return 3.0; });
    Scraped scraped{metrics};
    for (int scrape = 0; scrape < 3; ++scrape) {
        const std::string text = scraped.text();
        CHECK_THAT(text, Catch::Contains("\ncounter_total 1\n") && Catch::Contains("\nfirst 1\n"));
        CHECK_THAT(text, Catch::Contains("# hanging is not known just now\n# later is not known just now\n"));
    }
    metrics.counter("counter_total", "Counter.").add();
    CHECK_THAT(scraped.text(), Catch::Contains("\ncounter_total 2\n"));
    answers.release();
    const std::string text = scraped.text_with("\nlater 3\n");
    CHECK_THAT(text, Catch::Contains("\nfirst 1\n") && Catch::Contains("# hanging is not known just now\n"));
    answers.release(1000);
    CHECK_THAT(scraped.text_with("\nhanging 2\n"), Catch::Contains("\nlater 3\n"));
}

TEST_CASE("a gauge that hangs keeps one that has recovered from being shown for one scrape only")
{
    struct Hanging {
        double value()
        {
            ++asked;
            answers.acquire();
            return 1;
        }
        std::atomic<int> asked{0};
        std::counting_semaphore<> answers{0};
    };
    Hanging for_ever;
    Hanging once;
    http::Metrics metrics;
    http::Gauges gauges{metrics};
    gauges.add("a_hangs", "Hangs for ever.", [&] { return for_ever.value(); });
    gauges.add("b_recovers", "Hangs once.", [&] { return once.asked == 0 ? once.value() : 2; });
    Scraped scraped{metrics, std::chrono::milliseconds{100}};
    const auto is_late = [&](Hanging& gauge, int times) {
        while (gauge.asked < times) (void)scraped.text();
        (void)scraped.text();
        gauge.answers.release();
    };
    is_late(for_ever, 1);
    is_late(once, 1);
    is_late(for_ever, 2); // it is asked first now
    const std::string text = scraped.text_with("\nb_recovers 2\n");
    CHECK_THAT(text, Catch::Contains("# a_hangs is not known just now\n"));
    for_ever.answers.release(1000);
}
