//! O-10, O-11, O-7, O-3: the next step after every kind of input, and the text that a reader has in the end.

use super::*;
use crate::descriptor::LenUnit;
use proptest::prelude::*;

fn abilities(mode: Mode) -> Abilities {
    let room = SplitOptions::new(40, LenUnit::Chars);
    Abilities { mode, can_edit: mode != Mode::Segments, room }
}

fn failure(kind: FailureKind) -> Failure {
    Failure::new(kind, "why")
}

fn kind(name: &str) -> FailureKind {
    use FailureKind::{Ambiguous, Declined, Definite, Rejected, Unsupported};
    let kinds = [Definite, Ambiguous, Declined, Unsupported, Rejected];
    *kinds.iter().find(|kind| kind.name() == name).expect("a kind of failure")
}

/// Returns whether the last state can be submitted again.
fn is_definite<T>(result: &Result<T, Failure>) -> bool {
    result.as_ref().is_err_and(|failure| failure.kind == FailureKind::Definite)
}

fn step(step: &Step) -> String {
    let content = &step.content;
    match &step.op {
        StepOp::Send { first } => format!("{} {content:?}", if *first { "send" } else { "send on" }),
        StepOp::Edit { message_id } => format!("edit {message_id} {content:?}"),
        StepOp::Draft { draft_id, seals } => {
            format!("{} {draft_id} {content:?}", if *seals { "seal" } else { "draft" })
        }
    }
}

/// Plays a script: `text`, `segment` and `last` with the text so far, `stop`, `hold`, `ok` with or without an id, or a
/// kind of failure. Returns one line for each visible effect.
fn play(mode: Mode, script: &[&str]) -> Vec<String> {
    let (mut plan, mut drafts, mut lines) = (StreamPlan::new(abilities(mode)), 0, Vec::new());
    let mut over = false;
    for line in script {
        assert!(!over, "{line} comes after the end");
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "text" | "segment" | "last" => plan.push(rest, word == "last", word == "segment"),
            "stop" => plan.stop(),
            "hold" => plan.hold(failure(FailureKind::Definite)),
            "ok" => plan.result(Ok(Some(rest.to_owned()))),
            word => plan.result(Err(failure(kind(word)))),
        }
        let next = plan.next(Allowed::All, &mut drafts);
        over = matches!(&next, Next::Over(result) if !is_definite(result));
        match next {
            Next::Wait => {}
            Next::Step(next) => lines.push(step(&next)),
            Next::Over(Ok(ids)) => lines.push(format!("over {}", ids.join(" ")).trim().to_owned()),
            Next::Over(Err(failure)) => lines.push(format!("over {}", failure.kind.name())),
        }
    }
    lines
}

#[track_caller]
fn check(mode: Mode, script: &[&str], expected: &[&str]) {
    assert_eq!(play(mode, script), expected, "{script:?}");
}

#[test]
fn o_10_drafts_where_they_are_offered() {
    check(
        Mode::SealedDrafts,
        &["text on", "ok", "text on and", "ok", "last on and on", "ok 7"],
        &[r#"draft 1 "on""#, r#"draft 1 "on and""#, r#"seal 1 "on and on""#, "over 7"],
    );
    // The same text still becomes a message.
    check(
        Mode::SealedDrafts,
        &["text on", "ok", "last on", "ok 7"],
        &[r#"draft 1 "on""#, r#"seal 1 "on""#, "over 7"],
    );
    // Each message has a draft of its own.
    let long = format!("text {} more", "a".repeat(39));
    check(
        Mode::SealedDrafts,
        &["text a", "ok", &long, "ok 1", "ok", &long.replace("text", "last"), "ok 2"],
        &[
            r#"draft 1 "a""#,
            &format!("seal 1 {:?}", "a".repeat(39)),
            r#"draft 2 "more""#,
            r#"seal 2 "more""#,
            "over 1 2",
        ],
    );
}

#[test]
fn o_12_a_draft_that_vanishes_ends_with_a_message() {
    check(
        Mode::Previews,
        &["text on", "ok", "text on and", "ok", "last on and on", "ok 7"],
        &[r#"draft 1 "on""#, r#"draft 1 "on and""#, r#"send "on and on""#, "over 7"],
    );
    // Text beyond a message: each message has a draft and a send of its own.
    let long = format!("text {} more", "a".repeat(39));
    check(
        Mode::Previews,
        &["text a", "ok", &long, "ok", "ok", &long.replace("text", "last"), "ok 2"],
        &[
            r#"draft 1 "a""#,
            &format!("send {:?}", "a".repeat(39)),
            r#"draft 2 "more""#,
            r#"send on "more""#,
            "over 2",
        ],
    );
    // O-14: a draft whose answer is lost counts as shown. A draft that fails is followed by edits.
    check(
        Mode::Previews,
        &["text a", "ambiguous", "last a b", "ok 1"],
        &[r#"draft 1 "a""#, r#"send "a b""#, "over 1"],
    );
    check(
        Mode::Previews,
        &["text a", "rejected", "ok 1", "last a b", "ok"],
        &[r#"draft 1 "a""#, r#"send "a""#, r#"edit 1 "a b""#, "over 1"],
    );
}

#[test]
fn o_12_without_an_open_draft_the_answer_is_a_message() {
    for mode in [Mode::SealedDrafts, Mode::Previews] {
        check(mode, &["last all", "ok 7"], &[r#"send "all""#, "over 7"]);
    }
}

#[test]
fn o_13_a_seal_of_unknown_fate_is_written_once_more() {
    let seal = r#"seal 1 "a b""#;
    let cases: &[(&[&str], &[&str])] = &[
        (&["ambiguous", "ok 7"], &[seal, seal, "over 7"]),
        (&["ambiguous", "ambiguous"], &[seal, seal, "over ambiguous"]),
        // The kind of the second failure does not matter: the first try may have been carried out.
        (&["ambiguous", "rejected"], &[seal, seal, "over ambiguous"]),
        (&["ambiguous", "definite"], &[seal, seal, "over ambiguous"]),
        (&["ambiguous", "declined"], &[seal, seal, "over declined"]),
        // A seal that certainly failed is followed by a message.
        (&["rejected", "ok 7"], &[seal, r#"send "a b""#, "over 7"]),
        (&["unsupported", "ok 7"], &[seal, r#"send "a b""#, "over 7"]),
        (&["declined"], &[seal, "over declined"]),
    ];
    for (script, expected) in cases {
        let script = [&["text a", "ok", "last a b"], *script].concat();
        check(Mode::SealedDrafts, &script, &[&[r#"draft 1 "a""#], *expected].concat());
    }
}

#[test]
fn o_13_a_seal_is_not_repeated_on_another_connection() {
    let mut plan = StreamPlan::new(abilities(Mode::SealedDrafts));
    let mut drafts = 0;
    plan.push("a", false, false);
    assert!(matches!(plan.next(Allowed::All, &mut drafts), Next::Step(_)));
    plan.result(Ok(None));
    plan.push("a b", true, false);
    assert!(matches!(plan.next(Allowed::All, &mut drafts), Next::Step(_)));
    // The connection is lost, with everything that was written on it.
    plan.result(Err(failure(FailureKind::Ambiguous)));
    plan.hold(failure(FailureKind::Definite));
    let over = plan.next(Allowed::All, &mut drafts);
    assert_eq!(over, Next::Over(Err(failure(FailureKind::Ambiguous))));
}

#[test]
fn o_13_a_stopped_reply_keeps_what_is_shown() {
    let cases: &[(Mode, &[&str], &[&str])] = &[
        (
            Mode::SealedDrafts,
            &["text a", "ok", "text a b", "ok", "stop", "ok 7"],
            &[r#"draft 1 "a""#, r#"draft 1 "a b""#, r#"seal 1 "a b""#, "over 7"],
        ),
        // A step that is under way comes first.
        (
            Mode::SealedDrafts,
            &["text a", "stop", "ok", "ok 7"],
            &[r#"draft 1 "a""#, r#"seal 1 "a""#, "over 7"],
        ),
        (Mode::SealedDrafts, &["stop"], &["over"]),
        // The text is not sent in another way.
        (
            Mode::SealedDrafts,
            &["text a", "ok", "stop", "rejected"],
            &[r#"draft 1 "a""#, r#"seal 1 "a""#, "over"],
        ),
        (
            Mode::SealedDrafts,
            &["text a", "ok", "stop", "ambiguous", "ok 7"],
            &[r#"draft 1 "a""#, r#"seal 1 "a""#, r#"seal 1 "a""#, "over 7"],
        ),
        (Mode::Previews, &["text a", "ok", "stop"], &[r#"draft 1 "a""#, "over"]),
        (Mode::Edits, &["text a", "ok 7", "stop"], &[r#"send "a""#, "over 7"]),
        (Mode::Edits, &["text a", "last a b", "stop", "ok 7"], &[r#"send "a""#, "over 7"]),
        // A last state after the stop fails, also while a step is under way.
        (Mode::Edits, &["text a", "stop", "last a b", "ok 7"], &[r#"send "a""#, "over definite"]),
        (
            Mode::SealedDrafts,
            &["text a", "ok", "stop", "last a b", "ok 7"],
            &[r#"draft 1 "a""#, r#"seal 1 "a""#, "over definite"],
        ),
    ];
    for (mode, script, expected) in cases {
        check(*mode, script, expected);
    }
}

#[test]
fn m_7_the_frame_that_completes_the_text_is_the_last() {
    let long = format!("{} more", "a".repeat(39));
    let long = long.as_str();
    type Case<'a> = (Mode, &'a [(&'a str, bool)], &'a [&'a str]);
    let cases: &[Case<'_>] = &[
        (Mode::SealedDrafts, &[("a", false), ("a b", true)], &["draft", "seal last"]),
        (Mode::Previews, &[("a", false), ("a b", true)], &["draft", "send last"]),
        (Mode::Edits, &[("a", false), ("a", true)], &["send", "edit last"]),
        (Mode::Segments, &[("a", true)], &["send last"]),
        (Mode::Edits, &[(long, true)], &["send", "send on last"]),
        (Mode::SealedDrafts, &[("a", false), (long, true)], &["draft", "seal", "send on last"]),
    ];
    for (mode, states, expected) in cases {
        let (mut plan, mut drafts, mut steps) = (StreamPlan::new(abilities(*mode)), 0, Vec::new());
        for (text, last) in *states {
            plan.push(text, *last, false);
            while let Next::Step(next) = plan.next(Allowed::All, &mut drafts) {
                let name = step(&next).split(" \"").next().unwrap_or_default().replace(" 1", "");
                steps.push(name + if next.last { " last" } else { "" });
                plan.result(Ok(Some("1".to_owned())));
            }
        }
        assert_eq!(steps, *expected, "{mode:?} {states:?}");
    }
}

#[test]
fn o_10_edits_where_there_are_no_drafts() {
    check(
        Mode::Edits,
        &["text on", "ok 7", "text on and", "ok", "last on and on", "ok"],
        &[r#"send "on""#, r#"edit 7 "on and""#, r#"edit 7 "on and on""#, "over 7"],
    );
    // A text that is shown already is sent once more, marked as the last. White space alone is not shown (M-7).
    check(
        Mode::Edits,
        &["text  ", "text on ", "ok 7", "text on \n", "last on", "ok"],
        &[r#"send "on""#, r#"edit 7 "on""#, "over 7"],
    );
    check(Mode::Edits, &["last  \n"], &["over"]);
    check(Mode::Edits, &["last on", "ok 7"], &[r#"send "on""#, "over 7"]);
    // States that arrive meanwhile are merged.
    check(
        Mode::Edits,
        &["text a", "text ab", "text abc", "ok 7", "last abcd", "ok", "ok"],
        &[r#"send "a""#, r#"edit 7 "abc""#, r#"edit 7 "abcd""#, "over 7"],
    );
    // Without an id nothing can be edited: the rest is sent as segments.
    check(
        Mode::Edits,
        &["text a", "ok", "text ab", "last abc", "ok"],
        &[r#"send "a""#, r#"send on "bc""#, "over"],
    );
}

#[test]
fn o_10_segments_where_nothing_can_be_edited() {
    check(
        Mode::Segments,
        &["text one", "segment one.", "ok 1", "text one.\ntwo", "last one.\ntwo.", "ok 2"],
        &[r#"send "one.""#, r#"send on "two.""#, "over 1 2"],
    );
    // Segments that arrive meanwhile are messages of their own.
    check(
        Mode::Segments,
        &["segment a", "segment a b", "segment a b", "text a b c", "ok 1", "ok 2", "last a b c", "ok 3"],
        &[r#"send "a""#, r#"send on "b""#, r#"send on "c""#, "over 1 2 3"],
    );
    // A segment that is too long is cut.
    check(
        Mode::Segments,
        &[&format!("segment {} b", "a".repeat(39)), "ok 1", "ok 2", &format!("last {} b", "a".repeat(39))],
        &[&format!("send {:?}", "a".repeat(39)), r#"send on "b""#, "over 1 2"],
    );
}

#[test]
fn o_11_text_beyond_a_message_continues_in_the_next() {
    // The message first gets its final form, at the best place to cut.
    check(
        Mode::Edits,
        &[
            "text the first line\nthe second",
            "ok 1",
            "text the first line\nthe second line goes beyond",
            "ok",
            "ok 2",
            "last the first line\nthe second line goes beyond it",
            "ok",
        ],
        &[
            r#"send "the first line\nthe second""#,
            r#"edit 1 "the first line""#,
            r#"send on "the second line goes beyond""#,
            r#"edit 2 "the second line goes beyond it""#,
            "over 1 2",
        ],
    );
    // A code block is closed and opened again in each state that is shown. Its end is not repeated without need.
    let code = "```rust\nfn one() {}\nfn two() {}\nfn three() {}\n```\nso";
    check(
        Mode::Edits,
        &[
            "text ```rust",
            "text ```rust\n",
            "text ```rust\nfn",
            "ok 1",
            &format!("last {code}"),
            "ok",
            "ok 2",
        ],
        &[
            r#"send "```rust\nfn\n```""#,
            r#"edit 1 "```rust\nfn one() {}\nfn two() {}\n```""#,
            r#"send on "```rust\nfn three() {}\n```\nso""#,
            "over 1 2",
        ],
    );
    check(
        Mode::Segments,
        &["segment ```\nx", "ok 1", "last ```\nx\n```\nso", "ok 2"],
        &[r#"send "```\nx\n```""#, r#"send on "so""#, "over 1 2"],
    );
    // A line that may become a fence is not shown until it is clear.
    check(
        Mode::Edits,
        &[
            "text so\n``",
            "ok 1",
            "text so\n```",
            "text so\n```\nx",
            "ok",
            "text so\n```\nx\n``",
            "last so\n```\nx\n```",
            "ok",
        ],
        &[r#"send "so""#, r#"edit 1 "so\n```\nx\n```""#, r#"edit 1 "so\n```\nx\n```""#, "over 1"],
    );
}

#[test]
fn o_3_o_7_each_failure_of_each_step() {
    let cases: &[(Mode, &[&str], &[&str])] = &[
        // A message.
        (Mode::Edits, &["definite", "text a b"], &[r#"send "a b""#]),
        (Mode::Edits, &["definite", "last a b", "ok 2"], &[r#"send "a b""#, "over 2"]),
        (
            Mode::Edits,
            &["ambiguous", "text a b", "ok 2", "last a b", "ok"],
            &[r#"send on "b""#, r#"edit 2 "b""#, "over ambiguous"],
        ),
        (Mode::Edits, &["declined", "text a b", "last a b"], &["over declined"]),
        (Mode::Edits, &["rejected", "text a b", "last a b"], &["over rejected"]),
        (Mode::Edits, &["unsupported", "text a b", "last a b"], &["over unsupported"]),
        // An edit.
        (
            Mode::Edits,
            &["ok 1", "text a b", "definite", "text a b c"],
            &[r#"edit 1 "a b""#, r#"edit 1 "a b c""#],
        ),
        (
            Mode::Edits,
            &["ok 1", "text a b", "ambiguous", "text a b c", "ok", "last a b c", "ok"],
            // A later edit has replaced the message as a whole, so the stream succeeds.
            &[r#"edit 1 "a b""#, r#"edit 1 "a b c""#, r#"edit 1 "a b c""#, "over 1"],
        ),
        (Mode::Edits, &["ok 1", "last a b", "ambiguous"], &[r#"edit 1 "a b""#, "over ambiguous"]),
        (
            Mode::Edits,
            &["ok 1", "text a b", "ambiguous", "last a b", "rejected"],
            &[r#"edit 1 "a b""#, r#"edit 1 "a b""#, "over ambiguous"],
        ),
        (Mode::Edits, &["ok 1", "text a b", "declined", "last a b c"], &[r#"edit 1 "a b""#, "over declined"]),
        (
            Mode::Edits,
            &["ok 1", "text a b", "rejected", "text a b c", "last a b c d", "ok 2"],
            &[r#"edit 1 "a b""#, r#"send on "b c d""#, "over 1 2"],
        ),
        (
            Mode::Edits,
            &["ok 1", "last a b", "unsupported", "ok 2"],
            &[r#"edit 1 "a b""#, r#"send on "b""#, "over 1 2"],
        ),
        // Rejected after an ambiguous step: whichever text is shown, neither is sent again.
        (
            Mode::Edits,
            &["ok 1", "text a b", "ambiguous", "last a b c", "rejected", "ok 2"],
            &[r#"edit 1 "a b""#, r#"edit 1 "a b c""#, r#"send on "c""#, "over ambiguous"],
        ),
        // A draft.
        (Mode::SealedDrafts, &["definite", "text a b"], &[r#"draft 2 "a b""#]),
        (
            Mode::SealedDrafts,
            &["ambiguous", "text a b", "ok", "last a b", "ok 1"],
            &[r#"draft 1 "a b""#, r#"seal 1 "a b""#, "over 1"],
        ),
        (Mode::SealedDrafts, &["declined", "last a b"], &["over declined"]),
        (
            Mode::SealedDrafts,
            &["rejected", "ok 1", "last a b", "ok"],
            &[r#"send "a""#, r#"edit 1 "a b""#, "over 1"],
        ),
        (
            Mode::SealedDrafts,
            &["unsupported", "ok 1", "last a", "rejected"],
            &[r#"send "a""#, r#"edit 1 "a""#, "over 1"],
        ),
        (
            Mode::SealedDrafts,
            &["ok", "last a b", "rejected", "ok 1"],
            &[r#"seal 1 "a b""#, r#"send "a b""#, "over 1"],
        ),
        (Mode::SealedDrafts, &["ok", "last a b", "declined"], &[r#"seal 1 "a b""#, "over declined"]),
        (Mode::SealedDrafts, &["ok", "last a b", "definite"], &[r#"seal 1 "a b""#, "over definite"]),
    ];
    for (mode, script, expected) in cases {
        let first = if *mode == Mode::SealedDrafts { r#"draft 1 "a""# } else { r#"send "a""# };
        let script: Vec<&str> = ["text a"].iter().chain(*script).copied().collect();
        let expected: Vec<&str> = [first].iter().chain(*expected).copied().collect();
        check(*mode, &script, &expected);
    }
}

#[test]
fn o_3_a_definite_failure_of_the_last_state_can_be_retried() {
    check(
        Mode::Edits,
        &["text a", "ok 1", "last a b", "definite", "last a b", "ok"],
        &[r#"send "a""#, r#"edit 1 "a b""#, "over definite", r#"edit 1 "a b""#, "over 1"],
    );
}

#[test]
fn o_3_an_ambiguous_edit_that_shortens_counts_at_its_longest() {
    let long = "the first line\nthe second line goes beyond it all";
    check(
        Mode::Edits,
        &["text the first line\nthe second", "ok 1", &format!("last {long}"), "ambiguous", "ok 2"],
        &[
            r#"send "the first line\nthe second""#,
            r#"edit 1 "the first line""#,
            r#"send on "line goes beyond it all""#,
            "over ambiguous",
        ],
    );
}

#[test]
fn a_text_that_rewrites_itself_replaces_the_message_under_way() {
    check(
        Mode::Edits,
        &["text hmm", "ok 1", "text yes, of course", "ok", "last yes", "ok"],
        &[r#"send "hmm""#, r#"edit 1 "yes, of course""#, r#"edit 1 "yes""#, "over 1"],
    );
    check(
        Mode::SealedDrafts,
        &["text hmm", "ok", "last yes", "ok 1"],
        &[r#"draft 1 "hmm""#, r#"seal 1 "yes""#, "over 1"],
    );
    // If the text cannot be replaced, the stream fails, however long the text.
    for meanwhile in [&["text hmm", "ok 1", "last yes"][..], &["text hmm", "last yes", "ok 1"]] {
        let script = [meanwhile, &["rejected"]].concat();
        check(Mode::Edits, &script, &[r#"send "hmm""#, r#"edit 1 "yes""#, "over rejected"]);
    }
    // The text was rewritten while the rejected edit was under way.
    check(
        Mode::Edits,
        &["text a", "ok 1", "text a b", "last x y", "rejected"],
        &[r#"send "a""#, r#"edit 1 "a b""#, "over rejected"],
    );
    // A finished message cannot be changed: only the text beyond its length is sent.
    check(
        Mode::Segments,
        &["segment é one", "ok 1", "last xx one, two", "ok 2"],
        &[r#"send "é one""#, r#"send on ", two""#, "over 1 2"],
    );
    check(Mode::Segments, &["segment é one", "ok 1", "last x"], &[r#"send "é one""#, "over 1"]);
}

/// Fate of a step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fate {
    Well,
    /// Carried out, but not answered.
    Unknown,
    /// Not carried out, and not answered.
    Lost,
    Fails(FailureKind),
}

/// A platform, with a reader of its messages.
#[derive(Default)]
struct Reader {
    messages: Vec<String>,
    /// The draft that was sealed last.
    sealed: Option<i64>,
    steps: usize,
}

impl Reader {
    /// Carries out a step, or not. Returns the answer to it.
    fn take(&mut self, step: &Step, fate: Fate) -> Result<Option<String>, Failure> {
        self.steps += 1;
        let done = matches!(fate, Fate::Well | Fate::Unknown);
        let mut id = None;
        match &step.op {
            // A repeated seal is recognised.
            StepOp::Draft { draft_id, seals: true } if self.sealed == Some(*draft_id) => {
                id = Some((self.messages.len() - 1).to_string());
            }
            StepOp::Send { .. } | StepOp::Draft { seals: true, .. } => {
                id = Some(self.messages.len().to_string());
                if done {
                    self.messages.push(step.content.clone());
                    if let StepOp::Draft { draft_id, .. } = step.op {
                        self.sealed = Some(draft_id);
                    }
                }
            }
            StepOp::Edit { message_id } => {
                if done {
                    self.messages[message_id.parse::<usize>().unwrap()] = step.content.clone();
                }
            }
            // A draft that vanishes leaves nothing to read.
            StepOp::Draft { seals: false, .. } => {}
        }
        match fate {
            Fate::Well => Ok(id),
            Fate::Unknown | Fate::Lost => Err(failure(FailureKind::Ambiguous)),
            Fate::Fails(kind) => Err(failure(kind)),
        }
    }

    /// Returns everything that can be read, without white space and fences.
    fn read(&self) -> String {
        squeezed(&self.messages.concat())
    }
}

fn squeezed(text: &str) -> String {
    text.chars().filter(|c| !matches!(c, ' ' | '\n' | '`' | '~')).collect()
}

/// Generates a text in which no character occurs twice, except white space and fences.
fn text() -> impl Strategy<Value = String> {
    prop::collection::vec(0..40u8, 0..160).prop_map(|kinds| {
        let signs = kinds.iter().zip('\u{4e00}'..).map(|(kind, sign)| match kind {
            0..3 => " ".to_owned(),
            3..5 => "\n".to_owned(),
            5 => "\n```\n".to_owned(),
            6 => "\n```~~\n".to_owned(),
            // Never three in a row: that would be a fence, whose info string would be repeated with each part.
            7 => "~`".to_owned(),
            8 => "    ".to_owned(),
            _ => sign.to_string(),
        });
        signs.collect()
    })
}

fn fate() -> impl Strategy<Value = Fate> {
    let fails = prop::sample::select(&["definite", "declined", "unsupported", "rejected"][..]);
    prop_oneof![
        6 => Just(Fate::Well),
        1 => Just(Fate::Unknown),
        1 => Just(Fate::Lost),
        2 => fails.prop_map(|name| Fate::Fails(kind(name))),
    ]
}

fn mode() -> impl Strategy<Value = Mode> {
    prop::sample::select(&[Mode::SealedDrafts, Mode::Previews, Mode::Edits, Mode::Segments][..])
}

/// Streams `text` in states that end at `cuts`. A step is answered at once if its number there is even, else later. The
/// last state is submitted again while it fails as definite. Returns how the stream ended.
fn stream(
    mode: Mode,
    text: &str,
    cuts: &[(usize, u8)],
    fates: &[Fate],
    reader: &mut Reader,
) -> Result<(), Failure> {
    let (mut plan, mut drafts, mut flight) = (StreamPlan::new(abilities(mode)), 0, None);
    let mut fates = fates.iter().copied().chain(std::iter::repeat(Fate::Well));
    let mut ends: Vec<(usize, u8)> = cuts.iter().map(|(cut, how)| (cut % (text.len() + 1), *how)).collect();
    ends.sort_unstable();
    let mut push = ends.into_iter();
    loop {
        match push.next() {
            Some((end, how)) => {
                plan.push(&text[..ceil(text, end)], false, how & 2 != 0);
                if how & 1 != 0 && flight.is_some() {
                    continue;
                }
            }
            None if !plan.is_finishing() => plan.push(text, true, false),
            None => {}
        }
        if let Some(step) = flight.take() {
            plan.result(reader.take(&step, fates.next().unwrap()));
        }
        match plan.next(Allowed::All, &mut drafts) {
            Next::Wait => {}
            Next::Step(step) => {
                let content = &step.content;
                assert!(LenUnit::Chars.len(content) <= 40, "O-11: {content:?}");
                assert!(!content.trim().is_empty());
                flight = Some(step);
            }
            Next::Over(result) if is_definite(&result) => {}
            Next::Over(result) => {
                assert!(reader.steps <= 4 * text.len() + cuts.len() + 8, "it gets nowhere");
                return result.map(|_| ());
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    /// O-10, O-11: however the text grows, nothing is lost and nothing is repeated.
    #[test]
    fn o_10_without_failures_the_whole_text_is_shown(
        mode in mode(),
        text in text(),
        cuts in prop::collection::vec((any::<usize>(), any::<u8>()), 0..12),
    ) {
        let mut reader = Reader::default();
        prop_assert_eq!(stream(mode, &text, &cuts, &[], &mut reader), Ok(()));
        prop_assert_eq!(reader.read(), squeezed(&text));
    }

    /// O-3, O-7: whatever fails, nothing is shown twice. If the stream succeeds, the whole text is shown.
    #[test]
    fn o_3_whatever_fails_nothing_is_shown_twice(
        mode in mode(),
        text in text(),
        cuts in prop::collection::vec((any::<usize>(), any::<u8>()), 0..12),
        fates in prop::collection::vec(fate(), 0..16),
    ) {
        let mut reader = Reader::default();
        let ended = stream(mode, &text, &cuts, &fates, &mut reader);
        let (read, all) = (reader.read(), squeezed(&text));
        let in_order: Vec<char> = read.chars().collect();
        prop_assert!(in_order.windows(2).all(|pair| pair[0] < pair[1]), "{read} of {all}");
        if ended.is_ok() {
            prop_assert_eq!(read, all);
        }
        // After a decline nothing is sent (O-7): it was the last step.
        if ended.is_err_and(|failure| failure.kind == FailureKind::Declined) {
            prop_assert_eq!(fates.get(reader.steps - 1), Some(&Fate::Fails(FailureKind::Declined)));
        }
    }
}

/// The shown message differs from the host's text until an edit succeeds.
#[test]
fn o_10_a_rewrite_that_was_never_written_is_tried_again() {
    check(
        Mode::Edits,
        &["text on", "ok 7", "text xx", "definite", "text xx y", "rejected", "last xx y"],
        &[r#"send "on""#, r#"edit 7 "xx""#, r#"edit 7 "xx y""#, "over rejected"],
    );
}

#[test]
fn o_10_a_repeated_segment_stays_one_segment() {
    check(
        Mode::Segments,
        &["segment one", "definite", "text one", "ok 7", "last one"],
        &[r#"send "one""#, r#"send "one""#, "over 7"],
    );
}
