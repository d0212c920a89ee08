//! Users who may answer a prompt.

use crate::event::{Source, UNNAMED_PLATFORM};

/// User who may answer a prompt.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Approver {
    /// Platform of the user. `None` matches this id on every platform.
    pub platform: Option<String>,
    /// Id of the user.
    pub user_id: String,
}

impl Approver {
    /// Returns true if this user is the author of an event. `platform` is the platform of the event, if it is known.
    pub fn is_author_of(&self, source: &Source, platform: Option<&str>) -> bool {
        let is_there = self.platform.is_none() || self.platform.as_deref() == platform;
        is_there && source.user_id.as_deref() == Some(self.user_id.as_str())
    }
}

/// Returns true if the author of an event may answer a prompt: one of its approvers, or anybody if it has none. `platform`
/// is the platform of the event, if it is known.
pub fn may_answer(approvers: &[Approver], source: &Source, platform: Option<&str>) -> bool {
    approvers.is_empty() || approvers.iter().any(|approver| approver.is_author_of(source, platform))
}

/// Returns the platform of an event: the one that it names, else the only one of the gateway.
pub fn platform_of<'a, T: AsRef<str> + ?Sized + 'a>(
    source: &'a Source,
    platforms: impl IntoIterator<Item = &'a T>,
) -> Option<&'a str> {
    if !matches!(source.platform.as_str(), "" | UNNAMED_PLATFORM) {
        return Some(&source.platform);
    }
    let mut platforms = platforms.into_iter();
    platforms.next().filter(|_| platforms.next().is_none()).map(AsRef::as_ref)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Event;

    #[test]
    fn i_4_an_id_of_one_platform_does_not_match_on_another() {
        for (platform, user_id, from, fronted, expected) in [
            (None, "U1", "slack", &["slack", "discord"][..], true),
            (None, "U1", "discord", &["slack", "discord"], true),
            (Some("slack"), "U1", "slack", &["slack", "discord"], true),
            (Some("slack"), "U1", "discord", &["slack", "discord"], false),
            (Some("slack"), "U2", "slack", &["slack", "discord"], false),
            // An event that names no platform is of the only one.
            (Some("slack"), "U1", "relay", &["slack", "discord"], false),
            (Some("slack"), "U1", "relay", &["slack"], true),
            (Some("slack"), "U1", "relay", &[], false),
        ] {
            let text = format!(r#"{{"source":{{"platform":"{from}","user_id":"U1"}}}}"#);
            let source = Event::read(&text).unwrap().source;
            let approver = Approver { platform: platform.map(str::to_owned), user_id: user_id.to_owned() };
            let is_it = approver.is_author_of(&source, platform_of(&source, fronted.iter().copied()));
            assert_eq!(is_it, expected, "{platform:?} {user_id} {from}");
        }
    }
}
