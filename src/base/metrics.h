#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace kollator {

using MetricLabels = std::map<std::string, std::string>;

/// Handles are small, copyable, thread-safe, and good for as long as the registry lives.
class Counter {
 public:
    void add(double amount = 1.0);
    double value() const;

 private:
    friend class MetricsRegistry;
    explicit Counter(void* impl) : impl_(impl) {}
    void* impl_;
};

class Gauge {
 public:
    void set(double value);
    void add(double amount);
    double value() const;

 private:
    friend class MetricsRegistry;
    explicit Gauge(void* impl) : impl_(impl) {}
    void* impl_;
};

class Histogram {
 public:
    void observe(double value);

 private:
    friend class MetricsRegistry;
    explicit Histogram(void* impl) : impl_(impl) {}
    void* impl_;
};

/// What GET /metrics shows. Names are Prometheus's way: kollator_<layer>_<what>_<unit>[_total].
/// Asking twice for one name and labels gives the same metric. Thread-safe.
class MetricsRegistry {
 public:
    MetricsRegistry();
    ~MetricsRegistry();

    Counter counter(const std::string& name, const std::string& help,
                    const MetricLabels& labels = {});
    Gauge gauge(const std::string& name, const std::string& help, const MetricLabels& labels = {});
    /// `bounds`: ascending upper bounds of the buckets, in the unit that the name ends with.
    Histogram histogram(const std::string& name, const std::string& help,
                        const std::vector<double>& bounds, const MetricLabels& labels = {});

    /// The Prometheus text exposition format, version 0.0.4.
    std::string to_text() const;

 private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace kollator
