/* Processes that share one arena: writer death, pins, reclamation, takeover. See README.md beside this file.
 *
 * Two writers and one reader. Each may be killed between any two steps; a killed writer's slot may be claimed again. What is
 * one step here is one store, one load or one compare-and-swap in shared memory, with whatever private work goes with it.
 * Memory is sequentially consistent here; pins.pml has the store buffers.
 */

#ifndef MUTANT
#define MUTANT 0
#endif
#ifndef K
#define K 2 /* blocks of a span */
#endif
#ifndef COMMITS0
#define COMMITS0 2
#endif
#ifndef COMMITS1
#define COMMITS1 1
#endif
#ifndef PINS
#define PINS 1 /* how often the reader pins */
#endif
#ifndef DEATHS
#define DEATHS 1 /* of writers */
#endif
#ifndef CLAIMS
#define CLAIMS 1 /* how many of the dead writers' slots are claimed again */
#endif

#ifdef ROOMY /* no commit is ever refused for want of memory */
#define ENOUGH assert(me == LAST)
#else
#define ENOUGH skip
#endif

#define SPANS 3
#define BLOCKS (2 * K + 1) /* the last span has one */
#define LAST 2 /* the slot of a process that comes when all others have ended */
#define SLOTS 3
#define NONE 15
#define ALL 15 /* a pin in the making */

#if K > 3
#define SET short
#else
#define SET byte
#endif

#define BIT(b) (1 << (b))
#define HAS(set, b) (((set) >> (b)) & 1)
#define SPAN(b) ((b) / K)

/* Shared memory. */
byte root = 0;      /* the block of the published root: what readers see */
byte appended = 0;  /* the block that the next commit starts from */
byte shown = 1;     /* the word beside the root that says which frame is shown */
byte logged = 1;    /* frames in the log, which survives any process */
byte holder = NONE; /* the lock: who holds it, and for the how-manieth time anybody does */
byte generation = 0;
byte owner[SPANS];   /* the slot whose process hands out a span's blocks */
SET remote[SPANS];   /* a span's remote free stack: blocks that others gave back */
SET journal[SLOTS];  /* blocks in others' spans that a process retired and that wait for pins */
byte leaving = NONE; /* the block that is on its way from a journal to a stack; the lock guards it */
byte entry = 0;      /* the reader's pin: 0, a seq, or ALL */
/* A block: the number of the frame that made it, and how many frames' changes are in it; 0 while it is being written. */
byte seq[BLOCKS];
byte sum[BLOCKS];
/* The life of a block in a limbo or a journal. */
byte born[BLOCKS];
byte died[BLOCKS];

/* What the kernel says. */
bool alive[SLOTS];
bool reading = true;

/* Private memory, lost with its process. */
SET free[SLOTS];
SET limbo[SLOTS];

/* Of the model itself. */
bool holds[SLOTS]; /* believes that the lock is its own */
bool rests[SLOTS]; /* has made all its commits, or is dead for good */
bool over = false; /* no more deaths */
byte todo[SLOTS];
byte deaths = DEATHS;
byte claims = CLAIMS;

#define COVERED(p, b) ((p) == ALL || ((p) != 0 && born[b] <= (p) && (p) < died[b]))
#define JOURNALS (journal[0] | journal[1] | journal[2])
#define FREE (free[0] | free[1] | free[2] | remote[0] | remote[1] | remote[2])

/* No block is free twice, or free and reached by the published root. */
#define CHECK_FREED(b) assert(!HAS(FREE, b) && (b) != root)

/* A block joins the private free list, within a step. */
inline free_private(b) {
    CHECK_FREED(b);
    free[me] = free[me] | BIT(b);
    born[b] = 0;
    died[b] = 0
}

/* A block joins its span's remote stack, within a step. */
inline free_remote(b) {
    CHECK_FREED(b);
    remote[SPAN(b)] = remote[SPAN(b)] | BIT(b)
}

/* The lock is this process's, within a step. */
inline mine() {
    assert(!holds[0] && !holds[1] && !holds[2]);
    holder = me;
    generation++;
    holds[me] = true
}

inline take() {
    do
    :: d_step { holder == NONE -> mine(); asked = 0; was = NONE } break
#if MUTANT == 1 /* the lock is stolen by time */
    :: d_step { holder != NONE && holder != me -> was = holder; asked = generation }
#else
    :: d_step { holder != NONE && holder != me && !alive[holder] -> was = holder; asked = generation }
#endif
        d_step {
            if
#if MUTANT == 2 /* the lock's word has no generation */
            :: holder == was -> mine(); asked = 0
#else
            :: holder == was && generation == asked -> mine(); asked = 0
#endif
            :: else -> was = NONE; asked = 0
            fi
        }
        if
        :: holds[me] -> break
        :: else
        fi
    od
}

/* Within a step. */
inline give() {
    holder = NONE;
    holds[me] = false;
    was = NONE
}

/* What the lock guards is put right, whoever left it so. Nobody is asked whether he lives. */
inline settle() {
#if MUTANT != 3 /* `appended` is believed, and not the log */
    atomic {
        if
        :: appended != root -> appended = root
        :: else
        fi
    }
#endif
#if MUTANT != 17
    atomic {
        if
        :: shown != seq[root] -> shown = seq[root]
        :: else
        fi
    }
#endif
    /* A hand-over that was begun is finished. */
    if
    :: leaving != NONE ->
        d_step {
            for (d : 0 .. SLOTS - 1) { journal[d] = journal[d] & ~BIT(leaving) }
            d = 0
        }
#if MUTANT == 4 /* a block on its way to a stack is pushed again, the stack not being looked at */
        d_step { free_remote(leaving) }
#else
        d_step {
            if
            :: !HAS(remote[SPAN(leaving)], leaving) -> free_remote(leaving)
            :: else
            fi
        }
#endif
        leaving = NONE
    :: else
    fi;
    /* What was noted for a commit that was never shown is void. */
#if MUTANT != 5 /* what was noted for a commit that was never shown stays in the journal */
    d_step {
        for (i : 0 .. BLOCKS - 1) {
            if
            :: HAS(JOURNALS, i) && died[i] > seq[root] ->
                for (d : 0 .. SLOTS - 1) { journal[d] = journal[d] & ~BIT(i) }
            :: else
            fi
        }
        i = 0; d = 0
    }
#endif
}

/* A span becomes this process's, with all that nobody else can account for. */
inline adopt(s) {
    owner[s] = me;
#if MUTANT != 6 /* what lies on an adopted span's stack stays there and is taken for retired too */
    remote[s] = 0;
#endif
    d_step {
        for (i : 0 .. BLOCKS - 1) {
            if
#if MUTANT == 7 /* what lies in a living process's journal is adopted too */
            :: SPAN(i) == s && i != root ->
#else
            :: SPAN(i) == s && i != root && !HAS(JOURNALS, i) ->
#endif
#if MUTANT == 8 /* what no root reaches is free at once */
                free_private(i)
#else
                limbo[me] = limbo[me] | BIT(i);
                born[i] = 0;
                died[i] = seq[root]
#endif
            :: else
            fi
        }
        i = 0;
        fresh = fresh & ~BIT(s)
    }
}

/* Of a slot: its process is dead, and its journal is not empty. */
#define LEFT(slot) (slot != me && !alive[slot] && journal[slot] != 0)

/* Of a span: nobody can account for what is free in it. */
#if MUTANT == 9 /* only spans of whom the lock was taken from are adopted */
#define ORPHAN(span) (owner[span] != me && owner[span] == was)
#elif MUTANT == 10 /* a slot's new process does not take over what the old one left */
#define ORPHAN(span) (owner[span] != me && !alive[owner[span]])
#else
#define ORPHAN(span) (owner[span] != me && !alive[owner[span]] || owner[span] == me && HAS(fresh, span))
#endif

inline bequeath() {
#if MUTANT == 20 /* as 12, but whoever takes over leaves out what lies on a stack */
    d_step { journal[me] = journal[me] | journal[d] & ~(remote[0] | remote[1] | remote[2]) }
#else
    d_step { journal[me] = journal[me] | journal[d] }
#endif
    d_step { journal[d] = 0; d = 0 }
}

/* What dead processes left becomes this one's. */
inline inherit() {
#if MUTANT == 20
    if
    :: fresh -> journal[me] = journal[me] & ~(remote[0] | remote[1] | remote[2])
    :: else
    fi;
#endif
    do
    :: atomic { LEFT(0) -> d = 0 } bequeath()
    :: atomic { !LEFT(0) && LEFT(1) -> d = 1 } bequeath()
    :: else -> break
    od;
    do
    :: atomic { ORPHAN(0) -> d = 0 } adopt(d)
    :: atomic { !ORPHAN(0) && ORPHAN(1) -> d = 1 } adopt(d)
    :: else -> break
    od;
    atomic { d = 0; fresh = 0 }
}

/* The first block of others' in the journal that no pin covers, within a step. */
inline next_to_go() {
    i = BLOCKS;
    for (d : 0 .. BLOCKS - 1) {
        if
        :: i == BLOCKS && HAS(journal[me], d) && owner[SPAN(d)] != me && !COVERED(pin, d) -> i = d
        :: else
        fi
    }
    d = 0
}

/* Gives back what no pin covers. */
inline reclaim() {
    pin = entry;
    atomic {
        if
#if MUTANT == 11 /* a pin is cleared by time, not by death */
        :: pin != 0 -> entry = 0; pin = 0
#else
        :: pin != 0 && !reading -> entry = 0; pin = 0
#endif
        :: else
        fi;
        d_step {
            for (i : 0 .. BLOCKS - 1) {
                if
                :: HAS(limbo[me], i) && !COVERED(pin, i) -> limbo[me] = limbo[me] & ~BIT(i); free_private(i)
                :: HAS(journal[me], i) && owner[SPAN(i)] == me && !COVERED(pin, i) ->
                    journal[me] = journal[me] & ~BIT(i); free_private(i)
                :: else
                fi
            }
            next_to_go()
        }
    }
    do
    :: i < BLOCKS ->
#if MUTANT == 12 || MUTANT == 20 /* a foreign block is pushed, then struck out, and nothing says so meanwhile */
        d_step { free_remote(i) }
        d_step { journal[me] = journal[me] & ~BIT(i); next_to_go() }
#elif MUTANT == 13 /* a foreign block is struck out, then pushed, and nothing says so meanwhile */
        journal[me] = journal[me] & ~BIT(i);
        d_step { free_remote(i); next_to_go() }
#else
        leaving = i;
        journal[me] = journal[me] & ~BIT(i);
        d_step { free_remote(i) }
        d_step { leaving = NONE; next_to_go() }
#endif
    :: atomic { i == BLOCKS -> i = 0; pin = 0 } break
    od
}

/* Blocks that others gave back join the free list, within a step. Only for whoever has the lock. */
inline drain() {
    for (d : 0 .. SPANS - 1) {
        if
        :: owner[d] == me -> free[me] = free[me] | remote[d]; remote[d] = 0
        :: else
        fi
    }
    d = 0
}

/* What this process can take blocks from without giving back any. */
#define BACK(span) (owner[span] == me -> remote[span] : 0)
#define FREE_OR_BACK (free[me] | BACK(0) | BACK(1) | BACK(2))

/* Within a step. */
inline choose() {
    drain();
    new = NONE;
    for (i : 0 .. BLOCKS - 1) {
        if
        :: new == NONE && HAS(free[me], i) -> new = i
        :: else
        fi
    }
    i = 0;
    if
    :: new != NONE -> free[me] = free[me] & ~BIT(new); sum[new] = 0; seq[new] = 0
    :: else
    fi
}

/* A block with the next frame's state; `new` is NONE where there is no memory. */
inline make() {
    if
    :: d_step { FREE_OR_BACK != 0 -> choose() }
    :: else ->
        reclaim();
        atomic { choose() }
    fi;
    if
    :: d_step { new != NONE -> seq[new] = seq[appended] + 1; sum[new] = sum[appended] + 1 }
    :: else
    fi
}

/* A foreign block that a commit lets go is noted where a successor finds it. */
inline note() {
    atomic {
        if
        :: d_step { owner[SPAN(old)] != me ->
                born[old] = seq[old]; died[old] = seq[new]; journal[me] = journal[me] | BIT(old) }
        :: else
        fi
    }
}

/* Within a step. */
inline retire() {
    if
    :: owner[SPAN(old)] == me -> born[old] = seq[old]; died[old] = seq[new]; limbo[me] = limbo[me] | BIT(old)
    :: else
    fi
}

/* One store, within a step. What is shown is in the log, whole, with all frames before it. */
inline store_root() {
    assert(seq[new] == seq[root] + 1 && seq[new] <= logged && sum[new] == seq[new]);
    root = new
}

/* The root that was made is shown, and what it replaces is given back when no pin covers it. */
inline publish() {
    d_step { old = root; appended = new }
#if MUTANT == 14 /* blocks are freed before the new root is shown */
    note();
    atomic { retire() }
    reclaim();
    atomic { store_root() }
    shown = seq[new]
#elif MUTANT == 15 /* a foreign block is noted after the root is shown */
    d_step { store_root() }
    note();
    d_step { shown = seq[new]; retire() }
    reclaim();
#elif MUTANT == 16 /* foreign blocks are noted nowhere but in private memory */
    d_step { store_root() }
    d_step { shown = seq[new]; born[old] = seq[old]; died[old] = seq[new]; limbo[me] = limbo[me] | BIT(old) }
    reclaim();
#else
    note();
    d_step { store_root() }
    d_step { shown = seq[new]; retire() }
    reclaim()
#endif
}

/* Frames behind the last one shown are made again. */
#if MUTANT == 3
#define BEHIND (false)
#elif MUTANT == 17 /* the word beside the root is believed, and not the root */
#define BEHIND (shown < logged)
#elif MUTANT == 21 /* frames are made again only when the lock was taken from a dead process */
#define BEHIND (was != NONE && seq[root] < logged)
#else
#define BEHIND (seq[root] < logged)
#endif
inline replay() {
    do
    :: BEHIND && !crowded ->
        make();
        if
        :: new == NONE -> crowded = true
        :: else -> publish()
        fi
    :: else -> break
    od
}

inline commit() {
    make();
    if
    :: new == NONE -> ENOUGH
    :: else ->
#if MUTANT == 18 /* a root is shown before its frame is in the log */
        publish();
        logged++
#else
        d_step { logged++; assert(seq[new] == logged) }
        publish()
#endif
    fi
}

/* All is as whoever had the lock before should have left it. */
#define SETTLED (appended == root && shown == seq[root] && seq[root] == logged && leaving == NONE && \
    !LEFT(0) && !LEFT(1) && !ORPHAN(0) && !ORPHAN(1) && !fresh)

proctype Writer(byte me) {
    byte was = NONE, asked = 0, new = NONE, old = NONE, pin = 0, i = 0, d = 0;
    byte fresh = 0; /* spans of this slot that it may not know */
    bool crowded = false;
begin:
    {
        do
        :: todo[me] > 0 || fresh ->
            take();
            if
            :: SETTLED && todo[me] > 0
            :: else ->
                settle();
#if MUTANT == 22 /* spans are adopted only where there was memory for the frames */
                replay();
                if
                :: !crowded -> inherit()
                :: else
                fi;
#else
                inherit();
                replay();
#endif
                if
                :: crowded || todo[me] == 0 -> goto done
                :: else
                fi
            fi;
            commit();
done:       atomic {
                crowded = false; new = NONE; old = NONE;
                if
                :: todo[me] > 0 -> todo[me]--
                :: else
                fi;
                give()
            }
        :: else -> break
        od;
        rests[me] = true;
        if
        :: me == LAST
        :: else ->
end_idle:   false
        fi
    } unless {
        d_step {
            !alive[me] ->
            was = NONE; asked = 0; new = NONE; old = NONE; pin = 0; i = 0; d = 0; fresh = 0; crowded = false; rests[me] = false
        }
dead:   if
        /* Somebody claims the slot: it seems to live from here on, until he sees that the lock names it. */
        :: d_step { claims > 0 && !over -> claims--; alive[me] = true }
            if
#if MUTANT == 19 /* a slot is claimed while the lock names it */
            :: d_step { alive[me] -> fresh = BIT(0) | BIT(1); rests[me] = false }
#else
            :: d_step { alive[me] && holder != me -> fresh = BIT(0) | BIT(1); rests[me] = false }
#endif
                goto begin
            :: d_step { alive[me] && holder == me -> alive[me] = false }
                goto dead
            :: !alive[me] -> goto dead
            fi
        :: d_step { rests[me] = true }
end_dead:   false
        fi
    }
}

proctype Reader() {
    byte at = 0, want = 0, found = 0, n = PINS;
    {
        do
        :: n > 0 ->
            entry = ALL;
            d_step { at = root; want = seq[at] }
            d_step { found = seq[at]; assert(found == want && sum[at] == want && found <= logged) }
            entry = found;
            assert(seq[at] == want && sum[at] == want);
            d_step { entry = 0; at = 0; want = 0; found = 0; n-- }
        :: else -> break
        od
    } unless {
        d_step { !reading -> at = 0; want = 0; found = 0 }
    }
}

proctype Kernel() {
end:
    do
    :: d_step { !over && deaths > 0 && alive[0] -> deaths--; alive[0] = false; holds[0] = false; free[0] = 0; limbo[0] = 0 }
    :: d_step { !over && deaths > 0 && alive[1] -> deaths--; alive[1] = false; holds[1] = false; free[1] = 0; limbo[1] = 0 }
    :: d_step { reading && entry != 0 -> reading = false }
    :: over -> break
    od
}

init {
    byte b, s, n;
    d_step {
        seq[0] = 1; sum[0] = 1;
        owner[1] = 1; owner[2] = LAST;
        free[0] = (BIT(K) - 1) & ~1;
        free[1] = (BIT(K) - 1) << K;
        free[LAST] = 1 << (2 * K);
        alive[0] = true; alive[1] = true; alive[LAST] = true;
        todo[0] = COMMITS0; todo[1] = COMMITS1; todo[LAST] = 1
    }
    atomic { run Kernel(); run Reader(); run Writer(0); run Writer(1) }
#ifndef TOGETHER
    d_step { rests[0] && rests[1] -> over = true }
#endif
    run Writer(LAST);
    rests[LAST];
#ifndef TOGETHER
    /* Every block but the root's is in exactly one place, and that is a living process's. */
    d_step {
        for (b : 0 .. BLOCKS - 1) {
            n = 0;
            for (s : 0 .. SLOTS - 1) {
                n = n + (alive[s] && HAS(free[s] , b)) + (alive[s] && HAS(limbo[s], b)) + (alive[s] && HAS(journal[s], b))
            }
            n = n + HAS(remote[SPAN(b)], b) + (b == root);
            assert(n == 1 && alive[owner[SPAN(b)]])
        }
        assert(seq[root] == logged && sum[root] == logged && shown == logged && appended == root && leaving == NONE)
    }
#endif
}
