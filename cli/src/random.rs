//! Randomness of the operating system.

/// Returns random bytes in lower-case hex.
///
/// # Errors
/// The system has no randomness.
pub(crate) fn hex<const BYTES: usize>() -> Result<String, getrandom::Error> {
    let mut random = [0; BYTES];
    getrandom::fill(&mut random)?;
    Ok(data_encoding::HEXLOWER.encode(&random))
}
