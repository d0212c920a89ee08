//! URLs of queues: `sqlite:FILE`.

use std::fmt;
use std::path::{Path, PathBuf};

/// Location of a queue.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct QueueLocation {
    path: PathBuf,
}

impl QueueLocation {
    /// Parses a URL.
    ///
    /// # Errors
    /// The engine is not known, or no file is named.
    pub(crate) fn parse(url: &str) -> Result<QueueLocation, String> {
        // The rest of a URL can hold a credential.
        let advice = "write sqlite:FILE, as in sqlite:inbox.db";
        let Some((engine, rest)) = url.split_once(':') else {
            return Err(format!("it names no engine: {advice}"));
        };
        match engine {
            "sqlite" if cfg!(not(feature = "sqlite")) => {
                Err("this program was built without SQLite: build it with the feature sqlite".to_owned())
            }
            "sqlite" => {
                let path = rest.strip_prefix("//").unwrap_or(rest);
                match path {
                    "" | ":memory:" => Err(format!("it names no file: {advice}")),
                    path => Ok(QueueLocation { path: PathBuf::from(path) }),
                }
            }
            _ => Err(format!("this program has no queues of the engine {:?}: {advice}", shown(engine))),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the location with a relative path taken from a folder.
    pub(crate) fn within(&self, folder: &Path) -> QueueLocation {
        QueueLocation { path: folder.join(&self.path) }
    }
}

/// Returns an engine's name for an error.
fn shown(engine: &str) -> String {
    engine.chars().take(20).collect()
}

impl fmt::Display for QueueLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sqlite:{}", self.path.display())
    }
}

#[cfg(all(test, feature = "sqlite"))]
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
            assert_eq!(QueueLocation::parse(url).unwrap().path(), Path::new(path), "{url}");
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
}
