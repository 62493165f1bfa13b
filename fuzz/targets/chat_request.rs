#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| throng::dialect::fuzzing::chat_request(bytes));
