//! `relayline demo --web`: the demo's agent, and a page of chats to type in.

use super::agent::AgentEvent;
use super::{AgentThread, DemoArguments, GATEWAY};
use crate::gateway::RuntimeName;
use crate::local_gateway::LocalGateway;
use crate::signals::Shutdown;
use crate::workbench::{WorkbenchParts, WorkbenchServer};
use crate::{complain, fail, run};
use futures_util::FutureExt;
use relayline_connector::chats::Platform;
use relayline_control::config::GatewayConfig;
use serde_json::json;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

/// Interval of checks of whether the gateway is to end.
const CHECK: Duration = Duration::from_millis(100);

/// Serves the page until a request to stop. Prints errors, and returns the exit code.
pub(super) fn run(arguments: &DemoArguments) -> ExitCode {
    serve(arguments).map_or_else(|code| code, |()| ExitCode::SUCCESS)
}

fn serve(arguments: &DemoArguments) -> Result<(), ExitCode> {
    let (shutdown, _) = run::watch_signals()?;
    let local = LocalGateway::start(arguments.runtime, GATEWAY, Platform::fakes(), true);
    let LocalGateway { connector, mut config } = local.map_err(|error| fail(1, error))?;
    config.machine.command_manifest = Some(vec![json!({
        "name": "status", "type": 1, "description": "Ask how the demo is",
    })]);
    let server = WorkbenchServer::start(WorkbenchParts {
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        flag: "--web",
        runtime: arguments.runtime,
        connector: Arc::new(connector),
        gateway: GATEWAY,
        restart: None,
    });
    let server = server.map_err(|(code, error)| fail(code, error))?;
    server.print_url(arguments.open)?;
    complain("write deploy, thanks, /status, /story, /think or /slow to the agent; Ctrl-C ends it");
    while shutdown.triggered().now_or_never().is_none() {
        serve_gateway(arguments.runtime, config.clone(), &shutdown).map_err(|error| fail(1, error))?;
        server.page().wait_until_admitted(&shutdown);
    }
    Ok(())
}

/// Runs the gateway and its agent until a request to stop, or until it is revoked.
fn serve_gateway(runtime: RuntimeName, config: GatewayConfig, shutdown: &Shutdown) -> Result<(), String> {
    let AgentThread { thread, relay, events } = AgentThread::start(runtime, config)?;
    if let Ok(relay) = relay.recv() {
        loop {
            match events.recv_timeout(CHECK) {
                Ok(AgentEvent::Over) | Err(RecvTimeoutError::Disconnected) => break,
                Ok(_) | Err(RecvTimeoutError::Timeout) => {}
            }
            if shutdown.triggered().now_or_never().is_some() {
                smol::block_on(relay.disconnect());
                break;
            }
        }
    }
    // The agent must not fail to report while it ends.
    while events.recv().is_ok() {}
    match thread.join() {
        Ok(ended) => ended.map_err(|error| error.to_string()),
        Err(_) => Err("the agent panicked".to_owned()),
    }
}
