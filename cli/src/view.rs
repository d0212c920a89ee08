//! `relayline view`: recorded sessions as one page that loads nothing, or as pictures.

use crate::{browser, complain};
use relayline_harness::recording::Recording;
use relayline_harness::view::{Page, SessionView, Severity, svg};
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Show recorded sessions as a sequence diagram, in one page that loads nothing.
///
/// Each frame is an arrow between host, gateway and connector, with its JSON at a click. Requests are joined with their
/// results, deliveries with their acknowledgements, and problems are marked with the rule that each is about. The states
/// of the connection are those of a replay.
#[derive(clap::Args, Debug)]
#[command(
    after_long_help = "Examples:\n  relayline view session.jsonl --open\n  relayline view session.jsonl other.har -o sessions.html\n  relayline view --svg session.jsonl -o session.svg\n\nReads what `relayline record` writes, with all its parts, and HAR files with WebSocket messages. Each gateway of a file is\na session of its own. The page holds the texts of the recording, so pass it on only to whom you would give the\nrecording. The credentials of upgrades are left out.\n\nExit codes: 0 done; 1 a file cannot be read or written; 2 wrong flags."
)]
pub(crate) struct ViewArguments {
    /// Recorded sessions (.jsonl), or HAR files with WebSocket messages (.har).
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// File to write; - for stdout. Default: the name of the first session, with .html or .svg, in the working folder.
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Write a still picture per session: OUT.svg, OUT-2.svg, ….
    #[arg(long)]
    svg: bool,
    /// Open the page in the browser.
    #[arg(long)]
    open: bool,
}

/// Runs the command. A file that cannot be read is reported, and the others are still shown.
pub(crate) fn run(arguments: &ViewArguments) -> ExitCode {
    let mut all_well = true;
    let mut sessions = Vec::new();
    for file in &arguments.files {
        match Recording::load(file) {
            Ok(recording) => sessions.extend(SessionView::of_all(recording)),
            Err(error) => {
                complain(error);
                all_well = false;
            }
        }
    }
    let Some(first) = sessions.first() else { return ExitCode::from(1) };
    let ending = if arguments.svg { "svg" } else { "html" };
    let out = arguments
        .out
        .clone()
        .unwrap_or_else(|| PathBuf::from(format!("{}.{ending}", file_name(&first.name))));
    let written = if arguments.svg { write_pictures(&sessions, &out) } else { write_page(&sessions, &out) };
    let opened = written.and_then(|()| if arguments.open { open(&out) } else { Ok(()) });
    if let Err(problem) = opened {
        complain(problem);
        all_well = false;
    }
    if all_well { ExitCode::SUCCESS } else { ExitCode::from(1) }
}

fn write_page(sessions: &[SessionView], out: &Path) -> Result<(), String> {
    let page = Page::new(env!("CARGO_PKG_VERSION"), sessions).map_err(|error| error.to_string())?;
    write(out, page.html())?;
    report(out, sessions)
}

fn write_pictures(sessions: &[SessionView], out: &Path) -> Result<(), String> {
    for (at, session) in sessions.iter().enumerate() {
        let path = if at == 0 { out.to_owned() } else { numbered(out, at + 1) };
        write(&path, &svg(session))?;
        report(&path, std::slice::from_ref(session))?;
    }
    Ok(())
}

/// Writes a file that only the user can read, since recordings contain messages; or stdout.
fn write(path: &Path, content: &str) -> Result<(), String> {
    let written = if path == Path::new("-") {
        io::stdout().lock().write_all(content.as_bytes())
    } else {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(path).and_then(|mut file| file.write_all(content.as_bytes()))
    };
    match written {
        // The reader has closed its end, like `head`.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => {
            Err(format!("{}: cannot be written: {error}; name another file with --out", path.display()))
        }
        Ok(()) => Ok(()),
    }
}

/// Prints the path, and the numbers of entries and problems.
fn report(path: &Path, sessions: &[SessionView]) -> Result<(), String> {
    if path == Path::new("-") {
        return Ok(());
    }
    let entries: usize = sessions.iter().map(|session| session.entries.len()).sum();
    let count = |wanted: Severity| {
        let problems = sessions.iter().flat_map(|session| &session.problems);
        problems.filter(|problem| problem.kind.severity() == wanted).count()
    };
    let plural = |count: usize, one: &str| format!("{count} {one}{}", if count == 1 { "" } else { "s" });
    let line = format!(
        "{}: {}, {}, {}, {}",
        path.display(),
        plural(sessions.len(), "session"),
        plural(entries, "row"),
        plural(count(Severity::Error), "error"),
        plural(count(Severity::Warning), "warning"),
    );
    match writeln!(io::stdout(), "{line}") {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(format!("standard output: {error}")),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Opens a file in the browser.
fn open(path: &Path) -> Result<(), String> {
    if path == Path::new("-") {
        return Err("standard output cannot be opened: name a file with --out".to_owned());
    }
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    browser::open(path.as_os_str()).map_err(|error| format!("{error}: open {} in a browser", path.display()))
}

/// Returns a session's name as the name of a file.
fn file_name(name: &str) -> String {
    let safe =
        name.chars().map(|c| if c.is_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '-' });
    let safe: String = safe.take(80).collect();
    let safe = safe.trim_matches(['-', '.']);
    if safe.is_empty() { "session".to_owned() } else { safe.to_owned() }
}

/// Returns the path with a number before its ending: `out.svg` becomes `out-2.svg`.
fn numbered(path: &Path, number: usize) -> PathBuf {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let name = match path.extension() {
        Some(ending) => format!("{stem}-{number}.{}", ending.to_string_lossy()),
        None => format!("{stem}-{number}"),
    };
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_sessions_are_safe_as_names_of_files() {
        for (name, file) in [("a b/c", "a-b-c"), ("../..", "session"), ("s (gw-1)", "s--gw-1"), ("ä", "ä")]
        {
            assert_eq!(file_name(name), file);
        }
        assert_eq!(numbered(Path::new("d/out.svg"), 2), Path::new("d/out-2.svg"));
        assert_eq!(numbered(Path::new("out"), 3), Path::new("out-3"));
    }
}
