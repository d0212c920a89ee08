//! Cutting a long text into messages (O-11).

use crate::descriptor::{Descriptor, LenUnit};

/// The least limit that [`split`] works with; a lower one counts as this.
pub const LEAST_LIMIT: usize = 32;

/// What a platform makes of a long text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Room {
    /// The longest message, in `unit`; under [`LEAST_LIMIT`] counts as that.
    pub limit: usize,
    /// What lengths are counted in (D-4).
    pub unit: LenUnit,
    /// Whether fenced code blocks mean anything there (D-5). If not, a fence is text like any other.
    pub code_blocks: bool,
}

impl From<&Descriptor> for Room {
    fn from(descriptor: &Descriptor) -> Room {
        Room {
            limit: usize::try_from(descriptor.max_message_length).unwrap_or(usize::MAX),
            unit: descriptor.len_unit,
            code_blocks: descriptor.code_blocks(),
        }
    }
}

/// Cuts `text` into parts that fit (O-11): at a newline, else at a space, else between two scalar values. The white
/// space at a cut goes, but for the indentation of code. A code block that a cut goes through is closed and opened
/// again, with its info string when that is at most a quarter of the limit. Of several parts each ends with its
/// number: ` (1/3)`.
///
/// A text within the limit comes back as it is, as one part. Too long a text of nothing but white space has no parts.
pub fn split(text: &str, room: Room) -> Vec<String> {
    let room = Room { limit: room.limit.max(LEAST_LIMIT), ..room };
    if fits(text, room) {
        return vec![text.to_owned()];
    }
    let pieces = pieces(text, room);
    let count = pieces.len();
    pieces.iter().enumerate().map(|(at, piece)| piece.numbered(at + 1, count)).collect()
}

/// A code block that is open where a text was cut, kept for when the text goes on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Block {
    marker: String,
    info: String,
}

impl Block {
    fn of(fence: Fence<'_>) -> Block {
        Block { marker: fence.marker.to_owned(), info: fence.info.to_owned() }
    }

    fn fence(&self) -> Fence<'_> {
        Fence { marker: &self.marker, info: &self.info }
    }
}

/// The first message that a text makes.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct First {
    /// The message, without a number; empty where there is nothing but white space.
    pub(crate) content: String,
    /// Where the next one begins in the text: its length where all of it fits.
    pub(crate) next: usize,
    /// The block that is open there.
    pub(crate) block: Option<Block>,
}

/// The first message of a text that begins inside `block`, cut as [`split`] cuts. A block that is open at its end is
/// closed, whether or not the text goes on: so each state of a growing text is a message that can stay.
pub(crate) fn first(text: &str, block: Option<&Block>, room: Room) -> First {
    let room = Room { limit: room.limit.max(LEAST_LIMIT), ..room };
    if text.is_empty() {
        return First { content: String::new(), next: 0, block: block.cloned() };
    }
    let (piece, next, fence) = first_piece(text, block.map(Block::fence), room, 0);
    let content = if piece.body.trim().is_empty() { String::new() } else { piece.text() };
    First { content, next, block: fence.map(Block::of) }
}

/// How much of a text is not to be seen at the beginning of a further message, and the block that is open behind it:
/// white space, and the end of a block that the last message has closed already.
pub(crate) fn resume(text: &str, block: Option<&Block>, room: Room) -> (usize, Option<Block>) {
    let blank = |text: &str| text.len() - text.trim_start_matches([' ', '\n']).len();
    let Some(block) = block else { return (blank(text), None) };
    // The block is opened again with a newline of its own.
    let from = usize::from(text.starts_with('\n'));
    let line = text[from..].split('\n').next().unwrap_or("");
    if turn(line, Some(block.fence()), room.limit.max(LEAST_LIMIT)) == Some(None) {
        let end = from + line.len();
        (end + blank(&text[end..]), None)
    } else {
        (from, Some(block.clone()))
    }
}

/// As much of a growing text as can be shown: neither a last line that may yet become a fence, nor a block in which
/// there is nothing so far.
pub(crate) fn settled<'t>(text: &'t str, block: Option<&Block>, room: Room) -> &'t str {
    if !room.code_blocks {
        return text;
    }
    let mut inside = block.map(Block::fence);
    let (mut at, mut hold) = (0, None);
    for line in text.split_inclusive('\n') {
        let bare = line.trim_end_matches('\n');
        match turn(bare, inside, room.limit.max(LEAST_LIMIT)) {
            Some(turned) => {
                inside = turned;
                hold = turned.map(|_| at);
            }
            None if bare.trim().is_empty() => {}
            None => hold = None,
        }
        if bare.len() == line.len() && may_be_fence(line) {
            hold = hold.or(Some(at));
        }
        at += line.len();
    }
    &text[..hold.unwrap_or(at)]
}

/// Whether more text could make a fence of an unfinished line, or another fence.
fn may_be_fence(line: &str) -> bool {
    let bare = line.trim_start_matches(' ');
    let info = bare.trim_start_matches('`');
    let ticks = bare.len() - info.len();
    line.len() - bare.len() <= 3 && if ticks < 3 { ticks > 0 && info.is_empty() } else { !info.contains('`') }
}

/// The pieces of too long a text. Their numbers take room, and how much depends on how many there are: it widens
/// until they agree.
fn pieces(text: &str, room: Room) -> Vec<Piece<'_>> {
    let mut digits = 1;
    loop {
        let pieces = cut(text, room, " (/)".len() + 2 * digits);
        let needed = pieces.len().to_string().len();
        if needed <= digits {
            return pieces;
        }
        digits = needed;
    }
}

/// Whether a text is within the limit; a huge one is not counted to its end.
fn fits(text: &str, room: Room) -> bool {
    let mut length = 0;
    text.chars().all(|c| {
        length += room.unit.of(c);
        length <= room.limit
    })
}

/// A code block's beginning: three backticks or more, and what stands behind them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Fence<'t> {
    marker: &'t str,
    info: &'t str,
}

/// One part, before it is numbered.
#[derive(PartialEq, Eq, Debug)]
struct Piece<'t> {
    /// The fence that is opened again.
    open: Option<Fence<'t>>,
    body: &'t str,
    /// The marker that closes what the cut left open.
    close: Option<&'t str>,
}

impl Piece<'_> {
    fn numbered(&self, number: usize, count: usize) -> String {
        format!("{} ({number}/{count})", self.text())
    }

    fn text(&self) -> String {
        let open = self.open.map(|Fence { marker, info }| format!("{marker}{info}\n")).unwrap_or_default();
        // A line that has ended needs no further end.
        let gap = if self.body.ends_with('\n') { "" } else { "\n" };
        let close = self.close.map(|marker| format!("{gap}{marker}")).unwrap_or_default();
        format!("{open}{}{close}", self.body)
    }
}

/// A place to cut: where the body ends, where the next begins, and in which block that is.
#[derive(Clone, Copy)]
struct Cut<'t> {
    end: usize,
    next: usize,
    fence: Option<Fence<'t>>,
}

/// The pieces of `text`, each with room for a number of `number` units.
fn cut(text: &str, room: Room, number: usize) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    let mut fence: Option<Fence<'_>> = None;
    while !rest.is_empty() {
        let (piece, next, inside) = first_piece(rest, fence, room, number);
        if !piece.body.is_empty() || piece.open.is_some() {
            pieces.push(piece);
        }
        rest = &rest[next..];
        fence = inside;
    }
    pieces
}

/// The first piece of `rest`, which begins inside `fence`; where the next one begins, and inside which block.
fn first_piece<'t>(
    rest: &'t str,
    fence: Option<Fence<'t>>,
    room: Room,
    number: usize,
) -> (Piece<'t>, usize, Option<Fence<'t>>) {
    let budget = room.limit - number;
    // A block is opened again without its info string where that would leave no room for the code.
    let open = fence.map(|fence| {
        let info = room.unit.len(fence.info);
        let left = budget.saturating_sub(info + 2 * (room.unit.len(fence.marker) + 1));
        if info <= room.limit / 4 && left >= 4 { fence } else { Fence { info: "", ..fence } }
    });
    let cost = open.map_or(0, |fence| room.unit.len(fence.marker) + room.unit.len(fence.info) + 1);
    let Cut { end, next, fence: inside } = next_cut(rest, fence, budget - cost, room);
    let (mut body, mut after) = (&rest[..end], &rest[next..]);
    if inside.is_none() {
        body = body.trim_end_matches([' ', '\n']);
        after = after.trim_start_matches([' ', '\n']);
    }
    let mut close = inside.map(|fence| fence.marker);
    let mut fence = inside;
    // Where the block's own end is next, it takes the place of the one that would be inserted.
    if let Some(open_fence) = inside {
        let line = first_line(after, room.unit.len(open_fence.marker));
        let is_close = turn(line, inside, room.limit) == Some(None);
        if &rest[end..next] == "\n" && is_close && room.unit.len(line) <= room.unit.len(open_fence.marker) {
            let taken = next + line.len();
            body = &rest[..taken];
            after = rest[taken..].trim_start_matches([' ', '\n']);
            (close, fence) = (None, None);
        }
    }
    (Piece { open, body, close }, rest.len() - after.len(), fence)
}

/// Where the first piece of `text` ends, which begins inside `fence`. The body and what closes it are at most
/// `budget`.
fn next_cut<'t>(text: &'t str, fence: Option<Fence<'t>>, budget: usize, room: Room) -> Cut<'t> {
    let fits = |used: usize, fence: Option<Fence<'_>>| {
        used + fence.map_or(0, |fence| 1 + room.unit.len(fence.marker)) <= budget
    };
    // The best places so far, and one that would make a fence of what is none, or the other way round.
    let (mut newline, mut space, mut any, mut odd) = (None, None, None, None);
    let mut inside = fence;
    let (mut used, mut at) = (0, 0);
    loop {
        let line = first_line(&text[at..], budget);
        let length = line.len();
        let turned = if room.code_blocks { turn(line, inside, room.limit) } else { None };
        match turned.filter(|turned| fits(used + room.unit.len(line), *turned)) {
            // A fence that fits is not cut.
            Some(turned) => {
                used += room.unit.len(line);
                inside = turned;
            }
            None => {
                let start = Start::of(line, room);
                for (offset, c) in line.char_indices() {
                    let left = start.at(offset, inside);
                    let here = Cut { end: at + offset, next: at + offset, fence: left };
                    if fits(used, left) && here.end > 0 {
                        if left != inside {
                            odd = Some(here);
                        } else if c == ' ' {
                            space = Some(Cut { next: here.end + 1, ..here });
                        } else {
                            any = Some(here);
                        }
                    }
                    used += room.unit.of(c);
                    if used > budget {
                        break;
                    }
                }
                // Whether it went over the budget, or is a fence that only fits without what closes it.
                if used > budget || turned.is_some() {
                    break;
                }
            }
        }
        if !fits(used, inside) {
            break;
        }
        at += length;
        if at == text.len() {
            return Cut { end: at, next: at, fence: inside };
        }
        // Behind an opening fence a cut would leave an empty block.
        let opened = turned.is_some_and(|turned| turned.is_some());
        let here = Cut { end: at, next: at + 1, fence: inside };
        if opened {
            odd = Some(here);
        } else if at > 0 {
            newline = Some(here);
        }
        used += room.unit.of('\n');
        at += 1;
    }
    // The white space that ends a part costs nothing, so it may stand at the very edge.
    newline.or(space).or(any).or(odd).unwrap_or_else(|| {
        let end = text.chars().next().map_or(0, char::len_utf8);
        Cut { end, next: end, fence: inside }
    })
}

/// The line that `text` begins with. Of one that is over `enough` units long, what is enough to see that: so nobody
/// looks through all of a text without newlines for the end of its line, part after part.
fn first_line(text: &str, enough: usize) -> &str {
    // A scalar value has at most four bytes, and at least one unit.
    let end = text.floor_char_boundary(enough.saturating_add(2).saturating_mul(4));
    text[..end].split('\n').next().unwrap_or("")
}

/// What a line makes of the block that it stands in: `Some` of the new state when it is a fence, `None` when it is
/// text. A run of more backticks than an eighth of the limit is text: it could not be opened again.
fn turn<'t>(line: &'t str, inside: Option<Fence<'t>>, limit: usize) -> Option<Option<Fence<'t>>> {
    let bare = line.trim_start_matches(' ');
    if line.len() - bare.len() > 3 || !bare.starts_with("```") {
        return None;
    }
    let info = bare.trim_start_matches('`');
    let marker = &bare[..bare.len() - info.len()];
    if marker.len() > longest_marker(limit) {
        return None;
    }
    match inside {
        // A block ends at its marker or a longer one, with nothing behind it.
        Some(fence) => {
            let ends = marker.len() >= fence.marker.len() && info.trim_end_matches([' ', '\r']).is_empty();
            ends.then_some(None)
        }
        None => (!info.contains('`')).then_some(Some(Fence { marker, info })),
    }
}

/// How a line begins: what its first part would be, if it were cut.
struct Start<'t> {
    /// Its run of backticks; empty when it can be no fence.
    marker: &'t str,
    /// Where that begins.
    from: usize,
    /// Where the first backtick behind it is.
    tick: usize,
    /// Where the first thing behind it is that is no space, nor a carriage return: those may stand behind an end.
    word: usize,
    limit: usize,
}

impl<'t> Start<'t> {
    fn of(line: &'t str, room: Room) -> Start<'t> {
        let bare = line.trim_start_matches(' ');
        let from = line.len() - bare.len();
        let info = bare.trim_start_matches('`');
        let length = if room.code_blocks && from <= 3 { bare.len() - info.len() } else { 0 };
        let behind = from + length;
        Start {
            marker: &bare[..length],
            from,
            tick: info.find('`').map_or(usize::MAX, |at| behind + at),
            word: info.find(|c| !matches!(c, ' ' | '\r')).map_or(usize::MAX, |at| behind + at),
            limit: room.limit,
        }
    }

    /// The block that is open behind the line's first `end` bytes, when `inside` was open before it.
    fn at(&self, end: usize, inside: Option<Fence<'t>>) -> Option<Fence<'t>> {
        let length = self.marker.len().min(end.saturating_sub(self.from));
        if length < 3 || length > longest_marker(self.limit) {
            return inside;
        }
        match inside {
            None if end <= self.tick => Some(Fence { marker: &self.marker[..length], info: "" }),
            Some(fence) if length >= fence.marker.len() && end <= self.word => None,
            None | Some(_) => inside,
        }
    }
}

/// The longest run of backticks that is a fence: a longer one could not be opened again.
fn longest_marker(limit: usize) -> usize {
    4.max(limit / 8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use LenUnit::{Chars, Utf16};
    use proptest::prelude::*;

    fn room(limit: usize, unit: LenUnit) -> Room {
        Room { limit, unit, code_blocks: true }
    }

    #[track_caller]
    fn check(text: &str, room: Room, expected: &[&str]) {
        assert_eq!(split(text, room), expected, "{text:?}");
    }

    #[test]
    fn o_11_where_a_text_is_cut() {
        check("", room(32, Chars), &[""]);
        check("as it is\n ", room(32, Chars), &["as it is\n "]);
        // 26 are left beside the number.
        check(&"a".repeat(33), room(32, Chars), &["aaaaaaaaaaaaaaaaaaaaaaaaaa (1/2)", "aaaaaaa (2/2)"]);
        check(
            "the first line\nthe second line here",
            room(32, Chars),
            &["the first line (1/2)", "the second line here (2/2)"],
        );
        check(
            "no newline in here but some spaces",
            room(32, Chars),
            &["no newline in here but (1/2)", "some spaces (2/2)"],
        );
        check(&"😀".repeat(17), room(32, Utf16), &["😀😀😀😀😀😀😀😀😀😀😀😀😀 (1/2)", "😀😀😀😀 (2/2)"]);
        check(&"😀".repeat(32), room(32, Chars), &["😀".repeat(32).as_str()]);
        check(&" ".repeat(40), room(32, Chars), &[]);
    }

    #[test]
    fn o_11_a_code_block_is_closed_and_opened_again() {
        check(
            "look:\n```rust\nfn one() {}\n    two();\n    three();\n```\ndone",
            room(40, Chars),
            &[
                "look:\n```rust\nfn one() {}\n``` (1/3)",
                "```rust\n    two();\n``` (2/3)",
                "```rust\n    three();\n```\ndone (3/3)",
            ],
        );
        // An info string of over a quarter of the limit is not said again.
        check(
            "```a-long-info-string\naaaaaaaaaaaa\nbbbbbbbbbbbbb\n```",
            room(44, Chars),
            &["```a-long-info-string\naaaaaaaaaaaa\n``` (1/2)", "```\nbbbbbbbbbbbbb\n``` (2/2)"],
        );
        // A block that the text itself leaves open is closed in the last part, too.
        check(
            "```\naaaaaaaaaaaaaaaaaaaa\nbbbbbbbbbbbbb",
            room(32, Chars),
            &["```\naaaaaaaaaaaaaaaaaa\n``` (1/2)", "```\naa\nbbbbbbbbbbbbb\n``` (2/2)"],
        );
        // Backticks within a line are no fence, nor is a fence that is indented like code.
        check(
            "``` a ` b\n    ```\naaaaaaaaaaaaaaaaaaaaaaaa",
            room(32, Chars),
            &["``` a ` b\n    ``` (1/2)", "aaaaaaaaaaaaaaaaaaaaaaaa (2/2)"],
        );
    }

    #[test]
    fn o_11_no_cut_makes_a_block_end_where_it_does_not() {
        // Behind an end there may be carriage returns, but nothing else.
        let text = format!("```\nab\n```{}c\n```\nso", "\r".repeat(40));
        for part in split(&text, room(32, Chars)) {
            let (whole, _) = part.rsplit_once(" (").unwrap();
            assert_eq!(open_at_end(whole, 32), None, "{whole:?}");
        }
    }

    #[test]
    fn o_11_without_code_blocks_a_fence_is_text() {
        let plain = Room { code_blocks: false, ..room(32, Chars) };
        check(
            "```\naaaaaaaaaaaaaaaaaaaaaaa\nbbbbbbbbbbbbbbb\n```",
            plain,
            &["``` (1/3)", "aaaaaaaaaaaaaaaaaaaaaaa (2/3)", "bbbbbbbbbbbbbbb\n``` (3/3)"],
        );
    }

    fn block(marker: &str, info: &str) -> Option<Block> {
        Some(Block { marker: marker.into(), info: info.into() })
    }

    #[test]
    fn o_11_the_first_message_of_a_text_that_goes_on() {
        let rust = block("```", "rust");
        for (text, open, content, next, left) in [
            ("", None, "", 0, None),
            ("", rust.clone(), "", 0, rust.clone()),
            (" \n", None, "", 2, None),
            ("all of it ", None, "all of it", 10, None),
            // Without a number there is room for the whole limit.
            (&"a".repeat(33), None, &"a".repeat(32), 32, None),
            ("the first line\nthe second line here", None, "the first line", 15, None),
            ("```rust\nfn a()\n", None, "```rust\nfn a()\n```", 15, rust.clone()),
            ("two();\n```\nso", rust.clone(), "```rust\ntwo();\n```\nso", 13, None),
            ("two();\nthree(); four()", rust.clone(), "```rust\ntwo();\n```", 7, rust.clone()),
        ] {
            let expected = First { content: content.into(), next, block: left };
            assert_eq!(first(text, open.as_ref(), room(32, Chars)), expected, "{text:?}");
        }
    }

    #[test]
    fn o_11_what_a_further_message_does_not_begin_with() {
        let open = block("```", "");
        for (text, inside, skip, left) in [
            (" \n  so", None, 4, None),
            ("", open.clone(), 0, open.clone()),
            ("\n    x", open.clone(), 1, open.clone()),
            ("```\n so", open.clone(), 5, None),
            ("\n````\n so", open.clone(), 7, None),
            ("``` so", open.clone(), 0, open.clone()),
        ] {
            assert_eq!(resume(text, inside.as_ref(), room(32, Chars)), (skip, left), "{text:?}");
        }
    }

    #[test]
    fn o_11_how_much_of_a_growing_text_can_be_shown() {
        let open = block("```", "");
        for (text, inside, shown) in [
            ("so `x`", None, "so `x`"),
            ("so\n`", None, "so\n"),
            ("so\n`x", None, "so\n`x"),
            ("so\n  ```ru", None, "so\n"),
            ("so\n```ru\n\n", None, "so\n"),
            ("so\n```ru\n\nx", None, "so\n```ru\n\nx"),
            ("so\n```a``", None, "so\n```a``"),
            ("x\n``", open.clone(), "x\n"),
            ("x\n```\n", open.clone(), "x\n```\n"),
        ] {
            assert_eq!(settled(text, inside.as_ref(), room(32, Chars)), shown, "{text:?}");
            let plain = Room { code_blocks: false, ..room(32, Chars) };
            assert_eq!(settled(text, inside.as_ref(), plain), text);
        }
    }

    /// What is left of a text when white space does not count.
    fn squeezed(text: &str) -> String {
        text.chars().filter(|c| !matches!(c, ' ' | '\n')).collect()
    }

    /// The block that is open at the end of a text, as a reader of the platform sees it.
    fn open_at_end(text: &str, limit: usize) -> Option<Fence<'_>> {
        let mut inside = None;
        for line in text.split('\n') {
            inside = turn(line, inside, limit).unwrap_or(inside);
        }
        inside
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

        #[test]
        fn o_11_no_part_is_over_the_limit_and_nothing_is_lost(
            text in "([a-z \n\r]|\n```|```rust\n|\n```\n|😀|é|\u{301}|\u{200d}|א|    x|````|`````````){0,300}",
            limit in 32usize..90,
            utf16 in any::<bool>(),
            code_blocks in any::<bool>(),
        ) {
            let unit = if utf16 { Utf16 } else { Chars };
            let room = Room { limit, unit, code_blocks };
            let parts = split(&text, room);
            for part in &parts {
                prop_assert!(unit.len(part) <= limit, "{} {part:?}", unit.len(part));
            }
            if parts.len() > 1 {
                let pieces = pieces(&text, room);
                prop_assert_eq!(pieces.len(), parts.len());
                let bodies: String = pieces.iter().map(|piece| piece.body).collect();
                prop_assert_eq!(squeezed(&bodies), squeezed(&text));
                for (piece, part) in pieces.iter().zip(&parts) {
                    let whole = part.rsplit_once(" (").unwrap().0;
                    if code_blocks {
                        prop_assert!(piece.close.is_none() || piece.open.is_some() || piece.body.contains("```"));
                        prop_assert_eq!(open_at_end(whole, limit), None, "{:?}", whole);
                    }
                }
            }
        }
    }
}
