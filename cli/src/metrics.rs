//! The flag `--metrics`, and the counters and gauges of a program on its page.

use clap::Args;
use relayline_runtime::HostMetric;
use std::net::TcpListener;

/// Flag of the metrics page.
#[derive(Debug, Args)]
pub(crate) struct MetricsArguments {
    /// Address of the metrics page, as in 127.0.0.1:9464.
    ///
    /// GET /metrics returns counters and queue sizes in the Prometheus text format.
    #[arg(long, value_name = "ADDR")]
    metrics: Option<String>,
}

impl MetricsArguments {
    /// Opens the port of the page, if one is requested.
    ///
    /// # Errors
    /// The text for the user.
    pub(crate) fn open(&self) -> Result<Option<TcpListener>, String> {
        self.metrics.as_deref().map(open).transpose()
    }
}

fn open(address: &str) -> Result<TcpListener, String> {
    TcpListener::bind(address).map_err(|error| {
        format!("--metrics {address}: {error}; name an address of this machine and a free port, as in 127.0.0.1:9464")
    })
}

/// Returns the maker of counters, or of gauges, of a part of the program from names, help texts and values.
pub(crate) fn metric(
    part: &'static str,
    is_gauge: bool,
) -> impl Fn((&'static str, &'static str, u64)) -> HostMetric {
    move |(name, help, value)| HostMetric { name: format!("{part}_{name}"), help, value, is_gauge }
}

#[cfg(all(test, feature = "jetstream"))]
mod tests {
    use crate::work::metric_names;
    use relayline_queue::dispatcher::QueueUsage;
    use relayline_queue::fleet::leader::FleetStats;
    use relayline_queue::inbox::InboxStats;
    use relayline_queue::stats::QueueStats;
    use std::collections::BTreeSet;

    /// Returns the names on the pages of gateways and of workers, without `relayline_`.
    fn known() -> BTreeSet<String> {
        let counters = QueueStats::default();
        let (inbox, fleet) = (InboxStats::default(), FleetStats::default());
        let described =
            counters.described().chain(inbox.described()).map(|(name, ..)| format!("queue_{name}_total"));
        let described = described.chain(fleet.described().map(|(name, ..)| format!("fleet_{name}_total")));
        let gauges = QueueUsage::default();
        let described = described.chain(gauges.described().map(|(name, ..)| format!("queue_{name}")));
        described.chain(metric_names()).chain(["phase".to_owned()]).collect()
    }

    /// Returns the words of a text that follow `relayline_`.
    fn named(text: &str) -> BTreeSet<String> {
        let is_of_name = |c: char| c.is_ascii_lowercase() || c == '_';
        let named = text.split("relayline_").skip(1);
        named.filter_map(|rest| rest.split(|c| !is_of_name(c)).next()).map(str::to_owned).collect()
    }

    /// `docs/grafana.json` shows metrics that exist.
    #[test]
    fn the_dashboard_shows_metrics_that_exist() {
        let text = include_str!("../../docs/grafana.json");
        let _: serde_json::Value = serde_json::from_str(text).unwrap();
        let (known, shown) = (known(), named(text));
        let missing: Vec<&String> = shown.difference(&known).collect();
        let of_workers = shown.iter().filter(|name| name.starts_with("worker_")).count();
        assert!(missing.is_empty() && shown.len() > 40 && of_workers > 20, "{missing:?}, {of_workers}");
    }

    /// `docs/fleet.md` leaves `_total` out, and names groups by their beginning.
    #[test]
    fn the_guide_names_metrics_that_exist() {
        let known = known();
        let known: BTreeSet<&str> = known.iter().map(|name| name.trim_end_matches("_total")).collect();
        // The library has the same beginning.
        let named = named(&include_str!("../../docs/fleet.md").replace("relayline_queue::", ""));
        let is_known = |name: &String| name.ends_with('_') || known.contains(name.as_str());
        let missing: Vec<&String> = named.iter().filter(|name| !is_known(name)).collect();
        assert!(missing.is_empty() && named.len() > 15, "{missing:?}, {}", named.len());
    }
}
