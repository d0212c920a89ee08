//! A still picture of a session: the diagram as SVG.

use super::gist::one_line;
use super::model::{EntryKind, Lane, ViewEntry};
use super::problems::{Problem, Severity};
use super::session::SessionView;
use std::collections::BTreeMap;
use std::fmt::Write;

/// Maximum number of entries in a picture. A longer one could not be looked at.
const MAX_ROWS: usize = 2000;
const WIDTH: usize = 1100;
/// Height of an entry, and of a problem below it.
const ROW: usize = 32;
const NOTE: usize = 66;
const TOP: usize = 84;
/// Left edge of the band of states.
const BAND: usize = 96;
/// Number of characters that fit into a pixel, roughly.
const CHARACTERS: usize = 7;
/// Frames that answer another: their arrows are dashed.
const ANSWERS: [&str; 4] = ["outbound_result", "inbound_ack", "going_idle_ack", "descriptor"];

const STYLE: &str = "text{font:13px system-ui,sans-serif;fill:var(--ink)}.t,.s{font-variant-numeric:tabular-nums;fill:var(--soft)}\
.s{font-size:12px}.b{font-weight:600}.l{stroke:var(--rule);stroke-width:2}.a{stroke-width:1.6;fill:none}.d{stroke-dasharray:4 3}\
.up{stroke:var(--up);fill:var(--up)}.down{stroke:var(--down);fill:var(--down)}.host{stroke:var(--host);fill:var(--host)}\
.point{fill:var(--soft)}.error{fill:var(--error)}.warning{fill:var(--warning)}.note{fill:var(--soft)}.box{opacity:.1}.bg{fill:var(--bg)}\
.waiting{fill:#c98a1b}.dialing{fill:#8a63d2}.handshaking{fill:#3f7de0}.connected{fill:#259b5f}.idle{fill:#4aa3a8}\
.closing{fill:#d0703a}.stopped{fill:#8a94a3}.revoked{fill:#c2352b}\
:root{--bg:#fff;--ink:#18202b;--soft:#566173;--rule:#d5dbe3;--error:#b3261e;--warning:#8a5100;--up:#1d5bd6;--down:#0b7a6b;--host:#7440b8}\
@media(prefers-color-scheme:dark){:root{--bg:#0f131a;--ink:#e6ebf2;--soft:#9aa7b9;--rule:#2d3846;--error:#ff8a80;--warning:#ffbd66;\
--up:#7fb0ff;--down:#4fd1bb;--host:#c3a1ff}}";

/// Returns a session as a picture. Of a session with more than 2,000 entries it has the first ones, and says so.
pub fn svg(view: &SessionView) -> String {
    let mut problems: BTreeMap<usize, Vec<&Problem>> = BTreeMap::new();
    for problem in &view.problems {
        problems.entry(problem.at).or_default().push(problem);
    }
    let mut picture = Picture { body: String::new(), y: TOP, has_host: view.has_host };
    let mut states = view.states.iter().peekable();
    let mut state: Option<&'static str> = None;
    for (at, entry) in view.entries.iter().enumerate().take(MAX_ROWS) {
        let before = state;
        while let Some(next) = states.next_if(|state| state.at <= at) {
            state = Some(next.state.name());
        }
        let marks = problems.get(&at).map(Vec::as_slice).unwrap_or_default();
        picture.state(state, state != before, ROW + NOTE * marks.len());
        picture.entry(entry);
        for problem in marks {
            picture.problem(problem);
        }
    }
    let left = view.entries.len().saturating_sub(MAX_ROWS);
    if left > 0 {
        picture.line(format_args!(
            "<text x=\"24\" y=\"{}\">{left} further entries are not shown.</text>",
            picture.y + 18
        ));
        picture.y += ROW;
    }
    picture.finish(view)
}

/// The picture so far.
struct Picture {
    body: String,
    /// Top of the next row.
    y: usize,
    has_host: bool,
}

impl Picture {
    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // Writing to a string does not fail.
        let _ = writeln!(self.body, "{line}");
    }

    fn place(&self, lane: Lane) -> usize {
        match (lane, self.has_host) {
            (Lane::Host, _) => 240,
            (Lane::Gateway, true) => 480,
            (Lane::Gateway, false) => 240,
            (Lane::Connector, _) => WIDTH - 60,
        }
    }

    /// Draws the band of the state, with its name where it begins.
    fn state(&mut self, state: Option<&str>, begins: bool, height: usize) {
        let Some(state) = state else { return };
        let y = self.y;
        self.line(format_args!(
            "<rect class=\"{state}\" x=\"{BAND}\" y=\"{y}\" width=\"6\" height=\"{height}\"/>"
        ));
        if begins {
            self.line(format_args!("<text x=\"{}\" y=\"{}\" class=\"b\">{state}</text>", BAND + 14, y + 20));
        }
    }

    fn entry(&mut self, entry: &ViewEntry) {
        let (from, to) = (self.place(entry.from), self.place(entry.to));
        let y = self.y;
        self.y += ROW;
        let (seconds, ms) = (entry.t / 1000, entry.t % 1000);
        self.line(format_args!("<text x=\"24\" y=\"{}\" class=\"t\">{seconds}.{ms:03}</text>", y + 20));
        let op = entry.op.as_deref().map(|op| format!(" {op}")).unwrap_or_default();
        let name = format!("{}{op}", entry.name);
        let (left, right) = (from.min(to), from.max(to));
        // Only one arrow is in a row, so its label may go on to the connector.
        let room = (self.place(Lane::Connector) - left) / CHARACTERS;
        let gist = one_line(&entry.gist, room.saturating_sub(name.chars().count() + 4));
        let label = format!("<tspan class=\"b\">{}</tspan> {}", escaped(&name), escaped(&gist));
        if from == to {
            self.line(format_args!(
                "<circle class=\"point\" cx=\"{from}\" cy=\"{}\" r=\"4\"/><text x=\"{}\" y=\"{}\" class=\"t\">{label}</text>",
                y + 16,
                from + 12,
                y + 20
            ));
            return;
        }
        let class = match (entry.from, entry.to) {
            (Lane::Host, _) | (_, Lane::Host) => "host",
            (Lane::Gateway, _) => "up",
            (Lane::Connector, _) => "down",
        };
        let dashes = if ANSWERS.contains(&entry.name.as_str()) { " d" } else { "" };
        let line = y + 26;
        let (tip, base) = if to > from { (to - 2, to - 11) } else { (to + 2, to + 11) };
        let head = match entry.kind {
            // The connection ends: a cross instead of a head.
            EntryKind::Close | EntryKind::Cut | EntryKind::Reject => {
                format!(
                    "<path class=\"a {class}\" d=\"M{base} {0}L{tip} {1}M{tip} {0}L{base} {1}\"/>",
                    line - 5,
                    line + 5
                )
            }
            _ => format!("<path class=\"{class}\" d=\"M{tip} {line}L{base} {}V{}Z\"/>", line - 4, line + 4),
        };
        self.line(format_args!(
            "<path class=\"a {class}{dashes}\" d=\"M{left} {line}H{right}\"/>{head}<text x=\"{}\" y=\"{}\">{label}</text>",
            left + 12,
            y + 20
        ));
    }

    fn problem(&mut self, problem: &Problem) {
        let kind = problem.kind;
        let (class, sign) = match kind.severity() {
            Severity::Error => ("error", "◆"),
            Severity::Warning => ("warning", "▲"),
            Severity::Note => ("note", "●"),
        };
        let x = self.place(if self.has_host { Lane::Host } else { Lane::Gateway }) + 12;
        let width = WIDTH - 24 - x;
        let y = self.y;
        self.y += NOTE;
        let detail = one_line(&problem.detail, 70);
        let (first, second) = two_lines(kind.words(), (width - 28) * 10 / 64);
        self.line(format_args!(
            "<rect class=\"box {class}\" x=\"{x}\" y=\"{0}\" width=\"{width}\" height=\"58\" rx=\"6\"/>\
             <rect class=\"{class}\" x=\"{x}\" y=\"{0}\" width=\"4\" height=\"58\"/>\
             <text x=\"{1}\" y=\"{2}\"><tspan class=\"{class} b\">{sign} {3} ({4})</tspan> {5}</text>\
             <text class=\"s\" x=\"{1}\" y=\"{6}\">{7}</text><text class=\"s\" x=\"{1}\" y=\"{8}\">{9}</text>",
            y + 4,
            x + 14,
            y + 20,
            kind.title(),
            kind.rule(),
            escaped(&detail),
            y + 37,
            escaped(first),
            y + 53,
            escaped(second),
        ));
    }

    fn finish(self, view: &SessionView) -> String {
        let height = self.y + 20;
        let title = [view.name.as_str(), view.title.as_str()].join(" · ");
        let title = escaped(&one_line(title.trim_end_matches(" · "), 140));
        let mut picture = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
             role=\"img\"><title>{title}</title><style>{STYLE}</style><rect class=\"bg\" width=\"{WIDTH}\" height=\"{height}\"/>\
             <text x=\"24\" y=\"30\" class=\"b\">{title}</text>\n",
        );
        for (name, lane) in [("host", Lane::Host), ("gateway", Lane::Gateway), ("connector", Lane::Connector)]
        {
            if lane == Lane::Host && !self.has_host {
                continue;
            }
            let x = self.place(lane);
            let _ = writeln!(
                picture,
                "<path class=\"l\" d=\"M{x} {}V{}\"/><text x=\"{x}\" y=\"62\" class=\"b\" text-anchor=\"middle\">{name}</text>",
                TOP - 14,
                height - 12
            );
        }
        picture.push_str(&self.body);
        picture.push_str("</svg>\n");
        picture
    }
}

/// Divides a text at a space, so that the first line has at most `most` characters. The second has the rest.
fn two_lines(text: &str, most: usize) -> (&str, &str) {
    if text.chars().count() <= most {
        return (text, "");
    }
    let ends = text.char_indices().take(most + 1).filter(|(_, c)| *c == ' ').map(|(at, _)| at);
    ends.last().map_or((text, ""), |end| (&text[..end], text[end..].trim_start()))
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
