//! Splits a byte stream into lines.

use memchr::memchr;

/// Result of [`LineSplitter::next`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Line<'a> {
    /// A complete line without its newline.
    Whole(&'a [u8]),
    /// A line longer than the limit. Its bytes up to the newline are discarded. Reported once for each line, as soon
    /// as the limit is exceeded. Until the next call, [`LineSplitter::take_head`] returns the beginning of the line.
    TooLong,
}

/// Maximum number of bytes that are kept of an unusable line for diagnostics.
pub const HEAD_BYTES: usize = 64 << 10;

/// Splitter of a byte stream into lines at `\n`. It stores at most one unterminated line of at most `max` bytes.
#[derive(Debug)]
pub struct LineSplitter {
    tail: Vec<u8>,
    /// Beginning of the line that the last call found to be too long.
    head: Vec<u8>,
    max: usize,
    /// The last call returned the tail as a line, so the next call clears it.
    spent: bool,
    discarding: bool,
}

impl LineSplitter {
    /// Creates a splitter for lines of at most `max` bytes, without the newline.
    pub fn new(max: usize) -> Self {
        LineSplitter { tail: Vec::new(), head: Vec::new(), max, spent: false, discarding: false }
    }

    /// Returns the next line that `input` completes, and advances `input` past the consumed bytes. Returns `None`
    /// once all of `input` is consumed.
    pub fn next<'s, 'i: 's>(&'s mut self, input: &mut &'i [u8]) -> Option<Line<'s>> {
        if self.spent {
            self.tail.clear();
            self.spent = false;
        }
        self.head = Vec::new();
        if self.discarding {
            let Some(end) = memchr(b'\n', input) else {
                *input = &[];
                return None;
            };
            *input = &input[end + 1..];
            self.discarding = false;
        }
        if input.is_empty() {
            return None;
        }
        let room = self.max - self.tail.len();
        // One byte beyond the room decides: it is the newline, or the line is too long.
        let window = &input[..input.len().min(room.saturating_add(1))];
        match memchr(b'\n', window) {
            Some(end) => {
                let head = &input[..end];
                *input = &input[end + 1..];
                if self.tail.is_empty() {
                    return Some(Line::Whole(head));
                }
                self.tail.extend_from_slice(head);
                self.spent = true;
                Some(Line::Whole(&self.tail))
            }
            None if window.len() > room => {
                *input = &input[window.len()..];
                // Release the memory: one hostile line must not occupy its size for ever.
                self.head = std::mem::take(&mut self.tail);
                let missing = HEAD_BYTES.saturating_sub(self.head.len()).min(window.len());
                self.head.extend_from_slice(&window[..missing]);
                self.head.truncate(HEAD_BYTES);
                self.head.shrink_to_fit();
                self.discarding = true;
                Some(Line::TooLong)
            }
            None => {
                self.tail.extend_from_slice(window);
                *input = &[];
                None
            }
        }
    }

    /// Takes the beginning of the line that the last call of [`next`](Self::next) found to be too long: at most
    /// [`HEAD_BYTES`]. The next call discards it.
    pub fn take_head(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.head)
    }

    /// Discards the unterminated line, since the connection has ended.
    pub fn reset(&mut self) {
        self.tail.clear();
        self.head = Vec::new();
        self.spent = false;
        self.discarding = false;
    }

    /// Returns the number of bytes of the unterminated line.
    pub fn pending_bytes(&self) -> usize {
        self.head.len() + if self.spent { 0 } else { self.tail.len() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lines(max: usize, pieces: &[&[u8]]) -> Vec<Option<Vec<u8>>> {
        let mut splitter = LineSplitter::new(max);
        let mut found = Vec::new();
        for piece in pieces {
            let mut input = *piece;
            while let Some(line) = splitter.next(&mut input) {
                found.push(match line {
                    Line::Whole(line) => Some(line.to_vec()),
                    Line::TooLong => None,
                });
            }
            assert!(splitter.pending_bytes() <= max + 1);
        }
        found
    }

    #[test]
    fn w_5_a_line_over_the_limit_is_discarded_up_to_its_newline() {
        let some = |text: &str| Some(text.as_bytes().to_vec());
        assert_eq!(lines(4, &[b"1234\n12345\nab\n"]), [some("1234"), None, some("ab")]);
        // Reported once, however many pieces the line arrives in, and before its newline arrives.
        assert_eq!(lines(4, &[b"123", b"45", b"67890", b"1\nab\n"]), [None, some("ab")]);
        assert_eq!(lines(4, &[b"12345"]), [None]);
        assert_eq!(lines(4, &[b"12345", b"\n", b"ok\n"]), [None, some("ok")]);
    }

    #[test]
    fn a_9_the_beginning_of_a_line_over_the_limit_can_be_taken() {
        for (max, pieces) in [
            (4, vec!["12345\n"]),
            (4, vec!["1", "2", "345", "678\n"]),
            (HEAD_BYTES + 9, vec!["x"; HEAD_BYTES + 11]),
        ] {
            let mut splitter = LineSplitter::new(max);
            let found =
                pieces.iter().find(|piece| splitter.next(&mut piece.as_bytes()) == Some(Line::TooLong));
            assert!(found.is_some());
            let whole = pieces.concat();
            assert_eq!(splitter.take_head(), whole.as_bytes()[..(max + 1).min(HEAD_BYTES)]);
            assert_eq!((splitter.pending_bytes(), splitter.take_head()), (0, Vec::new()));
        }
        // A caller that does not take it keeps nothing of it.
        let mut splitter = LineSplitter::new(4);
        assert_eq!(splitter.next(&mut b"12345".as_slice()), Some(Line::TooLong));
        assert_eq!(splitter.pending_bytes(), 5);
        assert_eq!(splitter.next(&mut b"".as_slice()), None);
        assert_eq!(splitter.pending_bytes(), 0);
    }

    #[test]
    fn w_2_an_unterminated_tail_waits_and_is_dropped_at_the_end() {
        let mut splitter = LineSplitter::new(100);
        assert_eq!(splitter.next(&mut b"tail".as_slice()), None);
        assert_eq!(splitter.pending_bytes(), 4);
        splitter.reset();
        assert_eq!(splitter.next(&mut b"x\n".as_slice()), Some(Line::Whole(b"x")));
    }

    proptest! {
        /// W-1: cuts in the stream mean nothing. W-5: the memory is bounded.
        #[test]
        fn w_1_the_cuts_of_the_stream_do_not_matter(text in "[ab\n]{0,64}", cuts in prop::collection::vec(0usize..64, 0..8), max in 1usize..8) {
            let bytes = text.as_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|c| c.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|w| &bytes[w[0]..w[1]]).collect();
            prop_assert_eq!(lines(max, &pieces), lines(max, &[bytes]));
        }
    }
}
