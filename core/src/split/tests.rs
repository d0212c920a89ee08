use super::*;
use LenUnit::{Chars, Utf16};
use proptest::prelude::*;

fn room(limit: usize, unit: LenUnit) -> SplitOptions {
    SplitOptions { limit, unit, code_blocks: true }
}

#[track_caller]
fn check(text: &str, limit: usize, expected: &[&str]) {
    assert_eq!(split(text, room(limit, Chars)), expected, "{text:?}");
}

#[test]
fn o_11_where_a_text_is_cut() {
    check("", 32, &[""]);
    check("as it is\n ", 32, &["as it is\n "]);
    // The number leaves room for 26 characters.
    check(&"a".repeat(33), 32, &["aaaaaaaaaaaaaaaaaaaaaaaaaa (1/2)", "aaaaaaa (2/2)"]);
    check(
        "the first line\nthe second line here",
        32,
        &["the first line (1/2)", "the second line here (2/2)"],
    );
    check("no newline in here but some spaces", 32, &["no newline in here but (1/2)", "some spaces (2/2)"]);
    let emoji = split(&"😀".repeat(17), room(32, Utf16));
    assert_eq!(emoji, ["😀😀😀😀😀😀😀😀😀😀😀😀😀 (1/2)", "😀😀😀😀 (2/2)"]);
    check(&"😀".repeat(32), 32, &["😀".repeat(32).as_str()]);
    check(&" ".repeat(40), 32, &[]);
}

#[test]
fn o_11_a_cut_at_a_newline_drops_the_newline_alone() {
    check(
        "some words\n    indented as it is\nmore",
        32,
        &["some words (1/2)", "    indented as it is\nmore (2/2)"],
    );
    check(
        "one paragraph here\n\nand a second one",
        32,
        &["one paragraph here (1/2)", "\nand a second one (2/2)"],
    );
    check(
        "some words of text\r\nand some more\r\n",
        32,
        &["some words of text (1/2)", "and some more\r\n (2/2)"],
    );
}

#[test]
fn o_11_a_cluster_that_fits_stays_whole() {
    let family = "👨\u{200d}👩\u{200d}👧";
    let text = family.repeat(7);
    check(&text, 32, &[&format!("{} (1/2)", family.repeat(5)), &format!("{} (2/2)", family.repeat(2))]);
    check(
        &"🇩🇪".repeat(17),
        33,
        &[&format!("{} (1/2)", "🇩🇪".repeat(13)), &format!("{} (2/2)", "🇩🇪".repeat(4))],
    );
    // A cluster that does not fit is cut between two scalar values.
    let long = format!("e{}", "\u{301}".repeat(40));
    assert_eq!(split(&long, room(32, Chars)).len(), 2);
}

#[test]
fn o_11_a_code_span_that_fits_stays_whole() {
    check(
        "some words here and `code in one span` so",
        40,
        &["some words here and (1/2)", "`code in one span` so (2/2)"],
    );
    // A code span that does not fit is closed and opened again.
    check(
        "`a span that is far longer than one part is`",
        32,
        &["`a span that is far` (1/2)", "`longer than one part is` (2/2)"],
    );
}

#[test]
fn o_11_a_code_block_is_closed_and_opened_again() {
    check(
        "look:\n```rust\nfn one() {}\n    two();\n    three();\n```\ndone",
        40,
        &[
            "look:\n```rust\nfn one() {}\n```\n (1/3)",
            "```rust\n    two();\n```\n (2/3)",
            "```rust\n    three();\n```\ndone (3/3)",
        ],
    );
    check(
        "~~~py\nfn = one\n  ``` two\n    three = 3\n~~~\nand so on",
        40,
        &["~~~py\nfn = one\n  ``` two\n~~~\n (1/2)", "~~~py\n    three = 3\n~~~\nand so on (2/2)"],
    );
    // An info string longer than a quarter of the limit is not repeated.
    check(
        "```a-long-info-string\naaaaaaaaaaaa\nbbbbbbbbbbbbb\n```",
        44,
        &["```a-long-info-string\naaaaaaaaaaa\n```\n (1/2)", "```\na\nbbbbbbbbbbbbb\n```\n (2/2)"],
    );
    // A block that the text leaves open is also closed in the last part.
    check(
        "```\naaaaaaaaaaaaaaaaaaaa\nbbbbbbbbbbbbb",
        32,
        &["```\naaaaaaaaaaaaaaaaa\n```\n (1/2)", "```\naaa\nbbbbbbbbbbbbb\n```\n (2/2)"],
    );
    // Backticks inside a line are not a fence. A fence that is indented like code is not one either.
    check(
        "``` a ` b\n    ```\naaaaaaaaaaaaaaaaaaaaaaaa",
        32,
        &["``` a ` b\n    ``` (1/2)", "aaaaaaaaaaaaaaaaaaaaaaaa (2/2)"],
    );
}

#[test]
fn o_11_a_code_block_in_a_list_or_quote_stays_one() {
    check(
        "1. see:\n\n    ```rust\n    fn one() {}\n        two();\n    ```\n\n    then `so`",
        44,
        &[
            "1. see: (1/4)",
            "\n ```rust\n    fn one() {}\n ```\n (2/4)",
            "   ```rust\n        two();\n ```\n (3/4)",
            "\n then `so` (4/4)",
        ],
    );
    check(
        "- see:\n\n\t```rust\n\tfn one() {}\n\t\ttwo();\n\t```\n\n\tthen `so`",
        40,
        &[
            "- see: (1/4)",
            "\n  ```rust\n\tfn one() {}\n  ```\n (2/4)",
            "   ```rust\n\t\ttwo();\n  ```\n (3/4)",
            "\n  then `so` (4/4)",
        ],
    );
    check(
        "- ```rust\n  fn one() {}\n    two();\n    three();\n  ```\n- next",
        40,
        &[
            "- ```rust\n  fn one() {}\n  ```\n (1/3)",
            "  ```rust\n    two();\n  ```\n (2/3)",
            "  ```rust\n    three();\n```\n- next (3/3)",
        ],
    );
    check(
        "> ```rust\n> fn one() {}\n>     two();\n> ```\n> so it is",
        40,
        &[
            "> ```rust\n> fn one() {}\n> ```\n (1/3)",
            "> ```rust\n>     two();\n> ```\n (2/3)",
            "> so it is (3/3)",
        ],
    );
    // The end of the list ends the block.
    check(
        "- a\n  ```\n  code one two three\nout of the list it goes on",
        40,
        &["- a (1/3)", "  ```\n  code one two three\n```\n (2/3)", "out of the list it goes on (3/3)"],
    );
}

#[test]
fn o_11_an_item_that_begins_in_a_part_keeps_its_indentation() {
    let first = "- aaaa aaaa aaaa aaaa aaaa aaaa";
    check(
        &format!("{first}\n  - ```\n    bbbb bbbb\n  out `x` of it aaaa\nb"),
        40,
        &[
            "- aaaa aaaa aaaa aaaa aaaa aaaa (1/3)",
            "  - ```\n    bbbb bbbb\n    ```\n (2/3)",
            "  out `x` of it aaaa\nb (3/3)",
        ],
    );
    check(
        &format!("{first}\n  - > ```\n    > bbbb\n    > cccc cccc cccc\n  out `x`"),
        40,
        &[
            "- aaaa aaaa aaaa aaaa aaaa aaaa (1/4)",
            "  - > ```\n    > bbbb\n    > ```\n (2/4)",
            "> ```\n> cccc cccc cccc\n> ```\n (3/4)",
            "  out `x` (4/4)",
        ],
    );
    check(
        &format!("{first}\n  > - ```\n  >   bbbb bbbb bbbb bbbb\n  >   cccc cccc cccc\n  >   ```"),
        40,
        &[
            "- aaaa aaaa aaaa aaaa aaaa aaaa (1/4)",
            "> - ```\n>   bbbb bbbb\n>   ```\n (2/4)",
            ">   ```\n> bbbb bbbb\n>   ```\n (3/4)",
            ">   ```\n>   cccc cccc cccc\n> ```\n (4/4)",
        ],
    );
}

#[test]
fn o_11_d_5_without_code_blocks_a_fence_is_text() {
    let plain = SplitOptions { code_blocks: false, ..room(32, Chars) };
    assert_eq!(
        split("```\naaaaaaaaaaaaaaaaaaaaaaa\nbbbbbbbbbbbbbbb\n```", plain),
        ["``` (1/3)", "aaaaaaaaaaaaaaaaaaaaaaa (2/3)", "bbbbbbbbbbbbbbb\n``` (3/3)"],
    );
}

#[test]
fn o_11_a_limit_that_is_too_low_counts_as_the_minimum() {
    let text = "word ".repeat(100);
    let parts = split(&text, room(32, Chars));
    assert!(parts.len() >= 10 && parts.iter().all(|part| part.len() <= 32), "{parts:?}");
    assert_eq!(split(&text, room(0, Chars)), parts);
}

/// Returns the context inside a line, with no open block.
fn in_line() -> Option<Block> {
    Some(Block(Context { is_mid_line: true, is_paragraph: true, ..Context::default() }))
}

fn block(fence: &str, info: &str, is_mid_line: bool) -> Option<Block> {
    let mark = fence.chars().next().unwrap();
    let fence = blocks::Fence { mark, length: fence.len(), info: info.into(), indent: 0 };
    Some(Block(Context { fence: Some(fence), is_mid_line, ..Context::default() }))
}

#[test]
fn o_11_the_first_message_of_a_text_that_goes_on() {
    let rust = block("```", "rust", false);
    for (text, open, content, next, left) in [
        ("", None, "", 0, None),
        ("", rust.clone(), "", 0, rust.clone()),
        (" \n", None, "", 2, None),
        ("all of it ", None, "all of it", 10, in_line()),
        // Without a number the whole limit is available.
        (&"a".repeat(33), None, &"a".repeat(32), 32, in_line()),
        ("the first line\nthe second line here", None, "the first line", 15, None),
        ("```rust\nfn a()\n", None, "```rust\nfn a()\n```", 15, block("```", "rust", false)),
        ("two();\n```\nso", rust.clone(), "```rust\ntwo();\n```\nso", 13, in_line()),
        ("two();\nthree(); four()", rust.clone(), "```rust\ntwo();\n```", 7, rust.clone()),
    ] {
        let expected = First { content: content.into(), next, block: left };
        assert_eq!(first(text, open.as_ref(), room(32, Chars)), expected, "{text:?}");
    }
}

#[test]
fn o_11_a_further_message_skips_blank_beginnings() {
    let open = block("```", "", false);
    let half = block("```", "", true);
    for (text, inside, skip, left) in [
        (" \n  so", None, 2, None),
        ("  so", None, 0, None),
        ("  so", in_line(), 2, in_line()),
        ("", open.clone(), 0, open.clone()),
        ("\n    x", half.clone(), 1, open.clone()),
        ("\n    x", open.clone(), 0, open.clone()),
        ("```\n so", open.clone(), 4, None),
        ("\n````\n so", half.clone(), 6, None),
        ("``` so", open.clone(), 0, open.clone()),
        ("\n\nso", in_line(), 2, None),
    ] {
        assert_eq!(resume(text, inside.as_ref(), room(32, Chars)), (skip, left), "{text:?}");
    }
}

#[test]
fn o_11_how_much_of_a_growing_text_can_be_shown() {
    let open = block("```", "", false);
    for (text, inside, shown) in [
        ("so `x`", None, "so `x`"),
        ("so\n`", None, "so\n"),
        ("so\n`x", None, "so\n`x"),
        ("so\n  ```ru", None, "so\n"),
        ("so\n- ```ru", None, "so\n"),
        ("so\n> ~~", None, "so\n"),
        ("so\n```ru\n\n", None, "so\n"),
        ("so\n```ru\n\nx", None, "so\n```ru\n\nx"),
        ("so\n```a``", None, "so\n```a``"),
        ("x\n``", open.clone(), "x\n"),
        ("x\n```\n", open.clone(), "x\n```\n"),
    ] {
        assert_eq!(settled(text, inside.as_ref(), room(32, Chars)), shown, "{text:?}");
        let plain = SplitOptions { code_blocks: false, ..room(32, Chars) };
        assert_eq!(settled(text, inside.as_ref(), plain), text);
    }
}

/// The cost of a part does not grow with the limit: the number of tries is bounded, even if nothing that must be
/// inserted fits.
#[test]
fn o_11_a_part_costs_a_bounded_number_of_tries() {
    let in_item = format!("- {}", "`code` ".repeat(3_000));
    for text in [
        "`".repeat(20_000),
        "~".repeat(20_000),
        format!("```{}\n{}", "`".repeat(1_900), "x".repeat(20_000)),
        "`".repeat(1_990) + &"x".repeat(20_000) + &"`".repeat(1_990),
        "> ".repeat(30) + "```\n" + &"x".repeat(20_000),
        "`a\n".repeat(8_000),
        "\n".repeat(20_000) + "x",
        "``` ` ".repeat(4_000),
        in_item,
    ] {
        let before = part::BUILDS.get();
        let parts = split(&text, room(2_000, Chars)).len().max(text.len() / 2_000);
        // The number's width is increased if there are more parts than it has digits for.
        let most = 3 * parts * 2 * 2 * 4 * (cutter::TRIES + cutter::MISSES);
        let builds = part::BUILDS.get() - before;
        assert!(builds <= most, "{builds} builds for {parts} parts of {}…", &text[..20]);
    }
}

#[path = "../../tests/suite/documents.rs"]
#[allow(dead_code)]
mod documents;

/// Returns lines of markers and backticks: the kind of a line decides where a code span can end. Tabs are left out,
/// because the parser counts a tab before a `>` as less than four columns.
fn lines() -> impl Strategy<Value = String> {
    let marker = prop_oneof![
        Just(""),
        Just("> "),
        Just(">"),
        Just("- "),
        Just("-"),
        Just("+ "),
        Just("* "),
        Just("1. "),
        Just("2. "),
        Just("1) "),
        Just("12345678901. "),
        Just("  "),
        Just("    "),
        Just("#"),
        Just("## "),
        Just("####### "),
        Just("---"),
        Just("- - -"),
        Just("**"),
        Just("*** "),
        Just("___"),
        Just("=="),
        Just("= ="),
        Just("--"),
        Just("```"),
        Just("``` x"),
        Just("~~~"),
        Just("~~~ `"),
        Just(" ")
    ];
    let body = prop_oneof![
        2 => Just(""), 3 => Just("w"), 4 => Just("w `w"), 4 => Just("w` w"), 1 => Just("`"), 1 => Just("w `w` w"), 1 => Just("``"),
    ];
    let line =
        (prop::collection::vec(marker, 0..3), body).prop_map(|(markers, body)| markers.concat() + body);
    prop::collection::vec(line, 1..8).prop_map(|lines| lines.join("\n"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    /// The parts of a text are correct only if its blocks are.
    #[test]
    fn o_11_code_is_the_same_as_for_a_commonmark_parser(text in lines()) {
        let ranges = Blocks::read(&text, &Context::default()).code;
        let code: String = ranges.into_iter().map(|range| &text[range]).collect();
        let code: String = code.chars().filter(|c| !c.is_whitespace()).collect();
        prop_assert_eq!(code, documents::code(&text), "{:?}", text);
    }
    /// A growing text is shown in messages, and each of them is closed.
    #[test]
    fn o_11_code_stays_code_in_a_growing_text(text in documents::written(), limit in 64..200usize) {
        let room = room(limit, Chars);
        let (mut rest, mut open, mut code, mut messages) = (&*text, None, String::new(), Vec::new());
        while !rest.is_empty() {
            let (skip, block) = if messages.is_empty() { (0, None) } else { resume(rest, open.as_ref(), room) };
            let first = first(&rest[skip..], block.as_ref(), room);
            prop_assert!(Chars.len(&first.content) <= limit, "{:?}", first.content);
            prop_assert!(skip + first.next > 0, "{:?} of {:?}", rest, text);
            code += &documents::code(&first.content);
            messages.push(first.content);
            (rest, open) = (&rest[skip + first.next..], first.block);
        }
        prop_assert_eq!(code, documents::code(&text), "{:#?} of {:?}", messages, text);
    }
}
