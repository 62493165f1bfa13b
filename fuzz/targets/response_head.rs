#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| throng::http1::fuzzing::response_head(bytes));
