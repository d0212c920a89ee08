//! `relayline replay`: recorded sessions, played through the machine in virtual time.

use relayline_harness::recording::Recording;
use relayline_harness::replay::{self, Options};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Play recorded sessions through the machine, in virtual time: nothing is dialled.
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Examples:\n  relayline replay recordings/reconnect-after-drop.jsonl\n  relayline replay --check recordings/*.jsonl\n  relayline replay --json session.jsonl | jq -c 'select(.what == \"sent\").frame'"
)]
pub(crate) struct Args {
    /// Recorded sessions (.jsonl)
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Print the trace as JSON, a line per entry
    #[arg(long, conflicts_with = "check")]
    json: bool,
    /// Compare with what was recorded: a line per file, or a diff; exit 1 if one fails
    #[arg(long)]
    check: bool,
}

/// Runs the command. Results go to stdout; a file that cannot be played is told on stderr, and the others still are.
pub(crate) fn run(args: &Args) -> ExitCode {
    let mut out = BufWriter::new(io::stdout().lock());
    let mut all_well = true;
    let written = play_all(args, &mut out, &mut io::stderr(), &mut all_well).and_then(|()| out.flush());
    // What is still buffered has nowhere to go.
    drop(out.into_parts());
    match written {
        Ok(()) => {}
        // Who reads has seen enough (`| head`).
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        Err(error) => {
            complain(&mut io::stderr(), &format!("standard output: {error}"));
            all_well = false;
        }
    }
    if all_well { ExitCode::SUCCESS } else { ExitCode::from(1) }
}

/// Plays each file. `all_well` turns false when one cannot be played, or fails its check; the error is `out`'s alone.
fn play_all(args: &Args, out: &mut dyn Write, err: &mut dyn Write, all_well: &mut bool) -> io::Result<()> {
    for file in &args.files {
        match play(file) {
            Ok((recording, run)) => *all_well &= print(args, &recording, &run, out)?,
            Err(problem) => {
                *all_well = false;
                // In the order in which things happened, also where both go to one terminal.
                out.flush()?;
                complain(err, &problem);
            }
        }
    }
    Ok(())
}

fn play(file: &Path) -> Result<(Recording, replay::Run), String> {
    let recording = Recording::load(file).map_err(|error| error.to_string())?;
    let run = replay::play(&recording, Options::default()).map_err(|error| error.to_string())?;
    Ok((recording, run))
}

/// Prints what was asked for; `false` when a check fails.
fn print(args: &Args, recording: &Recording, run: &replay::Run, out: &mut dyn Write) -> io::Result<bool> {
    if args.check {
        let verdict = replay::check(recording, run);
        writeln!(out, "{verdict}")?;
        return Ok(!verdict.fails());
    }
    if !args.json && args.files.len() > 1 {
        writeln!(out, "# {}", recording.name())?;
    }
    for entry in &run.trace {
        if args.json {
            writeln!(out, "{}", replay::json_line(recording.name(), entry))?;
        } else {
            writeln!(out, "{entry}")?;
        }
    }
    Ok(true)
}

/// One line on stderr; where even that is closed there is nobody left to tell.
fn complain(err: &mut dyn Write, problem: &str) {
    let _ = writeln!(err, "relayline: {problem}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../recordings").join(name)
    }

    /// What a command prints to stdout and stderr, and whether all is well.
    fn played(json: bool, check: bool, files: Vec<PathBuf>) -> (String, String, bool) {
        let (mut out, mut err, mut all_well) = (Vec::new(), Vec::new(), true);
        play_all(&Args { files, json, check }, &mut out, &mut err, &mut all_well).unwrap();
        (String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap(), all_well)
    }

    #[test]
    fn a_check_is_a_line_per_file_and_one_bad_file_does_not_stop_the_others() {
        let folder = tempfile::tempdir().unwrap();
        let (text, changed) = (folder.path().join("notes.txt"), folder.path().join("changed.jsonl"));
        std::fs::write(&text, "hello\n").unwrap();
        let good = std::fs::read_to_string(recorded("going-idle-acked.jsonl")).unwrap();
        std::fs::write(&changed, good.replace("\"code\": 1000", "\"code\": 1001")).unwrap();

        let names =
            ["going-idle-acked.jsonl", "matrix-minimal-descriptor.jsonl", "passthrough-bad-base64.jsonl"];
        let (out, err, all_well) = played(false, true, names.map(recorded).to_vec());
        assert!(
            out.starts_with("ok going-idle-acked\nok matrix-minimal-descriptor  departs: L-14\n"),
            "{out}"
        );
        assert!(all_well && err.is_empty() && out.lines().count() == 3, "{out}{err}");

        let missing = folder.path().join("missing.jsonl");
        let files = vec![missing.clone(), text.clone(), changed.clone(), recorded(names[0])];
        let (out, err, all_well) = played(false, true, files);
        assert!(!all_well);
        assert!(
            out.starts_with("FAIL changed: 1 difference\n") && out.ends_with("\nok going-idle-acked\n"),
            "{out}"
        );
        assert!(out.contains(&format!("{}:21, t_ms 56", changed.display())), "{out}");
        let err: Vec<&str> = err.lines().collect();
        assert_eq!(err.len(), 2);
        assert!(err[0].starts_with(&format!("relayline: {}: cannot be read", missing.display())), "{err:?}");
        assert!(
            err[1].starts_with(&format!("relayline: {}:1: this is no recorded session", text.display())),
            "{err:?}"
        );
    }

    #[test]
    fn a_trace_is_text_or_json() {
        let file = || recorded("reconnect-after-drop.jsonl");
        let (text, _, _) = played(false, false, vec![file()]);
        let (json, _, _) = played(true, false, vec![file()]);
        assert_eq!(text.lines().count(), json.lines().count());
        assert!(text.starts_with("    0.005 host      connect\n"), "{text}");
        assert!(json.lines().all(|line| line.starts_with(r#"{"session":"reconnect-after-drop","t_us":"#)));
        let (two, _, _) = played(false, false, vec![file(), file()]);
        assert_eq!(two.matches("# reconnect-after-drop\n").count(), 2);
    }

    #[test]
    fn the_flags_are_those_that_the_help_names() {
        #[derive(clap::Parser)]
        struct Program {
            #[command(flatten)]
            replay: Args,
        }
        use clap::{CommandFactory, Parser};
        Program::command().debug_assert();
        for (line, ok) in [
            ("replay", false),
            ("replay a", true),
            ("replay a b --json", true),
            ("replay --check a", true),
            ("replay --check --json a", false),
        ] {
            let parsed = Program::try_parse_from(line.split(' '));
            assert_eq!(parsed.is_ok(), ok, "{line}");
            if let Ok(program) = parsed {
                assert_eq!(program.replay.check, line.contains("--check"));
            }
        }
    }
}
