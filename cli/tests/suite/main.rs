//! Tests of the program: each runs it as a child process.
#![allow(clippy::unwrap_used)] // Helpers of tests are tests, too.

/// Runs each test on both runtimes, for behaviour that depends on them.
macro_rules! on_both_runtimes {
    ($($name:ident)*) => {
        mod tokio { $(#[test] fn $name() { super::$name("tokio"); })* }
        mod smol { $(#[test] fn $name() { super::$name("smol"); })* }
    };
}

/// Runs each test on one of the runtimes, alternating between them.
macro_rules! on_one_runtime {
    ($($first:ident $($second:ident)?),* $(,)?) => {
        mod tokio { $(#[test] fn $first() { super::$first("tokio"); })* }
        mod smol { $($(#[test] fn $second() { super::$second("smol"); })?)* }
    };
}

#[cfg(unix)]
mod acp;
mod bad_input;
mod boot;
#[cfg(unix)]
mod bridge;
#[cfg(unix)]
mod bridge_flow;
#[cfg(unix)]
mod bridge_media;
#[cfg(unix)]
mod bridge_ops;
#[cfg(unix)]
mod bridge_prompts;
#[cfg(unix)]
mod bridge_replies;
#[cfg(unix)]
mod bridge_verbatim;
mod bridging;
#[cfg(unix)]
mod conformance;
#[cfg(unix)]
mod conformance_connector;
#[cfg(unix)]
mod conformance_python;
mod connector_behaviours;
mod connector_http;
mod connector_likes;
mod connector_program;
#[cfg(unix)]
mod connector_state;
#[cfg(unix)]
mod connector_terminal;
#[cfg(unix)]
mod control;
#[cfg(unix)]
mod deliveries;
mod demo;
#[cfg(unix)]
mod demo_acp;
#[cfg(unix)]
mod dev;
mod doctor;
#[cfg(unix)]
mod drain;
#[cfg(unix)]
mod enroll;
#[cfg(unix)]
mod exec;
#[cfg(unix)]
mod files;
mod help;
#[cfg(unix)]
mod inspect;
#[cfg(unix)]
mod memory;
#[cfg(unix)]
mod metrics;
mod network;
#[cfg(unix)]
mod processes;
#[cfg(unix)]
mod queue;
mod readme;
#[cfg(unix)]
mod record;
#[cfg(unix)]
mod secrets;
mod side_car;
mod simulate;
#[cfg(unix)]
mod sleep;
#[cfg(unix)]
mod status;
mod support;
mod tokens;
mod view;
