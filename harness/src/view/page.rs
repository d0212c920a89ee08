//! The page: the built viewer of `web/` with the sessions in it, compressed.

use super::problems::{ProblemKind, Severity};
use super::session::SessionView;
use data_encoding::BASE64;
use miniz_oxide::deflate::compress_to_vec;
use serde::Serialize;
use std::collections::BTreeMap;

/// The built viewer: one file without sessions. `web/` has its source, and `npm run build` there writes it.
const VIEWER: &str = include_str!("page/viewer.html");
/// Text in the viewer that the sessions replace. It is in a JSON script element.
const PLACE: &str = "\"relayline-sessions\"";
/// Level of the compression: higher ones take several times as long for a few percent.
const LEVEL: u8 = 6;

/// A page with sessions.
#[derive(Clone, Debug)]
pub struct Page {
    html: String,
    size: PageSize,
}

/// Sizes of a page, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct PageSize {
    /// The viewer alone.
    pub viewer: usize,
    /// The sessions as JSON.
    pub sessions: usize,
    /// The sessions in the page.
    pub compressed: usize,
}

/// The sessions, as the viewer reads them.
#[derive(Serialize)]
struct PageData<'v> {
    tool: String,
    rules: BTreeMap<&'static str, RuleInWords>,
    sessions: &'v [SessionView],
}

#[derive(Serialize)]
struct RuleInWords {
    /// Place in lists.
    order: usize,
    rule: &'static str,
    severity: Severity,
    title: &'static str,
    words: &'static str,
}

/// The content of the JSON script element.
#[derive(Serialize)]
struct Embedded {
    /// Encoding of `data`.
    encoding: &'static str,
    data: String,
}

/// Returns the rules of all problems in words, as a page reads them.
pub fn rules() -> impl Serialize {
    rules_by_name()
}

fn rules_by_name() -> BTreeMap<&'static str, RuleInWords> {
    let rules = ProblemKind::ALL.iter().enumerate().map(|(order, kind)| {
        let words = RuleInWords {
            order,
            rule: kind.rule(),
            severity: kind.severity(),
            title: kind.title(),
            words: kind.words(),
        };
        (kind.name(), words)
    });
    rules.collect()
}

impl Page {
    /// Makes the page of sessions. `version` is that of the program.
    ///
    /// # Errors
    ///
    /// Fails if a value cannot be written as JSON, which does not happen with values that were read as JSON.
    pub fn new(version: &str, sessions: &[SessionView]) -> Result<Page, serde_json::Error> {
        let data = PageData { tool: format!("relayline {version}"), rules: rules_by_name(), sessions };
        let json = serde_json::to_vec(&data)?;
        let encoded = BASE64.encode(&compress_to_vec(&json, LEVEL));
        let compressed = encoded.len();
        let embedded = serde_json::to_string(&Embedded { encoding: "deflate-raw+base64", data: encoded })?;
        // Base64 needs no escape. It stands here so that nothing that is embedded can end the element.
        let embedded = embedded.replace('<', "\\u003c");
        Ok(Page {
            html: VIEWER.replacen(PLACE, &embedded, 1),
            size: PageSize { viewer: VIEWER.len(), sessions: json.len(), compressed },
        })
    }

    /// Returns the HTML.
    pub fn html(&self) -> &str {
        &self.html
    }

    /// Returns the sizes.
    pub fn size(&self) -> PageSize {
        self.size
    }
}
