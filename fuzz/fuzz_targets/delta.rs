//! Any bytes as a delta: no panic, what is read is written back to something that does the same, and that comes back as it
//! is. Moving past it moves as far.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mmsb::base::codec::{Reader, Writer};
use mmsb::page::delta::{Delta, Part};
use mmsb::page::error::PageError;

fn encoded(delta: &Delta<'_>) -> Writer {
    let mut bytes = Writer::default();
    delta.encode(&mut bytes);
    bytes
}

/// The parts one by one, where they are wanted.
fn in_parts<'b>(bytes: &'b [u8], wanted: bool) -> Result<Vec<Part<'b>>, PageError> {
    let (mut input, mut parts) = (Reader::new(bytes), Vec::new());
    let begin = |_, _| Ok(wanted.then_some(()));
    Delta::decode_parts(&mut input, begin, |(), part| {
        parts.push(part.clone());
        Ok::<(), PageError>(())
    })?;
    Ok(parts)
}

fuzz_target!(|bytes: &[u8]| {
    // Whatever the bytes are, parts come out alike, and those that nobody wants do no harm.
    let (parts, _) = (in_parts(bytes, true), in_parts(bytes, false));
    assert_eq!(parts.ok(), Delta::decode(&mut Reader::new(bytes)).ok().map(|delta| delta.parts));
    let Ok(delta) = Delta::decode(&mut Reader::new(bytes)) else { return };
    // A list of rows that is a range comes back as one.
    let first = encoded(&delta);
    let mut reader = Reader::new(first.as_slice());
    let same = Delta::decode(&mut reader).expect("what was written is read");
    assert_eq!(reader.left(), 0);
    assert_eq!((same.page, same.op, same.parts.len()), (delta.page, delta.op, delta.parts.len()));
    for (same, part) in same.parts.iter().zip(&delta.parts) {
        assert_eq!((same.column, &same.data), (part.column, &part.data));
    }
    let second = encoded(&same);
    assert_eq!(Delta::decode(&mut Reader::new(second.as_slice())).as_ref(), Ok(&same));
    let mut reader = Reader::new(first.as_slice());
    assert_eq!(Delta::skip(&mut reader).expect("what can be read can be passed over"), delta.page);
    assert_eq!(reader.left(), 0);
});
