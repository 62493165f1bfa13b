#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| throng::proxy::fuzzing::proxy_header(bytes));
