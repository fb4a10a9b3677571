// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "worker_role.hpp"

#include "../read_model/read_model_file.hpp"

#include <stop_token>
#include <utility>

namespace conference {
namespace {

/// SQLite waits deaf to stop requests; who is refused waits on our own clock instead.
constexpr std::chrono::seconds busy_timeout{2};

escqrs::sqlite::DatabaseOptions database_options(const WorkerRoleOptions& options)
{
    return {.synchronous = options.synchronous, .busy_timeout = busy_timeout};
}

MessageWorkerOptions worker_options(const WorkerLog& log, escqrs::Clock& clock)
{
    MessageWorkerOptions options;
    options.clock = &clock;
    options.log = log;
    return options;
}

MailerOptions mailer_options(const WorkerLog& log, escqrs::Clock& clock)
{
    MailerOptions options;
    options.clock = &clock;
    options.log = log;
    return options;
}

} // namespace

WorkerRole::WorkerRole(const WorkerRoleOptions& options, MessageReceiverRef receiver, const WorkerLog& log,
                       escqrs::Clock& clock)
    : worker_database_{options.read_model, read_model_schema, database_options(options)},
      mailer_database_{options.read_model, read_model_schema, database_options(options)},
      projection_{bus_, worker_database_},
      worker_{std::move(receiver), worker_database_, bus_, worker_options(log, clock)},
      transport_{open_mail_transport(options.mail)},
      mailer_{mailer_database_, *transport_,
              ConfirmationMailWriter{options.public_url, options.from.empty() ? transport_->from() : options.from},
              mailer_options(log, clock)}
{
}

WorkerRole::~WorkerRole() { stop(); }

void WorkerRole::start()
{
    worker_thread_ = std::jthread{[this](std::stop_token stop) { worker_.run(std::move(stop)); }};
    mailer_thread_ = std::jthread{[this](std::stop_token stop) { mailer_.run(std::move(stop)); }};
}

void WorkerRole::stop()
{
    worker_thread_.request_stop();
    mailer_thread_.request_stop();
    for (std::jthread* thread : {&worker_thread_, &mailer_thread_}) {
        if (thread->joinable()) thread->join();
    }
}

} // namespace conference
