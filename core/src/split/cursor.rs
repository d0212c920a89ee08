//! Position in one line, with its column. White space is counted in columns, and a tab reaches to the next multiple of
//! four.

/// Position in a line. If a tab is consumed in part, the column is inside the tab.
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

    /// Returns the number of bytes from the line's start.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Returns the rest of the line, including a tab that was consumed in part.
    pub(super) fn rest(&self) -> &'t str {
        &self.line[self.at..]
    }

    /// Returns the rest of the line without its leading white space.
    pub(super) fn text(&self) -> &'t str {
        self.rest().trim_start_matches([' ', '\t'])
    }

    pub(super) fn is_blank(&self) -> bool {
        self.text().is_empty()
    }

    /// Returns the columns of white space ahead.
    pub(super) fn indent(&self) -> usize {
        let white = self.rest().bytes().take_while(|b| matches!(b, b' ' | b'\t'));
        white.fold(self.column, step) - self.column
    }

    /// Consumes at most `columns` columns of white space.
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

    /// Consumes `bytes` bytes of one column each.
    pub(super) fn bump(&mut self, bytes: usize) {
        self.at += bytes;
        self.column += bytes;
    }
}

/// Returns the column after a white space.
fn step(column: usize, byte: u8) -> usize {
    if byte == b'\t' { column + 4 - column % 4 } else { column + 1 }
}
