//! A place in one line, with its column: white space is counted in columns, and a tab reaches to the next stop of four.

/// A place in a line. A tab may be consumed in part: then the column is inside it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'t> {
    line: &'t str,
    at: usize,
    column: usize,
}

impl<'t> Cursor<'t> {
    pub(super) fn new(line: &'t str) -> Self {
        Cursor { line, at: 0, column: 0 }
    }

    /// Bytes from the line's start.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// The rest of the line; a tab that was consumed in part is in it.
    pub(super) fn rest(&self) -> &'t str {
        &self.line[self.at..]
    }

    /// The rest of the line without the white space before it.
    pub(super) fn text(&self) -> &'t str {
        self.rest().trim_start_matches([' ', '\t'])
    }

    pub(super) fn is_blank(&self) -> bool {
        self.text().is_empty()
    }

    /// Columns of white space ahead.
    pub(super) fn indent(&self) -> usize {
        let white = self.rest().bytes().take_while(|b| matches!(b, b' ' | b'\t'));
        white.fold(self.column, step) - self.column
    }

    /// Consumes white space, `columns` at most.
    pub(super) fn skip(&mut self, columns: usize) {
        let to = self.column + columns;
        while self.column < to {
            match self.line.as_bytes().get(self.at) {
                Some(b @ (b' ' | b'\t')) => {
                    let end = step(self.column, *b);
                    if end > to {
                        self.column = to;
                        return;
                    }
                    self.column = end;
                    self.at += 1;
                }
                Some(_) | None => return,
            }
        }
    }

    /// Consumes `bytes` of one column each.
    pub(super) fn bump(&mut self, bytes: usize) {
        self.at += bytes;
        self.column += bytes;
    }
}

/// The column after a white space.
fn step(column: usize, byte: u8) -> usize {
    if byte == b'\t' { column + 4 - column % 4 } else { column + 1 }
}
