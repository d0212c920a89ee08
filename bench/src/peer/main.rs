//! `bench-peer`: the processes that `bench-all` starts, each in one role. It is a program of its own since `bench-all`
//! counts allocations, which slows each one down.
//!
//! A gateway or a connector prints its report as a line of JSON. It exits when its input ends, so it never outlives
//! `bench-all`. An agent exits when its gateway loses the connector.
#![allow(clippy::print_stdout)] // Its report.

mod agent;
mod bare;
mod connector;
mod crowd;
mod crowd_connector;
mod hand_written;
mod library;
mod meter;

use relayline_bench::workloads::workload;
use serde::Serialize;
use std::error::Error;
use std::io;
use std::process::{ExitCode, exit};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

const USAGE: &str = "\
bench-peer repeat WORKLOAD TIMES           calls a workload; valgrind counts its instructions
bench-peer send COUNT                      accepts a gateway, and sends it events
bench-peer answer                          accepts a gateway, and answers its requests
bench-peer receive RECEIVER PORT COUNT     receives events: hand-written, bare, tokio, smol
bench-peer request REQUESTER PORT COUNT    sends requests, one at a time: bare-tokio, bare-smol, tokio, smol
bench-peer pump PORT COUNT                 sends requests on tokio, many at a time
bench-peer serve TRANSPORT COUNT           accepts many gateways, and answers their pings: plain, tls
bench-peer idle PORT COUNT [CERTIFICATE]   connects many gateways, which have little traffic and then none
bench-peer agent receive COUNT             receives events as the agent of `relayline run`, and reports on stderr
bench-peer agent request COUNT             sends requests, many at a time, as such an agent";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match play(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench-peer {}: {error}", arguments.join(" "));
            ExitCode::FAILURE
        }
    }
}

/// Exits at the end of the input, which is the end of `bench-all`.
fn exit_with_parent() {
    std::thread::spawn(|| {
        // An input that cannot be read has ended, too.
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        exit(1);
    });
}

fn play(arguments: &[&str]) -> Result<()> {
    match *arguments {
        ["repeat", name, times] => {
            let mut run = workload(name).ok_or("no such workload")?;
            (0..times.parse::<u64>()?).for_each(|_| run());
            return Ok(());
        }
        // An agent's stdin and stdout are the bridge.
        ["agent", "receive", count] => return report_on_stderr(&agent::receive(count.parse()?)?),
        ["agent", "request", count] => return report_on_stderr(&agent::request(count.parse()?)?),
        _ => exit_with_parent(),
    }
    match *arguments {
        ["send", count] => connector::send(count.parse()?),
        ["answer"] => connector::answer(),
        ["receive", receiver, port, count] => {
            let (port, count) = (port.parse()?, count.parse()?);
            report(&match receiver {
                "hand-written" => relayline_tokio::block_on(hand_written::receive(port, count))?,
                "bare" => relayline_tokio::block_on(bare::receive(port, count))?,
                "tokio" => {
                    relayline_tokio::block_on(library::receive::<relayline_tokio::Tokio>(port, count))?
                }
                "smol" => relayline_smol::block_on(library::receive::<relayline_smol::Smol>(port, count))?,
                _ => return Err(USAGE.into()),
            }?)
        }
        ["request", requester, port, count] => {
            let (port, count) = (port.parse()?, count.parse()?);
            report(&match requester {
                "bare-tokio" => relayline_tokio::block_on(bare::request_on_tokio(port, count))?,
                "bare-smol" => relayline_smol::block_on(bare::request_on_smol(port, count))?,
                "tokio" => {
                    relayline_tokio::block_on(library::request::<relayline_tokio::Tokio>(port, count))?
                }
                "smol" => relayline_smol::block_on(library::request::<relayline_smol::Smol>(port, count))?,
                _ => return Err(USAGE.into()),
            }?)
        }
        ["pump", port, count] => {
            let (port, count) = (port.parse()?, count.parse()?);
            report(&relayline_tokio::block_on(library::pump::<relayline_tokio::Tokio>(port, count))??)
        }
        ["serve", transport @ ("plain" | "tls"), count] => {
            let serving = crowd_connector::serve(count.parse()?, transport == "tls");
            relayline_tokio::block_on(serving)?
        }
        ["idle", port, count, ref certificate @ ..] if certificate.len() <= 1 => {
            let idling = crowd::idle(port.parse()?, count.parse()?, certificate.first().copied());
            report(&relayline_tokio::block_on(idling)??)
        }
        _ => Err(USAGE.into()),
    }
}

/// Prints a report. Standard output is flushed at the end of each line.
fn report(report: &impl Serialize) -> Result<()> {
    println!("{}", serde_json::to_string(report)?);
    Ok(())
}

/// Prints a report on stderr.
fn report_on_stderr(report: &impl Serialize) -> Result<()> {
    eprintln!("{}", serde_json::to_string(report)?);
    Ok(())
}
