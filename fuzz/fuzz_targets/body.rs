//! Any bytes as the body of a frame: every record is read or refused, without a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mmsb::page::body::records;

fuzz_target!(|bytes: &[u8]| {
    for record in records(bytes) {
        if record.is_err() {
            break;
        }
    }
});
