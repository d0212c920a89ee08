//! Access tokens in files, as written by a login.

use crate::http::{BadToken, Bearer};
use relayline_core::json;
use relayline_core::secret::Secret;
use std::fmt;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// File that contains an access token: alone, or at a place in its JSON.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TokenFile {
    path: String,
    /// Field names that lead to the token, the outermost first; empty if the file is the token.
    place: Vec<String>,
}

/// Error returned when a file has no usable token. It does not quote the file.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenFileError {
    /// The file cannot be read.
    #[error("the access token file {path}: {why}")]
    Unreadable {
        /// Path of the file.
        path: String,
        /// Reason.
        why: String,
    },
    /// The file is not a JSON object, but a place in it is configured.
    #[error("the access token file {0} is not a JSON object: name the file alone if all of it is the token")]
    NotJson(String),
    /// The file is JSON, but no place in it is configured.
    #[error("the access token file {0} is JSON: name the token's place, as in {0}#access_token")]
    Whole(String),
    /// The file has no string at the place.
    #[error("the access token file {path} has no text at {place}: log in again, or name another place")]
    Nowhere {
        /// Path of the file.
        path: String,
        /// Place in the JSON.
        place: String,
    },
    /// The token has expired, according to the file.
    #[error("the access token in {path} expired at {at}: log in again")]
    Expired {
        /// Path of the file.
        path: String,
        /// Time of expiry, as in the file.
        at: String,
    },
    /// The text is not a token.
    #[error("the access token file {path}: {error}")]
    Bad {
        /// Path of the file.
        path: String,
        /// Problem of the token.
        error: BadToken,
    },
}

impl fmt::Display for TokenFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)
    }
}

impl TokenFile {
    /// Creates a token file. `place` names the fields that lead to the token in a JSON file, the outermost first; it is
    /// empty if the whole file is the token.
    pub(crate) fn new(path: String, place: Vec<String>) -> TokenFile {
        TokenFile { path, place }
    }

    /// Returns the path of the file. A leading `~/` means the home folder, since no shell has expanded a path from a
    /// file.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Returns the error of a file that cannot be read.
    pub fn unreadable(&self, why: impl fmt::Display) -> TokenFileError {
        TokenFileError::Unreadable { path: self.path.clone(), why: why.to_string() }
    }

    /// Reads the token from the file's content at `unix_s`.
    ///
    /// The field `expires_at` beside the token is its expiry: in RFC 3339 (UTC if it has no offset), or in seconds or
    /// milliseconds since 1970.
    ///
    /// # Errors
    /// Returns [`TokenFileError`] if there is no token, or if it has expired.
    pub fn read(&self, content: &[u8], unix_s: u64) -> Result<Bearer, TokenFileError> {
        let path = || self.path.clone();
        let text = std::str::from_utf8(content);
        let text = text.map_err(|_| TokenFileError::Bad { path: path(), error: BadToken::Characters })?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text).trim();
        let bearer =
            |token: &Secret| Bearer::new(token).map_err(|error| TokenFileError::Bad { path: path(), error });
        let Some((last, parents)) = self.place.split_last() else {
            if json::fields(text, &[]).is_some() {
                return Err(TokenFileError::Whole(path()));
            }
            return bearer(&Secret::from(text));
        };
        let nowhere = || TokenFileError::Nowhere { path: path(), place: self.place.join(".") };
        if json::fields(text, &[]).is_none() {
            return Err(TokenFileError::NotJson(path()));
        }
        let mut object = text;
        for name in parents {
            object = json::fields(object, &[name]).and_then(|[raw]| raw).ok_or_else(nowhere)?;
        }
        let [token, expiry] = json::fields(object, &[last, "expires_at"]).ok_or_else(nowhere)?;
        let token = token.and_then(json::string).map(Secret::new).ok_or_else(nowhere)?;
        if let Some(expiry) = expiry
            && ends_at(expiry).is_some_and(|at| at <= i128::from(unix_s))
        {
            let at = json::string(expiry).unwrap_or_else(|| expiry.to_owned());
            return Err(TokenFileError::Expired { path: path(), at });
        }
        bearer(&token)
    }
}

/// Returns the expiry in seconds since 1970, or `None` if it cannot be read. The token then counts as valid here: its
/// issuer rejects it if it has expired.
fn ends_at(raw: &str) -> Option<i128> {
    // Larger numbers are milliseconds: as seconds they would be after the year 5138.
    const MILLISECONDS: f64 = 1e11;
    if let Some(text) = json::string(raw) {
        let text = text.trim();
        let read = |text: &str| OffsetDateTime::parse(text, &Rfc3339).ok();
        let time = read(text).or_else(|| read(&format!("{text}Z")))?;
        return Some(time.unix_timestamp().into());
    }
    let number = raw.parse::<f64>().ok().filter(|number| number.is_finite())?;
    let seconds = if number.abs() >= MILLISECONDS { number / 1000.0 } else { number };
    #[expect(clippy::cast_possible_truncation, reason = "it saturates, and its fraction does not matter")]
    Some(seconds.floor() as i128)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> TokenFile {
        let (path, place) = text.split_once('#').unwrap_or((text, ""));
        let names = place.split('.').filter(|name| !name.is_empty());
        TokenFile::new(path.to_owned(), names.map(str::to_owned).collect())
    }

    fn read(file: &TokenFile, content: &str) -> Result<Bearer, String> {
        file.read(content.as_bytes(), 1_800_000_000).map_err(|error| error.to_string())
    }

    fn token(text: &str) -> Result<Bearer, String> {
        Ok(Bearer::new(&Secret::from(text)).unwrap())
    }

    #[test]
    fn h_8_a_file_is_a_token_or_holds_one() {
        assert_eq!(read(&file("t"), " \u{feff}t0ken\n".trim_start()), token("t0ken"));
        let login = file("auth.json#providers.nous.access_token");
        assert_eq!(login.path(), "auth.json");
        let content =
            r#"{"v":1,"providers":{"other":{},"nous":{"access_token":"t0\u006ben","refresh_token":"r"}}}"#;
        assert_eq!(read(&login, content), token("t0ken"));
        assert_eq!(
            read(
                &TokenFile::new("a#b".to_owned(), vec!["access_token".to_owned()]),
                r#"{"access_token":"t"}"#
            ),
            token("t")
        );
        for (file, content, expected) in [
            (
                &login,
                "t0ken",
                "the access token file auth.json is not a JSON object: name the file alone if all of it is the token",
            ),
            (
                &login,
                "{}",
                "the access token file auth.json has no text at providers.nous.access_token: log in again, or name another place",
            ),
            (
                &login,
                r#"{"providers":[]}"#,
                "the access token file auth.json has no text at providers.nous.access_token: log in again, or name another place",
            ),
            (
                &login,
                r#"{"providers":{"nous":{"access_token":null}}}"#,
                "the access token file auth.json has no text at providers.nous.access_token: log in again, or name another place",
            ),
            (
                &login,
                r#"{"providers":{"nous":{"access_token":"hunter 2"}}}"#,
                "the access token file auth.json: the access token holds blanks, line breaks or other characters that no header carries",
            ),
            (
                &file("t"),
                r#"{"access_token":"hunter2"}"#,
                "the access token file t is JSON: name the token's place, as in t#access_token",
            ),
            (&file("t"), "\n", "the access token file t: the access token is empty"),
        ] {
            assert_eq!(read(file, content), Err(expected.to_owned()), "{content}");
        }
        assert_eq!(login.unreadable("gone").to_string(), "the access token file auth.json: gone");
    }

    #[test]
    fn h_8_an_expired_token_is_refused() {
        let login = file("f#access_token");
        for (expiry, has_expired) in [
            (r#""2027-01-15T08:00:00+00:00""#, true),
            (r#""2027-01-15T08:00:00.999Z""#, true),
            (r#""2027-01-15T10:00:00+02:00""#, true),
            (r#""2027-01-15T08:00:01.123456+00:00""#, false),
            (r#""2027-01-15T08:00:00""#, true),
            (r#""2027-01-15T08:00:01""#, false),
            ("1800000000", true),
            ("1800000000.5", true),
            ("1800000001", false),
            ("1800000000999", true),
            ("1800000001000", false),
            // An expiry that cannot be read: the issuer decides.
            ("null", false),
            (r#""soon""#, false),
            ("1e999", false),
        ] {
            let content = format!(r#"{{"access_token":"t","expires_at":{expiry}}}"#);
            let expected = match has_expired {
                true => Err(format!(
                    "the access token in f expired at {}: log in again",
                    expiry.trim_matches('"')
                )),
                false => token("t"),
            };
            assert_eq!(read(&login, &content), expected, "{expiry}");
        }
    }
}
