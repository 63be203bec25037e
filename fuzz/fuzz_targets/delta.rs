//! Any bytes as a delta: no panic, and what is read is written back to something that reads the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mmsb::base::codec::{Reader, Writer};
use mmsb::page::delta::Delta;

fuzz_target!(|bytes: &[u8]| {
    let Ok(delta) = Delta::decode(&mut Reader::new(bytes)) else { return };
    let mut again = Writer::default();
    delta.encode(&mut again);
    let mut reader = Reader::new(again.as_slice());
    assert_eq!(Delta::decode(&mut reader).expect("what was written is read"), delta);
    assert_eq!(reader.left(), 0);
});
