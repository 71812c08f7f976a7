//! Families as `prometheus` models them, built from plain numbers.

use prometheus::proto::{
    Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType,
};
use serin_proto::metric;

use super::hist::Total;

/// One family that grows series by series.
pub(super) struct Family {
    of: metric::Metric,
    series: Vec<Metric>,
}

impl Family {
    pub(super) fn new(of: metric::Metric) -> Self {
        Self {
            of,
            series: Vec::new(),
        }
    }

    /// Adds a counter. `values` stand in the order of the family's labels.
    pub(super) fn counter(&mut self, values: &[&str], value: f64) {
        let mut metric = Metric::from_label(self.labels(values));
        let mut counter = Counter::default();
        counter.set_value(value);
        metric.set_counter(counter);
        self.series.push(metric);
    }

    /// Adds a gauge. `values` stand in the order of the family's labels.
    pub(super) fn gauge(&mut self, values: &[&str], value: f64) {
        let mut metric = Metric::from_label(self.labels(values));
        let mut gauge = Gauge::default();
        gauge.set_value(value);
        metric.set_gauge(gauge);
        self.series.push(metric);
    }

    /// Adds a histogram whose sum was kept in `parts_per_one` parts of the exported unit.
    pub(super) fn histogram(&mut self, values: &[&str], total: &Total, parts_per_one: f64) {
        let mut cumulative = 0;
        let buckets = self
            .of
            .buckets
            .iter()
            .zip(&total.counts)
            .map(|(bound, count)| {
                cumulative += count;
                let mut bucket = Bucket::default();
                bucket.set_upper_bound(*bound);
                bucket.set_cumulative_count(cumulative);
                bucket
            });
        let mut histogram = Histogram::default();
        histogram.set_bucket(buckets.collect());
        histogram.set_sample_count(total.count());
        histogram.set_sample_sum(total.parts as f64 / parts_per_one);
        let mut metric = Metric::from_label(self.labels(values));
        metric.set_histogram(histogram);
        self.series.push(metric);
    }

    pub(super) fn into_proto(self) -> MetricFamily {
        let mut family = MetricFamily::default();
        family.set_name(self.of.name.to_owned());
        family.set_help(self.of.help.to_owned());
        family.set_field_type(match self.of.kind {
            metric::Kind::Counter => MetricType::COUNTER,
            metric::Kind::Gauge => MetricType::GAUGE,
            metric::Kind::Histogram => MetricType::HISTOGRAM,
        });
        family.set_metric(self.series);
        family
    }

    fn labels(&self, values: &[&str]) -> Vec<LabelPair> {
        debug_assert_eq!(
            self.of.labels.len(),
            values.len(),
            "labels of {}",
            self.of.name
        );
        let pairs = self.of.labels.iter().zip(values).map(|(name, value)| {
            let mut pair = LabelPair::default();
            pair.set_name((*name).to_owned());
            pair.set_value((*value).to_owned());
            pair
        });
        pairs.collect()
    }
}
