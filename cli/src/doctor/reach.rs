//! Name look-up and TCP connection, to the connector or to its proxy.

use super::{Findings, Stop};
use crate::gateway::RuntimeName;
use futures_util::future::{Either, select};
use relayline_control::config::GatewayConfig;
use relayline_control::http::Unreachable;
use relayline_runtime::{CurrentRuntime, Runtime};
use std::io;
use std::pin::pin;
use std::time::Duration;

/// Looks up the name and connects, like the first steps of a dial.
pub(super) fn reach(
    runtime: RuntimeName,
    config: &GatewayConfig,
    findings: &mut Findings,
) -> Result<(), Stop> {
    let url = &config.url;
    let proxy = config.network.proxies.choose(url.is_secure(), url.host(), url.port());
    let (host, port, whose) = match proxy {
        Some(proxy) => (proxy.host(), proxy.port(), " (the proxy)"),
        None => (url.host().trim_matches(['[', ']']), url.port(), ""),
    };
    let (timeout, steps) = (config.machine.timing.dial_timeout, Steps { host, port, whose });
    match runtime {
        RuntimeName::Tokio => runtime
            .run(|| async { Ok(steps.take(relayline_tokio::Tokio::current()?, timeout, findings).await) })?,
        RuntimeName::Smol => {
            runtime.run(|| async { Ok(steps.take(relayline_smol::Smol, timeout, findings).await) })?
        }
    }
}

struct Steps<'a> {
    host: &'a str,
    port: u16,
    whose: &'a str,
}

impl Steps<'_> {
    async fn take<R: Runtime>(
        &self,
        runtime: R,
        timeout: Duration,
        findings: &mut Findings,
    ) -> Result<(), Stop> {
        let Steps { host, port, whose } = self;
        findings.wait("dns", timeout);
        let found = within(&runtime, timeout, runtime.look_up((*host).to_owned(), *port)).await;
        let addresses = match found {
            Ok(addresses) if !addresses.is_empty() => addresses,
            Ok(_) => {
                let none = Unreachable::Name("it has no address".into());
                return Err(findings.stop("dns", format_args!("{host}{whose}: {none}")));
            }
            Err(error) => {
                let why = Unreachable::Name(error.to_string());
                return Err(findings.stop("dns", format_args!("{host}{whose}: {why}")));
            }
        };
        let list: Vec<String> = addresses.iter().map(|address| address.ip().to_string()).collect();
        findings.ok("dns", format_args!("{host}{whose} is {}", list.join(", ")));
        findings.wait("tcp", timeout * u32::try_from(addresses.len()).unwrap_or(1));
        let mut why = None;
        for address in addresses {
            match within(&runtime, timeout, runtime.connect(address)).await {
                Ok(_) => {
                    findings.ok("tcp", format_args!("{address}{whose} accepts connections"));
                    return Ok(());
                }
                Err(error) => why = Some((address, error)),
            }
        }
        let why = why
            .map(|(address, error)| format!("{address}{whose}: {}", Unreachable::Connect(error.to_string())));
        Err(findings.stop("tcp", why.unwrap_or_default()))
    }
}

async fn within<T>(
    runtime: &impl Runtime,
    timeout: Duration,
    what: impl Future<Output = io::Result<T>>,
) -> io::Result<T> {
    match select(pin!(what), pin!(runtime.sleep(timeout))).await {
        Either::Left((done, _)) => done,
        Either::Right(_) => {
            Err(io::Error::new(io::ErrorKind::TimedOut, format!("nothing within {} s", timeout.as_secs())))
        }
    }
}
