//! Distribution of lines over files, and gaps for lines that cannot be written. The store does the file operations.

use crate::recording::parts::{PART, STARTED};
use crate::recording::{GAP, Header, LineContent, RecordedLine};
use serde_json::{Map, json};
use std::io;

/// Destination of lines.
pub(super) trait Store {
    /// Starts the file of that number for the lines that follow. On failure they go to the file before.
    fn begin(&mut self, part: u32) -> io::Result<()>;
    /// Appends a line and its newline, or nothing.
    fn append(&mut self, line: &[u8]) -> io::Result<()>;
}

/// Summary of a recording.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Summary {
    /// Number of lines written, not counting headers and gaps.
    pub lines: u64,
    /// Number of lines lost.
    pub lost: u64,
    /// Number of files.
    pub parts: u32,
}

/// Writer of lines after a header, which starts the next file at the size limit.
#[derive(Debug)]
pub(super) struct Journal<S> {
    store: S,
    header: Header,
    started_unix_ms: u64,
    /// Size at which the next file is started.
    rotate: Option<u64>,
    part: u32,
    size: u64,
    has_header: bool,
    /// Number of lines lost since the last written line.
    gap: u64,
    summary: Summary,
}

impl<S: Store> Journal<S> {
    /// Creates a journal. The first file of the store must have been started.
    pub(super) fn new(store: S, header: Header, started_unix_ms: u64, rotate: Option<u64>) -> Self {
        let summary = Summary { parts: 1, ..Summary::default() };
        Journal {
            store,
            header,
            started_unix_ms,
            rotate,
            part: 0,
            size: 0,
            has_header: false,
            gap: 0,
            summary,
        }
    }

    /// Writes lines. Returns the first error if one of them is lost.
    pub(super) fn write(&mut self, lines: &[RecordedLine]) -> Result<(), io::Error> {
        let mut first_error = Ok(());
        for line in lines {
            match self.write_line(line.t_ms, &line.to_json()) {
                Ok(()) => self.summary.lines += 1,
                Err(error) => {
                    self.lose(1);
                    first_error = first_error.and(Err(error));
                }
            }
        }
        first_error
    }

    /// Counts lines that were lost before they reached the journal.
    pub(super) fn lose(&mut self, lines: u64) {
        self.gap += lines;
        self.summary.lost += lines;
    }

    /// Tries a last time to write the gap, and returns the summary.
    pub(super) fn finish(mut self, t_ms: u64) -> (Summary, io::Result<()>) {
        let said = self.header_and_gap(t_ms);
        // A file without a header is not a recording, so this counts as a loss.
        self.summary.lost = self.summary.lost.max(u64::from(!self.has_header));
        (self.summary, said)
    }

    fn write_line(&mut self, t_ms: u64, line: &str) -> io::Result<()> {
        if self.rotate.is_some_and(|most| self.size > 0 && self.size + line.len() as u64 >= most) {
            self.rotate();
        }
        self.header_and_gap(t_ms)?;
        self.append(line)
    }

    /// Starts the next file. On failure the current one is continued.
    fn rotate(&mut self) {
        if self.store.begin(self.part + 1).is_ok() {
            self.part += 1;
            self.summary.parts += 1;
            (self.size, self.has_header) = (0, false);
        }
    }

    fn header_and_gap(&mut self, t_ms: u64) -> io::Result<()> {
        if !self.has_header {
            let mut header = self.header.clone();
            header.rest.insert(PART.to_owned(), json!(self.part));
            header.rest.insert(STARTED.to_owned(), json!(self.started_unix_ms));
            self.append(&header.to_json())?;
            // The size counts only this file's lines after the header, or a small limit would start a file per line.
            (self.size, self.has_header) = (0, true);
        }
        if self.gap > 0 {
            let rest = Map::from_iter([("lines".to_owned(), json!(self.gap))]);
            let line = RecordedLine { number: 0, t_ms, what: LineContent::Other(GAP.to_owned()), rest };
            self.append(&line.to_json())?;
            self.gap = 0;
        }
        Ok(())
    }

    fn append(&mut self, line: &str) -> io::Result<()> {
        self.store.append(format!("{line}\n").as_bytes())?;
        self.size += line.len() as u64 + 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::Recording;

    /// Files in memory, on a disk that may be full.
    #[derive(Default)]
    struct Disk {
        files: Vec<String>,
        full: bool,
    }

    impl Store for &mut Disk {
        fn begin(&mut self, part: u32) -> io::Result<()> {
            if self.full {
                return Err(io::ErrorKind::StorageFull.into());
            }
            assert_eq!(part as usize, self.files.len());
            self.files.push(String::new());
            Ok(())
        }

        fn append(&mut self, line: &[u8]) -> io::Result<()> {
            if self.full {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.files.last_mut().unwrap().push_str(std::str::from_utf8(line).unwrap());
            Ok(())
        }
    }

    fn note(text: &str) -> Vec<RecordedLine> {
        vec![RecordedLine { number: 0, t_ms: 5, what: LineContent::Note(text.to_owned()), rest: Map::new() }]
    }

    fn read(file: &str) -> Recording {
        Recording::read("part.jsonl", file.as_bytes()).unwrap()
    }

    #[test]
    fn a_full_disk_leaves_a_gap_with_the_number_of_lines() {
        let mut disk = Disk { files: vec![String::new()], full: true };
        let mut journal = Journal::new(&mut disk, Header::default(), 1, None);
        assert!(journal.write(&note("lost")).is_err());
        journal.lose(2);
        journal.store.full = false;
        assert!(journal.write(&note("there")).is_ok());
        journal.store.full = true;
        assert!(journal.write(&note("lost, too")).is_err());
        journal.store.full = false;
        let (summary, said) = journal.finish(9);
        assert!(said.is_ok());
        assert_eq!(summary, Summary { lines: 1, lost: 4, parts: 1 });
        let lines = read(&disk.files[0]).lines;
        let gaps: Vec<_> = lines.iter().map(|line| (line.t_ms, line.gap())).collect();
        assert_eq!(gaps, [(5, Some(3)), (5, None), (9, Some(1))]);
        // A missing header counts as a loss.
        let mut disk = Disk { files: vec![String::new()], full: true };
        let (summary, said) = Journal::new(&mut disk, Header::default(), 1, None).finish(0);
        assert_eq!((summary.lost, said.is_err()), (1, true));
    }

    #[test]
    fn a_large_recording_continues_in_the_next_file() {
        let mut disk = Disk { files: vec![String::new()], full: false };
        let mut journal = Journal::new(&mut disk, Header::default(), 1, Some(100));
        for text in ["a", "b", "c", &"long".repeat(100), "d", "e"] {
            assert!(journal.write(&note(text)).is_ok());
        }
        let (summary, _) = journal.finish(5);
        let texts =
            |file: &String| read(file).lines.iter().map(RecordedLine::to_json).collect::<Vec<_>>().len();
        assert_eq!(disk.files.iter().map(texts).collect::<Vec<_>>(), [2, 1, 1, 2]);
        assert_eq!(summary, Summary { lines: 6, lost: 0, parts: 4 });
        for (number, file) in disk.files.iter().enumerate() {
            assert_eq!(read(file).header.rest["part"], number);
        }
    }

    #[test]
    fn a_failed_rotation_continues_the_current_file() {
        struct Stuck(String);
        impl Store for &mut Stuck {
            fn begin(&mut self, _: u32) -> io::Result<()> {
                Err(io::ErrorKind::PermissionDenied.into())
            }
            fn append(&mut self, line: &[u8]) -> io::Result<()> {
                self.0.push_str(std::str::from_utf8(line).unwrap());
                Ok(())
            }
        }
        let mut stuck = Stuck(String::new());
        let mut journal = Journal::new(&mut stuck, Header::default(), 1, Some(10));
        for text in ["a", "b", "c"] {
            assert!(journal.write(&note(text)).is_ok());
        }
        assert_eq!(journal.finish(5).0, Summary { lines: 3, lost: 0, parts: 1 });
        assert_eq!(read(&stuck.0).lines.len(), 3);
    }
}
