#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| throng::http1::fuzzing::request_head(bytes));
