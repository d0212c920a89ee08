//! Flags of approvals: the chat in which people are asked, and the users who may answer.

use relayline_acp::PromptChat;
use relayline_core::approver::Approver;
use std::fmt::Write as _;
use std::sync::Arc;

/// Handling of the agent's prompts: the chat that shows them, and the users who may answer there.
#[derive(Clone, Debug, Default)]
pub(crate) struct PromptPolicy {
    /// Chat in which requests for approval are shown, unless they name one; their own by default.
    pub(crate) chat: Option<PromptChat>,
    /// Users who may answer prompts that are shown in another chat than their own; everybody if it is empty.
    pub(crate) approvers: Arc<[Approver]>,
}

/// Forms of `--approval-chat`, for its errors.
const CHAT_FORM: &str = "write PLATFORM:CHAT, or PLATFORM:SCOPE/CHAT with the chat's server or workspace, as in \
                         slack:T0123/C0456, or PLATFORM:/CHAT if the id of the chat has a slash";

/// Reads the value of `--approval-chat`.
///
/// # Errors
/// It does not have the form.
pub(crate) fn chat(text: &str) -> Result<PromptChat, String> {
    let (platform, place) = text.trim().split_once(':').unwrap_or_default();
    let (scope_id, chat_id) = match place.split_once('/') {
        Some((scope_id, chat_id)) => (Some(scope_id).filter(|scope| !scope.is_empty()), chat_id),
        None => (None, place),
    };
    if platform.is_empty() || chat_id.is_empty() {
        return Err(CHAT_FORM.to_owned());
    }
    let (platform, chat_id) = (platform.to_owned(), chat_id.to_owned());
    Ok(PromptChat { platform, chat_id, scope_id: scope_id.map(str::to_owned) })
}

/// Checks that the gateway fronts the platform of the chat.
///
/// # Errors
/// It does not.
pub(crate) fn check_fronted(chat: &PromptChat, platforms: &[String]) -> Result<(), String> {
    let platform = &chat.platform;
    if platforms.contains(platform) {
        return Ok(());
    }
    Err(format!("--approval-chat: {}; {CHAT_FORM}", not_fronted(platform, platforms)))
}

/// Reads a value of `--approver`.
///
/// # Errors
/// It does not have the form, or the gateway does not front its platform.
pub(crate) fn approver(text: &str, platforms: &[String]) -> Result<Approver, String> {
    let form = "write USER, or PLATFORM:USER, as in slack:U0123";
    let (platform, user_id) = match text.trim().split_once(':') {
        Some((platform, user_id)) => (Some(platform), user_id),
        None => (None, text.trim()),
    };
    if user_id.is_empty() {
        return Err(format!("--approver {text:?} names no user: {form}"));
    }
    match platform {
        Some(platform) if !platforms.iter().any(|fronted| fronted == platform) => {
            Err(format!("--approver {text:?}: {}; {form}", not_fronted(platform, platforms)))
        }
        _ => Ok(Approver { platform: platform.map(str::to_owned), user_id: user_id.to_owned() }),
    }
}

/// Checks that each user can be in the chat that is asked, if there is one.
///
/// # Errors
/// One of them is on another platform: the answer would never count.
pub(crate) fn check_approvers(approvers: &[Approver], chat: Option<&PromptChat>) -> Result<(), String> {
    let elsewhere = |approver: &&Approver| {
        let platform = approver.platform.as_ref();
        chat.is_some_and(|chat| platform.is_some_and(|platform| *platform != chat.platform))
    };
    let Some(Approver { platform: Some(platform), user_id }) = approvers.iter().find(elsewhere) else {
        return Ok(());
    };
    Err(format!(
        "--approver {platform}:{user_id}: only users of the platform of --approval-chat can answer there; name one of them"
    ))
}

/// Returns the warning about users who are named without their platform, if there are any. Such an id counts on each of
/// the platforms, where it can be that of somebody else.
pub(crate) fn warning(
    approvers: &[Approver],
    chat: Option<&PromptChat>,
    platforms: &[String],
) -> Option<String> {
    if platforms.len() < 2 || chat.is_some() {
        return None;
    }
    let mut ids =
        approvers.iter().filter(|approver| approver.platform.is_none()).map(|approver| &approver.user_id);
    let mut text = format!("--approver {}", ids.next()?);
    for id in ids {
        // Writing to a `String` cannot fail.
        let _ = write!(text, ", {id}");
    }
    Some(format!("{text}: the id counts on every platform of this gateway; write PLATFORM:USER to name one"))
}

fn not_fronted(platform: &str, platforms: &[String]) -> String {
    format!("this gateway does not front the platform {platform:?}, but {}", platforms.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn platforms() -> Vec<String> {
        ["slack", "discord"].map(str::to_owned).to_vec()
    }

    #[test]
    fn a_chat_has_a_platform_and_perhaps_a_scope() {
        for (text, platform, scope_id, chat_id) in [
            ("slack:C9", "slack", None, "C9"),
            ("slack:T1/C9", "slack", Some("T1"), "C9"),
            (" telegram:-1001 ", "telegram", None, "-1001"),
            ("matrix:!room:server.example", "matrix", None, "!room:server.example"),
            ("googlechat:/spaces/A", "googlechat", None, "spaces/A"),
        ] {
            let read = chat(text).unwrap();
            let expected = (platform, scope_id, chat_id);
            assert_eq!(
                (read.platform.as_str(), read.scope_id.as_deref(), read.chat_id.as_str()),
                expected,
                "{text}"
            );
        }
        for text in ["", "C9", "slack:", ":C9", "slack:T1/", "slack:/"] {
            assert!(chat(text).unwrap_err().contains("PLATFORM:SCOPE/CHAT"), "{text}");
        }
    }

    #[test]
    fn a_chat_and_an_approver_are_on_a_fronted_platform() {
        let refused = |text: &str| check_fronted(&chat(text).unwrap(), &platforms()).unwrap_err();
        assert_eq!(check_fronted(&chat("slack:C9").unwrap(), &platforms()), Ok(()));
        assert!(
            refused("sms:1").contains("\"sms\", but slack, discord; write PLATFORM:CHAT"),
            "{}",
            refused("sms:1")
        );
        let read = |text: &str| approver(text, &platforms());
        let user = |platform: Option<&str>, user_id: &str| {
            Ok(Approver { platform: platform.map(str::to_owned), user_id: user_id.to_owned() })
        };
        assert_eq!(read("U1"), user(None, "U1"));
        assert_eq!(read("slack:U1"), user(Some("slack"), "U1"));
        assert_eq!(read("slack:@a:server"), user(Some("slack"), "@a:server"));
        for text in ["", " ", "slack:", "sms:1", "@a:server"] {
            assert!(read(text).unwrap_err().contains("as in slack:U0123"), "{text}");
        }
    }

    #[test]
    fn an_id_that_counts_on_several_platforms_is_warned_of() {
        let approvers = |texts: &[&str]| {
            texts.iter().map(|text| approver(text, &platforms()).unwrap()).collect::<Vec<_>>()
        };
        let both = approvers(&["U1", "slack:U2", "U3"]);
        assert!(warning(&both, None, &platforms()).unwrap().starts_with("--approver U1, U3: the id counts"));
        assert_eq!(warning(&both, None, &platforms()[..1]), None);
        assert_eq!(warning(&both, chat("slack:C9").ok().as_ref(), &platforms()), None);
        assert_eq!(warning(&approvers(&["slack:U2"]), None, &platforms()), None);
    }

    #[test]
    fn an_approver_on_another_platform_than_the_chat_is_refused() {
        let check = |user: &str, chat_text: Option<&str>| {
            let chat = chat_text.map(|text| chat(text).unwrap());
            check_approvers(&[approver(user, &platforms()).unwrap()], chat.as_ref())
        };
        assert_eq!((check("discord:U1", None), check("U1", Some("slack:C9"))), (Ok(()), Ok(())));
        assert_eq!(check("slack:U1", Some("slack:C9")), Ok(()));
        assert!(
            check("discord:U1", Some("slack:C9")).unwrap_err().starts_with("--approver discord:U1: only")
        );
    }
}
