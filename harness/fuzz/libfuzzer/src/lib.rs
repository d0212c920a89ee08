//! The macro that makes each program here.

#[doc(hidden)]
pub use {libfuzzer_sys, relayline_fuzz};

/// Defines a program that passes libFuzzer's inputs to the target of that name.
#[macro_export]
macro_rules! fuzz {
    ($name:literal) => {
        static TARGET: std::sync::OnceLock<$crate::relayline_fuzz::Target> = std::sync::OnceLock::new();

        $crate::libfuzzer_sys::fuzz_target!(|data: &[u8]| {
            let find = || $crate::relayline_fuzz::target($name).expect("there is a target of that name");
            (TARGET.get_or_init(find).run)(data)
        });
    };
}
