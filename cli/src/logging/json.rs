//! Log lines as JSON. Each has the same keys in the same order, the fields of its event, and `spans`: the list of its
//! spans from the outermost to the innermost, which may be empty.

use serde_json::{Map, Number, Value};
use std::fmt::{self, Debug};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{JsonFields, Writer};
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

/// Formatter that writes one line for each event.
pub(super) struct JsonFormat;

impl<S: Subscriber + for<'a> LookupSpan<'a>> FormatEvent<S, JsonFields> for JsonFormat {
    fn format_event(
        &self,
        context: &FmtContext<'_, S, JsonFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut timestamp = String::new();
        SystemTime.format_time(&mut Writer::new(&mut timestamp))?;
        let mut fields = Fields::default();
        event.record(&mut fields);
        let message = fields.0.remove("message").unwrap_or_default();
        write!(
            writer,
            "{{\"timestamp\":{},\"level\":\"{}\",\"message\":{message}",
            Value::String(timestamp),
            event.metadata().level()
        )?;
        for (name, value) in fields.0 {
            write!(writer, ",{}:{value}", Value::String(name))?;
        }
        writer.write_str(",\"spans\":[")?;
        let spans = context.event_scope().into_iter().flat_map(|scope| scope.from_root());
        for (at, span) in spans.enumerate() {
            let extensions = span.extensions();
            let fields = extensions.get::<FormattedFields<JsonFields>>().map_or("", |fields| &fields.fields);
            let comma = if at == 0 { "" } else { "," };
            write!(writer, "{comma}{{\"name\":{}", Value::String(span.name().to_owned()))?;
            // The fields are formatted as an object. Its opening brace is removed.
            match fields.trim_start_matches('{') {
                "" | "}" => writer.write_str("}")?,
                fields => write!(writer, ",{fields}")?,
            }
        }
        writer.write_str("]}\n")
    }
}

/// Fields of an event, with numbers as numbers.
#[derive(Default)]
struct Fields(Map<String, Value>);

impl Fields {
    fn insert(&mut self, field: &Field, value: impl Into<Value>) {
        // tracing prefixes field names that are keywords.
        let name = field.name().trim_start_matches("r#");
        self.0.insert(name.to_owned(), value.into());
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.insert(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.insert(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.insert(field, value);
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        self.insert(field, Number::from_i128(value).map_or_else(|| value.to_string().into(), Value::Number));
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.insert(field, Number::from_u128(value).map_or_else(|| value.to_string().into(), Value::Number));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.insert(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.insert(field, value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.insert(field, value.to_string());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.insert(field, format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logging::tests::Written;
    use tracing_subscriber::Layer;
    use tracing_subscriber::layer::SubscriberExt;

    #[test]
    fn each_line_has_one_shape_and_numbers_are_numbers() {
        let written = Written::default();
        let writer = written.clone();
        let layer = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(move || writer.clone());
        let subscriber = tracing_subscriber::registry().with(layer.json().event_format(JsonFormat).boxed());
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(
                took = std::time::Duration::from_millis(7).as_millis(),
                below = -3_i128,
                "\"alone\""
            );
            let outer = tracing::info_span!("outer", gateway = "gw-1");
            let inner = tracing::info_span!(parent: &outer, "inner", conn = 2_u64);
            let none = tracing::info_span!(parent: &inner, "none");
            outer.in_scope(|| tracing::warn!(code = Some(4401_u16), missing = None::<u64>, "one"));
            none.in_scope(|| tracing::debug!(ratio = 0.5, on = true, what = %"text", "three"));
        });
        let written = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        let stamped = |line: &str| {
            let (stamp, rest) = line.strip_prefix("{\"timestamp\":\"").unwrap().split_once('"').unwrap();
            assert!(stamp.ends_with('Z'), "{line}");
            serde_json::from_str::<Value>(line).unwrap();
            rest.to_owned()
        };
        let outer = r#"{"name":"outer","gateway":"gw-1"}"#;
        assert_eq!(
            written.lines().map(stamped).collect::<Vec<_>>(),
            [
                r#","level":"INFO","message":"\"alone\"","below":-3,"took":7,"spans":[]}"#.to_owned(),
                format!(r#","level":"WARN","message":"one","code":4401,"spans":[{outer}]}}"#),
                format!(
                    r#","level":"DEBUG","message":"three","on":true,"ratio":0.5,"what":"text","spans":[{outer},{{"name":"inner","conn":2}},{{"name":"none"}}]}}"#
                ),
            ]
        );
    }
}
