//! URLs of queues: `sqlite:FILE` and `nats://SERVER`.

#[cfg(feature = "jetstream")]
use relayline_queue::jetstream::NatsUrl;
use std::fmt;
use std::path::{Path, PathBuf};

/// Location of a queue. `Display` and `Debug` leave credentials out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum QueueLocation {
    /// A file on this machine.
    File(PathBuf),
    /// Servers of NATS.
    #[cfg(feature = "jetstream")]
    Servers(NatsUrl),
}

impl QueueLocation {
    /// Parses a URL.
    ///
    /// # Errors
    /// The engine is not known, or no file or server is named. The text has no part of the URL that may be secret.
    pub(crate) fn parse(url: &str) -> Result<QueueLocation, String> {
        let advice =
            "write sqlite:FILE, as in sqlite:inbox.db, or nats://SERVER, as in nats://a,b,c/relay?replicas=3";
        let Some((engine, rest)) = url.split_once(':') else {
            return Err(format!("it names no engine: {advice}"));
        };
        let without = |engine: &str, feature: &str| {
            Err(format!("this program was built without {engine}: build it with the feature {feature}"))
        };
        match engine {
            "sqlite" if cfg!(not(feature = "sqlite")) => without("SQLite", "sqlite"),
            "sqlite" => {
                let path = rest.strip_prefix("//").unwrap_or(rest);
                match path {
                    "" | ":memory:" => Err(format!("it names no file: {advice}")),
                    path => Ok(QueueLocation::File(PathBuf::from(path))),
                }
            }
            #[cfg(feature = "jetstream")]
            "nats" | "tls" => url.parse().map(QueueLocation::Servers),
            #[cfg(not(feature = "jetstream"))]
            "nats" | "tls" => without("NATS", "jetstream"),
            _ => Err(format!("this program has no queues of the engine {:?}: {advice}", shown(engine))),
        }
    }

    /// Returns the location with relative paths taken from a folder.
    pub(crate) fn within(self, folder: &Path) -> QueueLocation {
        match self {
            QueueLocation::File(path) => QueueLocation::File(folder.join(path)),
            #[cfg(feature = "jetstream")]
            QueueLocation::Servers(url) => QueueLocation::Servers(url.within(folder)),
        }
    }

    /// Returns the whole URL with its credentials. Do not log or display it.
    pub(crate) fn expose(&self) -> String {
        match self {
            QueueLocation::File(path) => format!("sqlite:{}", path.display()),
            #[cfg(feature = "jetstream")]
            QueueLocation::Servers(url) => url.expose(),
        }
    }

    /// Returns true if agents on other machines can work from the queue, so that the gateway needs none of its own.
    pub(crate) fn is_shared(&self) -> bool {
        !matches!(self, QueueLocation::File(_))
    }
}

/// Returns an engine's name for an error.
fn shown(engine: &str) -> String {
    engine.chars().take(20).collect()
}

impl fmt::Display for QueueLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            QueueLocation::File(path) => write!(f, "sqlite:{}", path.display()),
            #[cfg(feature = "jetstream")]
            QueueLocation::Servers(url) => url.fmt(f),
        }
    }
}

#[cfg(all(test, feature = "sqlite", feature = "jetstream"))]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_an_engine_and_a_file() {
        for (url, path) in [
            ("sqlite:inbox.db", "inbox.db"),
            ("sqlite:/var/lib/inbox.db", "/var/lib/inbox.db"),
            ("sqlite:///var/lib/inbox.db", "/var/lib/inbox.db"),
            ("sqlite:a:b", "a:b"),
        ] {
            assert_eq!(QueueLocation::parse(url).unwrap(), QueueLocation::File(path.into()), "{url}");
        }
        for (url, why) in [
            ("inbox.db", "it names no engine"),
            ("sqlite:", "it names no file"),
            ("sqlite::memory:", "it names no file"),
            ("redis://user:hunter2@host", "no queues of the engine \"redis\""),
        ] {
            let error = QueueLocation::parse(url).unwrap_err();
            assert!(error.contains(why) && error.contains("write sqlite:FILE"), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn c_4_a_url_of_servers_hides_its_credentials() {
        let location = QueueLocation::parse("nats://u:hunter2@a,b/relay?replicas=3&ca=x");
        assert!(location.unwrap_err().contains("write tls://"));
        let location = QueueLocation::parse("tls://u:hunter2@a,b/relay?replicas=3&ca=x").unwrap();
        assert!(location.is_shared());
        let shown = format!("{location} {location:?}");
        assert!(
            shown.starts_with("tls://a:4222,b:4222/relay?replicas=3 ") && !shown.contains("hunter2"),
            "{shown}"
        );
        let exposed = location.within("/etc".as_ref()).expose();
        assert!(exposed.contains("u:hunter2@") && exposed.contains("ca=%2Fetc%2Fx"), "{exposed}");
    }
}
