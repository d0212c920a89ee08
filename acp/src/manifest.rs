//! The agent's commands, as the command manifest that a gateway declares to Discord.

use crate::texts::one_line;
use agent_client_protocol_schema::{AvailableCommand, AvailableCommandInput, UnstructuredCommandInput};
use serde_json::{Value, json};

/// Maximum length of a name, of a description and of an option's description, in characters: Discord's limits.
const MAX_NAME: usize = 32;
const MAX_DESCRIPTION: usize = 100;
/// Maximum number of commands, `/stop` included: Discord's limit.
const MAX_COMMANDS: usize = 100;
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
    let declared =
        commands.iter().filter(|command| command.name != STOP).take(MAX_COMMANDS - 1).map(|command| {
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
            usable.push(bounded(command));
        }
    }
    usable
}

/// Returns a command with what is declared of it.
fn bounded(command: AvailableCommand) -> AvailableCommand {
    let bounded = AvailableCommand::new(command.name, one_line(&command.description, MAX_DESCRIPTION));
    match command.input {
        Some(AvailableCommandInput::Unstructured(input)) => {
            let input = UnstructuredCommandInput::new(one_line(&input.hint, MAX_DESCRIPTION));
            bounded.input(AvailableCommandInput::Unstructured(input))
        }
        _ => bounded,
    }
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
    fn x_1_a_command_is_kept_without_the_rest() {
        let long = "y".repeat(10_000);
        let input = AvailableCommandInput::Unstructured(UnstructuredCommandInput::new(long.as_str()));
        let command = AvailableCommand::new("plan", long.as_str()).input(input);
        let meta = serde_json::Map::from_iter([("long".to_owned(), json!(long))]);
        let kept = usable(vec![command.meta(meta)], 9);
        assert!(serde_json::to_string(&kept).unwrap().len() < 400, "{kept:?}");
    }

    #[test]
    fn discord_takes_a_hundred_commands_with_stop() {
        let commands: Vec<_> = (0..100).map(|number| command(&format!("c{number}"))).collect();
        let declared = manifest(&commands).unwrap();
        assert_eq!((declared.len(), declared[99]["name"].as_str()), (100, Some("stop")));
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
