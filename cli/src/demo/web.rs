//! `relayline demo --web`: the demo's agent, and a page of chats to type in.

use super::{DemoArguments, GATEWAY, agent};
use crate::gateway::RuntimeName;
use crate::local_gateway::LocalGateway;
use crate::signals::Shutdown;
use crate::workbench::{WorkbenchPage, WorkbenchParts, WorkbenchServer};
use crate::{browser, complain, fail, run};
use futures_util::FutureExt;
use relayline_connector::chats::Platform;
use relayline_control::config::GatewayConfig;
use serde_json::json;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

/// Interval of checks of whether the gateway has ended, or is admitted again.
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
    if crate::print(server.url()) != ExitCode::SUCCESS {
        return Err(ExitCode::from(1));
    }
    complain("write deploy, thanks, /status, /story, /think or /slow to the agent; Ctrl-C ends it");
    if arguments.open
        && let Err(error) = browser::open(server.url().as_ref())
    {
        complain(format_args!("{error}: open the URL above"));
    }
    while shutdown.triggered().now_or_never().is_none() {
        serve_gateway(arguments.runtime, config.clone(), &shutdown).map_err(|error| fail(1, error))?;
        wait_until_admitted(server.page(), &shutdown);
    }
    Ok(())
}

/// Runs the gateway and its agent until a request to stop, or until it is revoked.
fn serve_gateway(runtime: RuntimeName, config: GatewayConfig, shutdown: &Shutdown) -> Result<(), String> {
    let (events, received) = mpsc::channel();
    let (relays, relay) = mpsc::channel();
    let host = std::thread::Builder::new().name("agent".to_owned()).spawn(move || {
        runtime.host(config, None, |relay, inbox| async move {
            // This fails if the program has ended already.
            let _ = relays.send(relay.clone());
            agent::serve(relay, inbox, events).await;
        })
    });
    let host = host.map_err(|error| error.to_string())?;
    if let Ok(relay) = relay.recv() {
        loop {
            match received.recv_timeout(CHECK) {
                Ok(agent::AgentEvent::Over) | Err(mpsc::RecvTimeoutError::Disconnected) => break,
                Ok(_) | Err(mpsc::RecvTimeoutError::Timeout) => {}
            }
            if shutdown.triggered().now_or_never().is_some() {
                smol::block_on(relay.disconnect());
                break;
            }
        }
    }
    // The agent must not fail to report while it ends.
    while received.recv().is_ok() {}
    match host.join() {
        Ok(ended) => ended.map_err(|error| error.to_string()),
        Err(_) => Err("the agent panicked".to_owned()),
    }
}

/// Waits while the person at the page refuses the gateway.
fn wait_until_admitted(page: &WorkbenchPage, shutdown: &Shutdown) {
    page.set_revoked(true);
    while page.refuses_gateway() && shutdown.triggered().now_or_never().is_none() {
        std::thread::sleep(CHECK);
    }
    page.set_revoked(false);
}
