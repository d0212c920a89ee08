//! The gateway, its guard and its agent as processes: the ways in which each can end, and the processes left then.

mod gateway;
mod group;
mod restart;
mod signals;
