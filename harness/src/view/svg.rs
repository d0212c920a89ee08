//! A still picture of a session: the diagram as SVG.

use super::gist::one_line;
use super::model::{EntryKind, Lane, ViewEntry};
use super::problems::Severity;
use super::session::SessionView;
use std::collections::BTreeMap;
use std::fmt::Write;

/// Maximum number of entries in a picture. A longer one could not be looked at.
const MAX_ROWS: usize = 2000;
const ROW: usize = 30;
const NOTE: usize = 22;
const TOP: usize = 84;
const WIDTH: usize = 1100;
/// Places of the host, the gateway and the connector.
const LANES: [usize; 3] = [330, 520, 1040];

const STYLE: &str = "text{font:13px system-ui,sans-serif;fill:var(--ink)}.t{font-variant-numeric:tabular-nums;fill:var(--soft)}\
.m{font:12px ui-monospace,monospace}.b{font-weight:600}.l{stroke:var(--rule);stroke-width:1.5}.a{stroke:var(--ink);\
stroke-width:1.4;fill:none}.h{fill:var(--ink)}.error{fill:var(--error)}.warning{fill:var(--warning)}.note{fill:var(--soft)}\
.bg{fill:var(--bg)}:root{--bg:#fff;--ink:#1c2430;--soft:#5d6878;--rule:#ccd3dc;--error:#b3261e;--warning:#8a5300}\
@media(prefers-color-scheme:dark){:root{--bg:#12161c;--ink:#e4e9f0;--soft:#98a4b4;--rule:#364152;--error:#ff8a80;\
--warning:#ffb95c}}";

/// Returns a session as a picture. Of a session with more than 2,000 entries it has the first ones, and says so.
pub fn svg(view: &SessionView) -> String {
    let mut problems: BTreeMap<usize, Vec<(Severity, String)>> = BTreeMap::new();
    for problem in &view.problems {
        let kind = problem.kind;
        let text = format!("{} ({}). {} {}", kind.title(), kind.rule(), problem.detail, kind.words());
        problems.entry(problem.at).or_default().push((kind.severity(), text));
    }
    let mut body = String::new();
    let mut y = TOP;
    let mut states = view.states.iter().peekable();
    for (at, entry) in view.entries.iter().enumerate().take(MAX_ROWS) {
        let mut state = None;
        while let Some(next) = states.next_if(|state| state.at <= at) {
            state = Some(next.state.name());
        }
        row(&mut body, entry, state, y);
        y += ROW;
        for (severity, text) in problems.get(&at).into_iter().flatten() {
            let (class, sign) = match severity {
                Severity::Error => ("error", "✖"),
                Severity::Warning => ("warning", "▲"),
                Severity::Note => ("note", "●"),
            };
            let text = escaped(&one_line(text, 150));
            // Writing to a string does not fail.
            let _ = writeln!(body, "<text x=\"24\" y=\"{}\" class=\"{class}\">{sign} {text}</text>", y + 10);
            y += NOTE;
        }
    }
    let left = view.entries.len().saturating_sub(MAX_ROWS);
    if left > 0 {
        let _ =
            writeln!(body, "<text x=\"24\" y=\"{}\">{left} further entries are not shown.</text>", y + 12);
        y += ROW;
    }
    let height = y + 20;
    let mut picture = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
         role=\"img\"><title>{0}</title><style>{STYLE}</style><rect class=\"bg\" width=\"{WIDTH}\" height=\"{height}\"/>\
         <text x=\"24\" y=\"30\" class=\"b\">{0}</text>\n",
        escaped(&one_line(&format!("{} · {}", view.name, view.title), 140)),
    );
    for (name, x) in ["host", "gateway", "connector"].iter().zip(LANES) {
        let _ = writeln!(
            picture,
            "<line class=\"l\" x1=\"{x}\" y1=\"{}\" x2=\"{x}\" y2=\"{}\"/><text x=\"{x}\" y=\"60\" class=\"b\" \
             text-anchor=\"middle\">{name}</text>",
            TOP - 16,
            height - 12
        );
    }
    picture.push_str(&body);
    picture.push_str("</svg>\n");
    picture
}

fn row(body: &mut String, entry: &ViewEntry, state: Option<&str>, y: usize) {
    let (from, to) = (place(entry.from), place(entry.to));
    let time = format!("{}.{:03}", entry.t / 1000, entry.t % 1000);
    let _ = write!(body, "<text x=\"24\" y=\"{}\" class=\"t\">{time}</text>", y + 4);
    if let Some(state) = state {
        let _ = write!(body, "<text x=\"110\" y=\"{}\" class=\"b\">{state}</text>", y + 4);
    }
    let op = entry.op.as_deref().map(|op| format!(" {op}")).unwrap_or_default();
    let name = format!("{}{}", entry.name, op);
    let room = (from.abs_diff(to).max(400) / 7).saturating_sub(6);
    let gist = one_line(&entry.gist, room.saturating_sub(name.chars().count()));
    let label = format!("<tspan class=\"b\">{}</tspan> {}", escaped(&name), escaped(&gist));
    if from == to || entry.kind == EntryKind::Timer {
        let _ = writeln!(
            body,
            "<circle class=\"h\" cx=\"{from}\" cy=\"{y}\" r=\"4\"/><text x=\"{}\" y=\"{}\">{label}</text>",
            from + 12,
            y + 4
        );
        return;
    }
    let (left, right) = (from.min(to), from.max(to));
    let head = if to > from {
        format!("{0},{1} {2},{3} {2},{4}", to - 1, y + 6, to - 9, y + 2, y + 10)
    } else {
        format!("{0},{1} {2},{3} {2},{4}", to + 1, y + 6, to + 9, y + 2, y + 10)
    };
    let _ = writeln!(
        body,
        "<line class=\"a\" x1=\"{left}\" y1=\"{0}\" x2=\"{right}\" y2=\"{0}\"/><polygon class=\"h\" points=\"{head}\"/>\
         <text x=\"{1}\" y=\"{2}\">{label}</text>",
        y + 6,
        left + 12,
        y,
    );
}

fn place(lane: Lane) -> usize {
    let [host, gateway, connector] = LANES;
    match lane {
        Lane::Host => host,
        Lane::Gateway => gateway,
        Lane::Connector => connector,
    }
}

/// Escapes a text for SVG. Characters that XML does not allow are left out.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\u{fffe}' | '\u{ffff}' => {}
            _ if c.is_control() => {}
            _ => safe.push(c),
        }
    }
    safe
}
