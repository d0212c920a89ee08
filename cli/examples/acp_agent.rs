//! Scripted agent of the tests of `run --acp`, on the official SDK. The text of a prompt is its script: words separated
//! by `;`, as in `say hello; tool Read; ask Run ls; end refusal`.
//!
//! Its arguments are features: `resume`, `load`, `close`, `image`, `commands`, `no-account`, `login`, `version-2`.
#![allow(clippy::unwrap_used)] // A test helper.

use agent_client_protocol::schema::{
    AgentCapabilities, AuthMethod, AuthMethodAgent, AuthenticateRequest, AuthenticateResponse,
    AvailableCommand, AvailableCommandsUpdate, CancelNotification, CloseSessionRequest, CloseSessionResponse,
    ContentBlock, ContentChunk, Error, Implementation, InitializeRequest, InitializeResponse,
    LoadSessionRequest, LoadSessionResponse, MessageId, NewSessionRequest, NewSessionResponse,
    PermissionOption, PermissionOptionKind, Plan, PlanEntry, PlanEntryPriority, PlanEntryStatus,
    PromptCapabilities, PromptRequest, PromptResponse, ReadTextFileRequest, RequestPermissionOutcome,
    RequestPermissionRequest, ResumeSessionRequest, ResumeSessionResponse, SessionCapabilities,
    SessionCloseCapabilities, SessionId, SessionNotification, SessionResumeCapabilities, SessionUpdate,
    StopReason, ToolCall, ToolCallStatus, ToolCallUpdate, ToolCallUpdateFields,
};
use agent_client_protocol::{Agent, Client, ConnectionTo, Result, Stdio};
use std::collections::HashSet;
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// State of the process.
#[derive(Clone, Default)]
struct State(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    features: HashSet<String>,
    sessions: usize,
    cancelled: HashSet<String>,
    is_logged_in: bool,
}

impl State {
    fn with<T>(&self, change: impl FnOnce(&mut Inner) -> T) -> T {
        change(&mut self.0.lock().unwrap())
    }

    fn has(&self, feature: &str) -> bool {
        self.with(|state| state.features.contains(feature))
    }

    fn is_cancelled(&self, session: &SessionId) -> bool {
        self.with(|state| state.cancelled.contains(&*session.0))
    }
}

fn initialize(state: &State) -> InitializeResponse {
    let mut sessions = SessionCapabilities::new();
    sessions.resume = state.has("resume").then(SessionResumeCapabilities::new);
    sessions.close = state.has("close").then(SessionCloseCapabilities::new);
    let prompts = PromptCapabilities::new().image(state.has("image"));
    let mut capabilities =
        AgentCapabilities::new().load_session(state.has("load")).prompt_capabilities(prompts);
    capabilities.session_capabilities = sessions;
    let version = if state.has("version-2") { 2 } else { 1 };
    let method = AuthMethod::Agent(AuthMethodAgent::new("login", "Log in"));
    InitializeResponse::new(version.into())
        .agent_capabilities(capabilities)
        .agent_info(Implementation::new("scripted", "1"))
        .auth_methods(vec![method])
}

fn update(cx: &ConnectionTo<Client>, session: &SessionId, update: SessionUpdate) -> Result<()> {
    cx.send_notification(SessionNotification::new(session.clone(), update))
}

fn say(cx: &ConnectionTo<Client>, session: &SessionId, text: &str) -> Result<()> {
    update(cx, session, SessionUpdate::AgentMessageChunk(ContentChunk::new(text.into())))
}

/// Waits without a runtime.
async fn pause(time: Duration) {
    smol::Timer::after(time).await;
}

fn write(bytes: &[u8]) {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(bytes).and_then(|()| stdout.flush()).unwrap();
}

/// Runs the script of a prompt.
async fn run(state: &State, cx: &ConnectionTo<Client>, prompt: &PromptRequest) -> Result<StopReason> {
    let session = &prompt.session_id;
    let script = prompt.prompt.iter().rev().find_map(|block| match block {
        ContentBlock::Text(text) => Some(text.text.clone()),
        _ => None,
    });
    for step in script.unwrap_or_default().split(';') {
        let (word, rest) = step.trim().split_once(' ').unwrap_or((step.trim(), ""));
        if state.is_cancelled(session) {
            return Ok(StopReason::Cancelled);
        }
        match word {
            "say" => say(cx, session, rest)?,
            "blocks" => {
                let kind = |block: &ContentBlock| match block {
                    ContentBlock::Text(_) => "text".to_owned(),
                    ContentBlock::Image(image) => format!("image {} {}", image.mime_type, image.data),
                    ContentBlock::ResourceLink(link) => {
                        let path = link.uri.strip_prefix("file://").unwrap_or_default();
                        format!("link {} {}", link.name, std::fs::read_to_string(path).unwrap_or_default())
                    }
                    _ => "other".to_owned(),
                };
                say(cx, session, &prompt.prompt.iter().map(kind).collect::<Vec<_>>().join(", "))?;
            }
            "message" => {
                let (id, text) = rest.split_once(' ').unwrap_or((rest, ""));
                let chunk = ContentChunk::new(text.into()).message_id(MessageId::new(id));
                update(cx, session, SessionUpdate::AgentMessageChunk(chunk))?;
            }
            "think" => update(cx, session, SessionUpdate::AgentThoughtChunk(ContentChunk::new(rest.into())))?,
            "tool" => {
                let call = ToolCall::new(rest.to_owned(), rest.to_owned()).status(ToolCallStatus::InProgress);
                update(cx, session, SessionUpdate::ToolCall(call))?;
            }
            "done" | "failed" => {
                let mut fields = ToolCallUpdateFields::new();
                fields.status =
                    Some(if word == "done" { ToolCallStatus::Completed } else { ToolCallStatus::Failed });
                let call = ToolCallUpdate::new(rest.to_owned(), fields);
                update(cx, session, SessionUpdate::ToolCallUpdate(call))?;
            }
            "plan" => {
                let entry = |text: &str| {
                    PlanEntry::new(text.trim(), PlanEntryPriority::High, PlanEntryStatus::InProgress)
                };
                let plan = Plan::new(rest.split(',').map(entry).collect());
                update(cx, session, SessionUpdate::Plan(plan))?;
            }
            "ask" => {
                let mut fields = ToolCallUpdateFields::new();
                fields.title = Some(rest.to_owned());
                let options = vec![
                    PermissionOption::new("allow it", "Allow", PermissionOptionKind::AllowOnce),
                    PermissionOption::new("reject it", "Reject", PermissionOptionKind::RejectOnce),
                ];
                let request =
                    RequestPermissionRequest::new(session.clone(), ToolCallUpdate::new("t", fields), options);
                let answer = cx.send_request(request).block_task().await?;
                say(
                    cx,
                    session,
                    &match answer.outcome {
                        RequestPermissionOutcome::Selected(selected) => format!("<{}>", selected.option_id.0),
                        _ => "<cancelled>".to_owned(),
                    },
                )?;
            }
            "file" => {
                let read = cx.send_request(ReadTextFileRequest::new(session.clone(), "/etc/hostname"));
                let refused = read.block_task().await.unwrap_err();
                say(cx, session, &format!("<{}>", i32::from(refused.code)))?;
            }
            "flood" => {
                for _ in 0..rest.parse().unwrap() {
                    say(cx, session, "x")?;
                }
            }
            // Not through the SDK: it does not end with the turn. A line takes longer to read than to write.
            "endless" => {
                let params = "1,".repeat(2000);
                let line = format!("{{\"jsonrpc\":\"2.0\",\"method\":\"_x\",\"params\":[{params}1]}}\n");
                let lines = line.repeat(16);
                std::thread::spawn(move || while std::io::stdout().write_all(lines.as_bytes()).is_ok() {});
            }
            "until-cancelled" => {
                while !state.is_cancelled(session) {
                    pause(Duration::from_millis(5)).await;
                }
                say(cx, session, "too late")?;
            }
            "deaf" => std::future::pending().await,
            "environment" => {
                let secret = std::env::var("GATEWAY_RELAY_SECRET");
                say(cx, session, if secret.is_ok() { "<a secret>" } else { "<no secret>" })?;
            }
            "log" => eprintln!("{rest}"),
            // Not through the SDK, which writes valid lines only.
            "junk" => write(b"\xff{not json\n[[[[\n{\"jsonrpc\":\"2.0\",\"id\":77,\"result\":1}\n"),
            "long" => write(&[vec![b'x'; 17 << 20], b"\n".to_vec()].concat()),
            "die" => std::process::abort(),
            "wait" => pause(Duration::from_millis(rest.parse().unwrap())).await,
            "error" => return Err(Error::internal_error().data(serde_json::Value::from(rest))),
            "end" => {
                return Ok(match rest {
                    "max_tokens" => StopReason::MaxTokens,
                    "refusal" => StopReason::Refusal,
                    _ => StopReason::EndTurn,
                });
            }
            _ => say(cx, session, &format!("you said: {step}"))?,
        }
    }
    Ok(if state.is_cancelled(session) { StopReason::Cancelled } else { StopReason::EndTurn })
}

fn main() -> Result<()> {
    let state = State::default();
    state.with(|state| state.features = std::env::args().skip(1).collect());
    smol::block_on(serve(state))
}

async fn serve(state: State) -> Result<()> {
    let (on_init, on_login, on_new) = (state.clone(), state.clone(), state.clone());
    let (on_load, on_prompt, on_cancel) = (state.clone(), state.clone(), state);
    Agent
        .builder()
        .on_receive_request(
            async move |_: InitializeRequest, responder, _| responder.respond(initialize(&on_init)),
            agent_client_protocol::on_receive_request!(),
        )
        .on_receive_request(
            async move |_: AuthenticateRequest, responder, _| {
                on_login.with(|state| state.is_logged_in = true);
                responder.respond(AuthenticateResponse::new())
            },
            agent_client_protocol::on_receive_request!(),
        )
        .on_receive_request(
            async move |_: NewSessionRequest, responder, cx: ConnectionTo<Client>| {
                if on_new.has("no-account") && !on_new.with(|state| state.is_logged_in) {
                    return responder.respond_with_error(Error::auth_required());
                }
                let number = on_new.with(|state| {
                    state.sessions += 1;
                    state.sessions
                });
                let session = SessionId::new(format!("session-{}-{number}", std::process::id()));
                responder.respond(NewSessionResponse::new(session.clone()))?;
                if on_new.has("commands") {
                    let commands = vec![AvailableCommand::new("plan", "Makes a plan")];
                    let commands =
                        SessionUpdate::AvailableCommandsUpdate(AvailableCommandsUpdate::new(commands));
                    update(&cx, &session, commands)?;
                }
                Ok(())
            },
            agent_client_protocol::on_receive_request!(),
        )
        .on_receive_request(
            async move |load: LoadSessionRequest, responder, cx: ConnectionTo<Client>| {
                say(&cx, &load.session_id, "an old answer")?;
                responder.respond(LoadSessionResponse::new())
            },
            agent_client_protocol::on_receive_request!(),
        )
        .on_receive_request(
            async move |resume: ResumeSessionRequest, responder, _| {
                let _ = (&on_load, resume);
                responder.respond(ResumeSessionResponse::new())
            },
            agent_client_protocol::on_receive_request!(),
        )
        .on_receive_request(
            async move |_: CloseSessionRequest, responder, _| responder.respond(CloseSessionResponse::new()),
            agent_client_protocol::on_receive_request!(),
        )
        .on_receive_request(
            async move |prompt: PromptRequest, responder, cx: ConnectionTo<Client>| {
                on_prompt.with(|state| state.cancelled.remove(&*prompt.session_id.0));
                let (state, connection) = (on_prompt.clone(), cx.clone());
                cx.spawn(async move {
                    let ended = run(&state, &connection, &prompt).await;
                    responder.respond_with_result(ended.map(PromptResponse::new))
                })
            },
            agent_client_protocol::on_receive_request!(),
        )
        .on_receive_notification(
            async move |cancel: CancelNotification, _| {
                on_cancel.with(|state| state.cancelled.insert(cancel.session_id.0.to_string()));
                Ok(())
            },
            agent_client_protocol::on_receive_notification!(),
        )
        .connect_to(Stdio::new())
        .await
}
