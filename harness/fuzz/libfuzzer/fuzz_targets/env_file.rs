#![no_main]

relayline_libfuzzer::fuzz!("env_file");
