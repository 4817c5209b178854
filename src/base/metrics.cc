#include "base/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

namespace kollator {

// One name may be asked for many times: the registry merges families of one name.
struct MetricsRegistry::Impl {
    prometheus::Registry registry{prometheus::Registry::InsertBehavior::Merge};
};

void Counter::add(double amount) {
    static_cast<prometheus::Counter*>(impl_)->Increment(amount);
}
double Counter::value() const {
    return static_cast<prometheus::Counter*>(impl_)->Value();
}

void Gauge::set(double value) {
    static_cast<prometheus::Gauge*>(impl_)->Set(value);
}
void Gauge::add(double amount) {
    static_cast<prometheus::Gauge*>(impl_)->Increment(amount);
}
double Gauge::value() const {
    return static_cast<prometheus::Gauge*>(impl_)->Value();
}

void Histogram::observe(double value) {
    static_cast<prometheus::Histogram*>(impl_)->Observe(value);
}

MetricsRegistry::MetricsRegistry() : impl_(std::make_unique<Impl>()) {}
MetricsRegistry::~MetricsRegistry() = default;

Counter MetricsRegistry::counter(const std::string& name, const std::string& help,
                                 const MetricLabels& labels) {
    auto& family = prometheus::BuildCounter().Name(name).Help(help).Register(impl_->registry);
    return Counter(&family.Add(labels));
}

Gauge MetricsRegistry::gauge(const std::string& name, const std::string& help,
                             const MetricLabels& labels) {
    auto& family = prometheus::BuildGauge().Name(name).Help(help).Register(impl_->registry);
    return Gauge(&family.Add(labels));
}

Histogram MetricsRegistry::histogram(const std::string& name, const std::string& help,
                                     const std::vector<double>& bounds,
                                     const MetricLabels& labels) {
    auto& family = prometheus::BuildHistogram().Name(name).Help(help).Register(impl_->registry);
    return Histogram(&family.Add(labels, bounds));
}

std::string MetricsRegistry::to_text() const {
    return prometheus::TextSerializer().Serialize(impl_->registry.Collect());
}

}  // namespace kollator
