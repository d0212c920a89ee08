//! The gateway, its guard and its agent as processes: how each of them can end, and what is left then.

mod gateway;
mod group;
mod restart;
mod signals;
