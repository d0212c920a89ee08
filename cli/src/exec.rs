//! The agent as a child process.

use crate::bridge::Agent;
use std::ffi::{OsStr, OsString};
use std::io;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Whether a variable may hold a secret: no child needs one of them (C-4). A name too many does no harm.
fn is_secret(name: &OsStr) -> bool {
    let name = name.to_string_lossy().to_ascii_uppercase();
    name.starts_with("GATEWAY_RELAY_") && ["SECRET", "KEY", "TOKEN"].iter().any(|word| name.contains(word))
}

/// A proxy's URL without user and password; `None` where there is nothing to leave out.
fn without_user(name: &OsStr, value: &OsStr) -> Option<String> {
    if !name.to_string_lossy().to_ascii_lowercase().ends_with("_proxy") {
        return None;
    }
    let value = value.to_string_lossy();
    let (scheme, rest) = match value.find("://") {
        Some(at) => value.split_at(at + "://".len()),
        None => ("", &*value),
    };
    let (_, host) = rest.rsplit_once('@')?;
    Some([scheme, host].concat())
}

/// Takes what may be a secret of the gateway out of a child's environment (C-4): its own variables, and user and
/// password of a proxy.
pub(crate) fn without_secrets(command: &mut Command) {
    let given: Vec<(OsString, Option<OsString>)> =
        command.get_envs().map(|(name, value)| (name.to_owned(), value.map(OsStr::to_owned))).collect();
    let is_given = |name: &OsStr| given.iter().any(|(known, _)| known == name);
    let ours = std::env::vars_os().filter(|(name, _)| !is_given(name));
    let given = given.iter().filter_map(|(name, value)| Some((name.clone(), value.clone()?)));
    for (name, value) in ours.chain(given).collect::<Vec<_>>() {
        if is_secret(&name) {
            command.env_remove(name);
        } else if let Some(bare) = without_user(&name, &value) {
            command.env(name, bare);
        }
    }
}

/// How long an agent may go on after its input has ended.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(crate) struct Child(std::process::Child);

impl Child {
    /// Starts the agent, and gives its end of the bridge. Its stderr is ours.
    pub(crate) fn start(program: &str, arguments: &[String]) -> io::Result<(Child, Agent)> {
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        without_secrets(&mut command);
        // A terminal's Ctrl-C is for us: the agent hears of it as the end of its input, and can still say something. So
        // are its other keys; an agent that wants to read the terminal itself cannot be started from here.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child = command.spawn()?;
        let lost = || io::Error::other("its stdin and stdout cannot be reached");
        let to = child.stdin.take().ok_or_else(lost)?;
        let from = child.stdout.take().ok_or_else(lost)?;
        Ok((Child(child), Agent { from: Box::new(from), to: Box::new(to), replaceable: false }))
    }

    /// Waits for its end; one that does not end within ten seconds is killed.
    pub(crate) fn wait(&mut self) -> io::Result<ExitStatus> {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.0.try_wait()? {
                return Ok(status);
            }
            if Instant::now() >= until {
                tracing::warn!(seconds = PATIENCE.as_secs(), "agent_killed");
                self.0.kill()?;
                return self.0.wait();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// C-4: what a child is left with of each variable.
    #[test]
    fn c_4_a_childs_environment_keeps_what_is_no_secret() {
        for (name, value, expected) in [
            ("GATEWAY_RELAY_ID", "gw-1", Some("gw-1")),
            ("GATEWAY_RELAY_SECRET", "hunter2", None),
            ("GATEWAY_RELAY_DELIVERY_KEY", "hunter2", None),
            ("GATEWAY_RELAY_IDP_CLIENT_SECRET", "hunter2", None),
            // Windows knows no case of names.
            ("Gateway_Relay_Access_Token", "hunter2", None),
            ("SECRET_OF_THE_AGENT", "its own", Some("its own")),
            ("HTTPS_PROXY", "http://me:hunter2@proxy.example:3128", Some("http://proxy.example:3128")),
            ("all_proxy", "me:hunt@er2@proxy.example", Some("proxy.example")),
            ("HTTP_PROXY", "http://hunter2@[fd00::1]:3128/", Some("http://[fd00::1]:3128/")),
            ("https_proxy", "http://proxy.example:3128", Some("http://proxy.example:3128")),
            ("NO_PROXY", "a.example,10.0.0.0/8", Some("a.example,10.0.0.0/8")),
            ("MAIL", "me@a.example", Some("me@a.example")),
        ] {
            let mut command = Command::new("nothing");
            command.env(name, value);
            without_secrets(&mut command);
            let left = command.get_envs().find(|(known, _)| *known == name).and_then(|(_, value)| value);
            assert_eq!(left.and_then(OsStr::to_str), expected, "{name}");
        }
    }
}
