#pragma once

#include <string>

#include "http/worker_documents.h"

namespace kollator::http {

/// A page for people that shows what /health and /stats say. Self-contained, without a script.
std::string status_page(const HealthReport& health, const WorkerStats& stats);

/// & < > " ' as entities.
std::string escape_html(std::string_view text);

}  // namespace kollator::http
