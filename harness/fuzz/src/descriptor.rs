//! Descriptors (D-1 to D-7), compared with a simple reading of their rules.

use crate::json::{Object, is_plain, whole, without_constants};
use relayline_core::descriptor::{Descriptor, LEGACY_OPS};
use serde_json::{Map, Value, json};

/// Size below the limits of unknown fields, which are 64 KiB and 256 fields.
const UNBOUNDED: usize = 1024;

pub(crate) fn run(data: &[u8]) {
    let Ok(raw) = std::str::from_utf8(data) else { return };
    let ours = Descriptor::read(raw);
    if let Ok(descriptor) = &ours {
        check_limits(descriptor);
    }
    let plainly = &without_constants(raw);
    // Above this size some unknown fields are dropped.
    if is_plain(plainly) && plainly.len() < UNBOUNDED {
        let ours = ours.map(|descriptor| serde_json::to_value(descriptor).unwrap());
        let theirs = Object::read(plainly).and_then(|object| expected(&object));
        assert_eq!(ours.as_ref().ok(), theirs.as_ref(), "{raw}: {ours:?}");
    }
}

/// Checks that a descriptor reads back as the same, within its limits.
fn check_limits(descriptor: &Descriptor) {
    assert!(descriptor.contract_version >= 1 && descriptor.max_message_length >= 1, "D-3, D-7");
    let shown = serde_json::to_string(descriptor).unwrap();
    if shown.len() < UNBOUNDED {
        assert_eq!(Descriptor::read(&shown).as_ref(), Ok(descriptor));
    }
    assert!(descriptor.changes_from(descriptor).is_empty(), "D-10");
    for op in LEGACY_OPS {
        let named = descriptor.supported_ops.iter().any(|named| named == op);
        assert_eq!(descriptor.offers(op), named || descriptor.supported_ops.is_empty(), "D-6: {op}");
    }
}

/// Returns the expected descriptor, field by field; `None` if it cannot be used.
fn expected(object: &Object) -> Option<Value> {
    let version = object.raw("contract_version").and_then(whole).filter(|version| !version.is_negative)?;
    // A number that is too large is above 1, or not a limit.
    let version = version.fits().and_then(|version| i64::try_from(version).ok()).unwrap_or(i64::MAX);
    let length = whole(object.raw("max_message_length")?).filter(|length| !length.is_negative);
    let length = length.map_or(4096, |length| length.fits().unwrap_or(u64::MAX));
    let length = if length == 0 { 4096 } else { length };
    let ops = object.items("supported_ops");
    let ops: Vec<String> = ops.iter().filter_map(|raw| crate::json::text(raw.get())).collect();
    object.raw("len_unit")?;
    (version >= 1).then_some(())?;
    let mut fields = json!({
        "contract_version": version,
        "platform": object.text("platform")?,
        "label": object.text("label")?,
        "max_message_length": length,
        "len_unit": if object.text("len_unit").as_deref() == Some("utf16") { "utf16" } else { "chars" },
        "supports_draft_streaming": object.flag("supports_draft_streaming")?,
        "supports_edit": object.flag("supports_edit")?,
        "supports_threads": object.flag("supports_threads")?,
        "markdown_dialect": object.text("markdown_dialect")?,
        "emoji": object.text("emoji").unwrap_or_else(|| "🔌".into()),
        "platform_hint": object.text("platform_hint").unwrap_or_default(),
        "pii_safe": object.flag("pii_safe").unwrap_or(false),
        "supports_context": object.flag("supports_context").unwrap_or(false),
        "supports_inchannel_continuable": object.flag("supports_inchannel_continuable").unwrap_or(false),
        "supports_block_formatting": object.flag("supports_block_formatting").unwrap_or(false),
        "supported_ops": ops.into_iter().filter(|op| !op.is_empty()).collect::<Vec<_>>(),
    });
    // unknown fields are kept separately.
    let known: Map<String, Value> = fields.as_object_mut().map(std::mem::take)?;
    let mut all: Map<String, Value> = object.values();
    all.extend(known);
    Some(Value::Object(all))
}
