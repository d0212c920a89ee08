//! What happens in a run of its own accord: users, host, network and clock. A run's plan is a list of these.

use super::profile::Profile;
use super::random::Random;
use relayline_core::time::Time;
use std::time::Duration;

macro_rules! planned_actions {
    ($($(#[$doc:meta])* $kind:ident $name:literal $weights:expr;)*) => {
        /// What kind of thing happens.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
        pub(crate) enum ActionKind { $($(#[$doc])* $kind,)* }

        impl ActionKind {
            /// Every kind, with its weight under each of [`Profile::ALL`].
            const WEIGHTS: &[(ActionKind, [u64; 5])] = &[$((ActionKind::$kind, $weights),)*];

            /// Its name in traces and summaries.
            pub(crate) fn name(self) -> &'static str {
                match self { $(ActionKind::$kind => $name,)* }
            }
        }
    };
}

// The columns: calm, flaky, hostile, sleepy, revoking.
planned_actions! {
    /// Somebody writes in a chat.
    Say "say" [120, 100, 80, 80, 80];
    /// The same, through the connector's buffer whether or not the gateway is there.
    SayBuffered "say_buffered" [40, 50, 40, 50, 40];
    /// The same, live or not at all.
    SayLive "say_live" [15, 15, 15, 10, 10];
    /// An earlier event is delivered once more.
    SayAgain "say_again" [12, 30, 40, 20, 15];
    /// Many write at once.
    Burst "burst" [8, 10, 12, 6, 5];
    /// A message is edited.
    EditSaid "edit_said" [8, 8, 8, 5, 5];
    /// A platform request is forwarded.
    Forward "forward" [15, 15, 30, 10, 10];
    /// Somebody answers a prompt.
    AnswerPrompt "answer_prompt" [40, 40, 40, 30, 25];
    /// Somebody interrupts a turn.
    InterruptTurn "interrupt_turn" [12, 12, 15, 8, 8];

    /// Somebody posts to the gateway's own server; these have a stretch of the plan to themselves.
    Post "post" [0, 0, 0, 0, 0];
    /// Somebody posts several messages of one chat, and all of them again, to a host that refuses; with a stretch of
    /// their own, too.
    PostTwice "post_twice" [0, 0, 0, 0, 0];

    /// The host answers a delivery by its number: a turn, a reply, a stream; with a stretch of their own, too.
    Answer "answer" [0, 0, 0, 0, 0];
    /// The connector answers each request by a draw for a while; with a stretch of their own, too.
    UnreliableResults "fickle" [0, 0, 0, 0, 0];
    /// The connector answers our close frames with an auth refusal for a while; with a stretch of their own, too.
    RefuseCloses "refuse_closes" [0, 0, 0, 0, 0];

    /// Somebody sends something of a hostile size, or the host does; with a stretch of their own, too.
    Oversized "huge" [0, 0, 0, 0, 0];

    /// The host asks for something.
    Ask "ask" [120, 110, 90, 80, 90];
    /// It asks for many things at once.
    AskMany "ask_many" [5, 8, 10, 4, 5];
    /// It asks a question with buttons.
    AskPrompt "ask_prompt" [30, 30, 30, 25, 20];
    /// The next state of a reply that grows.
    Stream "stream" [60, 50, 40, 30, 30];
    /// It stops a session's turn.
    StopTurn "stop_turn" [10, 10, 8, 5, 5];
    /// It goes idle.
    GoIdle "go_idle" [2, 3, 2, 25, 3];
    /// It goes dormant.
    GoDormant "go_dormant" [2, 3, 2, 25, 3];
    /// It holds dials.
    Hold "hold" [1, 4, 2, 20, 4];
    /// It wants to be served again.
    Resume "resume" [6, 6, 5, 40, 6];
    /// It disconnects; some time later a new process begins.
    Disconnect "disconnect" [1, 2, 1, 3, 2];
    /// It remembers a chat of before.
    Prime "prime" [3, 3, 3, 3, 3];
    /// It settles what it has settled, or never had.
    SettleOddly "settle_oddly" [2, 4, 8, 3, 3];
    /// It takes nothing for a while.
    HostSlow "host_slow" [2, 8, 10, 6, 3];
    /// It refuses deliveries for a while.
    HostRefuses "host_refuses" [2, 8, 10, 5, 4];
    /// It takes deliveries, and does not say what becomes of them for a while.
    HostFails "host_fails" [2, 8, 8, 5, 4];
    /// The gateway's process dies; another begins.
    HostCrash "host_crash" [0, 3, 2, 2, 3];

    /// The connection is cut.
    Cut "cut" [1, 25, 8, 8, 10];
    /// The network swallows what goes one way, or both, without a word.
    HalfOpen "half_open" [0, 8, 3, 4, 3];
    /// The network holds everything back for a while.
    Stall "stall" [1, 15, 5, 5, 4];
    /// Dials are refused for a while.
    RefuseDials "refuse_dials" [0, 8, 3, 4, 4];
    /// Dials are swallowed for a while.
    SwallowDials "swallow_dials" [0, 5, 3, 3, 3];
    /// Somebody in between answers upgrades for a while.
    BadGateway "bad_gateway" [0, 5, 5, 2, 4];
    /// Our close frames go unanswered for a while.
    NoCloseEcho "no_close_echo" [0, 5, 5, 8, 2];

    /// The connector's process dies; it comes back with its durable buffer.
    Crash "crash" [0, 8, 4, 4, 5];
    /// The connector does not read for a while.
    StopReading "deaf" [0, 8, 8, 3, 2];
    /// The connector closes the connection.
    Close "close" [2, 10, 8, 6, 8];
    /// The connector revokes the gateway, for some time or for good.
    Revoke "revoke" [0, 0, 1, 1, 16];
    /// The connector calls the token expired.
    Expire "expire" [0, 2, 2, 2, 20];
    /// The connector refuses the connection with an auth code, once.
    RefuseOnce "refuse_once" [0, 1, 2, 1, 20];
    /// The connector says nothing any more for a while.
    Mute "mute" [0, 3, 6, 3, 3];
    /// The connector does not confirm idleness for a while.
    WithholdIdleAck "withhold_idle_ack" [0, 3, 2, 12, 2];
    /// The connector says something odd.
    Garbage "garbage" [3, 10, 150, 5, 5];
    /// The connector's next descriptors cannot be used, for a while.
    BadDescriptor "bad_descriptor" [0, 2, 8, 1, 2];
    /// The connector describes a platform otherwise from now on.
    NewDescriptor "new_descriptor" [3, 6, 6, 3, 3];
    /// An op gets other answers from now on.
    Answers "answers" [6, 12, 20, 4, 4];
    /// An op's answers come later from now on.
    Delays "delays" [4, 12, 12, 4, 4];

    /// The host's monotonic clock jumps ahead.
    JumpAhead "jump_ahead" [0, 4, 3, 20, 4];
    /// It goes back.
    JumpBack "jump_back" [0, 3, 3, 10, 3];
    /// The host's wall clock is set.
    SetWallClock "set_wall_clock" [0, 3, 3, 8, 8];
    /// The gateway's machine is suspended.
    Suspend "suspend" [0, 4, 2, 20, 3];
    /// A socket that is over still says something.
    StaleSocket "ghost" [2, 10, 10, 6, 8];
    /// The machine is ticked for no reason.
    Spurious "spurious" [5, 8, 10, 8, 5];
}

/// A run's plan, and the place of its next action.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan<'p> {
    pub(crate) actions: &'p [PlannedAction],
    pub(crate) next: usize,
}

/// One action of a plan.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PlannedAction {
    pub(crate) at: Time,
    pub(crate) kind: ActionKind,
    /// Decides its details, whatever else is in the plan.
    pub(crate) draw: u64,
}

/// Actions that come one behind the other: with what follows from them, more than 500 events.
const MAIN_ACTIONS: usize = 320;
/// Posts, which come whenever they like between the others. They have the last places, with draws of their own: the
/// others are as they were before there were any.
const POSTS: usize = 40;
/// Messages that are posted twice, in the same way.
const POSTS_TWICE: usize = 10;
/// Things of a hostile size, in the same way.
const OVERSIZED: usize = 20;
/// Answers to deliveries, in the same way.
const ANSWERS: usize = 120;
/// Stretches of fickle answers, and of refused closes, in the same way.
const UNRELIABLE_RESULTS: usize = 4;
const REFUSE_CLOSES: usize = 2;
/// Places in a plan.
pub(crate) const PLAN: usize =
    MAIN_ACTIONS + POSTS + POSTS_TWICE + OVERSIZED + ANSWERS + UNRELIABLE_RESULTS + REFUSE_CLOSES;

/// The plan of a seed.
pub(crate) fn plan(seed: u64, profile: Profile) -> Vec<PlannedAction> {
    let mut random = Random::new(seed, 1);
    let total: u64 = ActionKind::WEIGHTS.iter().map(|(_, weights)| weights[profile.column()]).sum();
    let mut at = Time::from_millis(50);
    let mut plan: Vec<PlannedAction> = (0..MAIN_ACTIONS)
        .map(|_| {
            at = at + gap(&mut random);
            let mut left = random.below(total);
            let mut kind = ActionKind::Say;
            for (candidate, weights) in ActionKind::WEIGHTS {
                let weight = weights[profile.column()];
                if left < weight {
                    kind = *candidate;
                    break;
                }
                left -= weight;
            }
            PlannedAction { at, kind, draw: random.draw() }
        })
        .collect();
    for (kind, count, stream) in [
        (ActionKind::Post, POSTS, 5),
        (ActionKind::PostTwice, POSTS_TWICE, 8),
        (ActionKind::Oversized, OVERSIZED, 12),
        (ActionKind::Answer, ANSWERS, 13),
        (ActionKind::UnreliableResults, UNRELIABLE_RESULTS, 14),
        (ActionKind::RefuseCloses, REFUSE_CLOSES, 15),
    ] {
        let mut random = Random::new(seed, stream);
        for _ in 0..count {
            // Close behind something else, where most happens at a time.
            let at = plan[random.index(MAIN_ACTIONS)].at + Duration::from_micros(random.below(300_000));
            plan.push(PlannedAction { at, kind, draw: random.draw() });
        }
    }
    plan
}

/// Mostly things come close together, with pauses between.
fn gap(random: &mut Random) -> Duration {
    let us = match random.below(100) {
        0..40 => random.below(2_000),
        40..75 => random.below(300_000),
        75..92 => random.below(5_000_000),
        92..99 => random.below(40_000_000),
        _ => random.below(400_000_000),
    };
    Duration::from_micros(us)
}
