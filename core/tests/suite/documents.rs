//! Random documents, and the code that a CommonMark parser finds in them.

use proptest::prelude::*;
use pulldown_cmark::{CodeBlockKind, Event, Parser, Tag, TagEnd};

/// Returns the code of a document, without white space.
pub(crate) fn code(document: &str) -> String {
    let mut code = String::new();
    let mut is_fenced = false;
    for event in Parser::new(document) {
        match event {
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(_))) => is_fenced = true,
            Event::End(TagEnd::CodeBlock) => is_fenced = false,
            Event::Text(text) if is_fenced => code.push_str(&text),
            Event::Code(text) => code.push_str(&text),
            _ => {}
        }
    }
    code.chars().filter(|c| !c.is_whitespace()).collect()
}

/// Generates a document of pieces that matter to CommonMark. Each word is unique, so that a wrong piece of code is
/// noticed.
pub(crate) fn soup() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => Just("w"), 3 => Just(" "), 3 => Just("\n"), 2 => Just("`"), 1 => Just("``"), 2 => Just("\n```"), 1 => Just("\n~~~"),
        1 => Just("> "), 1 => Just("\n>"), 1 => Just("\n- "), 1 => Just("\n1. "), 1 => Just("    "), 1 => Just("\t w"), 1 => Just("\\"),
        1 => Just("\r\n"), 1 => Just("# "), 1 => Just("😀"), 1 => Just("👨‍👩‍👧"), 1 => Just("```\n"), 1 => Just("  "), 1 => Just("-"), 1 => Just("\n\n"),
    ];
    prop::collection::vec(piece, 0..160).prop_map(|pieces| words(&pieces.concat()))
}

/// Generates a document as models write them: nested paragraphs, lists, quotes and code.
pub(crate) fn written() -> impl Strategy<Value = String> {
    let inline = prop_oneof![
        5 => Just("w w w w"), 2 => Just("w `w w` w"), 1 => Just("``w ` w``"), 1 => Just("w\\` w"), 1 => Just("`w w w w w w w`"), 1 => Just("🇩🇪🇫🇷 w"), 1 => Just("w ` w"),
    ];
    let paragraph = prop::collection::vec(inline, 1..5).prop_map(|words| words.join(" "));
    let fence = (
        prop_oneof![Just("```"), Just("````"), Just("~~~")],
        prop_oneof![Just(""), Just("rust")],
        0..6usize,
        0..4usize,
    )
        .prop_map(|(marker, info, lines, indent)| {
            let lines: String =
                (0..lines).map(|at| format!("{}w w(w) w\n", " ".repeat(at * indent))).collect();
            format!("{marker}{info}\n{lines}{marker}")
        });
    let leaf = prop_oneof![2 => paragraph.clone(), 2 => fence, 1 => paragraph.prop_map(|text| text.replace(' ', "\n"))];
    let block = leaf.prop_recursive(3, 12, 4, |inner| {
        let inner = prop::collection::vec(inner, 1..4).prop_map(|blocks| blocks.join("\n\n"));
        (
            inner,
            prop_oneof![
                Just(("- ", "  ")),
                Just(("1. ", "   ")),
                Just(("-   ", "    ")),
                Just(("> ", "> ")),
                Just(("> ", ">"))
            ],
        )
            .prop_map(|(text, (first, further))| {
                let lines = text.lines().enumerate();
                let lines = lines.map(|(at, line)| match (at, line) {
                    (0, _) => format!("{first}{line}"),
                    (_, "") if further.starts_with(' ') => String::new(),
                    _ => format!("{further}{line}"),
                });
                lines.collect::<Vec<_>>().join("\n")
            })
    });
    prop::collection::vec(block, 1..5).prop_map(|blocks| words(&blocks.join("\n\n")))
}

/// Replaces each `w` by a unique word.
fn words(text: &str) -> String {
    let mut number = 0;
    let word = |c| match c {
        'w' => {
            number += 1;
            format!(
                "{}{}",
                char::from(b'a' + (number % 26) as u8),
                char::from(b'a' + (number / 26 % 26) as u8)
            )
        }
        c => String::from(c),
    };
    text.chars().map(word).collect()
}
