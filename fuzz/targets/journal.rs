#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| throng::journal::fuzzing::journal(bytes));
