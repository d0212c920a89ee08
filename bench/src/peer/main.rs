//! `bench-peer`: the processes that `bench-all` starts, each in one role. It is a program of its own since `bench-all`
//! counts allocations, which slows each one down.
//!
//! A process prints its report as a line of JSON. It exits when its input ends, so it never outlives `bench-all`.
#![allow(clippy::print_stdout)] // Its report.

mod bare;
mod connector;
mod hand_written;
mod library;
mod meter;

use serde::Serialize;
use std::error::Error;
use std::io;
use std::process::{ExitCode, exit};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

const USAGE: &str = "\
bench-peer send COUNT                      accepts a gateway, and sends it events
bench-peer answer                          accepts a gateway, and answers its requests
bench-peer receive RECEIVER PORT COUNT     receives events: hand-written, bare, tokio, smol
bench-peer request REQUESTER PORT COUNT    sends requests: bare-tokio, bare-smol, tokio, smol";

fn main() -> ExitCode {
    std::thread::spawn(|| {
        // The end of the input is the end of `bench-all`, whether or not it could be read.
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        exit(1);
    });
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match play(&arguments.iter().map(String::as_str).collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench-peer {}: {error}", arguments.join(" "));
            ExitCode::FAILURE
        }
    }
}

fn play(arguments: &[&str]) -> Result<()> {
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
        _ => Err(USAGE.into()),
    }
}

/// Prints a report. Standard output is flushed at the end of each line.
fn report(report: &impl Serialize) -> Result<()> {
    println!("{}", serde_json::to_string(report)?);
    Ok(())
}
