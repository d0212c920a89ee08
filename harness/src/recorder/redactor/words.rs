//! Allow-list of `--redact-text`: names of fields with the class of their values, and allowed words (C-4).

use super::HIDDEN;
use super::fields::is_secret;

/// Class of a value, by the name of its field.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum FieldClass {
    /// Private text, and every unknown field.
    #[default]
    Text,
    /// Text of a message, which may begin with a command.
    Message,
    /// Words of the protocol, ids, paths and URLs.
    Name,
    /// Words of the protocol, or a number that is not a part of an id.
    Kind,
    Number,
    /// Text of an error.
    Error,
    /// Objects whose `name` is the name of a command.
    Commands,
    /// Objects whose `name` names a command, in an interaction that chooses a command.
    Interaction,
    Command,
    /// Base64 body of a forwarded request (P-1).
    Body,
    Secret,
}

/// Allowed field names, by the class of their values.
const FIELDS: &[(FieldClass, &str)] = &[
    (
        FieldClass::Text,
        "action ambiguous attachments author auto_thread_created auto_thread_initial_name auto_thread_name \
         caption channel chat_info chat_name chat_topic chunks components component context context_error \
         description descriptor dm_top_level_threads_as_sessions ephemeral event expect_edits filename final \
         format_hints forward global_name is_bot is_own label media member message message_is_edit messages \
         metadata name nick notify one_to_one_verified only_if_connector_created only_if_current_name options \
         pii_safe platform_hint prompt_response remove reply_in_thread required resolved result slack source \
         success supports_block_formatting supports_code_blocks supports_context supports_draft_streaming \
         supports_edit supports_inchannel_continuable supports_threads thread_name title unfurl_links \
         unfurl_media user user_display_name user_handle user_name username users value",
    ),
    (FieldClass::Message, "content text"),
    (
        FieldClass::Name,
        "application_id botId bufferId card_id channel_id chat_id chat_id_alt chat_type content_type custom_id \
         draft_id emoji guild_id headers id len_unit markdown_dialect media_kind media_urls message_id \
         message_type method mime op option_id parent_chat_id parent_id path platform profile prompt_id \
         prompt_kind prompt_message_id prospective_thread_id recipient_team_id recipient_user_id reply_to \
         reply_to_message_id requestId roles scope_id session_key slack_team_id source_url status style \
         supported_ops target_id thread_id thread_ts url user_id user_id_alt values",
    ),
    (FieldClass::Kind, "code component_type kind type"),
    (FieldClass::Number, "bytes contract_version max_message_length size timeout_s version"),
    (FieldClass::Error, "detail error reason"),
    (FieldClass::Commands, "command_manifest"),
    (FieldClass::Interaction, "data"),
    (FieldClass::Body, "bodyB64"),
    (FieldClass::Secret, "authorization deliveryKey secret token"),
];

/// Allowed words in names: values of the protocol, and parts of ids, paths and file types.
const WORDS: &[&str] = &[
    // Frames and ops.
    "delete descriptor draft edit error follow_up get_chat_info going_idle going_idle_ack hello inbound \
     inbound_ack interrupt interrupt_inbound outbound outbound_result passthrough_forward prompt react send \
     send_media task_card task_card_stop thread_create thread_rename typing",
    // Platforms.
    "discord matrix relay signal slack sms teams telegram twilio wecom whatsapp whatsapp_cloud",
    // Kinds of chats, messages, media, prompts, options and follow-ups, states.
    "channel dm forum group thread audio command document image location photo sticker text video voice \
     approval choice clarify danger primary secondary success interaction_token response_url complete \
     in_progress pending",
    // Limits and dialects.
    "chars utf16 html markdown markdown_v2 mrkdwn plain",
    // Codes.
    "ambiguous egress_declined rate_limited unsupported",
    // Session keys and ids.
    "agent anonymous default hp1 main root turn unknown",
    // Reactions of a turn.
    "👀 ✅ ❌ 👍 👎 🔌",
    // HTTP.
    "DELETE GET HEAD PATCH POST PUT http https ws wss enroll interactions media policy provision webhooks \
     accept content-length content-type host user-agent Upgrade upgrade keep-alive websocket",
    // Types of files.
    "application gif jpeg json mp4 mpeg octet-stream ogg pdf png wav webm webp x-www-form-urlencoded zip",
];

/// Allowed errors and close reasons.
const REASONS: &[&str] = &[
    "busy",
    "dormant",
    "duplicate session",
    "expired",
    "forbidden",
    "going away",
    "invalid_token",
    "not found",
    "ping timeout",
    "replaced",
    "resumed by the host",
    "revoked",
    "temporarily suspended",
    "too many connections",
    "unauthorized",
];

/// Phrases in an error that decide the outcome of a request (O-7), in any case.
const PHRASES: [&str; 2] = ["egress declined:", "ack lost"];

/// Returns the class of a field's value, and true if its name is allowed.
pub(super) fn class(name: &str) -> (FieldClass, bool) {
    let listed = FIELDS.iter().find(|(_, names)| has(names, name)).map(|(class, _)| *class);
    let class = if is_secret(name) { FieldClass::Secret } else { listed.unwrap_or_default() };
    (class, listed.is_some())
}

/// Returns true if a word is in a list of the tables.
fn has(words: &str, word: &str) -> bool {
    words.split(' ').any(|one| one == word)
}

pub(super) fn is_word(text: &str) -> bool {
    text == HIDDEN || WORDS.iter().any(|words| has(words, text))
}

pub(super) fn is_reason(text: &str) -> bool {
    REASONS.contains(&text)
}

/// Returns the ranges of the allowed phrases, in order.
pub(super) fn phrases(text: &str) -> Vec<std::ops::Range<usize>> {
    let lower = text.to_ascii_lowercase();
    let mut found: Vec<_> = PHRASES
        .iter()
        .flat_map(|phrase| lower.match_indices(phrase).map(|(at, phrase)| at..at + phrase.len()))
        .collect();
    found.sort_unstable_by_key(|range| range.start);
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Returns the names of all fields in the schema of the frames.
    #[test]
    fn c_4_the_allow_list_knows_the_fields_of_the_protocol() {
        fn names(value: &serde_json::Value, found: &mut BTreeSet<String>) {
            if let Some(fields) = value["properties"].as_object() {
                found.extend(fields.keys().cloned());
            }
            let inner: Vec<_> = match value {
                serde_json::Value::Array(items) => items.iter().collect(),
                serde_json::Value::Object(fields) => fields.values().collect(),
                _ => return,
            };
            inner.into_iter().for_each(|value| names(value, found));
        }
        let schema = include_str!("../../../../schema/frames.schema.json");
        let mut found = BTreeSet::new();
        names(&serde_json::from_str(schema).unwrap(), &mut found);
        let unknown: Vec<_> = found.iter().filter(|name| !class(name).1).collect();
        assert!(unknown.is_empty() && found.len() > 90, "{unknown:?}");
    }

    #[test]
    fn c_4_the_allow_list_knows_the_ops() {
        // A raw action has an op that the host chooses.
        for op in relayline_core::op::OPS.iter().filter(|op| op.name != "raw") {
            assert!(is_word(op.name), "{}", op.name);
        }
    }

    #[test]
    fn c_4_names_are_listed_once() {
        let mut all: Vec<_> = FIELDS.iter().flat_map(|(_, names)| names.split(' ')).collect();
        let count = all.len();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), count);
    }
}
