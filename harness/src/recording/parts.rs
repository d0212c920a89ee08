//! Recordings in several files, and recordings of several gateways.

use super::{GATEWAY_ID, Header, LineContent, RecordedLine, Recording};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Field of the header with the number of the file within the recording, counted from 0.
pub(crate) const PART: &str = "part";
/// Field of the header with the start of the recorder in Unix milliseconds. All files of a recording have the same.
pub(crate) const STARTED: &str = "started_unix_ms";

/// Returns the path of a file of the recording: `session.jsonl`, `session.1.jsonl`, `session.2.jsonl`, ….
pub(crate) fn path(first: &Path, number: u32) -> PathBuf {
    match (number, first.extension()) {
        (0, _) => first.to_owned(),
        (_, Some(ending)) => first.with_extension(format!("{number}.{}", ending.to_string_lossy())),
        (_, None) => first.with_extension(number.to_string()),
    }
}

/// Returns the files with a higher number, in order, by their names.
pub(crate) fn later_parts(first: &Path, number: u32) -> Vec<(u32, PathBuf)> {
    let folder = first.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let names = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.file_name());
    let number_of = |name: std::ffi::OsString| {
        let name = name.to_string_lossy().into_owned();
        let digits = |part: &str| part.parse().ok().filter(|n: &u32| n.to_string() == part);
        let found = name
            .split('.')
            .filter_map(digits)
            .find(|n| path(first, *n).file_name().is_some_and(|known| known.to_string_lossy() == name))?;
        (found > number).then_some((found, path(first, found)))
    };
    let mut found: Vec<_> = names.filter_map(number_of).collect();
    found.sort_unstable();
    found
}

impl Header {
    fn number(&self, name: &str) -> Option<u64> {
        self.rest.get(name).and_then(Value::as_u64)
    }
}

impl Recording {
    /// Returns the start of the recorder in Unix milliseconds, if the recording has it.
    pub fn started_unix_ms(&self) -> Option<u64> {
        self.header.number(STARTED)
    }

    pub(super) fn has_parts(&self) -> bool {
        self.header.number(PART).is_some()
    }

    /// Returns an error message if the file is a later part of a recording, which cannot be read by itself.
    pub(super) fn later_part_error(&self, path: &Path) -> Option<String> {
        let part = self.header.number(PART).filter(|part| *part > 0)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let first = name.replacen(&format!(".{part}"), "", 1);
        Some(format!(
            "this is part {part} of a recording: name its first file, {first}, and its parts are read behind it"
        ))
    }

    pub(super) fn continues_in(&self, part: &Recording, number: u32) -> bool {
        part.header.number(PART) == Some(u64::from(number))
            && part.header.number(STARTED) == self.header.number(STARTED)
    }

    pub(super) fn append(&mut self, part: Recording) {
        let behind = self.lines.last().map_or(1, |line| line.number);
        let least = self.lines.last().map_or(0, |line| line.t_ms);
        self.lines.extend(part.lines.into_iter().map(|line| RecordedLine {
            number: line.number + behind,
            t_ms: line.t_ms.max(least),
            ..line
        }));
    }

    /// Returns the recording up to its first gap, with the line number of the gap if there is one. Lines after a gap
    /// cannot be interpreted.
    pub fn until_gap(mut self) -> (Recording, Option<usize>) {
        let gap = self.lines.iter().position(|line| line.gap().is_some());
        let number = gap.map(|at| self.lines[at].number);
        self.lines.truncate(gap.unwrap_or(self.lines.len()));
        (self, number)
    }

    /// Splits the recording by gateway. Returns each gateway's id and recording, in the order of their first dials. A
    /// recorder writes the sessions of all gateways into one file. A gateway has one socket at a time: two of the
    /// same id that write at the same time are two processes, and each has its number after the id. A recording whose
    /// `connect` lines name no gateway, or a single one, is returned whole. Lines that belong to no socket stay with
    /// the first gateway.
    pub fn gateways(self) -> Vec<(Option<String>, Recording)> {
        let writes = Writes::of(&self);
        let mut lanes: Vec<GatewayLane> = Vec::new();
        let mut lane_of: BTreeMap<Option<u32>, usize> = BTreeMap::new();
        let (mut newest, mut before) = (0, Vec::new());
        let Recording { file, header, lines } = self;
        for line in lines {
            let named = line.dial().and_then(|dial| lane_of.get(&Some(dial)).copied());
            let lane = match &line.what {
                LineContent::Connect { dial, .. } => {
                    let id = line.rest.get(GATEWAY_ID).and_then(Value::as_str).map(str::to_owned);
                    let written = writes.of_dial(*dial);
                    let fits = |lane: &GatewayLane| lane.id == id && lane.may_dial_for(written);
                    newest = lanes.iter().position(fits).unwrap_or_else(|| {
                        let lines = std::mem::take(&mut before);
                        let recording = Recording { file: file.clone(), header: header.clone(), lines };
                        let process = 1 + lanes.iter().filter(|lane| lane.id == id).count();
                        lanes.push(GatewayLane { id, process, last: None, recording });
                        lanes.len() - 1
                    });
                    let last = written.map(|(_, last)| last);
                    lanes[newest].last = lanes[newest].last.max(last);
                    lane_of.insert(*dial, newest);
                    newest
                }
                LineContent::Gateway(_) | LineContent::Connector(_) | LineContent::Reject { .. } => {
                    named.unwrap_or(newest)
                }
                LineContent::Close { .. } | LineContent::Drop { .. } => named.unwrap_or(newest),
                LineContent::HostCall { .. }
                | LineContent::HostEvent { .. }
                | LineContent::Note(_)
                | LineContent::Other(_) => 0,
            };
            match lanes.get_mut(lane) {
                Some(lane) => lane.recording.lines.push(line),
                None => before.push(line),
            }
        }
        match lanes.len() {
            0 => vec![(None, Recording { file, header, lines: before })],
            1 => lanes.into_iter().map(|lane| (None, lane.recording)).collect(),
            _ => lanes.into_iter().map(|lane| (lane.name(), lane.recording)).collect(),
        }
    }
}

/// State of one process of a gateway.
struct GatewayLane {
    id: Option<String>,
    /// Number of the process among those of the same id, counted from 1.
    process: usize,
    /// Position of its last line, over all its dials.
    last: Option<usize>,
    recording: Recording,
}

impl GatewayLane {
    /// Returns true if one process can have made all its dials and also one with these first and last lines. Once a
    /// process writes on a new dial, it has left the others.
    fn may_dial_for(&self, written: Option<(usize, usize)>) -> bool {
        self.last.is_none_or(|last| written.is_none_or(|(first, _)| last < first))
    }

    fn name(&self) -> Option<String> {
        let again = if self.process > 1 { format!(", process {}", self.process) } else { String::new() };
        self.id.as_ref().map(|id| format!("{id}{again}"))
    }
}

/// Positions of the first and last line of the gateway, by dial.
struct Writes(BTreeMap<u32, (usize, usize)>);

impl Writes {
    fn of(recording: &Recording) -> Writes {
        let mut writes: BTreeMap<u32, (usize, usize)> = BTreeMap::new();
        for (at, line) in recording.lines.iter().enumerate() {
            if let (LineContent::Gateway(_), Some(dial)) = (&line.what, line.dial()) {
                writes.entry(dial).and_modify(|(_, last)| *last = at).or_insert((at, at));
            }
        }
        Writes(writes)
    }

    fn of_dial(&self, dial: Option<u32>) -> Option<(usize, usize)> {
        dial.and_then(|dial| self.0.get(&dial)).copied()
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
            connect(9, "b"),
            says(9, "b's second"),
            says(2, "b's first"),
        ];
        let gateways = recording(&lines).gateways();
        let numbers: Vec<(Option<&str>, Vec<usize>)> = gateways
            .iter()
            .map(|(id, one)| (id.as_deref(), one.lines.iter().map(|line| line.number).collect()))
            .collect();
        let b = [(Some("b"), vec![4, 7, 12]), (Some("b, process 2"), vec![10, 11])];
        assert_eq!(numbers, [&[(Some("a"), vec![2, 3, 5, 6, 8, 9])][..], &b].concat());
        // A refused dial does not show which process made it.
        let mut refused = [
            connect(1, "a"),
            says(1, "old"),
            connect(2, "a"),
            json!({"t_ms": 9, "dir": "reject", "dial": 2, "status": 503}),
            connect(3, "a"),
            says(3, "new"),
            says(1, "old"),
        ];
        for (at, line) in refused.iter_mut().enumerate() {
            line["t_ms"] = at.into();
        }
        let gateways = recording(&refused).gateways();
        let numbers = |one: &Recording| one.lines.iter().map(|line| line.number).collect::<Vec<_>>();
        let numbers: Vec<_> = gateways.iter().map(|(_, one)| numbers(one)).collect();
        assert_eq!(numbers, [vec![2, 3, 4, 5, 8], vec![6, 7]]);
        // A recording of one gateway is unchanged.
        let one = recording(&[connect(1, "a"), connect(2, "a"), says(1, "x")]);
        assert_eq!(one.clone().gateways(), [(None, one)]);
        let none = recording(&lines[..1]);
        assert_eq!(none.clone().gateways(), [(None, none)]);
    }

    #[test]
    fn lines_after_a_gap_are_left_out() {
        let note = |t_ms: u64| json!({"t_ms": t_ms, "dir": "note", "text": ""});
        let gap = json!({"t_ms": 1, "dir": "gap", "lines": 3});
        let (whole, at) = recording(&[note(0), gap, note(2)]).until_gap();
        assert_eq!((whole.lines.len(), at), (1, Some(3)));
        let (whole, at) = recording(&[note(0), note(2)]).until_gap();
        assert_eq!((whole.lines.len(), at), (2, None));
    }

    #[test]
    fn parts_are_read_after_the_first() {
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
        // A middle part is missing, another file has its name, or a part breaks off.
        part(2, 7, 30);
        std::fs::remove_file(path(&first, 1)).unwrap();
        let error = Recording::load(&first).unwrap_err().to_string();
        assert!(
            error.contains("s.1.jsonl: is missing, and ") && error.contains("s.2.jsonl is there"),
            "{error}"
        );
        std::fs::write(path(&first, 1), "notes").unwrap();
        let error = Recording::load(&first).unwrap_err().to_string();
        assert!(error.contains("s.1.jsonl: is not part of this recording, and "), "{error}");
        std::fs::rename(path(&first, 2), path(&first, 3).with_extension("away")).unwrap();
        assert_eq!(Recording::load(&first).unwrap().lines.len(), 1);
        std::fs::rename(path(&first, 3).with_extension("away"), path(&first, 2)).unwrap();
        part(1, 7, 20);
        let whole = std::fs::read(path(&first, 2)).unwrap();
        std::fs::write(path(&first, 2), &whole[..whole.len() - 5]).unwrap();
        let (read, gap) = Recording::load(&first).unwrap().until_gap();
        assert_eq!((read.lines.len(), gap), (2, Some(6)));
        let error = Recording::load(&path(&first, 1)).unwrap_err().to_string();
        assert!(
            error.ends_with("s.1.jsonl:1: this is part 1 of a recording: name its first file, s.jsonl, and its parts are read behind it"),
            "{error}"
        );
    }
}
