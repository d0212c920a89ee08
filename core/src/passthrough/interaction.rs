//! Discord interactions as events.

use super::Forward;
use crate::event::{
    ChatType, CompactString, Event, Media, MediaKind, MessageType, PromptResponse, ReplyTo, Source, Target,
    TargetKind,
};
use crate::json::{self, Kind};
use crate::prompts::PromptChoice;

/// Maximum depth at which options and components are read (P-3, P-5). Discord nests two levels; each level is read
/// once more for every level above it.
const MAX_NESTING: usize = 4;

const INTERACTION: [&str; 9] =
    ["id", "type", "channel_id", "guild_id", "channel", "member", "user", "data", "message"];

/// Reads the body of a Discord forward. Returns `None` for a ping, an autocompletion, an unknown type, a command
/// without a name, and a body that is not a JSON object (P-2, P-6).
pub(crate) fn read(forward: &Forward) -> Option<Event> {
    let body = std::str::from_utf8(&forward.body).ok().filter(|body| json::depth_is_fine(body))?;
    let mut room = String::new();
    let [id, kind, channel_id, guild_id, channel, member, user, data, message] =
        json::peer_fields(body, &mut room, &INTERACTION)?;
    let said = match json::whole(kind?) {
        Some(2) => command(data, &forward.bot_id)?,
        Some(3) => component(data, message),
        Some(5) => Said { media: attachments(data), ..Said::text(modal(data)) },
        _ => return None,
    };
    let [channel_type, parent_id] =
        channel.and_then(|raw| json::fields(raw, &["type", "parent_id"])).unwrap_or([None; 2]);
    let in_thread = matches!(channel_type.and_then(json::whole), Some(10..=12));
    let id_of =
        |raw: Option<&str>| raw.and_then(json::id).filter(|id| !id.is_empty()).map(CompactString::from);
    let (chat_id, scope_id) = (id_of(channel_id).unwrap_or_default(), id_of(guild_id));
    let (user_id, user_name) = author(member, user);
    let chat_type = match (in_thread, &scope_id) {
        (true, _) => ChatType::Thread,
        (false, Some(_)) => ChatType::Group,
        (false, None) => ChatType::Dm,
    };
    let source = Source {
        platform: forward.platform.as_str().into(),
        thread_id: filled(&chat_id).filter(|_| in_thread),
        chat_id,
        chat_type,
        user_id: filled(&user_id),
        user_name: filled(&user_name),
        parent_chat_id: id_of(parent_id).filter(|_| in_thread),
        scope_id,
        message_id: id_of(id),
        profile: forward.profile.as_deref().and_then(filled),
        ..Source::default()
    };
    let target_message = said.target.as_ref().filter(|target| target.kind == TargetKind::Message);
    Some(Event {
        text: said.text.into(),
        message_type: said.message_type,
        reply_to_message_id: target_message.map(|target| target.id.clone()),
        source,
        reply_to: Some(said.quoted).filter(|quoted| *quoted != ReplyTo::default()),
        media: said.media,
        prompt_response: said.prompt_response,
        is_interaction: true,
        values: said.values,
        target: said.target,
        ..Event::default()
    })
}

/// Returns a text that is not empty.
fn filled(text: &str) -> Option<CompactString> {
    (!text.is_empty()).then(|| text.into())
}

/// Content of an interaction.
#[derive(Default)]
struct Said {
    text: String,
    message_type: MessageType,
    prompt_response: Option<PromptResponse>,
    /// Values chosen from a select menu.
    values: Vec<CompactString>,
    target: Option<Target>,
    /// Message that is the target.
    quoted: ReplyTo,
    media: Vec<Media>,
}

impl Said {
    fn text(text: String) -> Said {
        Said { text, ..Said::default() }
    }
}

/// Returns the text of a command: `/name`, followed by its options (P-3). A command of a context menu has a target
/// (P-9).
fn command(data: Option<&str>, bot_id: &str) -> Option<Said> {
    const FIELDS: [&str; 5] = ["name", "options", "type", "target_id", "resolved"];
    let [name, options, kind, target_id, resolved] = json::fields(data?, &FIELDS)?;
    let name = name.and_then(json::id).filter(|name| !name.is_empty())?;
    let mut text = format!("/{name}");
    push_options(options.unwrap_or("null"), MAX_NESTING, &mut text);
    let mut said = Said { message_type: MessageType::Command, media: attachments(data), ..Said::text(text) };
    let kind = match kind.and_then(json::whole) {
        Some(2) => TargetKind::User,
        Some(3) => TargetKind::Message,
        _ => return Some(said),
    };
    let Some(id) = target_id.and_then(json::id).filter(|id| !id.is_empty()) else { return Some(said) };
    let mut target = Target { kind, id: id.as_str().into(), ..Target::default() };
    let [users, messages] =
        resolved.and_then(|raw| json::fields(raw, &["users", "messages"])).unwrap_or([None; 2]);
    match kind {
        TargetKind::User => {
            target.name = entry(users, &id).and_then(|user| filled(&named(user).1));
        }
        TargetKind::Message => {
            const MESSAGE: [&str; 3] = ["content", "author", "attachments"];
            let message = entry(messages, &id).and_then(|raw| json::fields(raw, &MESSAGE));
            let [content, author, attached] = message.unwrap_or([None; 3]);
            let (author_id, author) = author.map(named).unwrap_or_default();
            let is_told = !author_id.is_empty() && !bot_id.is_empty();
            said.quoted = ReplyTo {
                text: content.and_then(json::string).and_then(|text| filled(&text)),
                author: filled(&author),
                is_own: is_told.then_some(author_id == bot_id),
            };
            json::each(attached.unwrap_or("null"), |raw| said.media.extend(attachment(raw)));
        }
    }
    said.target = Some(target);
    Some(said)
}

/// Returns the entry of an object by its name.
fn entry<'a>(all: Option<&'a str>, name: &str) -> Option<&'a str> {
    json::fields(all?, &[name]).and_then(|[found]| found)
}

/// Reads the files of an interaction, in order (P-9).
fn attachments(data: Option<&str>) -> Vec<Media> {
    let mut media = Vec::new();
    let attached = entry(entry(data, "resolved"), "attachments");
    json::entries(attached.unwrap_or("null"), |_, raw| media.extend(attachment(raw)));
    media
}

/// Reads one of Discord's attachments. `None` if it has no URL.
fn attachment(raw: &str) -> Option<Media> {
    const FIELDS: [&str; 6] = ["url", "content_type", "filename", "description", "size", "waveform"];
    let [url, mime, filename, caption, size, waveform] = json::fields(raw, &FIELDS)?;
    let text = |raw: Option<&str>| raw.and_then(json::string).unwrap_or_default();
    let mime = text(mime);
    let kind = match mime.split('/').next() {
        Some("image") => Some(MediaKind::Image),
        Some("video") => Some(MediaKind::Video),
        Some("audio") if !text(waveform).is_empty() => Some(MediaKind::Voice),
        Some("audio") => Some(MediaKind::Audio),
        _ => (!mime.is_empty()).then_some(MediaKind::Document),
    };
    let url = filled(&text(url))?;
    let size = size.and_then(json::whole).and_then(|size| u64::try_from(size).ok());
    let (mime, filename, caption) = (filled(&mime), filled(&text(filename)), filled(&text(caption)));
    Some(Media { url, kind, mime, size, filename, caption })
}

fn push_options(options: &str, left: usize, text: &mut String) {
    json::each(options, |option| {
        let fields = json::fields(option, &["name", "type", "value", "options"]);
        let Some([name, kind, value, options]) = fields else {
            return;
        };
        let mut push = |word: &str| {
            if !word.is_empty() {
                text.push(' ');
                text.push_str(word);
            }
        };
        // A sub-command or a group of sub-commands adds its name and its own options.
        if matches!(kind.and_then(json::whole), Some(1 | 2)) {
            push(&name.and_then(json::id).unwrap_or_default());
            if left > 0 {
                push_options(options.unwrap_or("null"), left - 1, text);
            }
        } else {
            push(scalar(value).trim());
        }
    });
}

/// Reads a component: its `custom_id`, or the option of a prompt that it encodes (P-4). A select menu has values
/// (P-9).
fn component(data: Option<&str>, message: Option<&str>) -> Said {
    let [custom_id, chosen] =
        data.and_then(|raw| json::fields(raw, &["custom_id", "values"])).unwrap_or([None; 2]);
    let custom_id = custom_id.and_then(json::id).unwrap_or_default();
    let mut values = Vec::new();
    json::each(chosen.unwrap_or("null"), |raw| values.push(scalar(Some(raw)).into()));
    let Some(choice) = PromptChoice::parse(&custom_id) else {
        return Said { values, ..Said::text(custom_id) };
    };
    let carrying = message.and_then(|raw| json::fields(raw, &["id"])).and_then(|[id]| id).and_then(json::id);
    let response = PromptResponse {
        prompt_id: choice.prompt_id.into(),
        option_id: choice.option_id.as_str().into(),
        prompt_message_id: carrying.and_then(|id| filled(&id)),
        ..PromptResponse::default()
    };
    Said {
        text: format!("/{}", choice.option_id),
        message_type: MessageType::Command,
        prompt_response: Some(response),
        values,
        ..Said::default()
    }
}

/// Returns one line `custom_id=value` per input, in order (P-5).
fn modal(data: Option<&str>) -> String {
    let mut lines = Vec::new();
    let components =
        data.and_then(|raw| json::fields(raw, &["components"])).and_then(|[components]| components);
    json::each(components.unwrap_or("null"), |component| {
        push_inputs(component, MAX_NESTING, &mut lines);
    });
    lines.join("\n")
}

fn push_inputs(component: &str, left: usize, lines: &mut Vec<String>) {
    const FIELDS: [&str; 6] = ["type", "components", "component", "custom_id", "value", "values"];
    let fields = json::fields(component, &FIELDS);
    let Some([kind, components, inner, custom_id, value, values]) = fields else { return };
    match kind.and_then(json::whole) {
        // An action row holds several, a label one.
        Some(1 | 18) if left == 0 => {}
        Some(1) => json::each(components.unwrap_or("null"), |component| {
            push_inputs(component, left - 1, lines);
        }),
        Some(18) => {
            if let Some(inner) = inner {
                push_inputs(inner, left - 1, lines);
            }
        }
        _ => {
            let Some(custom_id) = custom_id.and_then(json::id) else { return };
            let mut chosen = Vec::new();
            json::each(values.unwrap_or("null"), |raw| chosen.push(scalar(Some(raw))));
            let value = if chosen.is_empty() { scalar(value) } else { chosen.join(", ") };
            // One line per input, so that no value can forge another's.
            lines.push(format!("{custom_id}={value}").replace(['\n', '\r'], " "));
        }
    }
}

/// Returns a raw value as text; empty for an array, an object and null.
fn scalar(raw: Option<&str>) -> String {
    match raw.map(|raw| (json::kind(raw), raw)) {
        Some((Kind::String, raw)) => json::string(raw).unwrap_or_default(),
        Some((Kind::Bool(_) | Kind::Integer | Kind::Fraction, raw)) => raw.to_owned(),
        Some((Kind::Null | Kind::Array | Kind::Object, _)) | None => String::new(),
    }
}

/// Reads the author: the member's user, else the user; named by the nick, the global name or the user name (P-7).
fn author(member: Option<&str>, user: Option<&str>) -> (String, String) {
    let member = member.and_then(|raw| json::fields(raw, &["user", "nick"]));
    let [of_member, nick] = member.unwrap_or([None; 2]);
    let found = [of_member, user].into_iter().flatten().find(|raw| json::kind(raw) == Kind::Object);
    let (id, name) = found.map(named).unwrap_or_default();
    let nick = nick.filter(|_| of_member.is_some()).and_then(json::string).filter(|nick| !nick.is_empty());
    (id, nick.unwrap_or(name))
}

/// Returns a user's id, and the global name or the user name.
fn named(user: &str) -> (String, String) {
    let found = json::fields(user, &["id", "global_name", "username"]);
    let [id, global_name, username] = found.unwrap_or([None; 3]);
    let names = [global_name, username];
    let name = names.into_iter().flatten().filter_map(json::string).find(|name| !name.is_empty());
    (id.and_then(json::id).unwrap_or_default(), name.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use data_encoding::BASE64;
    use serde_json::{Value, json};

    fn forward(body: &[u8]) -> Forward {
        let raw =
            json!({"platform": "discord", "botId": "1", "bodyB64": BASE64.encode(body), "profile": "coder"});
        Forward::read(&raw.to_string()).unwrap().0
    }

    #[track_caller]
    fn event(body: &Value) -> Option<Event> {
        read(&forward(body.to_string().as_bytes()))
    }

    fn said(body: &Value) -> Option<(String, String)> {
        event(body).map(|event| (event.text.to_string(), event.message_type.name().to_owned()))
    }

    fn some(text: &str, kind: &str) -> Option<(String, String)> {
        Some((text.to_owned(), kind.to_owned()))
    }

    #[test]
    fn p_3_a_command_is_its_name_and_its_options() {
        let command = |data: Value| said(&json!({"type": 2, "data": data}));
        assert_eq!(command(json!({"name": "ping"})), some("/ping", "command"));
        assert_eq!(
            command(json!({"name": "a", "options": [
                {"name": "group", "type": 2, "options": [{"name": "sub", "type": 1, "options": [
                    {"name": "x", "type": 3, "value": "  two words "}, {"name": "n", "type": 4, "value": 20},
                    {"name": "e", "type": 3, "value": "  "}, {"name": "b", "type": 5, "value": true},
                    {"name": "f", "type": 10, "value": 1.5}]}]}]})),
            some("/a group sub two words 20 true 1.5", "command"),
        );
        assert_eq!(command(json!({"name": 7})), some("/7", "command"));
        for nameless in [json!({}), json!(null), json!([]), json!({"name": ""})] {
            assert_eq!(command(nameless), None);
        }
    }

    /// Each level costs one call of the reader.
    #[test]
    fn p_3_p_5_options_nested_too_deep_are_left_out() {
        let mut options = json!([{"name": "x", "type": 3, "value": "v"}]);
        let mut rows = json!([{"type": 4, "custom_id": "v", "value": "v"}]);
        for level in (1..=9).rev() {
            options = json!([{"name": format!("g{level}"), "type": 2, "options": options}]);
            rows = json!([{"type": 1, "components": [{"type": 4, "custom_id": level, "value": "v"},
                {"type": 18, "component": rows[0]}]}]);
        }
        let command = json!({"type": 2, "data": {"name": "a", "options": options}});
        assert_eq!(said(&command), some("/a g1 g2 g3 g4 g5", "command"));
        let modal = json!({"type": 5, "data": {"components": rows}});
        assert_eq!(said(&modal), some("1=v\n2=v", "text"));
    }

    #[test]
    fn p_4_a_component_is_its_custom_id_or_a_prompts_option() {
        let component = |custom_id: &str| {
            event(&json!({"type": 3, "data": {"custom_id": custom_id}, "message": {"id": "77"}})).unwrap()
        };
        let plain = component("✅ ok");
        assert_eq!((&*plain.text, plain.message_type.name(), plain.prompt_response), ("✅ ok", "text", None));
        let chosen = component("hp1:abc123.00000001:yes");
        assert_eq!((&*chosen.text, chosen.message_type.name()), ("/yes", "command"));
        let response = chosen.prompt_response.unwrap();
        assert_eq!((&*response.prompt_id, &*response.option_id), ("abc123.00000001", "yes"));
        assert_eq!(response.prompt_message_id.as_deref(), Some("77"));
        for other in
            ["hp1:p", "hp1:p:", "hp1::o", "hp1:p:o o", "hp2:p:o", &format!("hp1:p:{}", "o".repeat(33))]
        {
            assert_eq!((&*component(other).text, component(other).prompt_response), (other, None));
        }
    }

    #[test]
    fn p_5_a_modal_is_a_line_per_input() {
        let components = json!([
            {"type": 1, "components": [{"type": 4, "custom_id": "title", "value": "a\nb"}, {"type": 4, "custom_id": "empty", "value": ""}]},
            {"type": 18, "component": {"type": 4, "custom_id": "why", "value": "because"}},
            {"type": 18, "component": {"type": 3, "custom_id": "which", "values": ["x", "y"]}},
            {"type": 10, "content": "no input"}, "junk",
        ]);
        let modal = said(&json!({"type": 5, "data": {"custom_id": "m", "components": components}}));
        assert_eq!(modal, some("title=a b\nempty=\nwhy=because\nwhich=x, y", "text"));
    }

    fn shown(body: &Value) -> Value {
        serde_json::to_value(event(body).unwrap()).unwrap()
    }

    #[test]
    fn p_9_values_of_a_select_menu_reach_the_host() {
        let select = |data: Value| shown(&json!({"type": 3, "data": data, "message": {"id": "77"}}));
        let chosen =
            select(json!({"custom_id": "size", "component_type": 3, "values": ["s", "m, l", 7, null]}));
        assert_eq!((&chosen["text"], &chosen["values"]), (&json!("size"), &json!(["s", "m, l", "7", ""])));
        let prompt = select(json!({"custom_id": "hp1:p:o", "values": ["x"]}));
        assert_eq!(
            (&prompt["values"], &prompt["prompt_response"]["option_id"]),
            (&json!(["x"]), &json!("o"))
        );
        for none in [
            json!({"custom_id": "b"}),
            json!({"custom_id": "b", "values": "x"}),
            json!({"custom_id": "b", "values": []}),
        ] {
            assert_eq!(select(none).get("values"), None);
        }
    }

    #[test]
    fn p_9_attachments_of_commands_and_modals_are_media() {
        let resolved = json!({"attachments": {
            "11": {"id": "11", "filename": "a.png", "content_type": "image/png", "size": 120, "url": "https://cdn/a",
                "description": "a cat"},
            "12": {"id": "12", "filename": "b.ogg", "content_type": "audio/ogg", "size": 3, "url": "https://cdn/b", "waveform": "AA=="},
            "13": {"id": "13", "filename": "c", "url": "https://cdn/c"},
            "14": {"id": "14", "content_type": "text/plain; charset=utf-8", "url": "https://cdn/d", "size": "x"},
            "15": {"id": "15"}, "16": 7,
            "17": {"id": "17", "content_type": "audio/mpeg", "url": "https://cdn/e"},
        }});
        let expected = json!([
            {"url": "https://cdn/a", "kind": "image", "mime": "image/png", "size": 120, "filename": "a.png", "caption": "a cat"},
            {"url": "https://cdn/b", "kind": "voice", "mime": "audio/ogg", "size": 3, "filename": "b.ogg"},
            {"url": "https://cdn/c", "filename": "c"},
            {"url": "https://cdn/d", "kind": "document", "mime": "text/plain; charset=utf-8"},
            {"url": "https://cdn/e", "kind": "audio", "mime": "audio/mpeg"},
        ]);
        let command = json!({"type": 2, "data": {"name": "scan", "resolved": resolved,
            "options": [{"name": "file", "type": 11, "value": "11"}]}});
        assert_eq!((&shown(&command)["text"], &shown(&command)["media"]), (&json!("/scan 11"), &expected));
        let modal = json!({"type": 5, "data": {"custom_id": "m", "resolved": resolved, "components": []}});
        assert_eq!(shown(&modal)["media"], expected);
    }

    #[test]
    fn p_9_a_message_command_brings_its_message() {
        let command = |more: Value| {
            let mut data = json!({"name": "Summarize", "type": 3, "target_id": "900"});
            data.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            shown(&json!({"type": 2, "data": data}))
        };
        let message = json!({"id": "900", "content": "long\nread", "author": {"id": "1", "username": "ada", "global_name": "Ada"},
            "attachments": [{"id": "5", "url": "https://cdn/e", "content_type": "video/mp4"}]});
        let event = command(json!({"resolved": {"messages": {"899": {"content": "x"}, "900": message}}}));
        for (field, expected) in [
            ("text", json!("/Summarize")),
            ("target", json!({"kind": "message", "id": "900"})),
            ("reply_to_message_id", json!("900")),
            // The forward's bot is the author.
            ("reply_to", json!({"text": "long\nread", "author": "Ada", "is_own": true})),
            ("media", json!([{"url": "https://cdn/e", "kind": "video", "mime": "video/mp4"}])),
        ] {
            assert_eq!(event[field], expected, "{field}");
        }
        // Fields that the interaction lacks are left out.
        let bare = command(json!({}));
        assert_eq!(
            (&bare["target"]["id"], bare.get("reply_to"), bare.get("media")),
            (&json!("900"), None, None)
        );
        assert_eq!(command(json!({"target_id": null})).get("target"), None);
    }

    #[test]
    fn p_9_a_user_command_brings_its_user() {
        let user = json!({"id": "5", "username": "bob"});
        let event = shown(
            &json!({"type": 2, "data": {"name": "Warn", "type": 2, "target_id": 5, "resolved": {"users": {"5": user}}}}),
        );
        assert_eq!(event["target"], json!({"kind": "user", "id": "5", "name": "bob"}));
        assert_eq!((event.get("reply_to_message_id"), event.get("reply_to")), (None, None));
        // A slash command has no target, even if the field is present.
        assert_eq!(
            shown(&json!({"type": 2, "data": {"name": "x", "type": 1, "target_id": "5"}})).get("target"),
            None
        );
    }

    #[test]
    fn p_6_pings_autocompletions_and_unknown_types_are_no_events() {
        for kind in [json!(1), json!(4), json!(6), json!("two"), json!(2.5), json!(null)] {
            assert_eq!(said(&json!({"type": kind, "data": {"name": "x"}})), None, "{kind}");
        }
        for body in [&b"[1]"[..], b"\"x\"", b"not json", b"", b"\xef\xbb\xbf{}", b"\xff"] {
            assert!(read(&forward(body)).is_none());
        }
    }

    /// D-3: the types of interactions, options, components and channels are whole numbers in every spelling. W-11: NaN
    /// counts as null.
    #[test]
    fn d_3_w_11_numbers_of_interactions_are_read_in_every_spelling() {
        let read = |body: &str| read(&forward(body.as_bytes()));
        for kind in ["2", "2.0", "2e0", "20e-1", "\"2\""] {
            let body = format!(
                r#"{{"type":{kind},"n":NaN,"channel":{{"type":1.1e1}},"data":{{"name":"a","options":[{{"name":"sub","type":"1","options":[
                {{"name":"x","type":3.0,"value":"y"}},{{"name":"z","type":10,"value":-Infinity}}]}}]}}}}"#
            );
            let event = read(&body).unwrap();
            assert_eq!((&*event.text, event.source.chat_type.name()), ("/a sub y", "thread"), "{kind}");
        }
        let modal = r#"{"type":5.0,"data":{"components":[{"type":"1","components":[{"type":4,"custom_id":"a","value":"b"}]},
            {"type":1.8e1,"component":{"type":4,"custom_id":"c","value":"d"}}]}}"#;
        assert_eq!(read(modal).unwrap().text, "a=b\nc=d");
        assert!(read(r#"{"type":2,"data":{"name":"a"},"n":-NaN}"#).is_none());
    }

    #[test]
    fn p_7_the_source_of_an_interaction() {
        let source = |body: Value| serde_json::to_value(event(&body).unwrap().source).unwrap();
        assert_eq!(
            source(json!({"type": 2, "id": "9", "channel_id": "c", "guild_id": "g", "data": {"name": "x"},
                "member": {"nick": "Addy", "user": {"id": "1", "username": "ada", "global_name": "Ada"}}, "user": {"id": "2"}})),
            json!({"platform": "discord", "chat_id": "c", "chat_type": "group", "scope_id": "g", "user_id": "1",
                "user_name": "Addy", "message_id": "9", "profile": "coder"}),
        );
        assert_eq!(
            source(json!({"type": 2, "id": "9", "channel_id": "c", "data": {"name": "x"},
                "user": {"id": "2", "global_name": "G", "username": "u"}})),
            json!({"platform": "discord", "chat_id": "c", "chat_type": "dm", "user_id": "2", "user_name": "G",
                "message_id": "9", "profile": "coder"}),
        );
        assert_eq!(
            source(
                json!({"type": 2, "channel_id": "t", "guild_id": "g", "channel": {"type": 11, "parent_id": "p"}, "data": {"name": "x"}})
            ),
            json!({"platform": "discord", "chat_id": "t", "chat_type": "thread", "scope_id": "g", "thread_id": "t",
                "parent_chat_id": "p", "profile": "coder"}),
        );
    }

    #[test]
    fn p_8_an_interaction_event_holds_no_credential() {
        let body = json!({"type": 2, "token": "hunter2", "channel_id": "c", "data": {"name": "x"}});
        let event = event(&body).unwrap();
        assert!(event.is_interaction);
        assert!(!Event::read("{}").unwrap().is_interaction);
        let shown = serde_json::to_string(&event).unwrap();
        assert!(shown.contains(r#""interaction":true"#) && !shown.contains("hunter2"), "{shown}");
    }

    /// Vectors that the reference turns into an empty event, and the rules into none: name and rule.
    const NO_EVENT: &[(&str, &str)] = &[
        ("ping", "P-6"),
        ("empty object", "P-6"),
        ("data missing", "P-3"),
        ("data null", "P-3"),
        ("data is an empty array", "P-3"),
        ("type missing", "P-6"),
    ];

    /// Fields in which the rules differ from the reference: the field, the rule, and a check of our value against the
    /// reference's.
    type Departure = (&'static str, &'static str, fn(&Value, &Value) -> bool);
    const FIELDS: &[Departure] = &[
        // The slash and the options; the reference has the bare name.
        ("/text", "P-3", |ours, theirs| {
            let rest = ours.as_str().and_then(|ours| ours.strip_prefix('/')?.strip_prefix(theirs.as_str()?));
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
        }),
        ("/message_type", "P-3", |ours, theirs| ours == "command" && theirs == "text"),
        ("/source/platform", "P-7", |ours, theirs| ours == "discord" && theirs == "relay"),
        ("/source/chat_type", "P-7", |ours, theirs| ours == "group" && theirs == "channel"),
        // The nick, or the global name, instead of the user name.
        ("/source/user_name", "P-7", |ours, _| ours.as_str().is_some_and(|name| !name.is_empty())),
    ];

    /// Every vector gives the reference's event, except for the listed departures.
    #[test]
    fn p_2_p_3_p_6_p_7_vectors() {
        let file: Value =
            serde_json::from_str(include_str!("../../../harness/vectors/discord-interactions.json")).unwrap();
        let vectors = file["vectors"].as_array().unwrap();
        assert_eq!(vectors.len(), 23);
        let (mut silent, mut used) = (Vec::new(), vec![false; FIELDS.len()]);
        for vector in vectors {
            let what = vector["what"].as_str().unwrap();
            let body = match vector.get("body_b64") {
                Some(encoded) => BASE64.decode(encoded.as_str().unwrap().as_bytes()).unwrap(),
                None => vector["body"].to_string().into_bytes(),
            };
            let mut forward = forward(&body);
            forward.profile = None;
            let theirs = vector.get("event").filter(|event| !event.is_null());
            let (ours, theirs) = match (read(&forward), theirs) {
                (Some(ours), Some(theirs)) => (ours, theirs),
                (None, None) => continue,
                (None, Some(_)) => {
                    assert!(NO_EVENT.iter().any(|(name, _)| *name == what), "{what}");
                    silent.push(what);
                    continue;
                }
                (Some(ours), None) => panic!("{what}: {ours:?}"),
            };
            let mut ours = serde_json::to_value(&ours).unwrap();
            let scope = ours["source"]["scope_id"].take();
            ours["source"]["guild_id"] = scope;
            let top = ["text", "message_type", "message_id"].map(|name| format!("/{name}"));
            let source = theirs["source"].as_object().unwrap().keys().map(|name| format!("/source/{name}"));
            for field in top.into_iter().chain(source) {
                let null = Value::Null;
                let (ours, theirs) =
                    (ours.pointer(&field).unwrap_or(&null), theirs.pointer(&field).unwrap_or(&null));
                if ours == theirs {
                    continue;
                }
                let departure =
                    FIELDS.iter().position(|(name, _, holds)| *name == field && holds(ours, theirs));
                used[departure.unwrap_or_else(|| panic!("{what} {field}: {ours} {theirs}"))] = true;
            }
        }
        assert_eq!(silent, NO_EVENT.iter().map(|(name, _)| *name).collect::<Vec<_>>());
        assert!(used.iter().all(|used| *used), "every departure is used: {used:?}");
    }
}
