//! `relayline replay`: plays recorded sessions through the machine in virtual time.

mod window;

use relayline_harness::recording::Recording;
use relayline_harness::replay::{self, ReplayError, ReplayOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use window::{SessionPoint, Speed, Window};

/// Play recorded sessions through the machine, in virtual time and without a network.
#[derive(clap::Args, Debug)]
#[command(
    after_long_help = "Examples:\n  relayline replay harness/recordings/reconnect-after-drop.jsonl\n  relayline replay --check harness/recordings/*.jsonl harness/recordings/2026-10/*.jsonl\n  relayline replay --json session.jsonl | jq -c 'select(.what == \"sent\").frame'\n  relayline replay --from 90s --until 2m --speed 10 session.jsonl\n\nA session is always played from beginning to end. --from and --until select the part that is printed and checked. A line\nof the file stands for the time at which it was recorded. Browsers and mitmproxy export HAR files: replay plays their\nWebSockets to /relay, or all WebSockets if there is none. A file of `relayline record` may hold several gateways: each is\nplayed separately, and its name is followed by the gateway's id.\n\nExit codes: 0 done; 1 a file cannot be read or played, or a check failed; 2 wrong flags."
)]
pub(crate) struct Args {
    /// Recorded sessions (.jsonl), or HAR files with WebSocket messages (.har).
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Print the trace as JSON, one entry per line.
    #[arg(long, conflicts_with = "check")]
    json: bool,
    /// Compare with the recording: print a line or a diff per file, and exit with 1 if one differs.
    #[arg(long)]
    check: bool,
    /// Print the trace at N times the recorded speed. max does not wait.
    #[arg(long, value_name = "N", default_value = "max", conflicts_with = "check")]
    speed: Speed,
    /// Start of the part: a time into the session, as in 90s, 1500ms or 2m, or a line of the file, as in :120.
    #[arg(long, value_name = "T")]
    from: Option<SessionPoint>,
    /// End of the part: a time or a line.
    #[arg(long, value_name = "T")]
    until: Option<SessionPoint>,
}

/// Runs the command. Results go to stdout. A file that cannot be played is reported on stderr, and the others are still
/// played.
pub(crate) fn run(args: &Args) -> ExitCode {
    let mut out = BufWriter::new(io::stdout().lock());
    let mut player =
        Player { args, out: &mut out, err: &mut io::stderr(), wait: &mut std::thread::sleep, all_well: true };
    let written = player.play_all();
    let mut all_well = player.all_well;
    let written = written.and_then(|()| out.flush());
    // Without flushing, since stdout may be closed.
    drop(out.into_parts());
    match written {
        Ok(()) => {}
        // The reader has closed its end, like `head`.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        Err(error) => {
            complain(&mut io::stderr(), &format!("standard output: {error}"));
            all_well = false;
        }
    }
    if all_well { ExitCode::SUCCESS } else { ExitCode::from(1) }
}

/// Player of files, which prints the results.
struct Player<'a> {
    args: &'a Args,
    out: &'a mut dyn Write,
    err: &'a mut dyn Write,
    wait: &'a mut dyn FnMut(Duration),
    /// False once a file cannot be played, or fails its check.
    all_well: bool,
}

impl Player<'_> {
    /// Plays each file.
    ///
    /// # Errors
    /// Writing to `out` fails.
    fn play_all(&mut self) -> io::Result<()> {
        self.args.files.iter().try_for_each(|file| self.play_file(file))
    }

    fn play_file(&mut self, file: &Path) -> io::Result<()> {
        let (recording, gap) = match Recording::load(file) {
            Ok(recording) => recording.until_gap(),
            Err(error) => return self.fail(&error.to_string()),
        };
        if let Some(line) = gap {
            let file = &recording.file;
            self.fail(&format!("{file}:{line}: lines are missing here: it is played up to this line"))?;
        }
        let gateways = recording.gateways();
        let is_one_of_several = gateways.len() > 1;
        for (gateway, recording) in gateways {
            let name = match gateway {
                Some(id) => format!("{} ({id})", recording.name()),
                None => recording.name().to_owned(),
            };
            match replay::play(&recording, ReplayOptions::default()) {
                Ok(run) => self.print(&name, &recording, &run)?,
                // The other files are still played.
                Err(ReplayError::Silent { .. }) if is_one_of_several => {
                    self.note(&format!("{name}: it sent no hello: there is nothing to play"))?;
                }
                Err(error) => self.fail(&error.to_string())?,
            }
        }
        Ok(())
    }

    /// Prints the trace or the verdict of a run.
    fn print(&mut self, name: &str, recording: &Recording, run: &replay::ReplayRun) -> io::Result<()> {
        let Args { files, json, check, speed, from, until } = self.args;
        let window = Window::new(recording, from.as_ref(), until.as_ref());
        if let Some(why) = window.emptiness(recording, &run.trace) {
            // This is not a failure: one of several files may be shorter.
            self.note(&format!("{name}: {why}"))?;
        }
        if *check {
            let mut verdict = replay::Verdict { name: name.to_owned(), ..replay::check(recording, run) };
            verdict.keep_within(window.from_ms, window.until_ms);
            self.all_well &= verdict.passes();
            return writeln!(self.out, "{verdict}");
        }
        if !json && (files.len() > 1 || name != recording.name()) {
            writeln!(self.out, "# {name}")?;
        }
        let mut before = None;
        for entry in run.trace.iter().filter(|entry| window.holds(entry.at())) {
            let since = before.map_or(Duration::ZERO, |before| entry.at().since(before));
            if let Some(wait) = speed.wait(since) {
                self.out.flush()?;
                (self.wait)(wait);
            }
            before = Some(entry.at());
            if *json {
                writeln!(self.out, "{}", replay::json_line(name, entry))?;
            } else {
                writeln!(self.out, "{entry}")?;
            }
        }
        Ok(())
    }

    fn fail(&mut self, problem: &str) -> io::Result<()> {
        self.all_well = false;
        self.note(problem)
    }

    fn note(&mut self, what: &str) -> io::Result<()> {
        // This keeps the order of both outputs on one terminal.
        self.out.flush()?;
        complain(self.err, what);
        Ok(())
    }
}

/// Prints a line on stderr. A closed stderr is ignored.
fn complain(err: &mut dyn Write, problem: &str) {
    let _ = writeln!(err, "relayline: {problem}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    fn recorded(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../harness/recordings").join(name)
    }

    #[derive(clap::Parser)]
    struct Program {
        #[command(flatten)]
        replay: Args,
    }

    /// Runs the command. Returns its stdout and stderr, true if all is well, and the time that it waited.
    fn played(flags: &[&str], files: &[PathBuf]) -> (String, String, bool, Duration) {
        let words = flags.iter().map(PathBuf::from).chain(files.iter().cloned());
        let args = Program::parse_from(std::iter::once(PathBuf::from("replay")).chain(words)).replay;
        let (mut out, mut err, mut waited) = (Vec::new(), Vec::new(), Duration::ZERO);
        let mut wait = |span| waited += span;
        let mut player =
            Player { args: &args, out: &mut out, err: &mut err, wait: &mut wait, all_well: true };
        player.play_all().unwrap();
        let all_well = player.all_well;
        (String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap(), all_well, waited)
    }

    #[test]
    fn a_check_prints_a_line_per_file_also_after_a_bad_one() {
        let folder = tempfile::tempdir().unwrap();
        let (text, changed) = (folder.path().join("notes.txt"), folder.path().join("changed.jsonl"));
        std::fs::write(&text, "hello\n").unwrap();
        let good = std::fs::read_to_string(recorded("going-idle-acked.jsonl")).unwrap();
        std::fs::write(&changed, good.replace("\"code\": 1000", "\"code\": 1001")).unwrap();

        let names =
            ["going-idle-acked.jsonl", "matrix-minimal-descriptor.jsonl", "passthrough-bad-base64.jsonl"];
        let (out, err, all_well, _) = played(&["--check"], &names.map(recorded));
        assert!(
            out.starts_with(
                "ok going-idle-acked  departs: L-14\nok matrix-minimal-descriptor  departs: L-14\n"
            ),
            "{out}"
        );
        assert!(all_well && err.is_empty() && out.lines().count() == 3, "{out}{err}");

        let missing = folder.path().join("missing.jsonl");
        let files = vec![missing.clone(), text.clone(), changed.clone(), recorded(names[0])];
        let (out, err, all_well, _) = played(&["--check"], &files);
        assert!(!all_well);
        assert!(
            out.starts_with("FAIL changed: 1 difference\n")
                && out.ends_with("\nok going-idle-acked  departs: L-14\n"),
            "{out}"
        );
        assert!(out.contains(&format!("{}:21, t_ms 56", changed.display())), "{out}");
        let err: Vec<&str> = err.lines().collect();
        assert_eq!(err.len(), 2);
        assert!(err[0].starts_with(&format!("relayline: {}: cannot be read", missing.display())), "{err:?}");
        assert!(
            err[1].starts_with(&format!("relayline: {}:1: this is not a recorded session", text.display())),
            "{err:?}"
        );
    }

    #[test]
    fn a_trace_is_text_or_json() {
        let file = || recorded("reconnect-after-drop.jsonl");
        let text = played(&[], &[file()]).0;
        let json = played(&["--json"], &[file()]).0;
        assert_eq!(text.lines().count(), json.lines().count());
        assert!(text.starts_with("    0.005 host      connect\n"), "{text}");
        assert!(json.lines().all(|line| line.starts_with(r#"{"session":"reconnect-after-drop","t_us":"#)));
        let two = played(&[], &[file(), file()]).0;
        assert_eq!(two.matches("# reconnect-after-drop\n").count(), 2);
    }

    #[test]
    fn replay_flags_match_the_help() {
        use clap::CommandFactory;
        Program::command().debug_assert();
        for (line, ok) in [
            ("replay", false),
            ("replay a", true),
            ("replay a b --json", true),
            ("replay --check a", true),
            ("replay --check --json a", false),
            ("replay --check --speed 1 a", false),
            ("replay --speed 0.5 --from 1s --until :9 a", true),
            ("replay --from soon a", false),
        ] {
            let parsed = Program::try_parse_from(line.split(' '));
            assert_eq!(parsed.is_ok(), ok, "{line}");
            if let Ok(program) = parsed {
                assert_eq!(program.replay.check, line.contains("--check"));
            }
        }
    }

    #[test]
    fn only_the_window_is_printed_and_compared() {
        let file = [recorded("reconnect-after-drop.jsonl")];
        let whole = played(&[], &file).0;
        let part = played(&["--from", "100ms", "--until", "150ms"], &file).0;
        let time = |line: &str| line.split_whitespace().next().unwrap().parse::<f64>().unwrap();
        assert!(whole.contains(&part), "a part of it, in order");
        assert!(
            part.lines().all(|line| (0.1..=0.15).contains(&time(line)))
                && !part.is_empty()
                && part.len() < whole.len(),
            "{part}"
        );

        let folder = tempfile::tempdir().unwrap();
        let changed = folder.path().join("changed.jsonl");
        let good = std::fs::read_to_string(recorded("going-idle-acked.jsonl")).unwrap();
        std::fs::write(&changed, good.replace("\"code\": 1000", "\"code\": 1001")).unwrap();
        for (flags, passes) in [
            (["--until", "55ms"], true),
            (["--until", "56ms"], false),
            (["--from", ":21"], false),
            (["--from", "1m"], true),
        ] {
            let (out, _, all_well, _) =
                played(&[&["--check"], flags.as_slice()].concat(), std::slice::from_ref(&changed));
            assert_eq!((all_well, out.starts_with("ok changed")), (passes, passes), "{flags:?}: {out}");
        }
    }

    #[test]
    fn an_empty_window_is_noted_and_is_not_a_failure() {
        let file = [recorded("going-idle-acked.jsonl")];
        for (flags, empty) in [
            (&["--from", "1h"][..], true),
            (&["--from", ":999"], true),
            (&["--from", "2ms", "--until", "1ms"], true),
            (&["--check", "--from", "1h"], true),
            (&["--json", "--until", ":1"], false),
            (&["--from", ":2"], false),
        ] {
            let (_, err, all_well, _) = played(flags, &file);
            assert!(all_well, "{flags:?}");
            let said =
                "relayline: going-idle-acked: nothing happened from --from to --until; its last line is :";
            assert_eq!((err.starts_with(said), err.is_empty()), (empty, !empty), "{flags:?}: {err}");
        }
    }

    #[test]
    fn the_speed_decides_the_waits() {
        let file = [recorded("reconnect-after-drop.jsonl")];
        let waited = |flags: &[&str]| played(flags, &file).3;
        assert_eq!(waited(&[]), Duration::ZERO);
        assert_eq!(waited(&["--speed", "0"]), Duration::ZERO);
        let once = waited(&["--speed", "1"]);
        assert!(once > Duration::from_millis(100), "{once:?}");
        assert!(waited(&["--speed", "4"]).abs_diff(once / 4) < Duration::from_millis(1));
        assert!(waited(&["--speed", "1", "--from", "1m"]).is_zero());
    }

    /// A file of the recorder with two gateways, and one with missing lines.
    #[test]
    fn gateways_are_played_separately_and_a_gap_is_noted() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("two.jsonl");
        let hello = r#"{\"type\":\"hello\",\"platform\":\"discord\",\"botId\":\"1\"}\n"#;
        let mut text = String::from("{\"relay_session\":1}\n");
        for (dial, id) in [(1, "a"), (2, "b")] {
            text += &format!("{{\"t_ms\":0,\"dir\":\"connect\",\"dial\":{dial},\"gateway_id\":\"{id}\"}}\n");
        }
        for dial in [2, 1] {
            text += &format!("{{\"t_ms\":1,\"dir\":\"gateway\",\"data\":\"{hello}\",\"dial\":{dial}}}\n");
        }
        std::fs::write(&file, &text).unwrap();
        let (out, err, all_well, _) = played(&["--check"], std::slice::from_ref(&file));
        assert_eq!((out.as_str(), err.as_str(), all_well), ("ok two (a)\nok two (b)\n", "", true));
        text += "{\"t_ms\":2,\"dir\":\"gap\",\"lines\":3}\n{\"t_ms\":3,\"dir\":\"drop\"}\n";
        std::fs::write(&file, text).unwrap();
        let (out, err, all_well, _) = played(&["--check"], &[file]);
        assert_eq!((out.as_str(), all_well), ("ok two (a)\nok two (b)\n", false));
        assert!(
            err.ends_with("two.jsonl:6: lines are missing here: it is played up to this line\n"),
            "{err}"
        );
    }
}
