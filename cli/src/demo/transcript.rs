//! Printer of a conversation.

use relayline_connector::chats::Room;
use relayline_core::descriptor::LenUnit;
use std::io::Write;

/// Maximum number of characters that are shown of a message.
const SHOWN: usize = 72;

const BOLD: &str = "\x1b[1m";
const DIM: &str = "\x1b[2m";
const PLAIN: &str = "\x1b[0m";

/// Printer of the conversation, line by line, with colors on a terminal only.
#[derive(Debug)]
pub(super) struct Transcript {
    /// Heading that was printed last.
    heading: String,
}

impl Transcript {
    pub(super) fn new() -> Self {
        Transcript { heading: String::new() }
    }

    /// Prints a remark of the demo.
    pub(super) fn remark(&mut self, text: &str) {
        if !self.heading.is_empty() {
            self.heading.clear();
            print("");
        }
        print(&format!("{DIM}-- {text}{PLAIN}"));
    }

    /// Prints an event in the room that is shown last, if there is one.
    pub(super) fn aside(&mut self, text: &str) {
        let indent = if self.heading.is_empty() { "" } else { "  " };
        print(&format!("{DIM}{indent}-- {text}{PLAIN}"));
    }

    /// Prints a message in a room.
    pub(super) fn said(&mut self, room: &Room, who: &str, text: &str) {
        let place = [room.chat_name, room.topic.filter(|_| room.thread_id.is_some())];
        let place: Vec<&str> = place.into_iter().flatten().collect();
        let place = if place.is_empty() { vec!["a direct message"] } else { place };
        let kind = if room.thread_id.is_some() && room.chat_type != "forum" { ", a thread" } else { "" };
        let heading = format!("{}: {}{kind}", room.platform, place.join(" / "));
        if heading != self.heading {
            print("");
            print(&format!("{BOLD}{heading}{PLAIN}"));
            self.heading = heading;
        }
        let unit = if room.platform == "telegram" { LenUnit::Utf16 } else { LenUnit::Chars };
        print(&format!("  {who:<5} {}", shortened(text, unit)));
    }
}

/// Returns a text on one line. A long text is shortened to its beginning, its end and its length.
fn shortened(text: &str, unit: LenUnit) -> String {
    let text = text.replace('\n', " ⏎ ");
    let count = text.chars().count();
    if count <= SHOWN + 20 {
        return text;
    }
    let start: String = text.chars().take(SHOWN).collect();
    let end: String = text.chars().skip(count - 20).collect();
    let unit_name = match unit {
        LenUnit::Chars => "characters",
        LenUnit::Utf16 => "UTF-16 units",
    };
    format!("{start} […] {end}   [{} {unit_name}]", unit.len(&text.replace(" ⏎ ", "\n")))
}

/// Prints a line. A closed stdout does not stop the conversation.
fn print(line: &str) {
    let mut out = anstream::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}
