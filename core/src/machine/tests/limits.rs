//! nothing grows without bound, and every drop is counted.

use super::driver::{Rig, buffered, inbound, send};
use crate::command::Command;
use std::time::Duration;
