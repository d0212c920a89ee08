//! Logging: the names and fields that the runtime's documentation promises.

use super::config;
use crate::Kit;
use futures_util::StreamExt;
use relayline_connector::{Act, ConnectorConfig, EmbeddedConnector};
use relayline_core::config::Credentials;
use relayline_core::output::Notice;
use relayline_core::secret::Secret;
use relayline_runtime::{Incoming, Relay};
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, OnceLock};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

/// Gateway of this test. All tests of the program share one log.
const GATEWAY: &str = "gw-traced";

#[derive(Clone, Default)]
struct Fields(BTreeMap<&'static str, String>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name(), format!("{value:?}").trim_matches('"').to_owned());
    }
}

/// Line of an event, and its fields.
type Logged = (String, BTreeMap<&'static str, String>);

/// Subscriber that keeps the events of this gateway's span: `LEVEL name spans field=…`. At each event it calls the
/// gateway, which must not deadlock.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<Logged>>>, Arc<OnceLock<Relay>>);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Log {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        context.span(id).unwrap().extensions_mut().insert(fields);
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let (mut ours, mut spans) = (false, Vec::new());
        for span in context.event_scope(event).into_iter().flatten() {
            let extensions = span.extensions();
            let fields = extensions.get::<Fields>();
            ours |= fields.is_some_and(|fields| fields.0.get("gateway").is_some_and(|id| id == GATEWAY));
            let conn = fields.and_then(|fields| fields.0.get("conn"));
            spans.push(conn.map_or(span.name().to_owned(), |conn| format!("{}#{conn}", span.name())));
        }
        if ours {
            if let Some(relay) = self.1.get() {
                let _ = (relay.stats(), relay.metrics());
            }
            let mut fields = Fields::default();
            event.record(&mut fields);
            let name = fields.0.remove("message").unwrap_or_default();
            let line = format!("{} {} in {}", event.metadata().level(), name, spans.join(" in "));
            self.0.lock().unwrap().push((line, fields.0));
        }
    }
}

#[test]
fn log_events_have_stable_names_and_fields() {
    let log = Log::default();
    let subscriber = tracing_subscriber::registry().with(log.clone().with_filter(LevelFilter::DEBUG));
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let secret = || Secret::new("s3cret of the log".to_owned());
    let accounts = ConnectorConfig::default().gateway(GATEWAY, secret());
    let connector = EmbeddedConnector::start(accounts, "127.0.0.1:0").unwrap();
    let mut config = config(&connector.url(), &[]);
    config.machine.credentials = Some(Credentials::new(GATEWAY, secret()));
    let kit = Kit::new();
    let (relay, mut inbox) = kit.connect(config);
    assert!(log.1.set(relay.clone()).is_ok());
    let mut until = |wanted: &dyn Fn(&Incoming) -> bool| {
        while !wanted(&kit.block_on(inbox.next()).expect("the stream goes on")) {}
    };
    until(&|one| matches!(one, Incoming::Notice(Notice::Platform { .. })));
    kit.block_on(relay.send("1", "x")).unwrap();
    kit.block_on(relay.edit("1", "none such", "x")).unwrap_err();
    connector.control(Act::Raw { text: "no json\n".into() }).unwrap();
    connector.control(Act::Interrupt { session_key: "key".into(), chat_id: "1".into() }).unwrap();
    until(&|one| matches!(one, Incoming::Interrupt { .. }));
    let dead_letters =
        |of: &str| Act::Raw { text: format!("{{\"bufferId\":\"{of}1\",,}}\n{{\"bufferId\":\"{of}2\",,}}\n") };
    let is_letter = |one: &Incoming, wanted: &str| matches!(one, Incoming::Notice(Notice::DeadLetter { buffer_id: Some(id), .. }) if id == wanted);
    connector.control(dead_letters("a")).unwrap();
    until(&|one| is_letter(one, "a2"));
    connector.control(Act::Close { code: 1013, reason: "later".into() }).unwrap();
    until(&|one| matches!(one, Incoming::Notice(Notice::Platform { .. })));
    connector.control(dead_letters("b")).unwrap();
    until(&|one| is_letter(one, "b2"));
    kit.block_on(relay.disconnect());
    until(&|one| matches!(one, Incoming::Notice(Notice::Stopped)));

    let logged = log.0.lock().unwrap().clone();
    assert!(!format!("{logged:?}").contains("s3cret"), "C-4");
    let mut logged = logged.iter();
    // Expected in this order, with others in between: the line, and fields with their values, where `*` is any value.
    for (line, fields) in [
        ("DEBUG dialing in connection#1 in relay", ""),
        ("DEBUG opened in connection#1 in relay", ""),
        ("INFO connected in connection#1 in relay", "platform=discord"),
        ("INFO platform in connection#1 in relay", "platform=telegram"),
        ("DEBUG answered in connection#1 in relay", "op=send outcome=ok after_ms=*"),
        ("DEBUG answered in connection#1 in relay", "op=edit outcome=rejected after_ms=*"),
        ("DEBUG counted in connection#1 in relay", "counter=malformed_lines by=1"),
        ("DEBUG interrupt in connection#1 in relay", "session_key=key chat_id=1"),
        // once for each connection.
        ("WARN dead_letter in connection#1 in relay", "reason=* buffer_id=a1"),
        ("DEBUG dead_letter in connection#1 in relay", "reason=* buffer_id=a2"),
        ("INFO disconnected in connection#1 in relay", "code=1013 reason=later retry_in_ms=*"),
        ("DEBUG dialing in connection#2 in relay", ""),
        ("INFO connected in connection#2 in relay", "platform=discord"),
        ("WARN dead_letter in connection#2 in relay", "reason=* buffer_id=b1"),
        ("DEBUG dead_letter in connection#2 in relay", "reason=* buffer_id=b2"),
        ("DEBUG answered in connection#2 in relay", "op=disconnect outcome=ok after_ms=*"),
        ("DEBUG stopped in connection#2 in relay", ""),
    ] {
        let fits = |(logged, found): &Logged| {
            let mut expected = fields.split_whitespace().filter_map(|field| field.split_once('='));
            logged == line
                && found.len() == fields.split_whitespace().count()
                && expected
                    .all(|(name, value)| found.get(name).is_some_and(|found| value == "*" || found == value))
        };
        assert!(logged.any(fits), "{line} {fields} is missing in {:#?}", log.0.lock().unwrap());
    }
}
