//! The connection's lifecycle as one table: states, signals, guards, and what is emitted (L). As a picture:
//! `docs/lifecycle.md`.
//!
//! [`TABLE`] is all there is to it: the machine looks a signal up in it, does the effects in order and takes the
//! new state. A signal without a row in the present state changes nothing.

use self::Effect as E;
use self::Signal as S;
use self::State::{Closing, Dialing, Handshaking, Revoked, Stopped, Up, Waiting};

/// Where the connection is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// No socket; the next dial has its time.
    Waiting,
    /// One dial is under way (L-6).
    Dialing,
    /// Upgraded; the hellos are out, the first descriptor is awaited.
    Handshaking,
    /// The handshake is complete.
    Up,
    /// Our close frame is out, or about to be.
    Closing,
    /// The host disconnected; final.
    Stopped,
    /// Revoked; final (L-10).
    Revoked,
}

/// What can happen to it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Signal {
    /// The wait is over.
    DialDue,
    /// The upgrade is done.
    Opened,
    /// The dial failed.
    DialFailed,
    /// The dial's credentials were refused by something other than the connector (L-9).
    CredentialsRefused,
    /// The dial took too long.
    DialTimedOut,
    /// The first descriptor of this connection came, and can be used.
    Descriptor,
    /// It came, and cannot be used.
    BadDescriptor,
    /// It did not come in time.
    HandshakeTimedOut,
    /// The socket ended, other than by an auth refusal.
    Lost,
    /// Nothing was received for too long.
    Silent,
    /// An auth refusal before any handshake of this process was completed (L-7).
    RefusedCold,
    /// An auth refusal that says `expired` (L-8).
    RefusedExpired,
    /// An auth refusal that earns one more try (L-9).
    RefusedOnce,
    /// An auth refusal that means revoked (L-9).
    RefusedForGood,
    /// The host wants to be served again.
    Resume,
    /// Idleness is confirmed, and the host asked to go dormant.
    GoDormant,
    /// A refused entry must come again, and nothing is in flight (A-2).
    Redeliver,
    /// The host's disconnect has nothing left to wait for.
    Leave,
    /// Our close frame went unanswered.
    CloseTimedOut,
}

/// What a row asks beyond its signal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum When {
    /// Nothing.
    Always,
    /// The host is disconnecting.
    Leaving,
    /// The host holds dials.
    Held,
    /// Going idle was asked for on this connection, or is confirmed.
    Idle,
    /// The close leads to a dial at once.
    ThenDial,
    /// And the host has held dials since.
    ThenHeldDial,
    /// The close leads to dormancy.
    ThenSleep,
}

/// What is done on the way, in order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Effect {
    /// Begin the next dial, with a token of its own.
    Dial,
    /// Let go of the socket.
    Drop,
    /// Queue one hello per identity; the handshake clock starts.
    Hello,
    /// Tell the host that it is served.
    TellConnected,
    /// Queue the close frame behind what must still go out; the close clock starts. What is unwritten fails.
    Close,
    /// And dial at once when it is done.
    CloseThenDial,
    /// And sleep when it is done.
    CloseThenSleep,
    /// The connection is over: its requests fail, its queues are emptied.
    End,
    /// Set the next dial's time by the back-off.
    Backoff,
    /// Set the next dial's time by the back-off, which may grow up to `backoff_refused_most`.
    BackoffRefused,
    /// The next dial's time is now, as far as the host's hold lets it.
    Now,
    /// Set the next dial's time by the dormant delay.
    Sleep,
    /// Tell the host that the connection ended or the dial failed.
    TellDisconnected,
    /// Tell the host that it is dormant.
    TellDormant,
    /// Tell the host that it is being resumed.
    TellResumed,
    /// Lift the host's hold on dials.
    LiftHold,
    /// Remember that the next auth verdict decides.
    Mark,
    /// Tell the host that it is over as it wished.
    Stop,
    /// Tell the host that it is over for good.
    Fatal,
}

/// One transition.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// In one of these states,
    pub from: &'static [State],
    /// on one of these signals,
    pub on: &'static [Signal],
    /// if this holds,
    pub when: When,
    /// these things are done,
    pub emit: &'static [Effect],
    /// and this is the new state.
    pub to: State,
    /// The rules that say so.
    pub rules: &'static str,
}

const fn row(
    from: &'static [State],
    on: &'static [Signal],
    when: When,
    emit: &'static [Effect],
    to: State,
    rules: &'static str,
) -> Row {
    Row { from, on, when, emit, to, rules }
}

const ENDS: &[Signal] =
    &[S::DialFailed, S::CredentialsRefused, S::Lost, S::RefusedCold, S::RefusedExpired, S::RefusedOnce];
const OVERDUE: &[Signal] = &[S::DialTimedOut, S::Silent, S::CloseTimedOut];

/// Every transition there is. The first row that fits counts.
pub const TABLE: &[Row] = &[
    // Leaving goes before nearly all else: whatever ends the connection ends it for good. Only a revocation goes
    // before that: the host must know that dialing again another day is of no use.
    row(
        &[Dialing, Handshaking, Up, Closing],
        ENDS,
        When::Leaving,
        &[E::End, E::TellDisconnected, E::Stop],
        Stopped,
        "L-14",
    ),
    row(
        &[Dialing, Up, Closing],
        OVERDUE,
        When::Leaving,
        &[E::Drop, E::End, E::TellDisconnected, E::Stop],
        Stopped,
        "L-14",
    ),
    row(&[Waiting], &[S::Leave], When::Always, &[E::Stop], Stopped, "L-14"),
    row(
        &[Dialing],
        &[S::Leave],
        When::Always,
        &[E::Drop, E::End, E::TellDisconnected, E::Stop],
        Stopped,
        "L-14",
    ),
    row(&[Handshaking, Up], &[S::Leave], When::Always, &[E::Close], Closing, "L-14"),
    // Dialling.
    row(&[Waiting], &[S::DialDue], When::Always, &[E::Dial], Dialing, "L-5 L-6"),
    row(&[Waiting], &[S::Resume], When::Always, &[E::LiftHold, E::TellResumed, E::Dial], Dialing, "L-13"),
    row(&[Dialing], &[S::Opened], When::Always, &[E::Hello], Handshaking, "L-3 L-4"),
    row(
        &[Dialing],
        &[S::DialFailed],
        When::Always,
        &[E::End, E::Backoff, E::TellDisconnected],
        Waiting,
        "L-5",
    ),
    row(
        &[Dialing],
        &[S::CredentialsRefused],
        When::Always,
        &[E::End, E::BackoffRefused, E::TellDisconnected],
        Waiting,
        "L-9",
    ),
    row(
        &[Dialing],
        &[S::DialTimedOut],
        When::Always,
        &[E::Drop, E::End, E::Backoff, E::TellDisconnected],
        Waiting,
        "L-4 L-5",
    ),
    // Handshaking.
    row(&[Handshaking], &[S::Descriptor], When::Always, &[E::TellConnected], Up, "L-4 D-8"),
    row(
        &[Handshaking],
        &[S::BadDescriptor, S::HandshakeTimedOut, S::Silent],
        When::Always,
        &[E::Close],
        Closing,
        "L-4 L-17",
    ),
    // Auth refusals, at the upgrade or at any time on the connection.
    row(
        &[Dialing, Handshaking, Up, Closing],
        &[S::RefusedCold],
        When::Always,
        &[E::End, E::Backoff, E::TellDisconnected],
        Waiting,
        "L-7",
    ),
    row(
        &[Dialing, Handshaking, Up, Closing],
        &[S::RefusedExpired],
        When::Always,
        &[E::End, E::Backoff, E::TellDisconnected],
        Waiting,
        "L-8",
    ),
    row(
        &[Dialing, Handshaking, Up, Closing],
        &[S::RefusedOnce],
        When::Held,
        &[E::End, E::Mark, E::Now, E::TellDisconnected],
        Waiting,
        "L-9 L-13",
    ),
    row(
        &[Dialing, Handshaking, Up, Closing],
        &[S::RefusedOnce],
        When::Always,
        &[E::End, E::Mark, E::TellDisconnected, E::Dial],
        Dialing,
        "L-9",
    ),
    row(
        &[Dialing, Handshaking, Up, Closing],
        &[S::RefusedForGood],
        When::Always,
        &[E::End, E::TellDisconnected, E::Fatal],
        Revoked,
        "L-9 L-10",
    ),
    // Served.
    row(
        &[Handshaking, Up],
        &[S::Lost],
        When::Always,
        &[E::End, E::Backoff, E::TellDisconnected],
        Waiting,
        "L-5 L-18",
    ),
    row(
        &[Up],
        &[S::Silent],
        When::Always,
        &[E::Drop, E::End, E::Backoff, E::TellDisconnected],
        Waiting,
        "L-11",
    ),
    row(&[Up], &[S::Resume], When::Idle, &[E::LiftHold, E::TellResumed, E::CloseThenDial], Closing, "L-12"),
    row(&[Up], &[S::GoDormant], When::Always, &[E::CloseThenSleep], Closing, "L-13"),
    row(&[Up], &[S::Redeliver], When::Always, &[E::Close], Closing, "A-2"),
    // Closing.
    row(
        &[Closing],
        &[S::Resume],
        When::Always,
        &[E::LiftHold, E::TellResumed, E::CloseThenDial],
        Closing,
        "L-13",
    ),
    // Who holds dials after a resume has thought better of it.
    row(
        &[Closing],
        &[S::Lost],
        When::ThenHeldDial,
        &[E::End, E::Now, E::TellDisconnected],
        Waiting,
        "L-12 L-13",
    ),
    row(
        &[Closing],
        &[S::CloseTimedOut],
        When::ThenHeldDial,
        &[E::Drop, E::End, E::Now, E::TellDisconnected],
        Waiting,
        "L-4 L-13",
    ),
    row(&[Closing], &[S::Lost], When::ThenDial, &[E::End, E::TellDisconnected, E::Dial], Dialing, "L-12"),
    row(
        &[Closing],
        &[S::CloseTimedOut],
        When::ThenDial,
        &[E::Drop, E::End, E::TellDisconnected, E::Dial],
        Dialing,
        "L-4 L-12",
    ),
    row(
        &[Closing],
        &[S::Lost],
        When::ThenSleep,
        &[E::End, E::Sleep, E::TellDisconnected, E::TellDormant],
        Waiting,
        "L-13",
    ),
    row(
        &[Closing],
        &[S::CloseTimedOut],
        When::ThenSleep,
        &[E::Drop, E::End, E::Sleep, E::TellDisconnected, E::TellDormant],
        Waiting,
        "L-4 L-13",
    ),
    row(&[Closing], &[S::Lost], When::Always, &[E::End, E::Backoff, E::TellDisconnected], Waiting, "L-5"),
    row(
        &[Closing],
        &[S::CloseTimedOut],
        When::Always,
        &[E::Drop, E::End, E::Backoff, E::TellDisconnected],
        Waiting,
        "L-4 L-5",
    ),
];

/// One transition out of one state on one signal: what a row stands for, taken apart.
#[derive(Clone, Copy, Debug)]
pub struct Arrow {
    /// The row, by its place in the table.
    pub row: usize,
    /// One of its states.
    pub from: State,
    /// One of its signals.
    pub on: Signal,
}

/// Every arrow of the table, in its order. Some can never be taken, where an earlier row goes before them or a signal
/// never comes in that state.
pub fn arrows() -> impl Iterator<Item = Arrow> {
    TABLE.iter().enumerate().flat_map(|(row, Row { from: states, on: signals, .. })| {
        states.iter().flat_map(move |from| signals.iter().map(move |on| Arrow { row, from: *from, on: *on }))
    })
}

/// The place among [`arrows`] of that row of the table, taken from this state on this signal.
pub(crate) fn arrow(row: usize, from: State, on: Signal) -> usize {
    let before: usize = TABLE[..row].iter().map(|row| row.from.len() * row.on.len()).sum();
    let Row { from: states, on: signals, .. } = &TABLE[row];
    let state = states.iter().position(|state| *state == from).unwrap_or(0);
    let signal = signals.iter().position(|signal| *signal == on).unwrap_or(0);
    before + state * signals.len() + signal
}

/// The table as a mermaid state diagram, for the docs: one arrow a row and state, with its signals, its condition and
/// its effects, and the rules that say so.
pub fn diagram() -> String {
    let mut text = String::from("stateDiagram-v2\n    [*] --> Waiting\n");
    for row in TABLE {
        let names = |items: &mut dyn Iterator<Item = String>| items.collect::<Vec<_>>().join(", ");
        let on = names(&mut row.on.iter().map(|signal| format!("{signal:?}")));
        let emit = names(&mut row.emit.iter().map(|effect| format!("{effect:?}")));
        let when = match row.when {
            When::Always => String::new(),
            when @ (When::Leaving
            | When::Held
            | When::Idle
            | When::ThenDial
            | When::ThenHeldDial
            | When::ThenSleep) => {
                format!(" [{when:?}]")
            }
        };
        for from in row.from {
            text.push_str(&format!("    {from:?} --> {:?}: {on}{when} / {emit} ({})\n", row.to, row.rules));
        }
    }
    text.push_str("    Stopped --> [*]\n    Revoked --> [*]\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The diagram in the docs is the table. `UPDATE_DOCS=1 cargo test -p relayline-core` renews it.
    #[test]
    fn l_the_diagram_in_the_docs_is_the_table() {
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

    const STATES: [State; 7] = [Waiting, Dialing, Handshaking, Up, Closing, Stopped, Revoked];
    const SIGNALS: [Signal; 19] = [
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
        S::RefusedCold,
        S::RefusedExpired,
        S::RefusedOnce,
        S::RefusedForGood,
        S::Resume,
        S::GoDormant,
        S::Redeliver,
        S::Leave,
        S::CloseTimedOut,
    ];

    fn rows(state: State, signal: Signal) -> impl Iterator<Item = &'static Row> {
        TABLE.iter().filter(move |row| row.from.contains(&state) && row.on.contains(&signal))
    }

    #[test]
    fn an_arrow_has_its_place_in_the_order() {
        for (place, found) in arrows().enumerate() {
            assert_eq!(arrow(found.row, found.from, found.on), place, "{found:?}");
        }
    }

    #[test]
    fn l_10_l_14_the_ends_are_final() {
        for state in [Stopped, Revoked] {
            assert!(SIGNALS.iter().all(|signal| rows(state, *signal).next().is_none()), "{state:?}");
        }
    }

    #[test]
    fn every_row_can_be_reached() {
        for state in STATES {
            for signal in SIGNALS {
                let open = rows(state, signal).position(|row| row.when == When::Always);
                let count = rows(state, signal).count();
                assert!(open.is_none_or(|at| at + 1 == count), "{state:?} on {signal:?}");
            }
        }
    }

    #[test]
    fn l_04_l_14_whatever_is_overdue_has_a_row() {
        for (state, signal) in [
            (Waiting, S::DialDue),
            (Dialing, S::DialTimedOut),
            (Handshaking, S::HandshakeTimedOut),
            (Handshaking, S::Silent),
            (Up, S::Silent),
            (Closing, S::CloseTimedOut),
            (Waiting, S::Leave),
            (Dialing, S::Leave),
            (Handshaking, S::Leave),
            (Up, S::Leave),
        ] {
            assert!(
                rows(state, signal).any(|row| row.when == When::Always),
                "a timer that nothing follows from stays due: {state:?} on {signal:?}"
            );
        }
    }

    /// L-6: a socket that may still be open is let go of before the next dial; every end ends its requests (O-4).
    #[test]
    fn l_06_what_is_open_is_dropped_before_the_next_dial() {
        let open = [Dialing, Handshaking, Up, Closing];
        for row in TABLE {
            let ends = row.from.iter().any(|from| open.contains(from)) && {
                row.emit.contains(&E::Dial) || !open.contains(&row.to)
            };
            let overdue = row.on.iter().any(|signal| {
                matches!(signal, S::DialTimedOut | S::Silent | S::CloseTimedOut | S::HandshakeTimedOut)
            });
            let leaves_dial = row.from == [Dialing] && row.on == [S::Leave];
            assert_eq!(row.emit.contains(&E::End), ends, "{row:?}");
            assert_eq!(row.emit.contains(&E::Drop), ends && (overdue || leaves_dial), "{row:?}");
            assert_eq!(row.emit.contains(&E::TellDisconnected), ends, "once per end: {row:?}");
        }
    }
}
