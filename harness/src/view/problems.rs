//! Problems that are marked in a view: each with its rule, and the rule in words. This is the only place of the words.

use serde::Serialize;

/// A problem, marked at an entry.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[non_exhaustive]
pub struct Problem {
    /// Position of the entry.
    pub at: usize,
    /// Kind of the problem.
    pub kind: ProblemKind,
    /// Further details; may be empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

/// Weight of a problem.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Something was lost, or may have been.
    Error,
    /// A rule was broken, or an operation failed, without a loss.
    Warning,
    /// Worth knowing.
    Note,
}

/// Defines the kinds of problems with their names in the page, severities, rules, titles and words.
macro_rules! kinds {
    ($($kind:ident $name:literal $severity:ident $rule:literal $title:literal $words:literal)+) => {
        /// Kind of a problem.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
        #[non_exhaustive]
        pub enum ProblemKind {
            $(#[doc = $title] #[serde(rename = $name)] $kind,)+
        }

        impl ProblemKind {
            /// All kinds, in the order in which a list of problems shows them.
            pub const ALL: &[ProblemKind] = &[$(ProblemKind::$kind),+];

            /// Returns the name in the page.
            pub fn name(self) -> &'static str {
                match self { $(ProblemKind::$kind => $name),+ }
            }

            /// Returns the weight.
            pub fn severity(self) -> Severity {
                match self { $(ProblemKind::$kind => Severity::$severity),+ }
            }

            /// Returns the id of the rule in `PROTOCOL.md`.
            pub fn rule(self) -> &'static str {
                match self { $(ProblemKind::$kind => $rule),+ }
            }

            /// Returns a short name for people.
            pub fn title(self) -> &'static str {
                match self { $(ProblemKind::$kind => $title),+ }
            }

            /// Returns the rule in words.
            pub fn words(self) -> &'static str {
                match self { $(ProblemKind::$kind => $words),+ }
            }
        }
    };
}

kinds! {
    Malformed "malformed" Error "W-3" "Malformed line"
        "A line must be one JSON object with a string `type`. The receiver skips this one and counts it; the connection stays up."
    TwoOnALine "two-on-a-line" Error "W-1" "Missing newline between two frames"
        "A newline must end each frame. Without one, two frames are one line, which is not valid JSON: both are lost."
    MissingNewline "missing-newline" Error "W-2" "Missing newline at the end"
        "A newline must end each frame. The receiver waits for it, and drops the unfinished frame when the connection ends."
    Overlong "overlong" Error "W-5" "Line too long"
        "A gateway discards a line of more than 1 MiB (max_line_bytes) up to its newline. A buffered event of that length comes again with each redelivery."
    UnknownType "unknown-type" Warning "W-4" "Unknown frame type"
        "The other side ignores and counts a frame of a type that it does not know, or that only it sends."
    BadDescriptor "bad-descriptor" Error "D-1" "Unusable descriptor"
        "A descriptor without a required field, or with one of the wrong type, fails the handshake."
    ExtraDescriptor "extra-descriptor" Note "D-8" "Descriptor without a hello"
        "One descriptor comes per hello. A further one is ignored."
    NoHello "no-hello" Warning "L-3" "No hello"
        "After the upgrade a gateway first writes one hello per identity."
    NoHandshake "no-handshake" Error "L-4" "Handshake never completed"
        "A connector must answer the first hello with a descriptor within 30 s, or the gateway closes the connection and dials again."
    Revoked "revoked" Error "L-10" "Credentials revoked"
        "The connector refused the credentials again after a complete handshake and one more try: that is final. The gateway stops, and the instance must be recreated."
    Suspected "refused" Error "L-9" "Credentials refused"
        "After a complete handshake a refusal means that the credentials may be revoked. The gateway tries once more with a fresh token, and a second refusal is final."
    RefusedAtStart "refused-at-start" Error "L-7" "Credentials refused before a handshake"
        "A refusal before the first complete handshake is an ordinary failure: the gateway backs off and dials again. Check the gateway's id and secret."
    Expired "expired" Warning "L-8" "Token expired"
        "A refusal with the reason `expired` is an ordinary loss: the gateway dials again with a fresh token. If it repeats, a clock is wrong."
    RefusedElsewhere "refused-elsewhere" Error "L-9" "Credentials refused by something in between"
        "A 401 or 403 that is not the connector's own verdict comes from a proxy or load balancer. The gateway backs off, up to 5 minutes, and it is never final."
    DialRejected "dial-rejected" Warning "L-18" "Dial rejected"
        "A refused upgrade is an ordinary loss: the gateway backs off, and honors a Retry-After."
    ClosedByPeer "closed" Warning "L-18" "Closed by the connector"
        "A close that is not a refusal of credentials is an ordinary loss: the gateway backs off and dials again."
    ProtocolError "protocol-error" Error "L-18" "WebSocket protocol broken"
        "A peer that breaks the WebSocket protocol is answered with a close frame of 1002, 1007 or 1009."
    Cut "cut" Warning "L-5" "Connection cut"
        "A connection that ends without a close frame is lost: the gateway backs off and dials again."
    EarlyDial "early-dial" Note "L-5" "Dialed early"
        "After a loss the n-th attempt waits at least half of 1 s × 2^(n−1), and 15 s at most."
    StaleInput "stale-input" Warning "L-6" "Frame on an earlier connection"
        "A gateway ignores further input of an earlier connection once it dials again."
    Unacked "unacked" Error "A-1" "Delivery not acknowledged"
        "A delivery with a bufferId must be acknowledged once the host has accepted it. Until then the connector keeps it, delivers it again, and sends nothing further from its buffer."
    StrayAck "stray-ack" Warning "A-5" "Acknowledgement without a delivery"
        "An acknowledgement is written on the connection on which the entry was delivered, and never twice for one delivery."
    OutOfTurn "out-of-turn" Note "A-8" "Buffered delivery before the last acknowledgement"
        "A connector drains its buffer one entry at a time, and sends the next after the acknowledgement of the last."
    DuplicateDelivery "duplicate" Note "A-4" "Delivered again after its acknowledgement"
        "A delivery that the host has accepted already is acknowledged again and does not reach the host twice."
    HandlerFailed "handler-failed" Error "A-2" "Host failed on a delivery"
        "A delivery that the host fails on or refuses is not acknowledged, and is delivered again."
    NoResult "no-result" Error "O-4" "No result in time"
        "A request that was written and gets no result within its time-out is ambiguous: it may have been carried out, and must not be sent again automatically."
    LostRequest "ambiguous" Error "O-3" "Ambiguous: the connection ended before the result"
        "A written request whose connection ends fails at once as ambiguous: it may have been carried out, and must not be sent again automatically."
    AmbiguousResult "ambiguous-result" Error "O-3" "Ambiguous result"
        "The connector does not know whether the request was carried out. It must not be sent again automatically."
    LateResult "late-result" Error "O-1" "Late result"
        "A result that comes after the request's time-out is ignored: the host was told before that the outcome is unknown."
    StrayResult "stray-result" Warning "O-1" "Result without a request"
        "A result whose id is unknown, or was answered before, is ignored and counted."
    Unanswered "unanswered" Note "O-4" "No result up to the end of the recording"
        "A request waits for its result for 30 s. The recording ends before that."
    Declined "declined" Warning "O-7" "Declined by the connector"
        "A decline holds for the whole turn: the same content is never sent again by another op."
    Rejected "rejected" Warning "O-3" "Rejected by the connector"
        "The connector answered anything but success. The host decides what to do."
    NoSuccess "no-success" Warning "O-2" "Result without success"
        "Only `success: true` is success. A result without it counts as rejected, although the op may have been carried out."
    NotOffered "not-offered" Warning "O-9" "Op that the descriptor does not offer"
        "An op that the chat's descriptor does not offer must fail before anything is written."
    TextTooLong "text-too-long" Warning "O-11" "Text over the chat's limit"
        "A text over the descriptor's max_message_length, measured in its len_unit, should be split."
    NotFronted "not-fronted" Warning "M-3" "Platform without a hello"
        "A gateway tags only platforms for which it has said hello; the connector refuses others."
    IdleUnconfirmed "idle-unconfirmed" Warning "L-12" "Idleness not confirmed"
        "A going_idle without a confirmation within 10 s changes nothing: the connector goes on delivering."
    IdleTwice "idle-twice" Note "L-14" "Asked twice to go idle"
        "A gateway writes going_idle once on a connection when it disconnects."
    StrayIdleAck "stray-idle-ack" Note "L-12" "Confirmation of idleness without a request"
        "A going_idle_ack answers a going_idle. Without one it is ignored and counted."
    LiveWhileIdle "live-while-idle" Warning "L-12" "Live delivery after idleness was confirmed"
        "After a connector has confirmed idleness it delivers nothing live on that connection."
    CallFailed "call-failed" Warning "O-3" "Call of the host failed"
        "A failed call tells the host whether the request was never written, may have been carried out, or was refused."
    Fatal "fatal" Error "L-10" "Relay disabled for good"
        "A fatal end is final: the gateway dials no more, and all requests fail."
    ConnectorError "connector-error" Error "X-5" "Error frame of the connector"
        "A frame of type error is logged with its text. It completes no request."
    KeylessInterrupt "keyless-interrupt" Warning "L-16" "Interrupt without a session key"
        "An interrupt reaches the host for exactly its session_key. An empty key is ignored and counted."
    Undecodable "undecodable-body" Warning "P-1" "Body that cannot be decoded"
        "A forwarded body that is not standard base64 reads as empty."
    Unwanted "unwanted-forward" Note "P-2" "Forward dropped"
        "A forward of a platform other than Discord reaches only a host that asks for it."
    Silent "silent-interaction" Note "P-6" "Interaction without an event"
        "Pings, autocompletions and unknown types of interactions make no event."
    Dropped "dropped" Warning "X-2" "Dropped by the gateway"
        "Nothing is dropped silently: every drop has a counter. A replay of the recording increased this one."
    Gap "gap" Error "X-2" "Lines are missing"
        "The recorder could not write here. What is missing cannot be known, so joins and states after this place may be wrong."
}

/// Counters of a replay, with the problem that each shows. Counters that are not listed have problems of the view's own,
/// or show no drop.
const COUNTERS: &[(&str, ProblemKind)] = &[
    ("undecodable_bodies", ProblemKind::Undecodable),
    ("unwanted_forwards", ProblemKind::Unwanted),
    ("silent_interactions", ProblemKind::Silent),
    ("unusable_events", ProblemKind::Dropped),
    ("overlong_ids", ProblemKind::Dropped),
    ("cut_texts", ProblemKind::Dropped),
    ("dropped_ops", ProblemKind::Dropped),
    ("dropped_fields", ProblemKind::Dropped),
    ("foreign_answers", ProblemKind::Dropped),
    ("late_answers", ProblemKind::Dropped),
    ("stale_answers", ProblemKind::Dropped),
    ("unauthorized_answers", ProblemKind::Dropped),
    ("waiters_dropped", ProblemKind::Dropped),
    ("early_dropped", ProblemKind::Dropped),
    ("dropped_at_end", ProblemKind::Dropped),
];

impl ProblemKind {
    /// Returns the problem that an increased counter of the machine shows, if it shows one.
    pub(super) fn of_counter(counter: &str) -> Option<ProblemKind> {
        COUNTERS.iter().find(|(name, _)| *name == counter).map(|(_, kind)| *kind)
    }
}
