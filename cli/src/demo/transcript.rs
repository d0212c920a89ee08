//! Printer of a conversation.

use relayline_connector::chats::Room;
use relayline_core::descriptor::LenUnit;
use std::io::Write;
use std::time::{Duration, Instant};

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
    /// Message on the last line, if more of it can follow there.
    growing: Option<GrowingLine>,
}

/// Message on a line that has not ended.
#[derive(Debug)]
struct GrowingLine {
    chat_id: &'static str,
    text: String,
    /// Time of its latest growth.
    since: Instant,
}

/// Time without growth after which a line ends, so that a person can type on the next one.
const LINE_END: Duration = Duration::from_millis(700);

impl Transcript {
    pub(super) fn new() -> Self {
        Transcript { heading: String::new(), growing: None }
    }

    /// Prints a remark of the demo.
    pub(super) fn remark(&mut self, text: &str) {
        self.end_line();
        if !self.heading.is_empty() {
            self.heading.clear();
            print("");
        }
        print(&format!("{DIM}-- {text}{PLAIN}"));
    }

    /// Prints an event in the room that is shown last, if there is one.
    pub(super) fn aside(&mut self, text: &str) {
        self.end_line();
        let indent = if self.heading.is_empty() { "" } else { "  " };
        print(&format!("{DIM}{indent}-- {text}{PLAIN}"));
    }

    /// Prints a message in a room.
    pub(super) fn said(&mut self, room: &Room, who: &str, text: &str) {
        self.end_line();
        self.print_heading(room);
        let unit = if room.platform == "telegram" { LenUnit::Utf16 } else { LenUnit::Chars };
        print(&format!("  {who:<5} {}", shortened(text, unit)));
    }

    /// Prints the next state of a message in a room, `how` it is shown included. If it continues the last line, only the rest
    /// is printed.
    pub(super) fn grew(&mut self, room: &Room, who: &str, text: &str, how: &str) {
        let flat = |text: &str| text.replace('\n', " ⏎ ");
        if let Some(GrowingLine { chat_id, text: shown, since }) = &mut self.growing
            && *chat_id == room.chat_id
            && let Some(rest) = text.strip_prefix(shown.as_str())
        {
            print_part(&flat(rest));
            (*shown, *since) = (text.to_owned(), Instant::now());
            return;
        }
        self.end_line();
        self.print_heading(room);
        let how = if how.is_empty() { String::new() } else { format!("({how})  ") };
        print_part(&format!("  {who:<5} {how}{}", flat(text)));
        self.growing =
            Some(GrowingLine { chat_id: room.chat_id, text: text.to_owned(), since: Instant::now() });
    }

    /// Ends a line that has not grown for some time.
    pub(super) fn end_idle_line(&mut self) {
        if self.growing.as_ref().is_some_and(|line| line.since.elapsed() >= LINE_END) {
            self.end_line();
        }
    }

    fn end_line(&mut self) {
        if self.growing.take().is_some() {
            print("");
        }
    }

    fn print_heading(&mut self, room: &Room) {
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
    print_part(&format!("{line}\n"));
}

fn print_part(text: &str) {
    let mut out = anstream::stdout().lock();
    let _ = write!(out, "{text}").and_then(|()| out.flush());
}
