//! Environment of child processes: the gateway's without secrets (C-4).

use std::ffi::{OsStr, OsString};
use std::process::Command;

/// Words in the name of a `GATEWAY_RELAY_` variable that holds a secret. No child needs one of these variables, so a
/// word too many does no harm.
const SECRET_WORDS: [&str; 5] = ["SECRET", "KEY", "TOKEN", "PASSWORD", "CREDENTIAL"];

/// Removes the gateway's secrets from a child's environment: variables that hold one, and user-info, query and fragment
/// of URLs.
pub(crate) fn without_secrets(command: &mut Command) {
    let given: Vec<(OsString, Option<OsString>)> =
        command.get_envs().map(|(name, value)| (name.to_owned(), value.map(OsStr::to_owned))).collect();
    let is_given = |name: &OsStr| given.iter().any(|(known, _)| known == name);
    let ours = std::env::vars_os().filter(|(name, _)| !is_given(name));
    let given = given.iter().filter_map(|(name, value)| Some((name.clone(), value.clone()?)));
    for (name, value) in ours.chain(given).collect::<Vec<_>>() {
        match ChildValue::of(&name, &value.to_string_lossy()) {
            ChildValue::Whole => {}
            ChildValue::Bare(bare) => drop(command.env(name, bare)),
            ChildValue::Nothing => drop(command.env_remove(name)),
        }
    }
}

/// Value of a variable for a child.
#[derive(Debug, PartialEq, Eq)]
enum ChildValue {
    Whole,
    /// A URL without the parts that may be secret.
    Bare(String),
    Nothing,
}

impl ChildValue {
    fn of(name: &OsStr, value: &str) -> ChildValue {
        // Windows ignores the case of names.
        let name = name.to_string_lossy().to_ascii_uppercase();
        let bare = match name.strip_prefix("GATEWAY_RELAY_") {
            Some(rest) if SECRET_WORDS.iter().any(|word| rest.contains(word)) => return ChildValue::Nothing,
            Some(rest) if is_url(rest, value) => bare_url(value),
            None if name.ends_with("_PROXY") && name != "NO_PROXY" => bare_proxy(value),
            Some(_) | None => return ChildValue::Whole,
        };
        if bare == value { ChildValue::Whole } else { ChildValue::Bare(bare) }
    }
}

/// Returns true if a variable of the gateway holds a URL, by its name or by a scheme in its value.
fn is_url(name: &str, value: &str) -> bool {
    let is_scheme = |scheme: &str| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    };
    let has_scheme = value.split_once("://").is_some_and(|(scheme, _)| is_scheme(scheme.trim_start()));
    has_scheme || name.ends_with("URL") || name.ends_with("ENDPOINT")
}

/// Splits a URL after its scheme.
fn after_scheme(url: &str) -> (&str, &str) {
    url.find("://").map_or(("", url), |at| url.split_at(at + "://".len()))
}

/// Removes user-info, query and fragment from a URL.
fn bare_url(url: &str) -> String {
    let (scheme, rest) = after_scheme(url);
    let rest = &rest[..rest.find(['?', '#']).unwrap_or(rest.len())];
    let (authority, path) = rest.split_at(rest.find(['/', '\\']).unwrap_or(rest.len()));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    [scheme, host, path].concat()
}

/// Removes user-info, query and fragment from a proxy's URL. Its password may contain any character, unescaped.
fn bare_proxy(url: &str) -> String {
    let (scheme, rest) = after_scheme(url);
    let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    bare_url(&[scheme, host].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use relayline_control::settings::table::{self, Secrecy};

    /// C-4: the value of each variable that a child gets.
    #[test]
    fn c_4_a_childs_environment_keeps_everything_but_secrets() {
        for (name, value, expected) in [
            ("GATEWAY_RELAY_ID", "gw-1", Some("gw-1")),
            ("GATEWAY_RELAY_SECRET", "hunter2", None),
            ("GATEWAY_RELAY_DELIVERY_KEY", "hunter2", None),
            ("GATEWAY_RELAY_IDP_CLIENT_SECRET", "hunter2", None),
            ("GATEWAY_RELAY_IDP_TOKEN_URL", "https://idp.example/token?hunter2", None),
            // Windows ignores the case of names.
            ("Gateway_Relay_Access_Token", "hunter2", None),
            ("SECRET_OF_THE_AGENT", "its own", Some("its own")),
            (
                "URL_OF_THE_AGENT",
                "https://me:its@own.example?key=own",
                Some("https://me:its@own.example?key=own"),
            ),
            ("HTTPS_PROXY", "http://me:hunter2@proxy.example:3128", Some("http://proxy.example:3128")),
            ("all_proxy", "me:hunt@er2@proxy.example", Some("proxy.example")),
            ("ALL_PROXY", "http://me:hunt?er#2@proxy.example/", Some("http://proxy.example/")),
            ("HTTP_PROXY", "http://hunter2@[fd00::1]:3128/", Some("http://[fd00::1]:3128/")),
            ("https_proxy", "http://proxy.example:3128", Some("http://proxy.example:3128")),
            ("NO_PROXY", "a.example,10.0.0.0/8", Some("a.example,10.0.0.0/8")),
            ("MAIL", "me@a.example", Some("me@a.example")),
        ] {
            assert_eq!(left(name, value).as_deref(), expected, "{name}");
        }
    }

    /// C-4: no credential of the table of settings reaches a child.
    #[test]
    fn c_4_a_child_has_no_credential_of_the_table() {
        let credentials = table::ALL.iter().filter(|spec| spec.secrecy == Secrecy::Credential);
        let left: Vec<_> = credentials.filter(|spec| left(spec.variable, "hunter2").is_some()).collect();
        assert!(left.is_empty(), "{left:?}");
    }

    /// C-4: a URL of the gateway is recognised by its name or by its scheme.
    #[test]
    fn c_4_a_childs_urls_have_no_query_and_no_user_info() {
        for (name, value, expected) in [
            ("URL", "wss://c.example/relay", "wss://c.example/relay"),
            ("URL", "wss://c.example/relay?key=hunter2", "wss://c.example/relay"),
            ("URL", "c.example?key=hunter2", "c.example"),
            ("URL", " wss://me:hunter2@c.example:8443/a@b?c@d#e", " wss://c.example:8443/a@b"),
            ("URL", "wss://[::1]:8080?key=a@b/c", "wss://[::1]:8080"),
            ("ENDPOINT", "https://me.example/in?hunter2", "https://me.example/in"),
            ("WAKE_URL", "https://me:hunter2@me.example#hunter2", "https://me.example"),
            ("SOMETHING_NEW", "https://me.example?hunter2", "https://me.example"),
            ("DISPLAY_NAME", "who? me@home", "who? me@home"),
            ("POLICY", r#"{"keywords":["http://?"]}"#, r#"{"keywords":["http://?"]}"#),
        ] {
            let name = format!("GATEWAY_RELAY_{name}");
            assert_eq!(left(&name, value).as_deref(), Some(expected), "{name}");
        }
    }

    fn left(name: &str, value: &str) -> Option<String> {
        let mut command = Command::new("nothing");
        command.env(name, value);
        without_secrets(&mut command);
        let left = command.get_envs().find(|(known, _)| *known == name).and_then(|(_, value)| value);
        left.map(|left| left.to_string_lossy().into_owned())
    }
}
