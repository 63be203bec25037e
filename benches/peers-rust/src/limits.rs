//! What the machine itself takes: the floor under everything else.
#![allow(unsafe_code)]

use std::fs::File;
use std::hint::black_box;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::ptr;

use crate::measure::{Failed, Scale, each, tell, timed};

const MIB: u64 = 1 << 20;

/// All of them.
pub fn all(scale: &Scale, folder: &Path) -> Result<(), Failed> {
    memory(scale)?;
    files(scale, folder)
}

/// Those of memory alone.
pub fn memory(scale: &Scale) -> Result<(), Failed> {
    copies(scale)?;
    first_touch(scale)
}

fn limit(name: &str, samples: &[f64]) {
    tell(name, "the machine", "", samples);
}

fn copies(scale: &Scale) -> Result<(), Failed> {
    let (from, mut to) = (vec![1u8; 4096], vec![2u8; 4096]);
    let copy = |n| {
        for _ in 0..n {
            to.copy_from_slice(black_box(&from));
            black_box(&mut to);
        }
        Ok(())
    };
    limit("memcpy of 4 KiB", &timed(scale.seconds, scale.samples, copy)?);
    let (from, mut to) = (vec![1u8; scale.large], vec![2u8; scale.large]);
    let copied = each(
        scale.samples,
        |_| Ok(()),
        |()| {
            to.copy_from_slice(black_box(&from));
            Ok(())
        },
    );
    limit("memcpy of 64 MiB", &copied?);
    to.copy_from_slice(&from);
    let compared = each(
        scale.samples,
        |_| Ok(()),
        |()| {
            assert!(black_box(&from) == black_box(&to));
            Ok(())
        },
    );
    limit("memcmp of 64 MiB", &compared?);
    Ok(())
}

/// Memory of the kernel, never used: the first byte written to each page of it costs a fault.
fn first_touch(scale: &Scale) -> Result<(), Failed> {
    let touched = each(
        scale.few,
        |_| Ok(()),
        |()| {
            let bytes = 16 * MIB as usize;
            // SAFETY: a new private mapping, written to inside its bounds and unmapped by the one who made it.
            unsafe {
                let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
                let at = libc::mmap(ptr::null_mut(), bytes, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0);
                assert!(at != libc::MAP_FAILED, "no memory for 16 MiB");
                libc::madvise(at, bytes, libc::MADV_NOHUGEPAGE);
                for page in (0..bytes).step_by(4096) {
                    at.cast::<u8>().add(page).write_volatile(1);
                }
                libc::munmap(at, bytes);
            }
            Ok(())
        },
    )?;
    let pages = 16.0 * MIB as f64 / 4096.0;
    limit("first touch of 4 KiB", &touched.into_iter().map(|all| all / pages).collect::<Vec<_>>());
    Ok(())
}

fn files(scale: &Scale, folder: &Path) -> Result<(), Failed> {
    let own = tempfile::tempdir_in(folder)?;
    let file = File::create(own.path().join("file"))?;
    file.write_all_at(&vec![0; 64 * MIB as usize], 0)?;
    file.sync_all()?;
    let mut next = 0;
    let mut write = |bytes: &[u8]| {
        next = (next + bytes.len() as u64) % (60 * MIB);
        file.write_all_at(bytes, next)
    };
    let wrote = timed(scale.seconds, scale.samples, |n| Ok((0..n).try_for_each(|_| write(&[7; 256]))?));
    limit("pwrite of 256 B", &wrote?);
    let synced = timed(scale.seconds, scale.samples, |n| {
        for _ in 0..n {
            write(&[7; 256])?;
            file.sync_data()?;
        }
        Ok(())
    });
    limit("pwrite of 256 B, fdatasync", &synced?);
    let data = vec![1; scale.large];
    let mut memory = vec![2; scale.large];
    let whole = File::create(own.path().join("whole"))?;
    let wrote = each(
        scale.few,
        |_| Ok(whole.set_len(0)?),
        |()| {
            memory.copy_from_slice(black_box(&data));
            Ok(whole.write_all_at(&data, 0)?)
        },
    );
    limit("memcpy and pwrite of 64 MiB", &wrote?);
    Ok(())
}

/// The least that a durable commit of 256 B takes, told among those that do it.
pub fn durable(scale: &Scale, folder: &Path) -> Result<(), Failed> {
    let own = tempfile::tempdir_in(folder)?;
    let file = File::create(own.path().join("file"))?;
    file.write_all_at(&vec![0; 16 * MIB as usize], 0)?;
    file.sync_all()?;
    let mut next = 0;
    let synced = timed(scale.seconds, scale.samples, |n| {
        for _ in 0..n {
            file.write_all_at(&[7; 256], next)?;
            file.sync_data()?;
            next = (next + 256) % (15 * MIB);
        }
        Ok(())
    });
    tell("commit", "the machine: pwrite, fdatasync", "disk", &synced?);
    Ok(())
}
