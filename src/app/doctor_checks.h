#pragma once

#include <vector>

#include "app/doctor.h"
#include "config/config.h"

namespace kollator::app {

// One function for each subject; each blocks until it knows.
void examine_store(const config::Config& config, StoreWriting writing,
                   std::vector<Finding>& findings);
void examine_disk(const config::Config& config, std::vector<Finding>& findings);
void examine_network(const config::Config& config, std::vector<Finding>& findings);
void examine_dht(const config::Config& config, std::vector<Finding>& findings);

}  // namespace kollator::app
