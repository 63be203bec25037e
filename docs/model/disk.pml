/* Commits that wait for the disk without the lock. See README.md beside this file.
 *
 * Such a commit appends its frame and makes `appended` lead to its root, gives the lock back, waits until the log is synced,
 * takes the lock again and shows its root, which shows all roots before it. Meanwhile others commit on top of it. So a
 * process may die with frames in the log that are not shown and without the lock, and a takeover meets living processes
 * that wait with roots of their own. Pins, journals and remote stacks are in arena.pml; here a block goes back at once.
 *
 * A root is a block and the one before it, which is shared with the root before: so a root that waits leads to blocks of
 * another process.
 */

#ifndef MUTANT
#define MUTANT 0
#endif
#ifndef K
#define K 3 /* blocks of a span */
#endif
#ifndef COMMITS
#define COMMITS 2 /* of each writer */
#endif
#ifndef DEATHS
#define DEATHS 2
#endif

#define SPANS 3
#define BLOCKS (SPANS * K)
#define LAST 2 /* comes when the others have ended */
#define NONE 15
#define BIT(b) (1 << (b))
#define HAS(set, b) (((set) >> (b)) & 1)
#define SPAN(b) ((b) / K)

/* Shared memory. */
byte root = 1;
byte appended = 1;
byte logged = 2;
byte holder = NONE;
bool unsettled = false; /* a takeover was begun and not finished */
byte owner[SPANS];
short remote[SPANS];
byte seq[BLOCKS]; /* 0 while it is being written */
byte below[BLOCKS];
/* Of each slot: the frame that waits for the disk, 0 = none; the block that it lets go; whether a takeover made it void. */
byte waits[SPANS];
byte noted[SPANS];
bool lapsed[SPANS];

bool alive[SPANS]; /* the kernel's */

/* Private memory. */
short free[SPANS];

/* Of the model. */
bool rests[SPANS];
bool over = false;
byte deaths = DEATHS;
byte faults = 1;

#define FREE (free[0] | free[1] | free[2] | remote[0] | remote[1] | remote[2])

/* Within a step. What is shown is in the log, whole, and all of it is there. */
inline store_root(b) {
    assert(seq[b] > seq[root] && seq[b] <= logged);
    assert(seq[below[b]] == seq[b] - 1 && !HAS(FREE, b) && !HAS(FREE, below[b]));
    root = b
}

/* Within a step. A block that is not reached any more goes back to whoever hands it out. */
inline give_back(b) {
    assert(!HAS(FREE, b) && b != root && b != below[root]);
    if
    :: owner[SPAN(b)] == me -> free[me] = free[me] | BIT(b)
    :: else -> remote[SPAN(b)] = remote[SPAN(b)] | BIT(b)
    fi
}

/* Of a span: its process is dead. */
#define ORPHAN(span) (owner[span] != me && !alive[owner[span]])

#if MUTANT == 3 /* there is a takeover only when the lock was taken from a dead process */
#define BROKEN (from)
#elif MUTANT == 4 /* nobody knows of a takeover that was not finished */
#define BROKEN (from || ORPHAN(0) || ORPHAN(1))
#else
#define BROKEN (from || unsettled || ORPHAN(0) || ORPHAN(1))
#endif

/* A new root on top of `appended`; `new` is NONE where there is no memory. */
inline make() {
    d_step {
        for (i : 0 .. SPANS - 1) {
            if
            :: owner[i] == me -> free[me] = free[me] | remote[i]; remote[i] = 0
            :: else
            fi
        }
        new = NONE;
        for (i : 0 .. BLOCKS - 1) {
            if
            :: new == NONE && HAS(free[me], i) -> new = i
            :: else
            fi
        }
        i = 0;
        if
        :: new != NONE -> free[me] = free[me] & ~BIT(new); seq[new] = 0
        :: else
        fi
    }
    if
    :: d_step { new != NONE -> seq[new] = seq[appended] + 1; below[new] = appended }
    :: else
    fi
}

inline adopt(s) {
    owner[s] = me;
    d_step {
        remote[s] = 0;
        for (i : 0 .. BLOCKS - 1) {
            if
            :: SPAN(i) == s && i != root && i != below[root] && i != noted[0] && i != noted[1] && i != noted[2] ->
                give_back(i)
            :: else
            fi
        }
        i = 0
    }
}

/* Roots that wait are void where they are not shown by now, and what dead processes' frames let go is given back. */
inline judge(s) {
    d_step {
        if
#if MUTANT == 6 /* roots that a later one has shown are void too */
        :: waits[s] != 0 -> noted[s] = NONE; lapsed[s] = alive[s]; waits[s] = 0
#else
        :: waits[s] > seq[root] -> noted[s] = NONE; lapsed[s] = alive[s]; waits[s] = 0
#endif
        :: else
        fi;
        if
        :: !alive[s] ->
            waits[s] = 0;
            if
            :: noted[s] != NONE -> i = noted[s]; noted[s] = NONE; give_back(i); i = 0
            :: else
            fi
        :: else
        fi
    }
}

/* As make, while `new` waits. */
inline make2() {
    d_step { spare = new }
    make();
    atomic { i = spare; spare = new; new = i; i = 0 }
}

inline take_over() {
    unsettled = true;
#if MUTANT == 2 /* unless the lock was a dead process's, its spans are adopted and nothing else is done */
    if
    :: from ->
        judge(0); judge(1); judge(2);
        appended = root
    :: else
    fi;
#else
    judge(0); judge(1); judge(2);
#if MUTANT != 5 /* a takeover leaves `appended` as it is */
    appended = root;
#endif
#endif
    do
    :: ORPHAN(0) -> adopt(0)
    :: !ORPHAN(0) && ORPHAN(1) -> adopt(1)
    :: else -> break
    od;
    do
    /* It fails, for whatever reason, and is left to the next who takes the lock. */
    :: d_step { seq[root] < logged && !crowded && faults > 0 && !over -> faults--; crowded = true }
#if MUTANT == 2
    :: from && seq[root] < logged && !crowded ->
#else
    :: seq[root] < logged && !crowded ->
#endif
        make2();
        if
        :: spare == NONE -> crowded = true
        :: else ->
            appended = spare;
            d_step { old = below[root]; store_root(spare) }
            d_step { give_back(old); old = NONE; spare = NONE }
        fi
    :: else -> break
    od;
    if
    :: !crowded -> unsettled = false
    :: else
    fi
}

inline take() {
    atomic {
        if
        :: holder == NONE -> from = false
        :: holder != NONE && holder != me && !alive[holder] -> from = true
        fi;
        holder = me
    }
    if
    :: BROKEN -> take_over()
    :: else
    fi
}

inline give() {
    atomic { holder = NONE; from = false; crowded = false }
}

/* What the frame that waited let go is given back. */
inline release() {
    d_step {
        old = noted[me]; noted[me] = NONE; waits[me] = 0;
        if
        :: old != NONE -> give_back(old); old = NONE
        :: else
        fi
    }
}

proctype Writer(byte me) {
    byte new = NONE, old = NONE, spare = NONE, mine = 0, i = 0, left = COMMITS;
    bool from = false, crowded = false;
    {
        do
        :: left > 0 ->
            left--;
            take();
            if
            :: unsettled -> give() /* there is no memory to finish the takeover */
            :: else ->
                make();
                if
                :: new == NONE -> give()
                :: else ->
                    d_step { logged++; mine = logged; assert(seq[new] == logged) }
                    d_step { appended = new; waits[me] = mine; lapsed[me] = false; noted[me] = below[below[new]] }
                    give();
                    /* Here the log is synced. */
                    take();
                    if
#if MUTANT != 1 /* nobody is told that a root that waits is void */
                    :: lapsed[me] -> d_step { give_back(new); lapsed[me] = false }
                    :: !lapsed[me] && seq[root] < mine ->
#else
                    :: seq[root] < mine ->
#endif
                        d_step { store_root(new) }
                        release()
                    /* A later root has shown it. */
                    :: else -> release()
                    fi;
                    assert(seq[root] >= mine || unsettled);
                    atomic { new = NONE; old = NONE; mine = 0 }
                    give()
                fi
            fi
        :: else -> break
        od;
        rests[me] = true;
end_idle: (me == LAST)
    } unless {
        atomic { !alive[me] -> new = NONE; old = NONE; spare = NONE; mine = 0; i = 0; from = false; crowded = false }
        rests[me] = true
    }
}

proctype Kernel() {
end:
    do
    :: d_step { !over && deaths > 0 && alive[0] -> deaths--; alive[0] = false; free[0] = 0 }
    :: d_step { !over && deaths > 0 && alive[1] -> deaths--; alive[1] = false; free[1] = 0 }
    od
}

init {
    byte b, s, n;
    d_step {
        seq[0] = 1; seq[1] = 2; below[1] = 0;
        owner[1] = 1; owner[2] = LAST;
        free[0] = (BIT(K) - 1) & ~3;
        free[1] = (BIT(K) - 1) << K;
        free[LAST] = (BIT(K) - 1) << (2 * K);
        noted[0] = NONE; noted[1] = NONE; noted[2] = NONE;
        alive[0] = true; alive[1] = true; alive[LAST] = true
    }
    atomic { run Kernel(); run Writer(0); run Writer(1) }
    d_step { rests[0] && rests[1] -> over = true }
    run Writer(LAST);
    rests[LAST];
    /* Every block that the root does not reach is free, and a living process's. */
    d_step {
        assert(seq[root] == logged && appended == root && !unsettled);
        for (b : 0 .. BLOCKS - 1) {
            n = 0;
            for (s : 0 .. SPANS - 1) { n = n + (alive[s] && HAS(free[s], b)) }
            n = n + HAS(remote[SPAN(b)], b) + (b == root || b == below[root]);
            assert(n == 1 && alive[owner[SPAN(b)]])
        }
    }
}
