use super::blocks::{Container, Kind};
use super::*;
use LenUnit::{Chars, Utf16};
use proptest::prelude::*;
use pulldown_cmark::{Event, Parser, Tag};
use std::ops::Range;

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
fn o_11_a_single_part_has_no_number() {
    let room = SplitOptions::new(32, Chars);
    // The rest of the text is white space, which is not sent.
    let parts = split(&format!("a{}", " ".repeat(40)), room);
    assert_eq!(parts.iter().map(|part| part.trim_end()).collect::<Vec<_>>(), ["a"]);
    assert_eq!(split(&" ".repeat(40), room), Vec::<String>::new());
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
fn o_11_d_5_without_code_blocks_a_fence_is_text() {
    let plain = SplitOptions::new(32, Chars).code_blocks(false);
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

/// Returns a context inside an item.
fn in_item(is_mid_line: bool, is_paragraph: bool) -> Context {
    let containers = vec![Container::Item { width: 2 }];
    Context { containers, is_mid_line, is_paragraph, ..Context::default() }
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
        ("   so", in_line(), 3, in_line()),
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
        ("x\n```", open.clone(), "x\n"),
        ("x\n```  ", open.clone(), "x\n"),
        ("so\n- ", None, "so\n- "),
    ] {
        assert_eq!(settled(text, inside.as_ref(), room(32, Chars)), shown, "{text:?}");
        let plain = SplitOptions { code_blocks: false, ..room(32, Chars) };
        assert_eq!(settled(text, inside.as_ref(), plain), text);
    }
}

#[test]
fn o_11_what_follows_a_cut_reads_as_before() {
    // A tilde fence would begin at the last space that fits.
    check(
        "aaaa bbbb cccc dddd eeee ~~~ x\ngggg",
        32,
        &["aaaa bbbb cccc dddd (1/2)", "eeee ~~~ x\ngggg (2/2)"],
    );
    // The number would be the code of a block that begins in the last part.
    check("some words here and so on ~~~\n\n\n\n\n", 32, &["some words here and so on (1/2)", "~~~ (2/2)"]);
    // A fence that closes what the part has closed is left out.
    check(
        "```\naaaaaaaaaaaaaaaaa\n````````````\nrest of it",
        32,
        &["```\naaaaaaaaaaaaaaaaa\n```\n (1/2)", "rest of it (2/2)"],
    );
    // A span that ends beyond the next part says nothing about the cut.
    check(
        "aaaa bbbb cccc dddd\neeee ffff gggg hhhh `iii jjj\nkkkk` llll",
        32,
        &["aaaa bbbb cccc dddd (1/3)", "eeee ffff gggg hhhh (2/3)", "`iii jjj\nkkkk` llll (3/3)"],
    );
    // After six spaces at which a fence would begin, a place inside a word is taken.
    check(
        &format!("aa bb {}~~\ncode", "~~~ ".repeat(10)),
        48,
        &["aa bb ~~~ ~~~ ~~~ ~~~ ~~~ ~~~ ~~~ ~~~ ~~ (1/2)", "~ ~~~ ~~\ncode (2/2)"],
    );
}

#[test]
fn o_11_white_space_and_spans_are_not_divided() {
    let a = |count| "a".repeat(count);
    check(
        &format!("          {}", a(40)),
        32,
        &[&format!("          {} (1/2)", a(16)), &format!("{} (2/2)", a(24))],
    );
    check(&format!("{}`code xx` bbb", a(24)), 32, &[&format!("{} (1/2)", a(24)), "`code xx` bbb (2/2)"]);
    // The inserted backticks do not touch those of the code.
    check(
        &format!("``{}` {}``", a(20), a(20)),
        32,
        &[&format!("``{}` `` (1/2)", a(20)), &format!("``{}`` (2/2)", a(20))],
    );
    check(
        &format!("``{} `{}``", a(18), a(20)),
        32,
        &[&format!("``{}`` (1/2)", a(18)), &format!("`` `{}`` (2/2)", a(20))],
    );
    // An info string over the limit is cut anywhere.
    check(
        "``` aaaa bbbb cccc dddd eeee ffff gggg hhhh\ncode\n```",
        32,
        &["``` aaaa bbbb cccc dd\n```\n (1/3)", "dd eeee ffff gggg hhh\n```\n (2/3)", "h\ncode\n```\n (3/3)"],
    );
}

#[test]
fn o_11_a_part_begins_without_the_containers_before_it() {
    check(
        "> some words in a quote that are long",
        32,
        &["> some words in a quote (1/2)", "that are long (2/2)"],
    );
    check(
        "10. > ```\n    > aaaaaaaa\n    > bbbbbbb\n    > ccccccc\n    > ```\n    > so it is",
        40,
        &[
            "10. > ```\n    > aaaaaaa\n    > ```\n (1/4)",
            "> ```\n> a\n> bbbbbbb\n> ```\n (2/4)",
            "> ```\n> ccccccc\n> ```\n (3/4)",
            "    > so it is (4/4)",
        ],
    );
    check(
        "> - ```\n>   aaaa bbbb cccc dddd eeee\n>   ```\n>   so it is",
        48,
        &[
            "> - ```\n>   aaaa bbbb cccc dddd\n>   ```\n (1/2)",
            ">   ```\n> eeee\n>   ```\n>   so it is (2/2)",
        ],
    );
    // The line that is not in the inner item has ended the block.
    check(
        "- - ```\n    aaaa bbbb cccc dddd\n  out of the inner one",
        40,
        &[
            "- - ```\n    aaaa bbbb\n    ```\n (1/3)",
            "   ```\ncccc dddd\n   ```\n (2/3)",
            "  out of the inner one (3/3)",
        ],
    );
    check(
        "some words first, and many more of them, and the rest\n\n- a\n  ```\n  code one two\nout of the list",
        60,
        &[
            "some words first, and many more of them, and the rest (1/2)",
            "\n- a\n  ```\n  code one two\nout of the list (2/2)",
        ],
    );
    check(
        "1. - ```\n     aaaa\n     bbbb\n     cccc\n     dddd\n     eeee\n     ```\n\n     so it is",
        44,
        &[
            "1. - ```\n     aaaa\n     bbbb\n     ```\n (1/3)",
            "   ```\n     cccc\n     dddd\n   ```\n (2/3)",
            "   ```\n     eeee\n```\n\n     so it is (3/3)",
        ],
    );
    check(
        "10. - ```\n      aaaa aaaa\n      bbbb bbbb\n      ```\n\n      so `it` is",
        48,
        &[
            "10. - ```\n      aaaa aaaa\n      ```\n (1/3)",
            "   ```\n      bbbb bbbb\n```\n (2/3)",
            "\nso `it` is (3/3)",
        ],
    );
    check(
        "1. ```\n   aaaa aaaa aaaa aaaa\n   bbbb bbbb\n   ```\n\n   so it is",
        48,
        &[
            "1. ```\n   aaaa aaaa aaaa aaaa\n   ```\n (1/2)",
            "   ```\n   bbbb bbbb\n   ```\n\n   so it is (2/2)",
        ],
    );
    check(
        "- ```\n  aaaa aaaa aaaa aaaa aaaa\n  bbbb bbbb bbbb bbbb\n  ```\n  text\n      - more",
        60,
        &[
            "- ```\n  aaaa aaaa aaaa aaaa aaaa\n  ```\n (1/2)",
            "  ```\n  bbbb bbbb bbbb bbbb\n  ```\n  text\n      - more (2/2)",
        ],
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
fn o_11_a_span_that_began_before_the_text_ends_in_it() {
    let open =
        |ticks| Context { is_mid_line: true, is_paragraph: true, span: Some(ticks), ..Context::default() };
    let spans = |text: &str, context: &Context| -> Vec<(Range<usize>, Range<usize>, usize)> {
        let spans = Blocks::read(text, context).spans;
        spans.into_iter().map(|span| (span.whole, span.code, span.ticks)).collect()
    };
    assert_eq!(spans("a `` b `c` d", &open(2)), [(0..4, 0..2, 2), (7..10, 8..9, 1)]);
    assert_eq!(spans("a `` b `c` d", &open(1)), [(0..8, 0..7, 1)]);
    assert_eq!(spans("a `` b", &open(1)), [(0..6, 0..6, 1)]);
    // A backslash takes the first backtick away.
    assert_eq!(spans("\\``a` b", &Context::default()), [(2..5, 3..4, 1)]);
    for (text, context, content) in
        [("so `x`", in_line().unwrap().0, "so `x`"), ("more code` and", open(1), "`more code` and")]
    {
        assert_eq!(first(text, Some(&Block(context)), room(32, Chars)).content, content);
    }
}

#[test]
fn o_11_a_message_begins_inside_open_blocks() {
    let a = |count| "a".repeat(count);
    let Some(Block(fenced)) = block("```", "", true) else { unreachable!() };
    let quoted = Block(Context { containers: vec![Container::Quote { spaced: true }], ..fenced });
    let message = first("a\n> b\n> ```", Some(&quoted), room(32, Chars));
    assert_eq!(message.content, "> ```\n> a\n> b\n> ```");
    let message = first("```\nso", block("```", "", false).as_ref(), room(32, Chars));
    assert_eq!(message.content, "```\n```\nso");
    // A message without a number has no line for it.
    let text = format!("```\n{}\nb", a(24));
    assert_eq!(first(&text, None, room(32, Chars)).content, format!("```\n{}\n```", a(24)));
}

#[test]
fn o_11_the_context_at_each_place() {
    let fence = || block("```", "", false).unwrap().0.fence;
    let context = |text: &str, at| {
        let blocks = Blocks::read(text, &Context::default());
        let builder = part::Builder { text, blocks: &blocks, room: room(32, Chars) };
        (builder.context(at), builder.start(at).fence)
    };
    let text = "```\ncode\n```\n- so\n  it";
    for (text, at, expected, reopens) in [
        // The line with a fence, if the text ends there or goes on.
        ("```", 3, Context { fence: fence(), is_mid_line: true, ..Context::default() }, false),
        ("```\n", 4, Context { fence: fence(), ..Context::default() }, false),
        (text, 0, Context::default(), false),
        (text, 2, Context { is_mid_line: true, ..Context::default() }, false),
        (text, 4, Context { fence: fence(), ..Context::default() }, true),
        (text, 6, Context { fence: fence(), is_mid_line: true, ..Context::default() }, true),
        (text, 9, Context { fence: fence(), ..Context::default() }, true),
        (text, 11, Context { is_mid_line: true, ..Context::default() }, false),
        ("```\n```\n", 8, Context::default(), false),
        (text, 13, Context::default(), false),
        (text, 15, in_item(true, true), false),
        (text, 18, in_item(false, true), false),
        (text, 20, in_item(true, true), false),
        (text, 22, in_item(true, true), false),
        ("- so\n", 5, in_item(false, true), false),
    ] {
        let (context, fence) = context(text, at);
        assert_eq!((context, fence.is_some()), (expected, reopens), "{at} of {text:?}");
    }
}

#[test]
fn o_11_the_text_near_its_beginning_ends_with_a_line() {
    // Eight times the limit, and 64 KiB.
    let most = 8 * 32 + 65_536;
    let near = |text: &str| near(text, room(32, Chars)).len();
    let line = |end: usize, length: usize| format!("{}\n{}", "a".repeat(end - 1), "b".repeat(length - end));
    assert_eq!(near(&line(40_000, most)), most);
    assert_eq!(near(&line(40_000, most + 1)), 40_000);
    assert_eq!(near(&line(most / 2 + 1, most + 1)), most / 2 + 1);
    // A line that is too long is cut.
    assert_eq!(near(&line(most / 2, most + 1)), most);
    assert_eq!(near(&"a".repeat(most + 1)), most);
}

/// The cost of a part does not grow with the limit: the number of tries is bounded, even if nothing that must be
/// inserted fits.
#[test]
fn o_11_a_part_costs_a_bounded_number_of_tries() {
    let in_item = format!("- {}", "`code` ".repeat(3_000));
    for (text, most) in [
        ("`".repeat(20_000), 70),
        ("~".repeat(20_000), 70),
        (format!("```{}\n{}", "`".repeat(1_900), "x".repeat(20_000)), 286),
        ("`".repeat(1_990) + &"x".repeat(20_000) + &"`".repeat(1_990), 98),
        ("> ".repeat(30) + "```\n" + &"x".repeat(20_000), 42),
        ("`a\n".repeat(8_000), 50),
        ("\n".repeat(20_000) + "x", 21),
        ("``` ` ".repeat(4_000), 50),
        (in_item, 42),
    ] {
        let before = part::BUILDS.get();
        split(&text, room(2_000, Chars));
        let builds = part::BUILDS.get() - before;
        assert!(builds <= most, "{builds} builds, at most {most} expected: {}…", &text[..20]);
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

/// Returns the containers from the outermost to the innermost: `>` or `> ` for a quote, the width for an item.
fn path(blocks: &Blocks, innermost: Option<usize>) -> String {
    let of = |node: &usize| match blocks.container(*node) {
        Container::Quote { spaced: true } => "> ".to_owned(),
        Container::Quote { spaced: false } => ">".to_owned(),
        Container::Item { width } => width.to_string(),
    };
    blocks.path(innermost).iter().map(of).collect()
}

/// Returns a description of each line: the containers that contain it and those at its end, its kind, and its text.
fn outline(text: &str, context: &Context) -> Vec<String> {
    let blocks = Blocks::read(text, context);
    let describe = |(number, line): (usize, &blocks::MarkdownLine)| {
        let kind = match line.kind {
            Kind::Text if blocks.goes_on.contains(&number) => "continues",
            Kind::Text => "text",
            Kind::Opens(_) => "opens",
            Kind::Inside(_) => "inside",
            Kind::Closes(_) => "closes",
        };
        let ends = if line.ends.is_some() { " ends" } else { "" };
        let (outer, inner) = (path(&blocks, line.outer), path(&blocks, line.inner));
        format!("{outer}|{inner}|{kind}{ends}|{}", &text[line.content..line.end])
    };
    blocks.lines.iter().enumerate().map(describe).collect()
}

#[test]
fn o_11_blocks_of_each_line() {
    for (text, expected) in [
        ("- a\n  b", &["|2|text|a", "2|2|continues|b"][..]),
        ("- a\nb", &["|2|text|a", "|2|continues|b"]),
        ("-    a", &["|5|text|a"]),
        ("-     a", &["|2|text|a"]),
        ("-\n  a", &["|2|text|", "2|2|text|a"]),
        ("-\n\n  a", &["|2|text|", "||text|", "||text|a"]),
        ("a\n-\nb", &["||text|a", "||text|-", "||text|b"]),
        ("a\n+\nb", &["||text|a", "||continues|+", "||continues|b"]),
        ("a\n2. b", &["||text|a", "||continues|2. b"]),
        ("a\n01. b", &["||text|a", "|4|text|b"]),
        ("- - -\na", &["||text|- - -", "||text|a"]),
        ("- * x", &["|22|text|x"]),
        ("-\ta", &["|4|text|a"]),
        (">a\n> b", &["|>|text|a", ">|>|continues|b"]),
        ("> a\n>b\nc", &["|> |text|a", "> |> |continues|b", "|> |continues|c"]),
        (">\n> a", &["|>|text|", ">|>|text|a"]),
        ("   >a\n    >b", &["|>|text|a", "|>|continues|>b"]),
        ("- a\n\n      b", &["|2|text|a", "2|2|text|", "2|2|text|b"]),
        ("    - a", &["||text|- a"]),
        ("123456789. a\n\n1234567890. a", &["|11|text|a", "11|11|text|", "||text|1234567890. a"]),
        (
            "- ```x\n   a\n\n  ```\nb",
            &["|2|opens|```x", "2|2|inside| a", "2|2|inside|", "2|2|closes|```", "||text|b"],
        ),
        ("> ```\n>  a\nb", &["|> |opens|```", "> |> |inside| a", "||text ends|b"]),
        ("```\n    ```\n   ```", &["||opens|```", "||inside|    ```", "||closes|```"]),
        ("```\n``\n````", &["||opens|```", "||inside|``", "||closes|````"]),
        ("a\n===\nb", &["||text|a", "||text|===", "||text|b"]),
        ("> a\n===\nb", &["|> |text|a", "|> |continues|===", "|> |continues|b"]),
        ("# a\nb", &["||text|# a", "||text|b"]),
        ("#a\n***\nb", &["||text|#a", "||text|***", "||text|b"]),
    ] {
        assert_eq!(outline(text, &Context::default()), expected, "{text:?}");
    }
}

#[test]
fn o_11_a_text_inside_a_line_begins_no_block() {
    let in_line = Context { is_mid_line: true, is_paragraph: true, ..Context::default() };
    assert_eq!(outline("- a\n- b", &in_line), ["||continues|- a", "|2|text|b"]);
    assert_eq!(outline("```\na", &in_line), ["||continues|```", "||continues|a"]);
    assert_eq!(outline("a\n  b", &in_item(true, true)), ["2|2|continues|a", "2|2|continues|b"]);
}

/// Returns the quotes and items around the text of each line, as a CommonMark parser finds them.
fn containers_by_parser(text: &str, blocks: &Blocks) -> Vec<String> {
    let parser = Parser::new(text).into_offset_iter();
    let containers: Vec<(char, Range<usize>)> = parser
        .filter_map(|(event, range)| match event {
            Event::Start(Tag::BlockQuote(_)) => Some(('>', range)),
            Event::Start(Tag::Item) => Some(('-', range)),
            _ => None,
        })
        .collect();
    let around = |at: usize| containers.iter().filter(move |(_, range)| range.contains(&at));
    blocks.lines.iter().map(|line| around(line.content).map(|(mark, _)| mark).collect()).collect()
}

/// Returns the quotes and items around the text of each line, as the splitter finds them.
fn containers_by_blocks(blocks: &Blocks) -> Vec<String> {
    let mark = |node: usize| match blocks.container(node) {
        Container::Quote { .. } => '>',
        Container::Item { .. } => '-',
    };
    blocks.lines.iter().map(|line| blocks.path(line.inner).into_iter().map(mark).collect()).collect()
}

/// Describes the lines of a text without their places in it.
fn tail(blocks: &Blocks, from: usize) -> Vec<String> {
    let at = blocks.lines[from].start;
    let code = |line: &blocks::MarkdownLine| -> Vec<Range<usize>> {
        let code = blocks.code.iter().filter(|code| code.start < line.end && code.end > line.start);
        code.map(|code| code.start.max(at) - at..code.end - at).collect()
    };
    let describe = |(number, line): (usize, &blocks::MarkdownLine)| {
        let kind = match line.kind {
            Kind::Text => "text",
            Kind::Opens(_) => "opens",
            Kind::Inside(_) => "inside",
            Kind::Closes(_) => "closes",
        };
        let continues = blocks.goes_on.contains(&number);
        let inner = path(blocks, line.inner);
        format!("{inner}|{kind}|{continues}|{}|{:?}", line.content - at, code(line))
    };
    blocks.lines.iter().enumerate().skip(from).map(describe).collect()
}

/// Shows a growing text in messages, each of them closed, and compares their code with the text's.
fn shows_code_of(text: &str, limit: usize) -> Result<(), TestCaseError> {
    let room = room(limit, Chars);
    let (mut rest, mut open, mut code, mut messages) = (text, None, String::new(), Vec::new());
    while !rest.is_empty() {
        let (skip, block) = if messages.is_empty() { (0, None) } else { resume(rest, open.as_ref(), room) };
        let first = first(&rest[skip..], block.as_ref(), room);
        prop_assert!(Chars.len(&first.content) <= limit, "{:?}", first.content);
        prop_assert!(skip + first.next > 0, "{:?} of {:?}", rest, text);
        code += &documents::code(&first.content);
        messages.push(first.content);
        (rest, open) = (&rest[skip + first.next..], first.block);
    }
    prop_assert_eq!(code, documents::code(text), "{:#?} of {:?}", messages, text);
    Ok(())
}

#[test]
fn o_11_a_growing_text_is_cut_before_markers_last() {
    let lines = "    > ca\n    > da\n    > ea\n    > fa\n    > ga\n    > ha";
    let text = format!("-   > ba\n    > `\n{lines}\n    > `ia\n    > ja`\n    > ka");
    shows_code_of(&text, 64).unwrap();
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
}

proptest! {
    #[test]
    fn o_11_containers_are_those_of_a_commonmark_parser(text in lines()) {
        let blocks = Blocks::read(&text, &Context::default());
        let (by_blocks, by_parser) = (containers_by_blocks(&blocks), containers_by_parser(&text, &blocks));
        for (line, (ours, parsers)) in blocks.lines.iter().zip(by_blocks.iter().zip(&by_parser)) {
            if line.content < line.end {
                prop_assert_eq!(ours, parsers, "{:?} in {:?}", &text[line.start..line.end], text);
            }
        }
    }

    #[test]
    fn o_11_a_line_reads_the_same_in_the_context_of_a_cut(text in prop_oneof![lines(), documents::written()]) {
        let room = room(MIN_LIMIT, Chars);
        let blocks = Blocks::read(&text, &Context::default());
        let cutter = Cutter { text: &text, blocks: &blocks, room, number: 0 };
        for (number, line) in blocks.lines.iter().enumerate() {
            let rest = Blocks::read(&text[line.start..], &cutter.builder().context(line.start));
            // An underline is cut off from its heading, and a lazy continuation line from its containers.
            if text[line.content..line.end].trim_matches(['-', '=', ' ']).is_empty() {
                continue;
            }
            if line.kind == Kind::Text && blocks.goes_on.contains(&number) && line.inner != line.outer {
                continue;
            }
            prop_assert_eq!(tail(&blocks, number), tail(&rest, 0), "{:?} of {:?}", &text[line.start..], text);
        }
    }

    #[test]
    fn o_11_code_stays_code_in_a_growing_text(text in documents::written(), limit in 64..200usize) {
        shows_code_of(&text, limit)?;
    }
}
