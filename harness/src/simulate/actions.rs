//! Actions of users and the host. `faults` has the others.

use super::host::StreamedReply;
use super::network::Stage;
use super::planned_action::{ActionKind, PlannedAction};
use super::random::Random;
use super::users::{self, EventClass, ForwardKind, UserEvent};
use super::world::World;
use relayline_connector::Act;
use relayline_core::approver::Approver;
use relayline_core::chats::Chat as Remembered;
use relayline_core::command::Command;
use relayline_core::op::{Interrupt, Prompt, PromptOption, StreamReply};
use relayline_core::output::Outcome;
use std::time::Duration;

impl World<'_> {
    pub(crate) fn perform(&mut self, action: PlannedAction) {
        let mut random = Random::new(action.draw, 9);
        let random = &mut random;
        match action.kind {
            ActionKind::Say => self.say(random, None),
            ActionKind::SayBuffered => self.say(random, Some(true)),
            ActionKind::SayLive => self.say(random, Some(false)),
            ActionKind::SayAgain => self.say_again(random),
            ActionKind::Burst => (0..random.between(5, 30)).for_each(|_| self.say(random, None)),
            ActionKind::EditSaid => self.edit_said(random),
            ActionKind::Forward => self.forward(random),
            ActionKind::AnswerPrompt => self.answer_prompt(random),
            ActionKind::InterruptTurn => {
                let key =
                    if random.chance(15) { String::new() } else { format!("agent:main:{}", random.below(5)) };
                self.instruct(Act::Interrupt { session_key: key, chat_id: format!("c{}", random.below(5)) });
            }
            ActionKind::Ask => {
                let command = self.random_op(random);
                self.submit(command);
            }
            ActionKind::AskMany => {
                for _ in 0..random.between(4, 40) {
                    let command = self.random_op(random);
                    self.submit(command);
                }
            }
            ActionKind::AskPrompt => self.ask_prompt(random),
            ActionKind::Stream => self.stream(random),
            ActionKind::StopTurn => {
                let mut interrupt = Interrupt::new("agent:main:0");
                interrupt.reason = random.chance(50).then(|| "stop".to_owned());
                self.submit(Command::Interrupt(interrupt));
            }
            ActionKind::GoIdle => drop(self.submit(Command::GoIdle)),
            ActionKind::GoDormant => drop(self.submit(Command::GoDormant)),
            ActionKind::Hold => drop(self.submit(Command::Hold(Duration::from_millis(random.below(90_000))))),
            ActionKind::Resume => {
                self.submit(Command::Resume);
                if random.chance(25) {
                    // The host changes its mind.
                    self.drain();
                    self.submit(Command::Hold(Duration::from_millis(random.below(30_000))));
                }
            }
            ActionKind::Disconnect => self.disconnect(random),
            ActionKind::Prime => self.prime(random),
            ActionKind::SettleOddly => {
                let number = random.below(self.host.last_delivery + 5);
                let outcome = if random.chance(50) { Outcome::Accepted } else { Outcome::Refused };
                self.settle(number, outcome);
            }
            ActionKind::Oversized => self.oversized(random),
            ActionKind::Answer => self.answer_delivery(random),
            ActionKind::Post => self.post(random),
            ActionKind::PostTwice => self.post_twice(random),
            _ => self.inject_fault(action.kind, random),
        }
    }

    /// Disconnects the host. At times something else ends the connection meanwhile.
    fn disconnect(&mut self, random: &mut Random) {
        self.submit(Command::Disconnect);
        match random.below(6) {
            0 => self.instruct(Act::Expire),
            1 => self.instruct(Act::Close { code: 4401, reason: "unauthorized".to_owned() }),
            2 => self.half_open(random),
            3 => self.refuse_closes_for(Duration::from_secs(10)),
            _ => {}
        }
    }

    pub(crate) fn next_serial(&mut self) -> u64 {
        self.users.last_serial += 1;
        self.users.last_serial
    }

    pub(crate) fn say(&mut self, random: &mut Random, buffered: Option<bool>) {
        let serial = self.next_serial();
        let chat = random.pick(&self.setup.chats).clone();
        let padding = if random.chance(10) { random.index(400) } else { random.index(6) };
        let has_id = !random.chance(8);
        let user_event = users::message(serial, &chat, random.below(4), has_id, padding);
        self.deliver(serial, user_event, buffered);
    }

    /// Gives the connector an event or a forward for the gateway.
    pub(crate) fn deliver(&mut self, serial: u64, user_event: UserEvent, buffered: Option<bool>) {
        let act = match user_event.is_forward {
            true => Act::Passthrough { forward: user_event.content.clone(), buffered },
            false => Act::Inbound { event: user_event.content.clone(), buffered },
        };
        self.users.events.insert(serial, user_event);
        let account = self.account();
        let before = self.connector.machine.buffered(&account).count();
        if self.now >= self.faults.crashed_until {
            self.instruct(act);
        }
        if self.connector.machine.buffered(&account).count() > before {
            self.connector.buffered.insert(serial);
        }
    }

    fn say_again(&mut self, random: &mut Random) {
        let Some(newest) = self.users.events.keys().next_back().copied() else { return };
        // Mostly a recent one, whose first copy may still be in flight.
        let serial = newest.saturating_sub(random.below(1 + newest.min(12)));
        let Some(user_event) = self.users.events.get(&serial).cloned() else { return };
        // An event without a key cannot be recognized as a duplicate.
        if user_event.key.is_none() {
            return;
        }
        // Many at once must be live: only one entry of the buffer is sent at a time.
        let times = if random.chance(20) { 12 } else { 1 };
        for _ in 0..times {
            let buffered = times == 1 && random.chance(60);
            self.deliver(serial, user_event.clone(), Some(buffered));
        }
    }

    fn edit_said(&mut self, random: &mut Random) {
        let serials: Vec<u64> = self.users.events.keys().rev().take(20).copied().collect();
        if serials.is_empty() {
            return;
        }
        let of = self.users.events[random.pick(&serials)].clone();
        if of.class != EventClass::Message || of.is_forward {
            return;
        }
        let serial = self.next_serial();
        self.deliver(serial, users::edit(serial, &of), None);
    }

    fn forward(&mut self, random: &mut Random) {
        let serial = self.next_serial();
        let chat = random.pick(&self.setup.chats).clone();
        let what = match random.below(10) {
            0..4 => ForwardKind::Command,
            4 => ForwardKind::Ping,
            5 => ForwardKind::BadBody,
            _ => ForwardKind::Raw,
        };
        let buffered = random.chance(60).then_some(true);
        self.deliver(serial, users::forward(serial, &chat, random.below(4), &what), buffered);
    }

    fn answer_prompt(&mut self, random: &mut Random) {
        let seen = &self.host.seen_prompts;
        let newest = seen.len().saturating_sub(1 + random.index(4));
        let prompt = match seen.get(newest) {
            Some(_) if random.chance(8) => "000000.00000001".to_owned(),
            Some(prompt) => prompt.clone(),
            None => return,
        };
        let serial = self.next_serial();
        let chat = random.pick(&self.setup.chats).clone();
        let user = random.below(4);
        let user_event = match random.chance(30) {
            true => users::forward(serial, &chat, user, &ForwardKind::Choice(prompt)),
            false => users::answer(serial, &chat, user, &prompt),
        };
        self.deliver(serial, user_event, random.chance(50).then_some(true));
    }

    fn ask_prompt(&mut self, random: &mut Random) {
        let second = if random.chance(95) { "no" } else { "not an id" };
        let options = ["yes", second].map(|id| PromptOption::new(id, id));
        let mut prompt = Prompt::new(&random.pick(&self.setup.chats).id, "?", options);
        prompt.timeout = random.chance(30).then(|| Duration::from_secs(random.below(120)));
        if random.chance(30) {
            let platform = random.chance(50).then(|| self.setup.chats[0].platform.to_owned());
            let approver = Approver { platform, user_id: format!("u{}", random.below(4)) };
            prompt.approvers = [approver].into();
        }
        self.submit(prompt.into());
    }

    /// Submits the next state of one of a few replies, or repeats a last state that was never written.
    fn stream(&mut self, random: &mut Random) {
        let place = random.index(3);
        if let Some(state) = self.host.to_repeat.pop() {
            self.submit(Command::Stream(state));
            return;
        }
        while self.host.streams.len() <= place {
            let growing = self.begin_stream(random);
            self.host.streams.push(growing);
        }
        if self.host.failed.contains(self.host.streams[place].name()) {
            self.host.streams[place] = self.begin_stream(random);
        }
        let state = self.host.streams[place].grow(random);
        let is_last = state.last;
        if self.submit(Command::Stream(state)) && is_last {
            self.host.streams[place] = self.begin_stream(random);
        }
    }

    fn begin_stream(&mut self, random: &mut Random) -> StreamedReply {
        let mut state = StreamReply::new("", "").chat_id(&random.pick(&self.setup.chats).id);
        state.reply_to = random.chance(40).then(|| "m1".to_owned());
        self.host.begin_stream(state)
    }

    fn prime(&mut self, random: &mut Random) {
        let chat = random.pick(&self.setup.chats).clone();
        let mut remembered = Remembered::new(chat.platform);
        remembered.scope = Some("s".into());
        if let Some(process) = &mut self.gateway.process {
            // The texts are short, so this succeeds.
            let _ = process.machine.prime(&chat.id, remembered);
            process.model.primed(&chat.id, chat.platform);
        }
    }

    /// Returns the gateway's open link, if there is one.
    pub(crate) fn open_link(&self) -> Option<usize> {
        self.network.links.iter().position(|link| link.gateway && link.stage == Stage::Open)
    }
}
