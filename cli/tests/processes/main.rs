//! The gateway, its guard and its agent as processes: how each of them can end, and what is left then.
#![cfg(unix)]
#![allow(clippy::unwrap_used)] // Helpers of tests are tests, too.

#[path = "../support/mod.rs"]
mod support;

mod gateway;
mod group;
mod restart;
mod signals;
