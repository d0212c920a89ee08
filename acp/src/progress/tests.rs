use super::*;
use crate::delivery::AcpDelivery;
use agent_client_protocol_schema::{PlanEntry, PlanEntryPriority};
use relayline_core::event::Event;
use relayline_core::output::DeliveryId;

const CARDS: ChatAbilities = ChatAbilities { task_cards: true, edits: true };
const EDITS: ChatAbilities = ChatAbilities { task_cards: false, edits: true };
const NOTHING: ChatAbilities = ChatAbilities { task_cards: false, edits: false };

fn origin(abilities: ChatAbilities) -> TurnOrigin {
    let mut event = Box::new(Event::default());
    (event.source.chat_id, event.source.thread_id) = ("c".into(), Some("t".into()));
    event.source.platform = "matrix".into();
    let delivery = AcpDelivery {
        id: DeliveryId::from_number(7),
        session_key: "k".to_owned(),
        event,
        abilities,
        is_buffered: false,
    };
    TurnOrigin::of(&delivery, &["matrix".to_owned()])
}

fn limits() -> AcpLimits {
    AcpLimits { acp_steps: 3, ..AcpLimits::default() }
}

fn call(id: &str, status: ToolCallStatus) -> ToolCall {
    ToolCall::new(id.to_owned(), format!("Title\n{id}")).status(status)
}

fn at(s: u64) -> Time {
    Time::from_millis(s * 1000)
}

/// Returns the op's name and its content, or the titles and states of a card.
fn seen(command: Option<Command>) -> String {
    use relayline_core::op::Op;
    match command {
        Some(Command::Reply(reply)) => {
            assert!(!reply.last, "progress does not complete an answer");
            format!("reply {}", reply.content)
        }
        Some(Command::Op(Op::Edit(edit))) => {
            assert_eq!(
                (&edit.metadata["thread_id"], edit.platform.as_deref()),
                (&json!("t"), Some("matrix"))
            );
            format!("edit {} {}", edit.message_id, edit.content)
        }
        Some(Command::Op(Op::Typing(typing))) => {
            assert_eq!(typing.platform.as_deref(), Some("matrix"));
            "typing".to_owned()
        }
        Some(Command::Op(Op::TaskCard(card))) => {
            let step = |chunk: &Map<String, Value>| format!(" {}={}", chunk["title"], chunk["status"]);
            format!("card{}", card.chunks.iter().map(step).collect::<String>().replace('"', ""))
        }
        Some(Command::Op(Op::TaskCardStop(_))) => "stop".to_owned(),
        Some(other) => format!("{other:?}"),
        None => String::new(),
    }
}

#[test]
fn steps_are_one_line_that_is_edited() {
    let (mut progress, origin, limits) = (TurnProgress::default(), origin(EDITS), limits());
    assert_eq!(seen(progress.next(at(0), &limits, &origin, None)), "");
    progress.tool_call(&call("a", ToolCallStatus::InProgress), &limits);
    assert_eq!(seen(progress.next(at(0), &limits, &origin, None)), "reply ⏳ Title a (0 of 1 done)");
    progress.tool_call(&call("a", ToolCallStatus::Completed), &limits);
    assert_eq!(seen(progress.next(at(9), &limits, &origin, None)), "", "one command at a time");
    progress.finished(Some("m".to_owned()));
    assert_eq!(seen(progress.next(at(1), &limits, &origin, None)), "", "it is paced");
    assert_eq!(progress.deadline(), Some(at(2)));
    assert_eq!(seen(progress.next(at(2), &limits, &origin, None)), "edit m ⏳ Title a (1 of 1 done)");
    progress.finished(None);
    assert_eq!(seen(progress.next(at(2), &limits, &origin, Some(true))), "edit m ✔ 1 step");
    assert!(!progress.is_over());
    progress.finished(None);
    assert!(progress.is_over() && progress.deadline().is_none());
}

#[test]
fn o_16_steps_are_a_card_where_cards_are_offered() {
    let (mut progress, origin, limits) = (TurnProgress::default(), origin(CARDS), limits());
    let entry = |text: &str, status| PlanEntry::new(text, PlanEntryPriority::High, status);
    progress.plan(&Plan::new(vec![entry("look", PlanEntryStatus::InProgress)]), &limits);
    progress.tool_call(&call("a", ToolCallStatus::Failed), &limits);
    let state = "card look=in_progress Title a=error";
    assert_eq!(seen(progress.next(at(0), &limits, &origin, None)), state);
    progress.finished(Some("m".to_owned()));
    assert_eq!(seen(progress.next(at(9), &limits, &origin, Some(true))), "card look=complete Title a=error");
    progress.finished(None);
    assert_eq!(seen(progress.next(at(9), &limits, &origin, Some(true))), "stop");
    progress.finished(None);
    assert!(progress.is_over());
}

#[test]
fn steps_are_a_typing_sign_where_nothing_can_be_edited() {
    let (mut progress, origin, limits) = (TurnProgress::default(), origin(NOTHING), limits());
    progress.tool_call(&call("a", ToolCallStatus::InProgress), &limits);
    assert_eq!(seen(progress.next(at(0), &limits, &origin, None)), "typing");
    progress.finished(None);
    assert_eq!(seen(progress.next(at(1), &limits, &origin, Some(true))), "");
    assert!(progress.is_over());
}

#[test]
fn a_line_without_an_id_is_not_sent_again() {
    let (mut progress, origin, limits) = (TurnProgress::default(), origin(EDITS), limits());
    progress.tool_call(&call("a", ToolCallStatus::InProgress), &limits);
    progress.next(at(0), &limits, &origin, None);
    progress.finished(None);
    progress.tool_call(&call("b", ToolCallStatus::InProgress), &limits);
    assert_eq!(seen(progress.next(at(2), &limits, &origin, None)), "typing");
}

#[test]
fn an_update_changes_its_step_and_repeats_nothing() {
    let (mut progress, origin, limits) = (TurnProgress::default(), origin(CARDS), limits());
    progress.tool_call(&call("a", ToolCallStatus::Pending), &limits);
    let mut fields = ToolCallUpdateFields::new();
    fields.status = Some(ToolCallStatus::Completed);
    progress.tool_update(&ToolCallUpdate::new("a", fields.clone()), &limits);
    assert_eq!(seen(progress.next(at(0), &limits, &origin, None)), "card Title a=complete");
    progress.finished(None);
    progress.tool_update(&ToolCallUpdate::new("a", fields), &limits);
    assert_eq!(progress.deadline(), None, "the state is the same");
    progress.tool_update(&ToolCallUpdate::new("b", ToolCallUpdateFields::new()), &limits);
    assert_eq!(seen(progress.next(at(9), &limits, &origin, None)), "card Title a=complete b=in_progress");
}

#[test]
fn the_oldest_ended_step_makes_room() {
    let (mut progress, origin, limits) = (TurnProgress::default(), origin(EDITS), limits());
    let mut dropped = 0;
    for id in ["a", "b", "c", "d", "e"] {
        let status = if id == "a" { ToolCallStatus::InProgress } else { ToolCallStatus::Failed };
        dropped += progress.tool_call(&call(id, status), &limits);
    }
    assert_eq!((dropped, progress.steps.len()), (2, 3));
    progress.next(at(0), &limits, &origin, None);
    progress.finished(Some("m".to_owned()));
    assert_eq!(seen(progress.next(at(0), &limits, &origin, Some(false))), "edit m ✖ 5 steps, 4 failed");
}

#[test]
fn steps_of_the_plan_stay_and_are_counted_once() {
    let (mut progress, limits) = (TurnProgress::default(), limits());
    let entry = |text: &str, status| PlanEntry::new(text, PlanEntryPriority::High, status);
    let plan = Plan::new(vec![
        entry("look", PlanEntryStatus::Completed),
        entry("write", PlanEntryStatus::InProgress),
    ]);
    for id in ["a", "b", "c"] {
        progress.plan(&plan, &limits);
        progress.tool_call(&call(id, ToolCallStatus::InProgress), &limits);
    }
    assert_eq!(
        progress.steps.iter().map(|step| step.title.as_str()).collect::<Vec<_>>(),
        ["look", "write", "Title c"]
    );
    assert_eq!(progress.counts(), (3, 1, 0));
}
