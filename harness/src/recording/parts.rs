//! A recording in several files, one behind the other; and several gateways in one recording, each for itself.

use super::{GATEWAY_ID, Header, Line, Recording, What};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// In a header: which file of a recording it is, counted from 0.
pub(crate) const PART: &str = "part";
/// In a header: when the recorder began, in unix milliseconds; the same in all files of one recording.
pub(crate) const STARTED: &str = "started_unix_ms";

/// Where the file of that number lies: `session.jsonl`, `session.1.jsonl`, `session.2.jsonl`, ….
pub(crate) fn path(first: &Path, number: u32) -> PathBuf {
    match (number, first.extension()) {
        (0, _) => first.to_owned(),
        (_, Some(ending)) => first.with_extension(format!("{number}.{}", ending.to_string_lossy())),
        (_, None) => first.with_extension(number.to_string()),
    }
}

impl Header {
    fn number(&self, name: &str) -> Option<u64> {
        self.rest.get(name).and_then(Value::as_u64)
    }
}

impl Recording {
    pub(super) fn has_parts(&self) -> bool {
        self.header.number(PART).is_some()
    }

    /// Why the file cannot be read by itself, where it is a later part of a recording.
    pub(super) fn stands_alone(&self, path: &Path) -> Option<String> {
        let part = self.header.number(PART).filter(|part| *part > 0)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let first = name.replacen(&format!(".{part}"), "", 1);
        Some(format!(
            "this is part {part} of a recording: name its first file, {first}, and its parts are read behind it"
        ))
    }

    pub(super) fn goes_on_in(&self, part: &Recording, number: u32) -> bool {
        part.header.number(PART) == Some(u64::from(number))
            && part.header.number(STARTED) == self.header.number(STARTED)
    }

    pub(super) fn append(&mut self, part: Recording) {
        let behind = self.lines.last().map_or(1, |line| line.number);
        let least = self.lines.last().map_or(0, |line| line.t_ms);
        self.lines.extend(part.lines.into_iter().map(|line| Line {
            number: line.number + behind,
            t_ms: line.t_ms.max(least),
            ..line
        }));
    }

    /// The recording up to the first place where its recorder lost lines: what came behind cannot be understood.
    /// Beside it that line's number, where there is one.
    pub fn up_to_a_gap(mut self) -> (Recording, Option<usize>) {
        let gap = self.lines.iter().position(|line| line.gap().is_some());
        let number = gap.map(|at| self.lines[at].number);
        self.lines.truncate(gap.unwrap_or(self.lines.len()));
        (self, number)
    }

    /// Each gateway's recording by itself, with its id, in the order in which they first dialled: a recorder writes
    /// the sessions of all gateways into one file. A recording whose `connect` lines name no gateway is one
    /// gateway's, and so is one of a single id. Lines that belong to no socket stay with the first.
    pub fn gateways(self) -> Vec<(Option<String>, Recording)> {
        let mut lanes: Vec<(Option<String>, Recording)> = Vec::new();
        let mut lane_of: BTreeMap<Option<u32>, usize> = BTreeMap::new();
        let (mut newest, mut before) = (0, Vec::new());
        let Recording { file, header, lines } = self;
        for line in lines {
            let named = line.dial().and_then(|dial| lane_of.get(&Some(dial)).copied());
            let lane = match &line.what {
                What::Connect { dial, .. } => {
                    let id = line.rest.get(GATEWAY_ID).and_then(Value::as_str).map(str::to_owned);
                    newest = lanes.iter().position(|(known, _)| *known == id).unwrap_or_else(|| {
                        let lines = std::mem::take(&mut before);
                        lanes.push((id, Recording { file: file.clone(), header: header.clone(), lines }));
                        lanes.len() - 1
                    });
                    lane_of.insert(*dial, newest);
                    newest
                }
                What::Gateway(_) | What::Connector(_) | What::Reject { .. } => named.unwrap_or(newest),
                What::Close { .. } | What::Drop { .. } => named.unwrap_or(newest),
                What::HostCall { .. } | What::HostEvent { .. } | What::Note(_) | What::Other(_) => 0,
            };
            match lanes.get_mut(lane) {
                Some((_, recording)) => recording.lines.push(line),
                None => before.push(line),
            }
        }
        match lanes.len() {
            0 => vec![(None, Recording { file, header, lines: before })],
            1 => lanes.into_iter().map(|(_, recording)| (None, recording)).collect(),
            _ => lanes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn recording(lines: &[Value]) -> Recording {
        let header = json!({"relay_session": 1, "part": 0, "started_unix_ms": 7});
        let text: String = std::iter::once(&header).chain(lines).map(|line| format!("{line}\n")).collect();
        Recording::read("r.jsonl", text.as_bytes()).unwrap()
    }

    #[test]
    fn files_of_one_recording_are_numbered() {
        for (first, number, expected) in [
            ("a/s.jsonl", 0, "a/s.jsonl"),
            ("a/s.jsonl", 2, "a/s.2.jsonl"),
            ("a.b/s", 1, "a.b/s.1"),
            ("s.tar.x", 12, "s.tar.12.x"),
        ] {
            assert_eq!(path(Path::new(first), number), Path::new(expected));
        }
    }

    #[test]
    fn each_gateway_has_its_own_lines() {
        let connect =
            |dial: u32, id: &str| json!({"t_ms": dial, "dir": "connect", "dial": dial, "gateway_id": id});
        let says = |dial: u32, text: &str| json!({"t_ms": 9, "dir": "gateway", "dial": dial, "data": text});
        let lines = [
            json!({"t_ms": 0, "dir": "note", "text": "before"}),
            connect(1, "a"),
            connect(2, "b"),
            connect(3, "a"),
            says(1, "late"),
            says(2, "b"),
            says(3, "new"),
            json!({"t_ms": 9, "dir": "close", "by": "gateway", "dial": 1}),
        ];
        let gateways = recording(&lines).gateways();
        let numbers: Vec<(Option<&str>, Vec<usize>)> = gateways
            .iter()
            .map(|(id, one)| (id.as_deref(), one.lines.iter().map(|line| line.number).collect()))
            .collect();
        assert_eq!(numbers, [(Some("a"), vec![2, 3, 5, 6, 8, 9]), (Some("b"), vec![4, 7])]);
        // One gateway's recording stays as it is.
        let one = recording(&[connect(1, "a"), connect(2, "a"), says(1, "x")]);
        assert_eq!(one.clone().gateways(), [(None, one)]);
        let none = recording(&lines[..1]);
        assert_eq!(none.clone().gateways(), [(None, none)]);
    }

    #[test]
    fn what_is_behind_a_gap_is_left_out() {
        let note = |t_ms: u64| json!({"t_ms": t_ms, "dir": "note", "text": ""});
        let gap = json!({"t_ms": 1, "dir": "gap", "lines": 3});
        let (whole, at) = recording(&[note(0), gap, note(2)]).up_to_a_gap();
        assert_eq!((whole.lines.len(), at), (1, Some(3)));
        let (whole, at) = recording(&[note(0), note(2)]).up_to_a_gap();
        assert_eq!((whole.lines.len(), at), (2, None));
    }

    #[test]
    fn parts_are_read_behind_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let first = folder.path().join("s.jsonl");
        let part = |number: u32, started: u64, t_ms: u64| {
            let header = json!({"relay_session": 1, "part": number, "started_unix_ms": started});
            let text = format!("{header}\n{}\n", json!({"t_ms": t_ms, "dir": "note", "text": "x"}));
            std::fs::write(path(&first, number), text).unwrap();
        };
        part(0, 7, 10);
        part(1, 7, 20);
        part(2, 8, 30);
        let read = Recording::load(&first).unwrap();
        let places: Vec<_> = read.lines.iter().map(|line| (line.number, line.t_ms)).collect();
        assert_eq!(places, [(2, 10), (4, 20)], "the third file is of another recording");
        let error = Recording::load(&path(&first, 1)).unwrap_err().to_string();
        assert!(
            error.ends_with("s.1.jsonl:1: this is part 1 of a recording: name its first file, s.jsonl, and its parts are read behind it"),
            "{error}"
        );
    }
}
