//! `get_chat_info`: asks for a chat's name and type.

use super::Behavior;
use super::define::op;

op! {
    /// Asks for a chat's name and type. Completes with [`Reply::ChatInfo`](crate::command::Reply::ChatInfo).
    pub struct GetChatInfo: "get_chat_info", gate Always, returns ChatInfo {
        chat_id,
        platform,
    }
}

impl Behavior for GetChatInfo {}
