//! The host's answers to deliveries by number: turns, replies and streams (M-7, O-13, O-15).

use super::host::{FEW_STREAMS, StreamedReply};
use super::model::streams::NAME;
use super::random::Random;
use super::world::World;
use relayline_core::command::{Command, Metadata};
use relayline_core::op::{ReplyMessage, StreamReply, Turn, TurnState};
use relayline_core::output::DeliveryId;

/// Number of deliveries that the host answers at a time.
const OPEN_REPLIES: usize = 4;

/// A delivery that the host answers.
#[derive(Clone, Debug)]
pub(crate) struct OpenReply {
    delivery: DeliveryId,
    reply: Option<StreamedReply>,
}

impl World<'_> {
    /// Takes the next step for one of a few deliveries. Some turns never begin, and some never end.
    pub(crate) fn answer_delivery(&mut self, random: &mut Random) {
        let place = random.index(OPEN_REPLIES);
        if self.host.open_replies.len() <= place || random.chance(8) {
            self.choose_delivery(place, random);
        }
        let place = place.min(self.host.open_replies.len() - 1);
        let delivery = self.host.open_replies[place].delivery;
        match random.below(16) {
            0..3 => self.turn(delivery, TurnState::Begin),
            3..10 => self.stream_to(place, random),
            10 => self.reply(delivery, "all of it", true, false, random),
            11 => {
                // The first part replies to the message, and the last part completes the answer.
                let parts = 2 + random.index(2);
                for part in 1..=parts {
                    self.reply(delivery, &format!("part {part}"), part == parts, part > 1, random);
                }
            }
            12 => self.reply(delivery, "so far", false, random.chance(50), random),
            _ => {
                let state = *random.pick(&[TurnState::Done, TurnState::Failed, TurnState::Stopped]);
                self.turn(delivery, state);
                if state == TurnState::Stopped && self.setup.config.limits.streams <= FEW_STREAMS {
                    // With few streams another one may have replaced a stopped one.
                    let of_it = |answering: &&mut OpenReply| answering.delivery == delivery;
                    self.host
                        .open_replies
                        .iter_mut()
                        .filter(of_it)
                        .for_each(|answering| answering.reply = None);
                }
                if random.chance(60) {
                    self.choose_delivery(place, random);
                }
            }
        }
    }

    /// Chooses another delivery, mostly a recent one.
    fn choose_delivery(&mut self, place: usize, random: &mut Random) {
        let back = if random.chance(90) { random.below(4) } else { random.below(4000) };
        let delivery = DeliveryId::from_number(self.host.last_delivery.saturating_sub(back));
        let answering = OpenReply { delivery, reply: None };
        match self.host.open_replies.get_mut(place) {
            Some(at) => *at = answering,
            None => self.host.open_replies.push(answering),
        }
    }

    fn turn(&mut self, delivery: DeliveryId, state: TurnState) {
        self.submit(Command::Turn(Turn::new(delivery, state)));
    }

    fn reply(&mut self, delivery: DeliveryId, text: &str, last: bool, continues: bool, random: &mut Random) {
        let reply = ReplyMessage::new(delivery, text).last(last).continues(continues);
        self.submit(Command::Reply(reply.metadata(own_metadata(random))));
    }

    /// Submits the next state of a streamed answer.
    fn stream_to(&mut self, place: usize, random: &mut Random) {
        let OpenReply { delivery, reply } = self.host.open_replies[place].clone();
        let reply = reply.filter(|reply| !self.host.failed.contains(reply.name()));
        let mut reply = reply.unwrap_or_else(|| {
            let mut state = StreamReply::new("", "").delivery(delivery).metadata(own_metadata(random));
            state.continues = random.chance(20);
            if random.chance(3) {
                // Usually not the delivery's chat, so the command is refused.
                state = state.chat_id(&random.pick(&self.setup.chats).id);
            }
            self.host.begin_stream(state)
        });
        let is_accepted = self.submit(Command::Stream(reply.grow(random)));
        let is_over = reply.state.last && is_accepted;
        self.host.open_replies[place].reply = (!is_over).then_some(reply);
    }
}

/// Returns metadata that the host sets itself. It passes through, and overrides the machine's (M-7, M-9).
fn own_metadata(random: &mut Random) -> Metadata {
    let mut metadata = Metadata::new();
    match random.below(20) {
        0 => metadata.insert("notify".to_owned(), false.into()),
        1 => metadata.insert("unfurl_links".to_owned(), true.into()),
        2 => metadata.insert("thread_id".to_owned(), "t of the host".into()),
        _ => None,
    };
    metadata
}

impl super::host::Host {
    /// Begins a streamed reply under a new name, which its frames carry.
    pub(crate) fn begin_stream(&mut self, mut state: StreamReply) -> StreamedReply {
        self.streams_begun += 1;
        state.stream = format!("s{}", self.streams_begun);
        state.metadata.insert(NAME.to_owned(), state.stream.clone().into());
        StreamedReply { state }
    }
}

impl StreamedReply {
    pub(crate) fn name(&self) -> &str {
        &self.state.stream
    }

    /// Returns the next state.
    pub(crate) fn grow(&mut self, random: &mut Random) -> StreamReply {
        let last = random.chance(30);
        let words = match random.below(20) {
            // The whole text is shown already (M-7).
            _ if last && random.chance(25) => 0,
            0..3 => random.index(400),
            _ => 1 + random.index(12),
        };
        let text = &mut self.state.text;
        for word in 0..words {
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(&format!("word{word}"));
        }
        self.state.last = last;
        self.state.segment = random.chance(50);
        self.state.interim = last && random.chance(20);
        if last && random.chance(10) {
            // M-7: the last state decides.
            self.state.metadata.insert("notify".to_owned(), "the host's".into());
        }
        self.state.clone()
    }
}
