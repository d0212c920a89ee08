//! Oversized inputs. Those of peers are accepted or wait; commands of the host are refused.

use super::random::Random;
use super::users;
use super::world::World;
use relayline_core::chats::Chat as Remembered;
use relayline_core::command::{Command, MAX_ID_BYTES, Metadata};
use relayline_core::op::{GetChatInfo, Prompt, PromptOption, SendMessage, StreamReply};
use relayline_core::prompts::MAX_OPTIONS;

/// Maximum size of an event, in bytes. It fits a line, and the queue of a connector with a limit of 8 KiB.
const MAX_EVENT_BYTES: usize = 4000;
/// Size of an event without its text and its id, in bytes.
const EVENT_OVERHEAD_BYTES: usize = 900;

impl World<'_> {
    pub(crate) fn oversized(&mut self, random: &mut Random) {
        if random.chance(60) { self.say_oversized(random) } else { self.request_oversized(random) }
    }

    fn say_oversized(&mut self, random: &mut Random) {
        let most = self.setup.config.limits.max_line_bytes.min(MAX_EVENT_BYTES) - EVENT_OVERHEAD_BYTES;
        let serial = self.next_serial();
        let chat = random.pick(&self.setup.chats).clone();
        let size = random.index(most);
        let long_id = random.chance(30);
        let padding = if long_id { 0 } else { size / "la ".len() };
        let mut user_event = users::message(serial, &chat, random.below(4), true, padding);
        if long_id {
            let message_id = format!("m{serial}{}", "x".repeat(size));
            user_event.key = Some(users::key_of(&chat, &message_id));
            user_event.content.insert("message_id".to_owned(), message_id.into());
        }
        self.deliver(serial, user_event, random.chance(70).then_some(true));
    }

    fn request_oversized(&mut self, random: &mut Random) {
        let long = "x".repeat(MAX_ID_BYTES + 1 + random.index(5000));
        let chat_id = random.pick(&self.setup.chats).id.clone();
        let limit = self.setup.config.limits.write_queue_bytes;
        let option = |n: usize| PromptOption::new(n, "");
        let command = match random.below(7) {
            0 => Command::from(SendMessage::new(long, "")),
            1 => Command::from(GetChatInfo::new(long)),
            2 => Command::from(SendMessage::new(chat_id, "x".repeat(limit + 1))),
            3 => {
                let many = MAX_OPTIONS + 1 + random.index(60);
                Command::from(Prompt::new(chat_id, "", (0..many).map(option).collect::<Vec<_>>()))
            }
            4 => Command::Stream(StreamReply::new(long, "").chat_id(chat_id)),
            5 => {
                let metadata = Metadata::from_iter([("m".to_owned(), "x".repeat(limit).into())]);
                let stream = format!("huge {}", random.draw());
                Command::Stream(StreamReply::new(stream, "").chat_id(chat_id).metadata(metadata))
            }
            _ => return self.prime_oversized(&chat_id, long),
        };
        let name = command.name();
        let is_accepted = self.submit(command);
        self.oracle.check("X-1", "what-is-too-large-is-refused", !is_accepted, || {
            format!("{name} of a hostile size was accepted")
        });
    }

    fn prime_oversized(&mut self, chat_id: &str, long: String) {
        let Some(process) = &mut self.gateway.process else { return };
        let before = process.machine.chat(chat_id).cloned();
        let mut remembered = Remembered::default();
        remembered.scope = Some(long.into());
        let primed = process.machine.prime(chat_id, remembered);
        let is_kept = process.machine.chat(chat_id) == before.as_ref();
        process.model.prime_refused();
        self.oracle
            .check("M-6", "a-primed-text-is-bounded", primed.is_err() && is_kept, || format!("{primed:?}"));
    }
}
