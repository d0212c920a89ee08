//! Disposition of SIGHUP at the start of the program.

/// Tells whether SIGHUP is to be left alone: it is ignored, as under `nohup`, or that cannot be known. Unless it is
/// ignored, its default then ends the program.
pub(crate) fn hangup_is_ignored() -> bool {
    // Only Linux tells without a call that is unsafe.
    let status = std::fs::read_to_string("/proc/self/status");
    status.ok().and_then(|status| is_in_mask(&status)).unwrap_or(true)
}

/// Reads the mask of ignored signals from a process's status.
fn is_in_mask(status: &str) -> Option<bool> {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
    let mask = u64::from_str_radix(mask.trim(), 16).ok()?;
    Some(mask & 1 << (signal_hook::consts::SIGHUP - 1) != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mask_of_ignored_signals_is_read() {
        let status =
            |mask: &str| format!("Name:\tx\nSigBlk:\t0000000000000001\nSigIgn:\t{mask}\nSigCgt:\t0\n");
        assert_eq!(is_in_mask(&status("0000000000001001")), Some(true));
        assert_eq!(is_in_mask(&status("0000000000001000")), Some(false));
        assert_eq!(is_in_mask("Name:\tx\n"), None);
    }
}
