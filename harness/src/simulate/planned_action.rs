//! Planned actions: the spontaneous events of a run, by users, host, network, connector and clock.

use super::profile::Profile;
use super::random::Random;
use relayline_core::time::Time;
use std::time::Duration;

/// Weights of an action that is not drawn by weight: it has a row in [`SEPARATE_ACTIONS`].
const NO_WEIGHTS: [u64; 5] = [0; 5];

/// Declares [`ActionKind`]: a variant, its name and its weights in each row.
macro_rules! planned_actions {
    ($($(#[$doc:meta])* $kind:ident $name:literal $weights:expr;)*) => {
        /// Kind of a planned action.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
        pub(crate) enum ActionKind { $($(#[$doc])* $kind,)* }

        impl ActionKind {
            /// All kinds, with their weight in each of [`Profile::ALL`].
            const WEIGHTS: &[(ActionKind, [u64; 5])] = &[$((ActionKind::$kind, $weights),)*];

            /// Returns the name of the kind in traces and summaries.
            pub(crate) fn name(self) -> &'static str {
                match self { $(ActionKind::$kind => $name,)* }
            }
        }
    };
}

// The columns of weights are those of `Profile::ALL`: calm, flaky, hostile, sleepy, revoking.
planned_actions! {
    /// A user writes a message.
    Say "say" [120, 100, 80, 80, 80];
    /// A user writes a message, and the connector buffers it.
    SayBuffered "say_buffered" [40, 50, 40, 50, 40];
    /// A user writes a message, and the connector delivers it only live.
    SayLive "say_live" [15, 15, 15, 10, 10];
    /// The connector delivers an earlier event again.
    SayAgain "say_again" [12, 30, 40, 20, 15];
    /// Users write many messages at once.
    Burst "burst" [8, 10, 12, 6, 5];
    /// A user edits a message.
    EditSaid "edit_said" [8, 8, 8, 5, 5];
    /// The connector forwards a platform request.
    Forward "forward" [15, 15, 30, 10, 10];
    /// A user answers a prompt.
    AnswerPrompt "answer_prompt" [40, 40, 40, 30, 25];
    /// A user interrupts a turn.
    InterruptTurn "interrupt_turn" [12, 12, 15, 8, 8];

    /// A webhook request is sent to the gateway.
    Post "post" NO_WEIGHTS;
    /// Several messages of one chat are sent twice as webhook requests, to a host that refuses them.
    PostTwice "post_twice" NO_WEIGHTS;

    /// The host answers a delivery with a turn, a reply or a stream.
    Answer "answer" NO_WEIGHTS;
    /// The connector draws the result of each request for a while.
    UnreliableResults "fickle" NO_WEIGHTS;
    /// The connector answers the gateway's close frames with an auth refusal for a while.
    RefuseCloses "refuse_closes" NO_WEIGHTS;

    /// A user or the host sends something oversized.
    Oversized "huge" NO_WEIGHTS;

    /// The host submits an op.
    Ask "ask" [120, 110, 90, 80, 90];
    /// The host submits many ops at once.
    AskMany "ask_many" [5, 8, 10, 4, 5];
    /// The host sends a prompt.
    AskPrompt "ask_prompt" [30, 30, 30, 25, 20];
    /// The host submits the next state of a streamed reply.
    Stream "stream" [60, 50, 40, 30, 30];
    /// The host stops a session's turn.
    StopTurn "stop_turn" [10, 10, 8, 5, 5];
    /// The host goes idle.
    GoIdle "go_idle" [2, 3, 2, 25, 3];
    /// The host goes dormant.
    GoDormant "go_dormant" [2, 3, 2, 25, 3];
    /// The host holds dials.
    Hold "hold" [1, 4, 2, 20, 4];
    /// The host resumes delivery.
    Resume "resume" [6, 6, 5, 40, 6];
    /// The host disconnects. Later a new process starts.
    Disconnect "disconnect" [1, 2, 1, 3, 2];
    /// The host primes a chat.
    Prime "prime" [3, 3, 3, 3, 3];
    /// The host settles a delivery that is settled already or does not exist.
    SettleOddly "settle_oddly" [2, 4, 8, 3, 3];
    /// The host takes no deliveries for a while.
    HostSlow "host_slow" [2, 8, 10, 6, 3];
    /// The host refuses deliveries for a while.
    HostRefuses "host_refuses" [2, 8, 10, 5, 4];
    /// The host takes deliveries without settling them for a while.
    HostFails "host_fails" [2, 8, 8, 5, 4];
    /// The gateway's process is killed, and another one starts.
    HostCrash "host_crash" [0, 3, 2, 2, 3];

    /// The network cuts the connection.
    Cut "cut" [1, 25, 8, 8, 10];
    /// The network silently drops packets in one or both directions.
    HalfOpen "half_open" [0, 8, 3, 4, 3];
    /// The network delays all packets for a while.
    Stall "stall" [1, 15, 5, 5, 4];
    /// Dials are refused for a while.
    RefuseDials "refuse_dials" [0, 8, 3, 4, 4];
    /// Dials get no response for a while.
    SwallowDials "swallow_dials" [0, 5, 3, 3, 3];
    /// A proxy answers upgrades for a while.
    BadGateway "bad_gateway" [0, 5, 5, 2, 4];
    /// The gateway's close frames get no answer for a while.
    NoCloseEcho "no_close_echo" [0, 5, 5, 8, 2];

    /// The connector crashes, and restarts with its durable buffer.
    Crash "crash" [0, 8, 4, 4, 5];
    /// The connector does not read for a while.
    StopReading "deaf" [0, 8, 8, 3, 2];
    /// The connector closes the connection.
    Close "close" [2, 10, 8, 6, 8];
    /// The connector revokes the gateway, for a while or for good.
    Revoke "revoke" [0, 0, 1, 1, 16];
    /// The connector treats the token as expired.
    Expire "expire" [0, 2, 2, 2, 20];
    /// The connector refuses the connection with an auth code, once.
    RefuseOnce "refuse_once" [0, 1, 2, 1, 20];
    /// The connector writes nothing for a while.
    Mute "mute" [0, 3, 6, 3, 3];
    /// The connector does not confirm idleness for a while.
    WithholdIdleAck "withhold_idle_ack" [0, 3, 2, 12, 2];
    /// The connector writes an odd line.
    Garbage "garbage" [3, 10, 150, 5, 5];
    /// The connector sends unusable descriptors for a while.
    BadDescriptor "bad_descriptor" [0, 2, 8, 1, 2];
    /// The connector changes the descriptor of a platform.
    NewDescriptor "new_descriptor" [3, 6, 6, 3, 3];
    /// The connector changes the results of an op.
    Answers "answers" [6, 12, 20, 4, 4];
    /// The connector changes the delay of an op's results.
    Delays "delays" [4, 12, 12, 4, 4];

    /// The gateway's monotonic clock jumps forward.
    JumpAhead "jump_ahead" [0, 4, 3, 20, 4];
    /// The gateway's monotonic clock jumps back.
    JumpBack "jump_back" [0, 3, 3, 10, 3];
    /// The gateway's wall clock is set.
    SetWallClock "set_wall_clock" [0, 3, 3, 8, 8];
    /// The gateway's process is suspended.
    Suspend "suspend" [0, 4, 2, 20, 3];
    /// An old socket still reports an event.
    StaleSocket "ghost" [2, 10, 10, 6, 8];
    /// The machine is ticked although nothing is due.
    Spurious "spurious" [5, 8, 10, 8, 5];
}

/// Plan of a run that is under way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan<'p> {
    /// Actions of the run, ordered by time.
    pub(crate) actions: &'p [PlannedAction],
    /// Index of the next action.
    pub(crate) next: usize,
}

/// An action of a plan.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PlannedAction {
    /// Time of the action in the run.
    pub(crate) at: Time,
    pub(crate) kind: ActionKind,
    /// Seed of the action's details, independent of the rest of the plan.
    pub(crate) draw: u64,
}

/// Number of actions that are drawn by weight. With their consequences they make more than 500 events.
const MAIN_ACTIONS: usize = 320;
/// Stream of random draws of these actions.
const MAIN_STREAM: u64 = 1;

/// Actions of one kind that are not drawn by weight. They follow the weighted actions in the plan.
struct SeparateActions {
    kind: ActionKind,
    /// Number of the actions in a plan.
    count: usize,
    /// Stream of their random draws. Each kind has one of its own, so that a new kind does not change the other
    /// actions. Streams are not renumbered, since that would change every run.
    stream: u64,
}

/// All actions that are not drawn by weight, in the order of the plan.
const SEPARATE_ACTIONS: [SeparateActions; 6] = [
    SeparateActions { kind: ActionKind::Post, count: 40, stream: 5 },
    SeparateActions { kind: ActionKind::PostTwice, count: 10, stream: 8 },
    SeparateActions { kind: ActionKind::Oversized, count: 20, stream: 12 },
    SeparateActions { kind: ActionKind::Answer, count: 120, stream: 13 },
    SeparateActions { kind: ActionKind::UnreliableResults, count: 4, stream: 14 },
    SeparateActions { kind: ActionKind::RefuseCloses, count: 2, stream: 15 },
];

/// Number of actions in a plan.
pub(crate) const PLAN_LENGTH: usize = {
    let mut length = MAIN_ACTIONS;
    let mut row = 0;
    while row < SEPARATE_ACTIONS.len() {
        length += SEPARATE_ACTIONS[row].count;
        row += 1;
    }
    length
};

/// Returns the plan of a seed: the actions that are drawn by weight, ordered by time, then the others by kind.
pub(crate) fn plan(seed: u64, profile: Profile) -> Vec<PlannedAction> {
    let mut plan = main_actions(seed, profile);
    for SeparateActions { kind, count, stream } in SEPARATE_ACTIONS {
        let mut random = Random::new(seed, stream);
        for _ in 0..count {
            // Shortly after another action, where most events overlap.
            let at = plan[random.index(MAIN_ACTIONS)].at + Duration::from_micros(random.below(300_000));
            plan.push(PlannedAction { at, kind, draw: random.draw() });
        }
    }
    plan
}

/// Returns the actions that are drawn by weight.
fn main_actions(seed: u64, profile: Profile) -> Vec<PlannedAction> {
    let mut random = Random::new(seed, MAIN_STREAM);
    let total: u64 = ActionKind::WEIGHTS.iter().map(|(_, weights)| weights[profile.column()]).sum();
    let mut at = Time::from_millis(50);
    (0..MAIN_ACTIONS)
        .map(|_| {
            at = at + gap(&mut random);
            let kind = kind_at(random.below(total), profile);
            PlannedAction { at, kind, draw: random.draw() }
        })
        .collect()
}

/// Returns the kind to which `point` belongs, if the weights of the kinds follow each other on a line.
fn kind_at(point: u64, profile: Profile) -> ActionKind {
    let mut left = point;
    for (kind, weights) in ActionKind::WEIGHTS {
        let weight = weights[profile.column()];
        if left < weight {
            return *kind;
        }
        left -= weight;
    }
    ActionKind::Say
}

/// Returns the time to the next action: mostly short, with some pauses.
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
