//! The connection's lifecycle as one table: states, signals, guards and effects. As a picture: `docs/lifecycle.md`.
//!
//! [`TABLE`] is complete: the machine looks a signal up in it, carries out the effects in order and takes the new state.
//! A signal without a row in the present state changes nothing.

use self::AfterClose::{Redial, Retry, Sleep, Stop};
use self::Effect as E;
use self::Idleness::{Active, Asked, AskedAgain, Idle, Lapsed};
use self::Signal as S;
use self::Source::{AnyClosing, AnyUp, In};
use self::State::{Closing, Dialing, Handshaking, Revoked, Stopped, Up, Waiting};
use std::fmt;

/// State of the connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// No socket; the next dial is scheduled.
    Waiting,
    /// One dial is in progress.
    Dialing,
    /// Upgraded; the hellos are queued, the first descriptor is awaited.
    Handshaking,
    /// The handshake is complete.
    Up(Idleness),
    /// Our close frame is written or queued.
    Closing(AfterClose),
    /// The host disconnected; final.
    Stopped,
    /// Revoked; final.
    Revoked,
}

/// Progress of going idle on a connection that is up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Idleness {
    /// The connector delivers live.
    Active,
    /// `going_idle` is written or queued, and its confirmation is awaited.
    Asked,
    /// `going_idle` was written, and no confirmation came in time. A late one still counts.
    Lapsed,
    /// `Asked`, after an earlier `going_idle` lapsed.
    AskedAgain,
    /// The connector has confirmed: it buffers, and delivers nothing on this connection.
    Idle,
}

/// Continuation of a close of our own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AfterClose {
    /// Dial again after the back-off.
    Retry,
    /// Dial again at once.
    Redial,
    /// Be dormant: dial again after the dormant delay.
    Sleep,
    /// Stop: the host disconnects.
    Stop,
}

impl State {
    /// Returns whether a socket is open.
    pub(crate) fn has_socket(self) -> bool {
        match self {
            Handshaking | Up(_) | Closing(_) => true,
            Waiting | Dialing | Stopped | Revoked => false,
        }
    }

    /// Returns whether the connection is up: its handshake is complete, and no close of ours has begun.
    pub(crate) fn is_up(self) -> bool {
        matches!(self, Up(_))
    }

    /// Returns whether a close of our own is in progress.
    pub(crate) fn is_closing(self) -> bool {
        matches!(self, Closing(_))
    }

    /// Returns whether a confirmation of idleness is awaited (L-12).
    pub(crate) fn awaits_idle(self) -> bool {
        matches!(self, Up(Asked | AskedAgain))
    }
}

/// Input of the lifecycle.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Signal {
    /// The wait for the next dial is over.
    DialDue,
    /// The upgrade succeeded.
    Opened,
    /// The dial failed.
    DialFailed,
    /// Something other than the connector refused the dial's credentials.
    CredentialsRefused,
    /// The dial timed out.
    DialTimedOut,
    /// The first descriptor of this connection came, and can be used.
    Descriptor,
    /// The first descriptor came, and cannot be used.
    BadDescriptor,
    /// The first descriptor did not come in time.
    HandshakeTimedOut,
    /// The socket ended, other than by an auth refusal.
    Lost,
    /// Nothing was received for too long.
    Silent,
    /// An auth refusal with the reason `expired`.
    RefusedExpired,
    /// Any other auth refusal.
    Refused,
    /// The host asks to go idle.
    GoIdle,
    /// The connector confirms idleness.
    IdleConfirmed,
    /// The confirmation of idleness did not come in time.
    IdleTimedOut,
    /// Idleness is confirmed, and the host asked to go dormant.
    GoDormant,
    /// The host resumes.
    Resume,
    /// A refused entry must be redelivered, and nothing is in flight.
    Redeliver,
    /// The host's disconnect has nothing left to wait for.
    Leave,
    /// Our close frame was not answered in time.
    CloseTimedOut,
}

/// Condition of a row beyond its state and signal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Condition {
    /// No further condition.
    Always,
    /// The host is disconnecting.
    Leaving,
    /// The host holds dials.
    Holding,
    /// No handshake of this machine was ever completed.
    NeverConnected,
    /// A refusal is final: the connection is a probe, or refusals are not confirmed by one.
    Final,
    /// `going_idle` is not written yet.
    Unwritten,
}

/// Effect of a transition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Effect {
    /// Begin the next dial, with a token of its own.
    Dial,
    /// Drop the socket, or the dial.
    Drop,
    /// Queue one hello per identity, and start the handshake's clock.
    Hello,
    /// Notify the host that it is connected.
    NotifyConnected,
    /// Queue `going_idle`.
    AskIdle,
    /// Remove `going_idle` from the queue if it is not written yet.
    WithdrawIdle,
    /// Fail unwritten requests, queue the close frame after acknowledgements, and start the close's clock.
    Close,
    /// End the connection: its requests fail, its queues are emptied.
    End,
    /// Set the next dial's time by the back-off.
    Backoff,
    /// Set the next dial's time by the back-off, which may grow up to `backoff_refused_most`.
    BackoffRefused,
    /// Schedule the next dial now, or at the end of the host's hold.
    Now,
    /// Set the next dial's time by the dormant delay.
    Sleep,
    /// Notify the host that the connection ended or the dial failed.
    NotifyDisconnected,
    /// Notify the host that it is dormant.
    NotifyDormant,
    /// Notify the host that it is being resumed.
    NotifyResumed,
    /// Lift the host's hold on dials.
    LiftHold,
    /// Suspect a revocation: the next auth verdict decides.
    Suspect,
    /// Notify the host that it is stopped.
    Stop,
    /// Notify the host that the relay is disabled for good.
    Fatal,
}

/// State, or group of states, that a transition leads out of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Source {
    /// One state.
    In(State),
    /// [`State::Up`], whatever its idleness.
    AnyUp,
    /// [`State::Closing`], whatever follows.
    AnyClosing,
}

impl Source {
    fn contains(self, state: State) -> bool {
        match self {
            In(one) => one == state,
            AnyUp => state.is_up(),
            AnyClosing => state.is_closing(),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            In(state) => write!(f, "{state:?}"),
            AnyUp => f.write_str("Up"),
            AnyClosing => f.write_str("Closing"),
        }
    }
}

/// One transition.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Source states.
    pub from: &'static [Source],
    /// Signals that trigger it.
    pub on: &'static [Signal],
    /// Condition that must hold.
    pub when: Condition,
    /// Effects, in order.
    pub emit: &'static [Effect],
    /// New state.
    pub to: State,
    /// Ids of the rules that define it, in PROTOCOL.md.
    pub rules: &'static str,
}

const fn row(
    from: &'static [Source],
    on: &'static [Signal],
    when: Condition,
    emit: &'static [Effect],
    to: State,
    rules: &'static str,
) -> Row {
    Row { from, on, when, emit, to, rules }
}

/// Every state in which a connection or dial exists, and may be refused.
const REFUSABLE: &[Source] = &[In(Dialing), In(Handshaking), AnyUp, AnyClosing];

/// All transitions. The first row that matches is taken.
pub const TABLE: &[Row] = &[
    // A revocation wins over the host's disconnect: the host must learn that a later dial would be of no use.
    row(
        REFUSABLE,
        &[S::Refused],
        Condition::Final,
        &[E::End, E::NotifyDisconnected, E::Fatal],
        Revoked,
        "L-9 L-10",
    ),
    // Disconnecting: any other end of the connection is the last.
    row(
        &[AnyUp],
        &[S::Lost, S::RefusedExpired, S::Refused],
        Condition::Leaving,
        &[E::End, E::NotifyDisconnected, E::Stop],
        Stopped,
        "L-14",
    ),
    row(
        &[AnyUp],
        &[S::Silent],
        Condition::Leaving,
        &[E::Drop, E::End, E::NotifyDisconnected, E::Stop],
        Stopped,
        "L-14",
    ),
    row(
        &[In(Closing(Stop))],
        &[S::Lost, S::RefusedExpired, S::Refused],
        Condition::Always,
        &[E::End, E::NotifyDisconnected, E::Stop],
        Stopped,
        "L-14",
    ),
    row(
        &[In(Closing(Stop))],
        &[S::CloseTimedOut],
        Condition::Always,
        &[E::Drop, E::End, E::NotifyDisconnected, E::Stop],
        Stopped,
        "L-4 L-14",
    ),
    row(&[In(Waiting)], &[S::Leave], Condition::Always, &[E::Stop], Stopped, "L-14"),
    row(
        &[In(Dialing)],
        &[S::Leave],
        Condition::Always,
        &[E::Drop, E::End, E::NotifyDisconnected, E::Stop],
        Stopped,
        "L-14",
    ),
    row(&[In(Handshaking), AnyUp], &[S::Leave], Condition::Always, &[E::Close], Closing(Stop), "L-14"),
    row(
        &[In(Closing(Retry)), In(Closing(Redial)), In(Closing(Sleep))],
        &[S::Leave],
        Condition::Always,
        &[],
        Closing(Stop),
        "L-14",
    ),
    // Dialing.
    row(&[In(Waiting)], &[S::DialDue], Condition::Always, &[E::Dial], Dialing, "L-5 L-6"),
    row(
        &[In(Waiting)],
        &[S::Resume],
        Condition::Always,
        &[E::LiftHold, E::NotifyResumed, E::Dial],
        Dialing,
        "L-13",
    ),
    row(&[In(Dialing)], &[S::Opened], Condition::Always, &[E::Hello], Handshaking, "L-3 L-4"),
    row(
        &[In(Dialing)],
        &[S::DialFailed],
        Condition::Always,
        &[E::End, E::Backoff, E::NotifyDisconnected],
        Waiting,
        "L-5",
    ),
    row(
        &[In(Dialing)],
        &[S::CredentialsRefused],
        Condition::Always,
        &[E::End, E::BackoffRefused, E::NotifyDisconnected],
        Waiting,
        "L-9",
    ),
    row(
        &[In(Dialing)],
        &[S::DialTimedOut],
        Condition::Always,
        &[E::Drop, E::End, E::Backoff, E::NotifyDisconnected],
        Waiting,
        "L-4 L-5",
    ),
    // Handshaking.
    row(
        &[In(Handshaking)],
        &[S::Descriptor],
        Condition::Always,
        &[E::NotifyConnected],
        Up(Active),
        "L-4 D-8",
    ),
    row(
        &[In(Handshaking)],
        &[S::BadDescriptor, S::HandshakeTimedOut, S::Silent],
        Condition::Always,
        &[E::Close],
        Closing(Retry),
        "L-4 L-17",
    ),
    // Auth refusals, at the upgrade or at any time on the connection.
    row(
        REFUSABLE,
        &[S::RefusedExpired],
        Condition::Always,
        &[E::End, E::Backoff, E::NotifyDisconnected],
        Waiting,
        "L-8",
    ),
    row(
        &[In(Dialing), In(Handshaking), AnyClosing],
        &[S::Refused],
        Condition::NeverConnected,
        &[E::End, E::Backoff, E::NotifyDisconnected],
        Waiting,
        "L-7",
    ),
    row(
        REFUSABLE,
        &[S::Refused],
        Condition::Holding,
        &[E::End, E::Suspect, E::Now, E::NotifyDisconnected],
        Waiting,
        "L-9 L-13",
    ),
    row(
        REFUSABLE,
        &[S::Refused],
        Condition::Always,
        &[E::End, E::Suspect, E::NotifyDisconnected, E::Dial],
        Dialing,
        "L-9",
    ),
    // Up.
    row(
        &[In(Handshaking), AnyUp],
        &[S::Lost],
        Condition::Always,
        &[E::End, E::Backoff, E::NotifyDisconnected],
        Waiting,
        "L-5 L-18",
    ),
    row(
        &[AnyUp],
        &[S::Silent],
        Condition::Always,
        &[E::Drop, E::End, E::Backoff, E::NotifyDisconnected],
        Waiting,
        "L-11",
    ),
    row(&[In(Up(Active))], &[S::GoIdle], Condition::Always, &[E::AskIdle], Up(Asked), "L-12"),
    row(&[In(Up(Lapsed))], &[S::GoIdle], Condition::Always, &[E::AskIdle], Up(AskedAgain), "L-12"),
    // A confirmation of an earlier `going_idle` also answers one that is not written yet.
    row(
        &[In(Up(Asked)), In(Up(AskedAgain))],
        &[S::IdleConfirmed],
        Condition::Always,
        &[E::WithdrawIdle],
        Up(Idle),
        "L-12",
    ),
    // The confirmation is late, but the connector buffers from now on: the host must be able to resume.
    row(&[In(Up(Lapsed))], &[S::IdleConfirmed], Condition::Always, &[], Up(Idle), "L-12"),
    row(&[In(Up(Asked))], &[S::IdleTimedOut], Condition::Unwritten, &[E::WithdrawIdle], Up(Active), "L-12"),
    row(
        &[In(Up(Asked)), In(Up(AskedAgain))],
        &[S::IdleTimedOut],
        Condition::Always,
        &[E::WithdrawIdle],
        Up(Lapsed),
        "L-12",
    ),
    row(&[In(Up(Idle))], &[S::GoDormant], Condition::Always, &[E::Close], Closing(Sleep), "L-13"),
    row(
        &[In(Up(Asked)), In(Up(AskedAgain)), In(Up(Idle))],
        &[S::Resume],
        Condition::Always,
        &[E::LiftHold, E::NotifyResumed, E::Close],
        Closing(Redial),
        "L-12",
    ),
    // An idle gateway fetches nothing: the entry arrives after the host resumes (L-12).
    row(
        &[In(Up(Active)), In(Up(Lapsed))],
        &[S::Redeliver],
        Condition::Always,
        &[E::Close],
        Closing(Retry),
        "A-2",
    ),
    // Closing.
    row(
        &[In(Closing(Retry)), In(Closing(Redial)), In(Closing(Sleep))],
        &[S::Resume],
        Condition::Always,
        &[E::LiftHold, E::NotifyResumed],
        Closing(Redial),
        "L-13",
    ),
    // A hold after a resume means that the host has changed its mind.
    row(
        &[In(Closing(Redial))],
        &[S::Lost],
        Condition::Holding,
        &[E::End, E::Now, E::NotifyDisconnected],
        Waiting,
        "L-12 L-13",
    ),
    row(
        &[In(Closing(Redial))],
        &[S::CloseTimedOut],
        Condition::Holding,
        &[E::Drop, E::End, E::Now, E::NotifyDisconnected],
        Waiting,
        "L-4 L-13",
    ),
    row(
        &[In(Closing(Redial))],
        &[S::Lost],
        Condition::Always,
        &[E::End, E::NotifyDisconnected, E::Dial],
        Dialing,
        "L-12",
    ),
    row(
        &[In(Closing(Redial))],
        &[S::CloseTimedOut],
        Condition::Always,
        &[E::Drop, E::End, E::NotifyDisconnected, E::Dial],
        Dialing,
        "L-4 L-12",
    ),
    row(
        &[In(Closing(Sleep))],
        &[S::Lost],
        Condition::Always,
        &[E::End, E::Sleep, E::NotifyDisconnected, E::NotifyDormant],
        Waiting,
        "L-13",
    ),
    row(
        &[In(Closing(Sleep))],
        &[S::CloseTimedOut],
        Condition::Always,
        &[E::Drop, E::End, E::Sleep, E::NotifyDisconnected, E::NotifyDormant],
        Waiting,
        "L-4 L-13",
    ),
    row(
        &[In(Closing(Retry))],
        &[S::Lost],
        Condition::Always,
        &[E::End, E::Backoff, E::NotifyDisconnected],
        Waiting,
        "L-5",
    ),
    row(
        &[In(Closing(Retry))],
        &[S::CloseTimedOut],
        Condition::Always,
        &[E::Drop, E::End, E::Backoff, E::NotifyDisconnected],
        Waiting,
        "L-4 L-5",
    ),
];

/// Part of a row: its transition out of one source on one signal.
#[derive(Clone, Copy, Debug)]
pub struct Arrow {
    /// Place of the row in the table.
    pub row: usize,
    /// One of its sources.
    pub from: Source,
    /// One of its signals.
    pub on: Signal,
}

/// Returns every arrow of the table, in its order.
///
/// Some can never be taken: an earlier row matches, or the signal does not occur in that state.
pub fn arrows() -> impl Iterator<Item = Arrow> {
    TABLE.iter().enumerate().flat_map(|(row, Row { from, on, .. })| {
        from.iter().flat_map(move |from| on.iter().map(move |on| Arrow { row, from: *from, on: *on }))
    })
}

/// Returns the first row that fits, whose condition `holds`, and the place of the transition among [`arrows`].
pub(crate) fn transition(
    state: State,
    signal: Signal,
    holds: impl Fn(Condition) -> bool,
) -> Option<(&'static Row, usize)> {
    let mut before = 0;
    for row in TABLE {
        let from = row.from.iter().position(|from| from.contains(state));
        let on = row.on.iter().position(|on| *on == signal);
        if let (Some(from), Some(on)) = (from, on)
            && holds(row.when)
        {
            return Some((row, before + from * row.on.len() + on));
        }
        before += row.from.len() * row.on.len();
    }
    None
}

/// Returns the table as a mermaid state diagram, for the docs. Each row and source state has one arrow, with its
/// signals, condition, effects and rules. An arrow from `Up` or `Closing` starts at each of their parts.
pub fn diagram() -> String {
    let mut text = String::from("stateDiagram-v2\n    [*] --> Waiting\n");
    text.push_str("    state Up {\n        Active\n        Asked\n        Lapsed\n        AskedAgain\n        Idle\n    }\n");
    text.push_str("    state Closing {\n        Retry\n        Redial\n        Sleep\n        Stop\n    }\n");
    for row in TABLE {
        let on: Vec<_> = row.on.iter().map(|signal| format!("{signal:?}")).collect();
        let emit: Vec<_> = row.emit.iter().map(|effect| format!("{effect:?}")).collect();
        let when = match row.when {
            Condition::Always => String::new(),
            when @ (Condition::Leaving
            | Condition::Holding
            | Condition::NeverConnected
            | Condition::Final
            | Condition::Unwritten) => {
                format!(" [{when:?}]")
            }
        };
        let (on, emit) =
            (on.join(", "), if emit.is_empty() { "nothing".to_owned() } else { emit.join(", ") });
        for from in row.from {
            let (from, to) = (mermaid_state(*from), mermaid_state(In(row.to)));
            text.push_str(&format!("    {from} --> {to}: {on}{when} / {emit} ({})\n", row.rules));
        }
    }
    text.push_str("    Stopped --> [*]\n    Revoked --> [*]\n");
    text
}

/// Returns the name of a source in the diagram, which has the parts of a state separately.
fn mermaid_state(source: Source) -> String {
    match source {
        In(Up(idleness)) => format!("{idleness:?}"),
        In(Closing(then)) => format!("{then:?}"),
        In(_) | AnyUp | AnyClosing => source.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The diagram in the docs shows the table. `UPDATE_DOCS=1 cargo test -p relayline-core` updates it.
    #[test]
    fn l_the_diagram_matches_the_table() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/lifecycle.md");
        let page = format!(
            "# The connection's lifecycle\n\n\
             Each arrow is a row of `lifecycle::TABLE`: `signals [condition] / effects (rules)`. Where several arrows\n\
             of one state have the same signal, the first of them in the table whose condition holds counts.\n\n\
             This page is generated. A test compares it with the table;\n\
             `UPDATE_DOCS=1 cargo test -p relayline-core lifecycle` renews it.\n\n\
             ```mermaid\n{}```\n",
            diagram()
        );
        #[allow(clippy::disallowed_methods)]
        let update = std::env::var_os("UPDATE_DOCS").is_some();
        if update {
            std::fs::write(path, &page).unwrap();
        }
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            committed == page,
            "core/docs/lifecycle.md is stale: renew it with UPDATE_DOCS=1 cargo test -p relayline-core lifecycle"
        );
    }

    const STATES: [State; 14] = [
        Waiting,
        Dialing,
        Handshaking,
        Up(Active),
        Up(Asked),
        Up(Lapsed),
        Up(AskedAgain),
        Up(Idle),
        Closing(Retry),
        Closing(Redial),
        Closing(Sleep),
        Closing(Stop),
        Stopped,
        Revoked,
    ];
    const SIGNALS: [Signal; 20] = [
        S::DialDue,
        S::Opened,
        S::DialFailed,
        S::CredentialsRefused,
        S::DialTimedOut,
        S::Descriptor,
        S::BadDescriptor,
        S::HandshakeTimedOut,
        S::Lost,
        S::Silent,
        S::RefusedExpired,
        S::Refused,
        S::GoIdle,
        S::IdleConfirmed,
        S::IdleTimedOut,
        S::GoDormant,
        S::Resume,
        S::Redeliver,
        S::Leave,
        S::CloseTimedOut,
    ];

    fn rows(state: State, signal: Signal) -> impl Iterator<Item = &'static Row> {
        TABLE
            .iter()
            .filter(move |row| row.from.iter().any(|from| from.contains(state)) && row.on.contains(&signal))
    }

    #[test]
    fn a_transition_has_its_place_among_the_arrows() {
        for (state, signal) in STATES.iter().flat_map(|state| SIGNALS.map(|signal| (*state, signal))) {
            for row in rows(state, signal) {
                let Some((taken, place)) = transition(state, signal, |when| when == row.when) else {
                    panic!("{row:?}");
                };
                let arrow = arrows().nth(place).unwrap();
                assert_eq!(format!("{taken:?}"), format!("{:?}", TABLE[arrow.row]));
                assert_eq!(arrow.on, signal);
                assert!(arrow.from.contains(state), "{arrow:?}");
            }
        }
    }

    #[test]
    fn l_10_l_14_the_ends_are_final() {
        for state in [Stopped, Revoked] {
            assert!(SIGNALS.iter().all(|signal| rows(state, *signal).next().is_none()), "{state:?}");
        }
    }

    #[test]
    fn every_arrow_can_be_taken() {
        for arrow in arrows() {
            let taken = |state: &State| {
                let hides = |row: &Row| {
                    let leads = row.from.iter().any(|from| from.contains(*state));
                    leads && row.on.contains(&arrow.on) && row.when == Condition::Always
                };
                arrow.from.contains(*state) && !TABLE[..arrow.row].iter().any(hides)
            };
            assert!(STATES.iter().any(taken), "{arrow:?}");
        }
    }

    #[test]
    fn l_4_l_14_every_time_out_has_a_row() {
        let overdue = STATES.iter().flat_map(|state| {
            let signals: &[Signal] = match state {
                Waiting => &[S::DialDue, S::Leave],
                Dialing => &[S::DialTimedOut, S::Leave],
                Handshaking => &[S::HandshakeTimedOut, S::Silent, S::Leave],
                Up(Asked | AskedAgain) => &[S::Silent, S::IdleTimedOut, S::Leave],
                Up(Active | Lapsed | Idle) => &[S::Silent, S::Leave],
                Closing(_) => &[S::CloseTimedOut],
                Stopped | Revoked => &[],
            };
            signals.iter().map(|signal| (*state, *signal))
        });
        for (state, signal) in overdue {
            assert!(
                rows(state, signal).any(|row| row.when == Condition::Always),
                "a timer that nothing follows from stays due: {state:?} on {signal:?}"
            );
        }
    }

    #[test]
    fn l_7_a_refusal_before_any_handshake_backs_off_in_every_state() {
        for state in STATES.into_iter().filter(|state| !state.is_up() && *state != Closing(Stop)) {
            let taken = transition(state, S::Refused, |when| {
                matches!(when, Condition::Always | Condition::NeverConnected)
            });
            let exists = REFUSABLE.iter().any(|source| source.contains(state));
            assert_eq!(taken.is_some(), exists, "{state:?}");
            assert!(taken.is_none_or(|(row, _)| row.emit.contains(&E::Backoff)), "{state:?}: {taken:?}");
        }
    }

    /// L-6: a socket that may still be open is dropped before the next dial. O-4: every end of a connection ends its
    /// requests.
    #[test]
    fn l_6_an_open_socket_is_dropped_before_the_next_dial() {
        for row in TABLE {
            let exists = |state: State| REFUSABLE.iter().any(|source| source.contains(state));
            let leaves = STATES
                .iter()
                .any(|state| exists(*state) && row.from.iter().any(|from| from.contains(*state)));
            let ends = leaves && (row.emit.contains(&E::Dial) || !exists(row.to));
            let overdue = row.on.iter().any(|signal| {
                matches!(signal, S::DialTimedOut | S::Silent | S::CloseTimedOut | S::HandshakeTimedOut)
            });
            let leaves_dial = row.from == [In(Dialing)] && row.on == [S::Leave];
            assert_eq!(row.emit.contains(&E::End), ends, "{row:?}");
            assert_eq!(row.emit.contains(&E::Drop), ends && (overdue || leaves_dial), "{row:?}");
            assert_eq!(row.emit.contains(&E::NotifyDisconnected), ends, "once per end: {row:?}");
        }
    }
}
