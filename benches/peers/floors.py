"""Why no less was reached: what is told of a target that was missed."""

COMMIT = (
    "500 ns is the least of many bursts: the page's 4 KiB are copied, in some 4,700 instructions and "
    "20 atomic operations. The rest is the first touch of the log's file, 2 us for 4 KiB and so 150 "
    "ns for a commit, by a thread that may share the core. LMDB writes into one page in place and "
    "keeps no log"
)
PYTHON_COMMIT = (
    "a commit from Rust, and at least 450 ns to find out what the index and the value are; see the next one"
)
SPARSE = (
    "a commit copies each chunk of 8 KiB that it touches, and a tenth of these rows, here and there, "
    "touches every one: copying 8 MiB takes 180 to 300 ns a row"
)
CLIENTS = (
    "one sync serves 13 to 16 of 16 clients; beside it each of them is woken, 10 us one after the other, "
    "while the disk waits for the next"
)
CHANGED = (
    "256 pages one after the other, none in the caches: one page again and again takes 450 ns at the least"
)
SNAPSHOT = "eight atomic operations of 5 ns, four to take the pin and the bus and four to let go"
PYTHON_SNAPSHOT = (
    "220 ns by itself; the machine runs at half its speed for seconds on end, so that py-lmdb's takes 179 to "
    "520 ns in the same run"
)
WITH = (
    "330 ns by itself, 120 of them for `with`; the machine runs at half its speed for seconds on end, so "
    "that py-lmdb's takes 336 to 698 ns in the same run"
)
WHOLE = (
    "half is the kernel's pwrite, a third the copy into the page, a twelfth the checksum; done block by "
    "block, so that each finds the block in the caches, it took 5 to 8 % less, and was left out"
)
REPLAY = "decoding a delta takes a third of it, finding and fetching where it goes most of the rest"
REPLAY_LARGE = (
    "in this run the machine takes 0.69 us to read and checksum 1 KiB of log and 0.81 us to touch the memory "
    "that it goes to for the first time: 1.5 us in turn, where the target leaves 1.0"
)
PAST = (
    "checkpoints are 4 MiB of log apart at the least, and a writer at full speed gets ahead of them; what "
    "lies between one and the epoch is decompressed and played"
)
MEMORY = (
    "pages take 1,088 B each and their definitions 64 B: 1.16 GiB as they are laid out; the rest is "
    "Python, and memory kept ready"
)
