//! Secret texts.

use std::fmt;
use zeroize::Zeroizing;

/// A secret text: it prints as `<hidden>`, cannot be serialized, and is wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Creates a secret from a text. The caller's `String` is moved, so no copy is left.
    pub fn new(text: impl Into<String>) -> Self {
        Secret(Zeroizing::new(text.into()))
    }

    /// Returns the secret. Do not log or display it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Returns true if the secret is empty or white space, which counts as unset.
    pub fn is_blank(&self) -> bool {
        self.0.trim().is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<hidden>")
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Secret::new(text)
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Secret::new(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c_4_a_secret_is_not_printed() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "<hidden>");
        assert_eq!(format!("{:#?}", Some(Secret::new("hunter2"))), "Some(\n    <hidden>,\n)");
    }
}
