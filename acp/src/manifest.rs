//! The agent's commands, as the command manifest that a gateway declares to Discord.

use crate::texts::one_line;
use agent_client_protocol_schema::{AvailableCommand, AvailableCommandInput};
use serde_json::{Value, json};

/// Maximum length of a name, of a description and of an option's description, in characters: Discord's limits.
const MAX_NAME: usize = 32;
const MAX_DESCRIPTION: usize = 100;
/// Type of an option that is a text.
const TEXT_OPTION: u8 = 3;
/// Command of the gateway itself.
const STOP: &str = "stop";

/// Returns the manifest of these commands and of `/stop`. `None` without any command of the agent.
pub(crate) fn manifest(commands: &[AvailableCommand]) -> Option<Vec<Value>> {
    if commands.is_empty() {
        return None;
    }
    let stop = json!({ "name": STOP, "description": "Stops the agent's current turn" });
    let declared = commands.iter().filter(|command| command.name != STOP).map(|command| {
        let mut declared = json!({ "name": command.name, "description": describe(&command.description) });
        if let Some(AvailableCommandInput::Unstructured(input)) = &command.input {
            let hint = describe(&input.hint);
            declared["options"] =
                json!([{ "type": TEXT_OPTION, "name": "input", "description": hint, "required": false }]);
        }
        declared
    });
    Some(declared.chain([stop]).collect())
}

/// Returns the commands that can be declared, at most `max`, each once.
pub(crate) fn usable(commands: Vec<AvailableCommand>, max: usize) -> Vec<AvailableCommand> {
    let mut usable: Vec<AvailableCommand> = Vec::new();
    for command in commands {
        let is_new = usable.iter().all(|known| known.name != command.name);
        if usable.len() < max && is_new && is_name(&command.name) {
            usable.push(command);
        }
    }
    usable
}

/// Returns true if Discord accepts the name of a command.
fn is_name(name: &str) -> bool {
    let length = name.chars().count();
    let is_allowed = |c: char| c == '-' || c == '_' || (c.is_alphanumeric() && !c.is_uppercase());
    (1..=MAX_NAME).contains(&length) && name.chars().all(is_allowed)
}

/// Returns a description that Discord accepts.
fn describe(text: &str) -> String {
    let text = one_line(text, MAX_DESCRIPTION);
    if text.is_empty() { "-".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use agent_client_protocol_schema::UnstructuredCommandInput;

    fn command(name: &str) -> AvailableCommand {
        AvailableCommand::new(name, "does\nit")
    }

    #[test]
    fn commands_become_a_manifest_with_stop() {
        let input = AvailableCommandInput::Unstructured(UnstructuredCommandInput::new("what to plan"));
        let declared = manifest(&[command("plan").input(input), command("stop")]).unwrap();
        let option = json!({"type": 3, "name": "input", "description": "what to plan", "required": false});
        assert_eq!(declared[0], json!({"name": "plan", "description": "does it", "options": [option]}));
        assert_eq!((declared[1]["name"].as_str(), declared.len()), (Some("stop"), 2));
        assert_eq!(manifest(&[]), None);
    }

    #[test]
    fn commands_that_discord_would_refuse_are_left_out() {
        let names = ["plan", "Plan", "a b", "", "mcp:x", "größe", "plan", &"x".repeat(33), "last"];
        let usable = usable(names.iter().map(|name| command(name)).collect(), 3);
        assert_eq!(
            usable.iter().map(|command| command.name.as_str()).collect::<Vec<_>>(),
            ["plan", "größe", "last"]
        );
        assert_eq!(describe(" \n"), "-");
        assert_eq!(describe(&"x".repeat(200)).chars().count(), 100);
    }
}
